//! The whole way of evidence: the core's use cases with the real verifier behind their port, and quotes that chains of our own
//! signed. What each of the two makes of evidence by itself, their own tests show.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_attest::chain::snp::{SnpChain, SnpLink, SnpSettings};
use carrara_attest::chain::{Chain, Enclave, Machine, Settings};
use carrara_attest::collateral::{Bundle, CollateralCache, Limits, Root, Source, Tee as Collateral};
use carrara_attest::framing::frame;
use carrara_attest::issue::Platform;
use carrara_attest::verify::Verifier;
use carrara_attest::{RealTee, Verification};
use carrara_core::error::public_message;
use carrara_core::outcome::ActivationRequest;
use carrara_core::ports::Clock;
use carrara_core::{Coordinator, DecisionRing, Ports};
use carrara_store::{Backend, Options};
use carrara_wasm::{Engine, EngineLimits};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tests::logged;
use super::*;

const BUNDLE: &str = "collateral.json";

/// When the chains' collateral is valid.
struct Then;

impl Clock for Then {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(Settings::default().now).unwrap()
    }
}

struct Random;

impl Entropy for Random {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).unwrap();
    }
}

/// A coordinator with the real parts, mostly with a store in memory, in the TEE of a chain. Its verifier takes the chains' roots for
/// Intel's and AMD's, and has Intel's collateral from a bundle.
struct World {
    coordinator: Coordinator,
    tee: Arc<Tee>,
    bundle: TempDir,
}

impl World {
    async fn start(chain: &Arc<Chain>, snp: &SnpChain) -> Self {
        Self::start_on(Backend::Memory, chain, snp).await
    }

    async fn start_on(backend: Backend, chain: &Arc<Chain>, snp: &SnpChain) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(BUNDLE);
        let mut bundle = Bundle::default();
        bundle.add(chain.collateral());
        std::fs::write(&path, bundle.to_json()).unwrap();
        let source = Source::default().with_bundle(path);
        let cache = CollateralCache::new(source, Root::of(&chain.root()), Limits::default());
        let verifier = Verifier::with_root(chain.root()).with_snp_root(snp.root());
        let verification = Verification::with(verifier, Arc::new(cache));
        let platform = RealTee::new(Platform::generated(Arc::clone(chain)));
        let tee = Arc::new(Tee::new(Attestation::Tee(platform).verifying(verification), &Random));
        let (clock, entropy, decisions) =
            (Arc::new(Then), Arc::new(Random), Arc::new(DecisionRing::default()));
        let options = Options { backend, sealing: tee.clone(), entropy: entropy.clone() };
        let policies = Engine::start(EngineLimits::default(), decisions.clone(), clock.clone()).unwrap();
        let ports = Ports {
            store: carrara_store::open(options).await.unwrap(),
            evidence: tee.clone(),
            policies: Arc::new(policies),
            decisions,
            clock,
            entropy,
        };
        let coordinator = Coordinator::start(ports, carrara_core::Settings::default()).await.unwrap();
        Self { coordinator, tee, bundle: folder }
    }

    /// With a manifest that has the packages, and a Marble for each.
    async fn with(chain: &Arc<Chain>, snp: &SnpChain, packages: &[(&str, Value)]) -> Self {
        Self::with_manifest(chain, snp, &manifest(packages)).await
    }

    async fn with_manifest(chain: &Arc<Chain>, snp: &SnpChain, manifest: &Value) -> Self {
        let world = Self::start(chain, snp).await;
        world.set(manifest).await;
        world
    }

    async fn set(&self, manifest: &Value) {
        self.coordinator.set_manifest(None, manifest.to_string().as_bytes(), Vec::new()).await.unwrap();
    }

    /// The arguments that a Marble of this package is given, or why it is refused.
    async fn activate(&self, package: &str, marble: &Marble, quote: &[u8]) -> Result<Vec<String>, String> {
        let request = ActivationRequest {
            quote: quote.to_vec(),
            csr: marble.csr.clone(),
            marble_type: package.to_owned(),
            uuid: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
            peer_certificate: Some(marble.certificate.clone()),
        };
        let activated = self.coordinator.activate(request).await;
        activated.map(|activation| activation.argv).map_err(|error| public_message(&error))
    }

    /// Each package admits the quote, or refuses it with this text.
    async fn judge(&self, cases: &[(&str, Option<String>)], marble: &Marble, quote: &[u8]) {
        for (package, refusal) in cases {
            let expected = match refusal {
                None => Ok(vec![format!("./{package}")]),
                Some(text) => Err(invalid(text)),
            };
            assert_eq!(self.activate(package, marble, quote).await, expected, "{package}");
        }
    }

    /// The TCB status that is signed for a quote, or why none is.
    async fn sign(&self, quote: &[u8]) -> Result<String, String> {
        let signed = self.coordinator.sign_quote(quote).await;
        signed.map(|signed| signed.tcb_status).map_err(|error| public_message(&error))
    }
}

