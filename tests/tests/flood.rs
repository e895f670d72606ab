//! The flood runs, in its short form: hostile clients of every kind at once, more of them than there are places. Polite
//! clients are served all the same, memory is bounded, and afterwards all is as before. Times are demanded only by the long form
//! (`cargo xtask flood`).

use std::process::Command;

use carrara_tests::{binary, root, succeed};
use serde_json::Value;

//
#[test]
fn polite_clients_are_served_during_a_flood_and_all_is_as_before_after_it() {
    let xtask = binary("xtask");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flood.json");
    let mut command = Command::new(&xtask);
    command.current_dir(root()).env("CARRARA_BIN_DIR", xtask.parent().expect("a binary lies in a folder"));
    command.args(["flood", "--debug", "--smoke", "--seconds", "5", "--idle", "700", "--slow", "100"]);
    let report = succeed(command.arg("--json").arg(&file));
    let figures: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    // The command itself has judged; this is what it must have judged by.
    assert_eq!(figures["polite"]["kept"]["failed"], 0, "{report}");
    assert!(figures["polite"]["kept"]["answered"].as_u64().unwrap() > 0, "{report}");
    let connections = figures["peak"]["connections"].as_u64().unwrap();
    assert!(connections <= 800, "300 on each port, and those that are just making room: {report}");
    for kind in ["idle connections", "heads sent slowly", "bodies sent slowly", "handshakes", "streams reset"]
    {
        assert!(figures["attacks"][kind].as_u64().unwrap() > 0, "{kind}: {report}");
    }
}
