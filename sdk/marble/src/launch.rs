//! Turns an activation into a process (marble-api.md section 9, steps 8 to 11).
//!
//! All that can be checked is checked before the first file is written. The running process's arguments and
//! environment are not touched: they are given to the service when it replaces this process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::activate::Activation;
use crate::files::{self, FileError};
use crate::runtime::{Runtime, Surroundings};

/// The coordinator's configuration of transparent TLS (S-81).
const TTLS_CONFIG: &str = "MARBLE_TTLS_CONFIG";
/// What runs when the manifest names nothing.
const DEFAULT_ARGV: &str = "./marble";

/// Why the service was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Transparent TLS needs a runtime that intercepts sockets.
    #[error("TTLS configured, but Marble runtime doesn't support TTLS")]
    TransparentTls,
    /// A name that no environment can hold.
    #[error(
        "the manifest's environment variable {0:?} has a name that is empty or holds `=` or a NUL byte: rename it"
    )]
    EnvName(String),
    /// A value that no environment can hold.
    #[error("the manifest's environment variable {0:?} holds a NUL byte: use a file instead")]
    EnvValue(String),
    /// An argument that no process can be given.
    #[error("Argv[{0}] of the manifest holds a NUL byte: remove it")]
    Argument(usize),
    /// Nothing to run.
    #[error("Argv[0] of the manifest is empty: name the program")]
    NoProgram,
    /// Gramine's manifest names no program.
    #[error(
        "carrara-premain was started as {0:?}, which is no other program: name the service in loader.argv of Gramine's \
         manifest"
    )]
    Itself(OsString),
    /// Occlum's rule for `Argv[0]`.
    #[error("Argv[0] of the manifest must be the path of a file in Occlum's image: {0:?}")]
    NotThere(String, #[source] std::io::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The program did not start.
    #[error(
        "starting the program {0:?}: Argv[0] of the manifest must be the path of an executable file (PATH is not searched)"
    )]
    Exec(String, #[source] std::io::Error),
}

/// A service that is ready to replace this process.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    argv: Vec<String>,
    activation: Activation,
}

impl Launch {
    /// As [`Launch::prepare_in`], for a plain process.
    ///
    /// # Errors
    /// As there.
    pub fn prepare(activation: Activation) -> Result<Self, LaunchError> {
        let here = Surroundings::of_this_process();
        Self::prepare_in(activation, &Surroundings { runtime: Runtime::Native, ..here })
    }

    /// Checks what the manifest asks for, then writes the files: under Gramine the keys of encrypted mounts first.
    ///
    /// # Errors
    /// The service must not start. Files may have been written only if the error is [`LaunchError::File`] or
    /// [`LaunchError::NotThere`].
    pub fn prepare_in(mut activation: Activation, surroundings: &Surroundings) -> Result<Self, LaunchError> {
        if activation.env.contains_key(TTLS_CONFIG) {
            return Err(LaunchError::TransparentTls);
        }
        check_env(&activation)?;
        let argv = match activation.argv.as_slice() {
            [] => vec![DEFAULT_ARGV.to_owned()],
            given => given.to_vec(),
        };
        check_argv(&argv)?;
        if surroundings.runtime == Runtime::Gramine {
            check_other_program(surroundings)?;
            files::write_keys(&mut activation.files, &surroundings.places.attestation)?;
        }
        files::write_all(&activation.files)?;
        let (program, argv) = arguments(argv, surroundings)?;
        Ok(Self { program, argv, activation })
    }

    /// What will run.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The argument vector as the service sees it.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// Replaces this process by the service. Returns only if that fails.
    #[must_use]
    pub fn exec(self) -> LaunchError {
        match self.command() {
            Ok(mut command) => {
                let error = command.exec();
                LaunchError::Exec(self.program.to_string_lossy().into_owned(), error)
            }
            Err(error) => error,
        }
    }

    fn command(&self) -> Result<Command, LaunchError> {
        let (name, arguments) = self.argv.split_first().ok_or(LaunchError::NoProgram)?;
        // A path without a slash would be looked up in PATH, which the host controls.
        let mut command = Command::new(Path::new(".").join(&self.program));
        command.arg0(name).args(arguments);
        for (name, value) in &self.activation.env {
            command.env(name, OsString::from_vec(value.expose().to_vec()));
        }
        Ok(command)
    }
}

