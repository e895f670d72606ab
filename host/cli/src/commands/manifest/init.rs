//! `manifest init`: a manifest that a coordinator in simulation accepts as it is, and that shows the main sections.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::files;
use crate::output::Output;

pub(super) const MANIFEST: &str = r#"{
  "Packages": {
    "app": { "Debug": true }
  },
  "Marbles": {
    "hello": {
      "Package": "app",
      "Parameters": {
        "Argv": ["/bin/sh", "-c", "echo Hello from a Marble; cat hello.conf"],
        "Env": { "API_KEY": "{{ hex .Secrets.api_key }}" },
        "Files": { "hello.conf": "key = {{ base64 .Secrets.api_key }}\n" }
      }
    }
  },
  "Secrets": {
    "api_key": { "Type": "symmetric-key", "Size": 256, "Shared": true }
  }
}
"#;

const EXPLANATION: &str = "\
It lets a Marble of type hello print a file with a secret that the coordinator made.
Package app says \"Debug\": true: any debug enclave and, on a coordinator in simulation, any process may run it. \
Before production, replace that by \"SignerID\", \"ProductID\" and \"SecurityVersion\" (or \"UniqueID\") of your \
enclave, and add \"Users\" and \"RecoveryKeys\" (see `carrara keygen`).";

pub(crate) fn run(file: &Path, force: bool, output: &mut Output) -> Result<()> {
    files::write_new(file, MANIFEST.as_bytes(), force)?;
    output.line(&format!("Manifest written to {}", file.display()))?;
    output.line(EXPLANATION)?;
    output.line(&format!("Next: carrara manifest set {} HOST:PORT", file.display()))?;
    output.result(&json!({ "file": file }))
}

#[cfg(test)]
mod tests {
    use carrara_types::manifest::{Known, ParsedManifest, SafeManifest};

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    #[test]
    fn the_manifest_is_one_that_a_coordinator_takes() {
        let manifest = ParsedManifest::parse(MANIFEST.as_bytes()).unwrap();
        assert!(manifest.warnings.is_empty(), "{:?}", manifest.warnings);
        SafeManifest::check(manifest, &Known::default()).unwrap();
    }

    #[test]
    fn an_existing_file_is_kept_without_force_and_the_text_explains_debug() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        let kept = Kept::default();
        run(&path, false, &mut kept.output(Format::Text)).unwrap();
        assert!(kept.text().contains("Debug"));
        std::fs::write(&path, b"mine").unwrap();
        assert!(
            run(&path, false, &mut kept.output(Format::Text)).unwrap_err().to_string().contains("--force")
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        run(&path, true, &mut kept.output(Format::Text)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), MANIFEST);
    }
}
