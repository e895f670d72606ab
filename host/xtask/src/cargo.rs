//! Cargo, as the tasks call it.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Cargo in the workspace, with the workspace's own target folder: the tasks look for binaries and guests there.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).env("CARGO_TARGET_DIR", root.join("target")).stdin(Stdio::null());
    command
}

/// Cargo, in an environment that does not depend on who builds and when: where tools and the registry are, not how somebody likes to
/// build. The target folder is for the caller to say.
pub(crate) fn reproducible(root: &Path) -> Command {
    let mut command = cargo(root);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_seen)));
    // 1980, the earliest time that every archive can express.
    command
        .env("SOURCE_DATE_EPOCH", "315532800")
        .env("ZERO_AR_DATE", "1")
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    // Also not what a `config.toml` of cargo says of them.
    command.env("CARGO_INCREMENTAL", "0").env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
    command
}

/// What of the environment such a build may see.
fn is_seen(name: &str) -> bool {
    let starts = [
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "RUSTUP_",
        "SSL_CERT_",
    ];
    let names = [
        "PATH",
        "HOME",
        "TMPDIR",
        "CARGO",
        "CARGO_HOME",
        "CARGO_BUILD_JOBS",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ];
    names.contains(&name) || starts.iter().any(|start| name.starts_with(start))
}

/// Builds; with a progress bar on a terminal, else silently but for warnings and errors.
pub(crate) fn build(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = cargo(root);
    command.arg("build").args(arguments);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    ensure!(command.status().context("starting cargo")?.success(), "the build failed; see above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_somebody_likes_to_build_is_not_seen() {
        for name in
            ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_REGISTRIES_X_INDEX", "CARGO_BUILD_JOBS"]
        {
            assert!(is_seen(name), "{name}");
        }
        for name in [
            "RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_PROFILE_GUEST_OPT_LEVEL",
            "CARGO_TARGET_DIR",
            "RUSTC_WRAPPER",
            "CC",
            "CFLAGS",
            "LANG",
            "USER",
        ] {
            assert!(!is_seen(name), "{name}");
        }
    }

    #[test]
    fn neither_the_time_nor_a_wrapper_reaches_what_is_built() {
        let command = reproducible(Path::new("/some/where"));
        let value = |name: &str| command.get_envs().find(|(key, _)| *key == name).and_then(|found| found.1);
        assert_eq!(value("SOURCE_DATE_EPOCH"), Some("315532800".as_ref()));
        assert_eq!(value("RUSTC_WRAPPER"), Some("".as_ref()));
        assert_eq!(value("CARGO_TARGET_DIR"), None, "the caller says it");
    }
}