fn manifest(packages: &[(&str, Value)]) -> Value {
    let (mut by_name, mut marbles) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, package) in packages {
        by_name.insert((*name).to_owned(), package.clone());
        let parameters = json!({ "Argv": [format!("./{name}")] });
        marbles.insert((*name).to_owned(), json!({ "Package": name, "Parameters": parameters }));
    }
    json!({ "Packages": by_name, "Marbles": marbles })
}

/// G-25.
fn invalid(cause: &str) -> String {
    format!("marble verification failed: invalid quote: {cause}")
}

fn differs(field: &str, found: &str, wanted: &str) -> Option<String> {
    Some(format!("{field} is {found}, but the package demands {wanted}"))
}

/// Who asks, with the certificate of its connection.
struct Marble {
    certificate: Vec<u8>,
    csr: Vec<u8>,
}

impl Marble {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let csr = params.serialize_request(&key).unwrap().der().to_vec();
        Self { certificate: params.self_signed(&key).unwrap().der().to_vec(), csr }
    }

    /// What its quote must be over (G-32).
    fn report_data(&self) -> [u8; 64] {
        let mut report_data = [0; 64];
        report_data[..32].copy_from_slice(digest(&SHA256, &self.certificate).as_ref());
        report_data
    }

    fn enclave(&self) -> Enclave {
        Enclave { report_data: self.report_data(), ..Enclave::default() }
    }

    fn machine(&self) -> Machine {
        Machine { report_data: self.report_data(), ..Machine::default() }
    }
}

fn sgx() -> Arc<Chain> {
    Arc::new(Chain::new(&Settings::default()))
}

fn tdx() -> Arc<Chain> {
    Arc::new(Chain::new(&Settings { tee: Collateral::Tdx, ..Settings::default() }))
}

fn snp() -> SnpChain {
    SnpChain::new(&SnpSettings::default())
}

fn unique(byte: &str) -> Value {
    json!({ "UniqueID": byte.repeat(32) })
}

fn signer(byte: &str, product: u64, version: u64) -> Value {
    json!({ "SignerID": byte.repeat(32), "ProductID": product, "SecurityVersion": version })
}

// G-25, G-30, G-31, M-84, M-85, M-86, M-87
#[tokio::test]
async fn an_enclave_is_activated_by_its_own_measurements_and_refused_by_the_field_that_differs() {
    let debug = json!({ "UniqueID": "ab".repeat(32), "Debug": true });
    let packages = [
        ("unique", unique("AB")),
        ("signer", signer("cd", 7, 2)),
        ("other-unique", unique("ac")),
        ("other-signer", signer("ce", 7, 3)),
        ("other-product", signer("cd", 8, 3)),
        ("newer", signer("cd", 7, 4)),
        ("debug", debug),
        ("machine", json!({ "TDX": { "MRTD": "ab".repeat(48) } })),
    ];
    let (chain, marble) = (sgx(), Marble::new());
    let world = World::with(&chain, &snp(), &packages).await;
    let cases = [
        ("unique", None),
        ("signer", None),
        ("other-unique", differs("UniqueID", &"ab".repeat(32), &"ac".repeat(32))),
        ("other-signer", differs("SignerID", &"cd".repeat(32), &"ce".repeat(32))),
        ("other-product", differs("ProductID", "7", "8")),
        ("newer", differs("SecurityVersion", "3", "at least 4")),
        ("debug", differs("debug", "false", "true")),
        ("machine", Some("the package has no identity for sgx".to_owned())),
    ];
    let quote = chain.sgx_quote(&marble.enclave());
    world.judge(&cases, &marble, &frame(&quote)).await;
    world.judge(&cases, &marble, &quote).await;
    let debugged = chain.sgx_quote(&Enclave { debug: true, ..marble.enclave() });
    world.judge(&[("unique", differs("debug", "true", "false")), ("debug", None)], &marble, &debugged).await;
}

