//! Addresses of coordinators.

use carrara_client::Address;

pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(address) = text.parse::<Address>() {
        let written = address.to_string();
        assert_eq!(written.parse::<Address>().expect("what was written reads"), address);
        assert!(!address.host().contains('/'));
        let _ = address.port();
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = ["localhost:4433", "[::1]:65535", "10.0.0.1:1", "a.example:00001", "https://a:1", "[a]:1"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
