//! A Marble's certificate request. An input that begins with `S` is the inside of a request, which is signed here: else no
//! change would come past the signature.

use std::sync::OnceLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use carrara_core::fuzzing::MarbleRequest;

use super::shared::{csr, der};

pub(super) fn run(input: &[u8]) {
    let request = match input.strip_prefix(b"S") {
        Some(inside) => signed(inside),
        None => input.to_vec(),
    };
    if let Ok(parsed) = MarbleRequest::parse(&request) {
        let again = MarbleRequest::parse(&request).expect("read once");
        assert_eq!((parsed.dns_names(), parsed.ip_addresses()), (again.dns_names(), again.ip_addresses()));
        assert!(parsed.dns_names().iter().map(String::len).sum::<usize>() <= request.len());
        let extended = [request.as_slice(), &[0]].concat();
        assert!(MarbleRequest::parse(&extended).is_err(), "bytes after the request");
    }
}

fn key() -> &'static Ed25519KeyPair {
    static KEY: OnceLock<Ed25519KeyPair> = OnceLock::new();
    KEY.get_or_init(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes"))
}

/// Subject (one byte for its length) and attributes, in a request that the fixed key has signed.
fn signed(inside: &[u8]) -> Vec<u8> {
    let (length, rest) = inside.split_first().map_or((0, inside), |(length, rest)| (usize::from(*length), rest));
    let (subject, attributes) = rest.split_at(length.min(rest.len()));
    let algorithm = der(0x30, &[6, 3, 43, 101, 112]);
    let public = der(3, &[&[0], key().public_key().as_ref()].concat());
    let spki = der(0x30, &[algorithm.as_slice(), &public].concat());
    let version = [2, 1, 0];
    let info = der(0x30, &[&version, subject, &spki, &der(0xa0, attributes)].concat());
    let signature = der(3, &[&[0], key().sign(&info).as_ref()].concat());
    der(0x30, &[info, algorithm, signature].concat())
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let common_name = der(0x31, &der(0x30, &[&[6, 3, 85, 4, 3][..], &der(12, b"web")].concat()));
    let subject = der(0x30, &common_name);
    let names = [der(0x82, b"web.example"), der(0x87, &[10, 0, 0, 1]), der(0x81, b"a@b"), der(0x86, b"x:y")];
    let alternative = der(0x30, &[&[6, 3, 85, 29, 17][..], &der(4, &der(0x30, &names.concat()))].concat());
    let wanted = [6, 9, 42, 134, 72, 134, 247, 13, 1, 9, 14];
    let attribute = der(0x30, &[&wanted[..], &der(0x31, &der(0x30, &alternative))].concat());
    let inside = |subject: &[u8], attributes: &[u8]| {
        let length = u8::try_from(subject.len()).expect("a short name");
        [b"S", &[length][..], subject, attributes].concat()
    };
    vec![csr(), inside(&subject, &attribute), inside(&der(0x30, &[]), &[]), inside(&subject, &attribute.repeat(3))]
}
