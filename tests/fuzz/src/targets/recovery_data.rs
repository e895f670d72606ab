//! The clear recovery data, which anybody with the disk can change.

use carrara_core::fuzzing::{join, recovery_data};
use carrara_types::secret::SecretBytes;

pub(super) fn run(input: &[u8]) {
    if let Some(written) = recovery_data(input) {
        assert_eq!(recovery_data(&written), Some(written.clone()), "what was written reads");
        let shares: Vec<SecretBytes> = (1..4).map(|byte| SecretBytes::new("share", vec![byte; 33])).collect();
        for count in 0..shares.len() {
            let _ = join(input, &shares.iter().take(count).collect::<Vec<_>>());
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let (a, b, c) = ("aa".repeat(32), "bb".repeat(32), "cc".repeat(32));
    let texts = [
        r#"{"format":1,"threshold":1,"shares":{}}"#.to_owned(),
        format!(r#"{{"format":1,"threshold":2,"shares":{{"{a}":true,"{b}":true}}}}"#),
        format!(r#"{{"format":1,"threshold":2,"shares":{{"{a}":true,"{b}":true,"{c}":true}}}}"#),
        r#"{"format":1,"threshold":0,"shares":{}}"#.to_owned(),
    ];
    texts.map(String::into_bytes).to_vec()
}