// G-25, M-81
#[tokio::test]
async fn a_virtual_machine_of_tdx_is_activated_by_its_own_measurements_and_refused_by_the_field_that_differs()
{
    let packages = [
        ("firmware", json!({ "TDX": { "MRTD": "ab".repeat(48) } })),
        (
            "whole",
            json!({ "TDX": { "MRTD": "ab".repeat(48), "RTMR1": "a1".repeat(48), "RTMR2": "a2".repeat(48) } }),
        ),
        ("other-firmware", json!({ "TDX": { "MRTD": "ac".repeat(48) } })),
        ("other-kernel", json!({ "TDX": { "MRTD": "ab".repeat(48), "RTMR1": "b1".repeat(48) } })),
        ("enclave", unique("ab")),
    ];
    let (chain, marble) = (tdx(), Marble::new());
    let world = World::with(&chain, &snp(), &packages).await;
    let cases = [
        ("firmware", None),
        ("whole", None),
        ("other-firmware", differs("TDX.MRTD", &"ab".repeat(48), &"ac".repeat(48))),
        ("other-kernel", differs("TDX.RTMR1", &"a1".repeat(48), &"b1".repeat(48))),
        ("enclave", Some("the package has no identity for tdx".to_owned())),
    ];
    for version in [4, 5] {
        let quote = frame(&chain.tdx_quote(&marble.machine(), version));
        world.judge(&cases, &marble, &quote).await;
    }
    let mut machine = marble.machine();
    machine.tee_tcb_svn[0] = 2;
    let refused = Some("TCB status OutOfDate is not accepted by the package".to_owned());
    world.judge(&[("firmware", refused)], &marble, &frame(&chain.tdx_quote(&machine, 4))).await;
}

// G-25, M-81: the platform's versions are the package's to judge
#[tokio::test]
async fn a_guest_of_sev_snp_is_activated_by_its_own_measurements_and_refused_by_the_field_that_differs() {
    let guest = |more: Value| {
        let mut snp = json!({ "Measurement": "ab".repeat(48), "VMPL": 1 });
        snp.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "SNP": snp })
    };
    let packages = [
        ("guest", guest(json!({ "GuestSVN": 5, "TCB": { "SNP": 22, "Microcode": 211 } }))),
        ("other-guest", guest(json!({ "Measurement": "ac".repeat(48) }))),
        ("other-host", guest(json!({ "HostData": "0e".repeat(32) }))),
        ("privileged", guest(json!({ "VMPL": 0 }))),
        ("newer", guest(json!({ "TCB": { "SNP": 23 } }))),
    ];
    let (chain, marble) = (snp(), Marble::new());
    let world = World::with(&sgx(), &chain, &packages).await;
    let cases = [
        ("guest", None),
        ("other-guest", differs("SNP.Measurement", &"ab".repeat(48), &"ac".repeat(48))),
        ("other-host", differs("SNP.HostData", &"0d".repeat(32), &"0e".repeat(32))),
        ("privileged", differs("SNP.VMPL", "1", "at most 0")),
        ("newer", Some("TCB status OutOfDate is not accepted by the package".to_owned())),
    ];
    world.judge(&cases, &marble, &chain.evidence(&marble.report_data())).await;
}

// G-32, M-83
#[tokio::test]
async fn evidence_over_another_certificate_activates_nobody() {
    let guest = json!({ "Measurement": "ab".repeat(48), "VMPL": 1 });
    let package = json!({ "UniqueID": "ab".repeat(32), "TDX": { "MRTD": "ab".repeat(48) }, "SNP": guest });
    let (enclaves, machines, guests) = (sgx(), tdx(), snp());
    let (marble, other) = (Marble::new(), Marble::new());
    for (chain, quotes) in [
        (&enclaves, [&marble, &other].map(|of| frame(&enclaves.sgx_quote(&of.enclave())))),
        (&machines, [&marble, &other].map(|of| frame(&machines.tdx_quote(&of.machine(), 4)))),
        (&enclaves, [&marble, &other].map(|of| guests.evidence(&of.report_data()))),
    ] {
        let world = World::with(chain, &guests, &[("any", package.clone())]).await;
        let [own, stolen] = quotes;
        let refused = Some("report data does not match the certificate's hash".to_owned());
        world.judge(&[("any", refused)], &marble, &stolen).await;
        world.judge(&[("any", None)], &marble, &own).await;
    }
}

