//! What a backup says of itself: one way to write each.

use carrara_types::backup::Description;

pub(super) fn run(input: &[u8]) {
    if let Ok(description) = Description::read(input) {
        assert_eq!(description.text().as_bytes(), input);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let text = Description { state_id: [0xab; 16], revision: 17 }.text();
    vec![text.clone().into_bytes(), text.replace("backup 1", "backup 2").into_bytes()]
}
