//! The bytes of a gRPC activation: framing, message, and the checks that follow. The first byte says what else is there:
//! odd ones put the input into a well-formed frame, and the second bit gives the connection its certificate.

use carrara_server::fuzzing;

use super::shared::{field, with_world};
use crate::world::{CONNECTION, UUID};

pub(super) fn run(input: &[u8]) {
    let Some((mode, message)) = input.split_first() else { return };
    if let Some(again) = fuzzing::activation_request(message) {
        let twice = fuzzing::activation_request(&again).expect("what was written reads");
        assert_eq!(again, twice);
    }
    let body = if mode & 1 == 1 { framed(message) } else { message.to_vec() };
    with_world(|world| {
        let certificate = (mode & 2 == 2).then_some(CONNECTION);
        let (code, message) = world.wait(world.server.activate(certificate, &body));
        assert_ne!(message, fuzzing::panic_message(), "code {code}");
        // An activation changes counts, which no other input must see.
        code != 0
    });
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("inputs are short");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let message = |quote: &[u8], csr: &[u8], marble: &str, uuid: &str| {
        [field(1, quote), field(2, csr), field(3, marble.as_bytes()), field(4, uuid.as_bytes())].concat()
    };
    let csr = super::shared::csr();
    let good = message(b"quote", &csr, "web", UUID);
    let with = |mode: u8, body: &[u8]| [&[mode][..], body].concat();
    vec![
        with(3, &good),
        with(1, &good),
        with(2, &framed(&good)),
        with(3, &message(b"", &csr, "web", UUID)),
        with(3, &message(b"quote", b"no request", "web", UUID)),
        with(3, &message(b"quote", &csr, "other", UUID)),
        with(3, &message(b"quote", &csr, "web", "no uuid")),
        with(2, &[1, 0, 0, 0, 1, 0]),
        with(2, &[0, 0xff, 0xff, 0xff, 0xff]),
    ]
}