// G-25
#[tokio::test]
async fn evidence_that_another_root_certifies_or_that_was_changed_activates_nobody() {
    let guest = json!({ "Measurement": "ab".repeat(48), "VMPL": 1 });
    let packages = [("any", json!({ "UniqueID": "ab".repeat(32), "SNP": guest }))];
    let (chain, guests, marble) = (sgx(), snp(), Marble::new());
    let world = World::with(&chain, &guests, &packages).await;
    // Generated chains of SEV-SNP have the same root key: this one is not by it.
    let forged = SnpChain::new(&SnpSettings { forged: Some(SnpLink::Ask), ..SnpSettings::default() });
    let mut changed = chain.sgx_quote(&Enclave { unique_id: [0xac; 32], ..marble.enclave() });
    // MRENCLAVE, behind the header and 64 bytes of the report.
    changed[112..144].fill(0xab);
    for (evidence, refusal) in [
        (sgx().sgx_quote(&marble.enclave()), "the platform's certificate is not Intel's"),
        (changed, "ISV enclave report signature is invalid"),
        (forged.evidence(&marble.report_data()), "the ASK or ASVK is not certified by AMD"),
    ] {
        world.judge(&[("any", Some(refusal.to_owned()))], &marble, &evidence).await;
    }
    world.judge(&[("any", None)], &marble, &chain.sgx_quote(&marble.enclave())).await;
    world.judge(&[("any", None)], &marble, &guests.evidence(&marble.report_data())).await;
}

// M-81, M-82
#[tokio::test]
async fn a_package_accepts_the_tcb_status_and_the_advisories_that_the_collateral_says() {
    let package = |more: Value| {
        let mut package = unique("ab");
        package.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        package
    };
    let both = ["INTEL-SA-00615", "intel-sa-00334"];
    let packages = [
        ("any", unique("ab")),
        ("strict", package(json!({ "AcceptedTCBStatuses": ["ConfigurationNeeded"] }))),
        ("informed", package(json!({ "AcceptedAdvisories": both }))),
        ("uninformed", package(json!({ "AcceptedAdvisories": &both[1..] }))),
        ("lax", package(json!({ "AcceptedTCBStatuses": ["OutOfDate"] }))),
    ];
    let marble = Marble::new();
    let status = |status: &str| Some(format!("TCB status {status} is not accepted by the package"));
    let hardening = || status("SWHardeningNeeded");
    let advisory = Some("advisory INTEL-SA-00615 is not accepted by the package".to_owned());
    let old = || status("OutOfDate");
    for (svn, refusals) in [
        (4, [None, None, None, None, None]),
        (3, [None, hardening(), None, advisory, hardening()]),
        (2, [old(), old(), old(), old(), None]),
    ] {
        let chain = Arc::new(Chain::new(&Settings { svn, ..Settings::default() }));
        let world = World::with(&chain, &snp(), &packages).await;
        let cases: Vec<_> = packages.iter().map(|(name, _)| *name).zip(refusals).collect();
        world.judge(&cases, &marble, &chain.sgx_quote(&marble.enclave())).await;
    }
}

// X-4, M-90, G-26
#[tokio::test]
async fn an_infrastructure_is_compared_with_what_the_quote_proves_of_the_platform() {
    let (chain, marble) = (sgx(), Marble::new());
    let root = digest(&SHA256, &chain.root());
    let quote = chain.sgx_quote(&marble.enclave());
    let right = json!({
        "CPUSVN": STANDARD.encode([4; 16]), "QESVN": 8, "PCESVN": 13, "RootCA": STANDARD.encode(root.as_ref()),
    });
    let mut manifest = manifest(&[("any", unique("ab"))]);
    for (field, value) in [
        ("CPUSVN", json!(STANDARD.encode([5; 16]))),
        ("QESVN", json!(9)),
        ("PCESVN", json!(14)),
        ("RootCA", json!(STANDARD.encode([0; 32]))),
    ] {
        let mut wrong = right.clone();
        wrong[field] = value;
        manifest["Infrastructures"] = json!({ "wrong": wrong });
        let world = World::with_manifest(&chain, &snp(), &manifest).await;
        let refused = world.activate("any", &marble, &quote).await;
        assert_eq!(refused, Err("marble verification failed: invalid infrastructure".to_owned()), "{field}");
    }
    manifest["Infrastructures"]["right"] = right;
    let world = World::with_manifest(&chain, &snp(), &manifest).await;
    assert_eq!(world.activate("any", &marble, &quote).await, Ok(vec!["./any".to_owned()]));
}

