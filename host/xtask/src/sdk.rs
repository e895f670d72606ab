//! The native tests of the SDKs that are not in Rust: what their authors run, without WebAssembly.

use std::path::Path;
use std::process::{Command, Stdio};

/// An SDK's tests.
pub(crate) struct Suite {
    /// What it is.
    pub(crate) name: &'static str,
    /// How to get what runs it.
    pub(crate) install: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    folder: &'static str,
    /// Tells whether the program is there, in the version that is needed.
    probe: &'static [&'static str],
}

/// All of them.
pub(crate) const SUITES: [Suite; 3] = [
    Suite {
        name: "SDK for Python",
        install: "apt-get install python3",
        program: "python3",
        arguments: &["-m", "unittest", "--quiet"],
        folder: "sdk/python",
        probe: &["-c", "import sys; sys.exit(sys.version_info < (3, 10))"],
    },
    Suite {
        name: "SDK for JavaScript",
        install: "apt-get install nodejs npm",
        program: "node",
        arguments: &["--test", "--test-reporter=dot", "test/"],
        folder: "sdk/js",
        probe: &["-e", "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)"],
    },
    Suite {
        name: "SDK for Go",
        install: "https://go.dev/dl (1.25 or newer)",
        program: "go",
        arguments: &["test", "./..."],
        folder: "sdk/go",
        probe: &["version"],
    },
];

impl Suite {
    /// The tests, or nothing where the language is not there.
    pub(crate) fn command(&self, root: &Path) -> Option<Command> {
        let mut probe = Command::new(self.program);
        probe.args(self.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !probe.status().is_ok_and(|status| status.success()) {
            return None;
        }
        let mut command = Command::new(self.program);
        command.args(self.arguments).current_dir(root.join(self.folder)).stdin(Stdio::null());
        // Nothing is left behind beside the sources, which are packed into programs.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Some(command)
    }
}
