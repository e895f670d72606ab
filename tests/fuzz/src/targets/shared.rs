//! What several targets need.

use std::cell::RefCell;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

use crate::world::World;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Gives the work a coordinator with the usual manifest. If the work says that the state has changed (`false`), the next
/// input gets another coordinator: every input begins in the same state.
pub(super) fn with_world(work: impl FnOnce(&World) -> bool) {
    let world = WORLD.with_borrow_mut(Option::take).unwrap_or_else(World::with_manifest);
    if work(&world) {
        WORLD.set(Some(world));
    }
}

/// A field of a protobuf message that holds bytes.
pub(super) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut length = bytes.len();
    let mut encoded = vec![number << 3 | 2];
    while length >= 0x80 {
        encoded.push(0x80 | u8::try_from(length & 0x7f).expect("seven bits"));
        length >>= 7;
    }
    encoded.push(u8::try_from(length).expect("seven bits"));
    [encoded.as_slice(), bytes].concat()
}

/// A Marble's certificate request.
pub(super) fn csr() -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
    let names = ["localhost", "web.example", "10.0.0.1"].map(str::to_owned).to_vec();
    let params = CertificateParams::new(names).expect("good names");
    params.serialize_request(&key).expect("a request").der().to_vec()
}

/// A DER value with its tag and length.
pub(super) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let head = match content.len() {
        short @ 0..0x80 => vec![tag, u8::try_from(short).expect("seven bits")],
        _ => [&[tag, 0x80 | u8::try_from(digits.len()).expect("eight at most")][..], &digits].concat(),
    };
    [head.as_slice(), content].concat()
}