/// The program and the arguments that it sees, by the rules of the runtime.
fn arguments(
    mut argv: Vec<String>,
    surroundings: &Surroundings,
) -> Result<(PathBuf, Vec<String>), LaunchError> {
    let first = argv.first_mut().ok_or(LaunchError::NoProgram)?;
    let program = match surroundings.runtime {
        Runtime::Native => PathBuf::from(&*first),
        Runtime::Gramine => PathBuf::from(&surroundings.program),
        Runtime::Occlum => {
            let program = PathBuf::from(&*first);
            // After the files: one of them may be the program.
            let found = std::fs::metadata(&program);
            found.map_err(|error| LaunchError::NotThere(first.clone(), error))?;
            let name = program.file_name().map(|name| name.to_string_lossy().into_owned());
            *first = name.ok_or(LaunchError::NoProgram)?;
            program
        }
    };
    Ok((program, argv))
}

/// Without `loader.argv` Gramine starts us under our own name, and we would start ourselves for ever.
fn check_other_program(surroundings: &Surroundings) -> Result<(), LaunchError> {
    let whole = |path: &Path| path.canonicalize().ok();
    let ourselves = std::env::current_exe().ok().as_deref().and_then(whole);
    let same = ourselves.is_some() && whole(Path::new(&surroundings.program)) == ourselves;
    if surroundings.program.is_empty() || same {
        return Err(LaunchError::Itself(surroundings.program.clone()));
    }
    Ok(())
}

fn check_env(activation: &Activation) -> Result<(), LaunchError> {
    for (name, value) in &activation.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(LaunchError::EnvName(name.clone()));
        }
        if value.expose().contains(&0) {
            return Err(LaunchError::EnvValue(name.clone()));
        }
    }
    Ok(())
}

