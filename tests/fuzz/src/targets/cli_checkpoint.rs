//! A checkpoint of the update log, as a server sends it and as it was kept; then the input as a consistency proof.

use std::sync::OnceLock;

use carrara_client::checkpoint::{Checkpoint, Hash, consistent, leaf_hash, root_of};

use crate::world::World;

/// A root certificate, and a note that its key has signed.
fn genuine() -> &'static (Vec<u8>, String) {
    static GENUINE: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let world = World::with_manifest();
        let chain = world.wait(world.coordinator.quote(None)).expect("a quote").certificates;
        let blocks = pem::parse_many(chain).expect("PEM");
        let root = blocks.last().expect("a root").contents().to_vec();
        let head = world.wait(world.coordinator.log_head(None)).expect("a head");
        (root, head.checkpoint)
    })
}

pub(super) fn run(input: &[u8]) {
    let (root, note) = genuine();
    let text = std::str::from_utf8(input).unwrap_or_default();
    if let Ok(checkpoint) = Checkpoint::verify(text, root) {
        let signed = |note: &str| note.rsplit_once("\n\n").map(|(text, _)| text.to_owned());
        assert_eq!(signed(text), signed(note), "a note that was never signed");
        assert_eq!(checkpoint.as_note(), text);
    }
    let _ = Checkpoint::verify(note, input);

    let hashes: Vec<Hash> = input.chunks_exact(32).map(|hash| hash.try_into().expect("32 bytes")).collect();
    if let [older, newer, proof @ ..] = hashes.as_slice() {
        let sizes = (u64::from(input[0]), u64::from(input[1]));
        assert!(!consistent((sizes.0, older), (sizes.1, newer), proof) || sizes.0 <= sizes.1);
    }
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    if let [line] = lines.as_slice() {
        assert_eq!(root_of(&lines), leaf_hash(line));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let (root, note) = genuine();
    vec![note.clone().into_bytes(), root.clone(), vec![3; 160], b"one line".to_vec()]
}