// G-31, G-30
#[tokio::test]
async fn a_quote_raw_or_framed_is_signed_with_the_status_that_the_verifier_judged() {
    for (svn, status) in [(4, "UpToDate"), (3, "SWHardeningNeeded"), (2, "OutOfDate")] {
        let chain = Arc::new(Chain::new(&Settings { svn, ..Settings::default() }));
        let world = World::start(&chain, &snp()).await;
        let quote = chain.sgx_quote(&Enclave::default());
        assert_eq!(world.sign(&quote).await, Ok(status.to_owned()));
        assert_eq!(world.sign(&frame(&quote)).await, Ok(status.to_owned()));
    }
}

// G-31
#[tokio::test]
async fn a_quote_that_another_root_certifies_or_that_was_changed_is_not_signed() {
    let (chain, guests) = (sgx(), snp());
    let world = World::start(&chain, &guests).await;
    let mut changed = chain.sgx_quote(&Enclave::default());
    changed[112] ^= 1;
    for (quote, cause) in [
        (sgx().sgx_quote(&Enclave::default()), "the platform's certificate is not Intel's"),
        (changed, "ISV enclave report signature is invalid"),
    ] {
        let refused = Err(format!("quote verification failed: {cause}"));
        assert_eq!(world.sign(&quote).await, refused);
        assert_eq!(world.sign(&frame(&quote)).await, refused);
    }
    let none = "nobody publishes a TCB status for SEV-SNP, so that there is none to sign";
    let guest = world.sign(&guests.evidence(&[7; 64])).await;
    assert_eq!(guest, Err(format!("quote verification failed: {none}")));
}

// what clients are given proves the root certificate
#[tokio::test]
async fn the_coordinators_own_quote_verifies_and_is_over_its_root_certificate() {
    for (chain, name) in [(sgx(), "sgx"), (tdx(), "tdx")] {
        let world = World::start(&chain, &snp()).await;
        let answer = world.coordinator.quote(None).await.unwrap();
        let claims = world.tee.verify(&answer.quote.unwrap(), Then.now()).await.unwrap();
        assert_eq!((claims.tee.name(), claims.tcb_status.as_str()), (name, "UpToDate"));
        let (_, root) = answer.certificates.rsplit_once("-----BEGIN CERTIFICATE-----").unwrap();
        let root = root.replace("-----END CERTIFICATE-----", "").replace('\n', "");
        let expected = digest(&SHA256, &STANDARD.decode(root).unwrap());
        assert_eq!(claims.report_data[..32], *expected.as_ref());
    }
}

// L-16, L-35
#[tokio::test]
async fn a_restart_opens_the_state_of_an_enclave_and_is_a_recovery_in_a_trust_domain() {
    for (chain, state) in [(sgx(), 3), (tdx(), 1)] {
        let folder = tempfile::tempdir().unwrap();
        let disk = || Backend::Redb { dir: folder.path().join("data"), cache_bytes: 1 << 20 };
        let first = World::start_on(disk(), &chain, &snp()).await;
        assert_eq!(first.coordinator.status().code, 2);
        first.set(&manifest(&[("any", unique("ab"))])).await;
        assert_eq!(first.coordinator.status().code, 3);
        drop(first);
        let next = World::start_on(disk(), &chain, &snp()).await;
        assert_eq!(next.coordinator.status().code, state, "{}", next.tee.attestation.name());
    }
}

// G-25: the Marble learns nothing of the coordinator's files
#[test]
fn a_bundle_that_cannot_be_read_is_told_to_the_log_and_not_to_the_marble() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let guest = json!({ "SNP": { "Measurement": "ab".repeat(48), "VMPL": 1 } });
    let (guests, marble) = (snp(), Marble::new());
    let world = runtime.block_on(World::with(&sgx(), &guests, &[("guest", guest)]));
    let path = world.bundle.path().join(BUNDLE);
    std::fs::remove_file(&path).unwrap();
    let refused = Some("the bundle of collateral cannot be read".to_owned());
    let evidence = guests.evidence(&marble.report_data());
    let log = logged(|| runtime.block_on(world.judge(&[("guest", refused)], &marble, &evidence)));
    let cause = format!("the bundle {}: No such file or directory (os error 2)", path.display());
    let text = "the bundle of collateral cannot be read: evidence of SEV-SNP is refused";
    assert!(log.contains(&format!(" WARN carrara_coordinator::tee: {text} cause={cause}\n")), "{log}");
}