fn check_argv(argv: &[String]) -> Result<(), LaunchError> {
    if argv.first().is_none_or(String::is_empty) {
        return Err(LaunchError::NoProgram);
    }
    match argv.iter().position(|argument| argument.contains('\0')) {
        Some(index) => Err(LaunchError::Argument(index)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use carrara_types::secret::SecretBytes;

    use super::*;

    fn activation(argv: &[&str], env: &[(&str, &[u8])]) -> Activation {
        Activation {
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), SecretBytes::new("env", value.to_vec())))
                .collect(),
            argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
            ..Activation::default()
        }
    }

    fn with_file(mut activation: Activation, path: &Path) -> Activation {
        activation
            .files
            .insert(path.to_str().unwrap().to_owned(), SecretBytes::new("file", b"content".to_vec()));
        activation
    }

    // marble-api.md section 9, step 8 and the runtimes' differences
    #[test]
    fn transparent_tls_is_refused_before_any_file_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let error = Launch::prepare(with_file(activation(&["/bin/true"], &[(TTLS_CONFIG, b"{}")]), &path))
            .unwrap_err();
        assert_eq!(error.to_string(), "TTLS configured, but Marble runtime doesn't support TTLS");
        assert!(!path.exists());
    }

    // marble-api.md section 9, step 11
    #[test]
    fn without_argv_the_default_program_is_run() {
        assert_eq!(Launch::prepare(activation(&[], &[])).unwrap().argv(), ["./marble"]);
        assert_eq!(Launch::prepare(activation(&["./a", "b"], &[])).unwrap().argv(), ["./a", "b"]);
    }

    #[test]
    fn what_no_process_can_be_given_is_refused_before_any_file_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let refused = |activation| Launch::prepare(with_file(activation, &path)).unwrap_err();
        assert!(matches!(refused(activation(&[""], &[])), LaunchError::NoProgram));
        assert!(matches!(refused(activation(&["a", "b\0"], &[])), LaunchError::Argument(1)));
        for name in ["", "A=B", "A\0"] {
            assert!(
                matches!(refused(activation(&["a"], &[(name, b"v")])), LaunchError::EnvName(_)),
                "{name:?}"
            );
        }
        assert!(matches!(refused(activation(&["a"], &[("A", b"v\0")])), LaunchError::EnvValue(_)));
        assert!(!path.exists());
    }

    fn surroundings(runtime: Runtime, program: &Path) -> Surroundings {
        Surroundings { runtime, program: program.into(), ..Surroundings::of_this_process() }
    }

    // marble-api.md section 9, Gramine
    #[test]
    fn under_gramine_the_program_is_the_one_that_the_premain_was_started_as() {
        let here = surroundings(Runtime::Gramine, Path::new("/bin/sh"));
        let launch =
            Launch::prepare_in(activation(&["name", "-c", "echo \"$0|$VALUE\""], &[("VALUE", b"v")]), &here);
        let launch = launch.unwrap();
        assert_eq!((launch.program(), launch.argv()[0].as_str()), (Path::new("/bin/sh"), "name"));
        assert_eq!(launch.command().unwrap().output().unwrap().stdout, b"name|v\n");
        let launch = Launch::prepare_in(activation(&[], &[]), &here).unwrap();
        assert_eq!((launch.program(), launch.argv()), (Path::new("/bin/sh"), &["./marble".to_owned()][..]));
    }

    #[test]
    fn under_gramine_the_premain_never_starts_itself() {
        for program in [std::env::current_exe().unwrap(), PathBuf::new()] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            let here = surroundings(Runtime::Gramine, &program);
            let error = Launch::prepare_in(with_file(activation(&["a"], &[]), &path), &here).unwrap_err();
            assert!(error.to_string().contains("loader.argv"), "{error}");
            assert!(!path.exists());
        }
    }

    // marble-api.md section 9, Occlum
    #[test]
    fn under_occlum_the_program_must_exist_and_is_called_by_its_base_name() {
        let here = surroundings(Runtime::Occlum, Path::new("/bin/premain"));
        let launch = Launch::prepare_in(activation(&["/bin/sh", "-c", "echo \"$0\""], &[]), &here).unwrap();
        assert_eq!((launch.program(), launch.argv()[0].as_str()), (Path::new("/bin/sh"), "sh"));
        assert_eq!(launch.command().unwrap().output().unwrap().stdout, b"sh\n");
        for missing in ["/nonexistent/program", "sh"] {
            let error = Launch::prepare_in(activation(&[missing], &[]), &here).unwrap_err();
            assert!(matches!(&error, LaunchError::NotThere(path, _) if path == missing), "{error}");
        }
        // One of the manifest's files may be the program.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        let argv = [path.to_str().unwrap()];
        assert!(Launch::prepare_in(with_file(activation(&argv, &[]), &path), &here).is_ok());
    }

    // marble-api.md section 9, table of runtimes
    #[test]
    fn no_runtime_has_transparent_tls() {
        for runtime in [Runtime::Native, Runtime::Gramine, Runtime::Occlum] {
            let here = surroundings(runtime, Path::new("/bin/sh"));
            let refused = Launch::prepare_in(activation(&["/bin/sh"], &[(TTLS_CONFIG, b"{}")]), &here);
            assert_eq!(
                refused.unwrap_err().to_string(),
                "TTLS configured, but Marble runtime doesn't support TTLS"
            );
        }
    }

    #[test]
    fn an_environment_value_is_never_shown() {
        let error = Launch::prepare(activation(&["a"], &[("A", b"hunter2\0")])).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let launch = Launch::prepare(activation(&["a"], &[("A", b"hunter2")])).unwrap();
        assert!(!format!("{launch:?}").contains("hunter2"));
    }

    #[test]
    fn the_service_gets_its_arguments_files_and_bytes_that_are_not_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let script = "printf '%s|%s|%s|' \"$0\" \"$1\" \"$VALUE\"; cat \"$1\"";
        let argv = ["/bin/sh", "-c", script, "name", path.to_str().unwrap()];
        let launch = Launch::prepare(with_file(activation(&argv, &[("VALUE", b"\xff\xfe")]), &path)).unwrap();
        let output = launch.command().unwrap().output().unwrap();
        let mut expected = format!("name|{}|", path.display()).into_bytes();
        expected.extend(b"\xff\xfe|content");
        assert_eq!(output.stdout, expected);
    }

    #[test]
    fn a_program_that_cannot_run_leaves_this_process_as_it_was() {
        // `sh` is in PATH, but not in the working directory.
        for program in ["/nonexistent/program", "/", "sh"] {
            let error =
                Launch::prepare(activation(&[program], &[("CARRARA_TEST_LEAK", b"1")])).unwrap().exec();
            assert!(matches!(&error, LaunchError::Exec(name, _) if name == program), "{error}");
            assert!(error.to_string().contains("Argv[0]"), "{error}");
        }
        assert_eq!(std::env::var_os("CARRARA_TEST_LEAK"), None);
    }
}
