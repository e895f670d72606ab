//! The first manifest, which anybody may send: whatever is accepted can be given out, and survives a restart.

use carrara_types::manifest::ParsedManifest;

use crate::world::{self, World};

thread_local! {
    /// An empty coordinator; replaced when it has accepted something.
    static EMPTY: std::cell::RefCell<Option<World>> = const { std::cell::RefCell::new(None) };
}

pub(super) fn run(input: &[u8]) {
    let world = EMPTY.with_borrow_mut(Option::take).unwrap_or_else(World::new);
    if world.set(input).is_err() {
        assert_eq!(world.revision(), 0, "a refused manifest changed something");
        EMPTY.set(Some(world));
        return;
    }
    let parsed = ParsedManifest::parse(input).expect("it was accepted");
    for marble_type in parsed.marbles.keys().take(4) {
        // A template may be at fault; a panic may not.
        let first = world.activate(marble_type);
        assert!(first.is_ok() || first.as_ref().is_err_and(|text| !text.is_empty()));
    }
    let signed = world.coordinator.manifest().expect("a state").expect("a manifest");
    assert_eq!(signed.manifest, input);
    let restarted = world.restarted();
    assert_eq!(restarted.coordinator.status().code, 3);
    assert_eq!(restarted.coordinator.manifest().expect("a state").expect("a manifest").manifest, input);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        world::manifest().into_bytes(),
        include_bytes!("../../../../examples/quickstart/manifest.json").to_vec(),
        br#"{"Packages":{"p":{"SignerID":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","ProductID":7,"SecurityVersion":3}},"Marbles":{"m":{"Package":"p","Parameters":{"Env":{"A":"{{ hex .Secrets.s }}"}}}},"Secrets":{"s":{"Type":"cert-ed25519","Cert":{"Subject":{"Country":["DE"],"SerialNumber":"1"},"NotAfter":"2030-01-01T00:00:00Z","BasicConstraintsValid":true,"IsCA":true,"MaxPathLen":1,"EmailAddresses":["a@b.example"],"URIs":[{"Scheme":"https","Host":"h"}],"PermittedDNSDomains":["x"],"PolicyIdentifiers":[[1,2,3]],"ExtraExtensions":[{"Id":[1,2,3,4],"Critical":false,"Value":"BQA="}],"CRLDistributionPoints":["http://c"],"OCSPServer":["http://o"]}}}}"#
            .to_vec(),
    ]
}
