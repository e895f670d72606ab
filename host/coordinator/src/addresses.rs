//! Tells scripts and tests where the coordinator listens, so that port 0 is of use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use carrara_server::Addresses;

/// Writes `{"rest": "...", "mesh": "...", "metrics": "..."}`, the last only if there is one, so that a reader sees all of
/// it or nothing.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, addresses: Addresses) -> Result<()> {
    let metrics =
        addresses.metrics.map(|address| format!(", \"metrics\": \"{address}\"")).unwrap_or_default();
    let Addresses { rest, mesh, .. } = addresses;
    let text = format!("{{\"rest\": \"{rest}\", \"mesh\": \"{mesh}\"{metrics}}}\n");
    let unfinished = unfinished(path);
    fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path)).with_context(|| {
        format!("writing the addresses file {}; check that its directory exists", path.display())
    })
}

/// What it is called while it is being written.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(metrics: Option<&str>) -> Addresses {
        let metrics = metrics.map(|address| address.parse().unwrap());
        Addresses { rest: "127.0.0.1:1".parse().unwrap(), mesh: "[::1]:2".parse().unwrap(), metrics }
    }

    #[test]
    fn the_file_holds_both_addresses_as_json_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("addresses.json");
        write(&path, addresses(None)).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((json["rest"].as_str(), json["mesh"].as_str()), (Some("127.0.0.1:1"), Some("[::1]:2")));
        assert!(json.get("metrics").is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        write(&path, addresses(Some("127.0.0.1:3"))).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(json["metrics"], "127.0.0.1:3");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = write(Path::new("/nonexistent/a.json"), addresses(None)).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/a.json"), "{error}");
    }
}
