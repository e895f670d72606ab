//! Recovery over REST: every answer must be one that the OpenAPI document promises.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_core::outcome::TlsPort;
use carrara_store::Backend;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::openapi::tests::{ask, assert_described, document};
use crate::testing::world::{Caller, World};

const SUCCESS: &str = "Recovery successful.";
const NEXT: &str = "Secret was processed successfully. Upload the next secret. Remaining secrets: 1";

/// A recovery secret in the clear, with its signature.
struct Signed {
    secret: Vec<u8>,
    signature: Vec<u8>,
}

/// A coordinator in state 1 whose state has two recovery keys.
struct Locked {
    world: World,
    holders: Vec<Signed>,
    root: Vec<u8>,
    _folder: TempDir,
}

fn root(world: &World) -> Vec<u8> {
    world.coordinator.tls_identity(TlsPort::Rest).certificate.clone()
}

impl Locked {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let backend = || Backend::Redb { dir: folder.path().to_owned(), cache_bytes: 1 << 20 };
        let before = World::on(backend(), 1).await;
        let keys = [(); 2].map(|()| PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap());
        let mut manifest = before.manifest();
        for (index, key) in keys.iter().enumerate() {
            let der = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key()).unwrap();
            let text = STANDARD.encode(der.as_ref());
            manifest["RecoveryKeys"][index.to_string()] =
                json!(format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"));
        }
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let blobs =
            before.coordinator.set_manifest(None, &manifest, Vec::new()).await.unwrap().recovery_secrets;
        let holders = keys.into_iter().zip(blobs.values()).map(|(key, blob)| signed(key, blob)).collect();
        let root = root(&before);
        drop(before);
        Self { world: World::on(backend(), 2).await, holders, root, _folder: folder }
    }

    async fn v2(&self, secret: &[u8], signature: &[u8]) -> (u16, Value) {
        let (secret, signature) = (STANDARD.encode(secret), STANDARD.encode(signature));
        let body = json!({ "recoverySecret": secret, "recoverySecretSignature": signature });
        let body = serde_json::to_vec(&body).unwrap();
        ask(&self.world, Caller::Nobody, "POST /api/v2/recover", body).await
    }

    async fn v1(&self, secret: Vec<u8>, signature: Option<&str>) -> (u16, Value) {
        let headers = signature.map(|signature| ("Recovery-Signature", signature));
        let answer = self.world.ask_with(Caller::Nobody, "POST", "/recover", secret, headers).await;
        let status = answer.status().as_u16();
        let text = assert_described(&document(), "POST", "/recover", answer).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    fn expect_recovered(&self) {
        assert_eq!((self.world.coordinator.status().code, root(&self.world)), (3, self.root.clone()));
    }
}

fn signed(key: PrivateDecryptingKey, blob: &[u8]) -> Signed {
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let mut plain = vec![0; key.min_output_size()];
    let secret = key.decrypt(&OAEP_SHA256_MGF1SHA256, blob, &mut plain, None).unwrap().to_vec();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &secret, &mut signature).unwrap();
    Signed { secret, signature }
}

// R-42, R-44, R-46, L-49a, R-1
#[tokio::test]
async fn version_2_counts_the_secrets_down_and_then_the_old_root_certificate_is_back() {
    let test = Locked::new().await;
    assert_ne!(root(&test.world), test.root);
    let (status, key) = ask(&test.world, Caller::Nobody, "GET /api/v2/recover/public-key", "").await;
    assert_eq!((status, &key["data"]["algorithm"]), (200, &json!("RSA")));
    let spki = STANDARD.decode(key["data"]["ephemeralPublicKey"].as_str().unwrap()).unwrap();
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki).unwrap()).unwrap();
    assert_eq!(key.key_size_bits(), 4096);

    let [one, other] = test.holders.as_slice() else { panic!("two holders") };
    let (status, step) = test.v2(&one.secret, &one.signature).await;
    assert_eq!((status, &step["data"]), (200, &json!({ "remaining": 1, "message": NEXT })));
    let mut encrypted = vec![0; key.ciphertext_size()];
    let encrypted = key.encrypt(&OAEP_SHA256_MGF1SHA256, &other.secret, &mut encrypted, None).unwrap();
    let (status, step) = test.v2(encrypted, &other.signature).await;
    assert_eq!((status, &step["data"]), (200, &json!({ "remaining": 0, "message": SUCCESS })));
    test.expect_recovered();
    let (status, refused) = ask(&test.world, Caller::Nobody, "GET /api/v2/recover/public-key", "").await;
    assert_eq!((status, &refused["message"]), (500, &json!("server is not in expected state")));
}

// X-65, R-41
#[tokio::test]
async fn version_1_takes_raw_bytes_and_arrays_with_a_signature_in_a_header() {
    let test = Locked::new().await;
    let [one, other] = test.holders.as_slice() else { panic!("two holders") };
    let (status, step) = test.v1(one.secret.clone(), Some(&STANDARD.encode(&one.signature))).await;
    assert_eq!((status, &step["data"]), (200, &json!({ "StatusMessage": NEXT })));
    let array = serde_json::to_vec(&other.secret).unwrap();
    let (status, step) = test.v1(array, Some(&STANDARD.encode(&other.signature))).await;
    assert_eq!((status, &step["data"]), (200, &json!({ "StatusMessage": SUCCESS })));
    test.expect_recovered();
}

// R-40, R-41, L-45
#[tokio::test]
async fn version_1_without_a_signature_is_gone_and_counts_nothing() {
    let test = Locked::new().await;
    let [one, other] = test.holders.as_slice() else { panic!("two holders") };
    let (status, refused) = test.v1(one.secret.clone(), None).await;
    let text = "Recovering the Coordinator using the /recover API endpoint has been disabled. Use the /api/v2/recover \
                endpoint instead.";
    assert_eq!((status, &refused["message"]), (410, &json!(text)));
    let (status, refused) = test.v1(one.secret.clone(), Some("no base64")).await;
    assert_eq!((status, &refused["status"]), (400, &json!("error")));
    let (status, step) = test.v2(&other.secret, &other.signature).await;
    assert_eq!((status, &step["data"]["remaining"]), (200, &json!(1)));
    let (status, refused) = test.v1(vec![1; 7], Some("AQ==")).await;
    assert_eq!((status, &refused["status"]), (500, &json!("error")), "R-41: any failure");
}

// R-43, R-44, R-45
#[tokio::test]
async fn what_is_refused_has_the_status_and_the_words_that_clients_know() {
    let test = Locked::new().await;
    let [one, other] = test.holders.as_slice() else { panic!("two holders") };
    let (status, refused) = test.v2(&one.secret, &[]).await;
    assert_eq!(
        (status, &refused["status"]),
        (400, &json!("fail")),
        "R-42: at once, and the progress is kept"
    );
    assert!(refused["message"].as_str().unwrap().starts_with("the recovery secret is not signed"));
    let (status, refused) = test.v2(&[1; 40], &[1]).await;
    assert_eq!((status, &refused["status"]), (400, &json!("fail")));
    assert!(refused["message"].as_str().unwrap().starts_with("failed to decrypt recovery secret: "));
    let used = json!("uploaded an invalid or already used secret: this one was already used");
    let (status, refused) = test.v2(&[1; 32], &[1]).await;
    assert_eq!((status, &refused["status"]), (500, &json!("error")));
    assert!(
        refused["message"].as_str().unwrap().contains("already used secret: it is not one of this state's")
    );
    test.v2(&one.secret, &one.signature).await;
    let (status, refused) = test.v2(&one.secret, &one.signature).await;
    assert_eq!((status, &refused["message"]), (500, &used));
    let (status, refused) = test.v2(&other.secret, &one.signature).await;
    assert_eq!((status, &refused["status"]), (500, &json!("error")));
    assert!(refused["message"].as_str().unwrap().contains("must all be uploaded again"));

    for body in ["", "[]", "{", r#"{"recoverySecret":"*"}"#] {
        let (status, refused) = ask(&test.world, Caller::Nobody, "POST /api/v2/recover", body).await;
        assert_eq!((status, &refused["status"]), (400, &json!("fail")), "{body}");
    }
    // 20480 bytes are read, not one more.
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    let (status, refused) = ask(&test.world, Caller::Nobody, "POST /api/v2/recover", padded(20_480)).await;
    assert!(
        refused["message"].as_str().unwrap().starts_with("the recovery secret is not"),
        "{status} {refused}"
    );
    let (status, refused) = ask(&test.world, Caller::Nobody, "POST /api/v2/recover", padded(20_481)).await;
    let text = json!("the body is longer than the limit of 20480 bytes");
    assert_eq!((status, &refused["status"], &refused["message"]), (400, &json!("fail"), &text));
    let (status, refused) = test.v1(vec![b' '; 20_481], Some("AQ==")).await;
    assert_eq!((status, &refused["status"], &refused["message"]), (400, &json!("error"), &text));
    assert_eq!(test.world.coordinator.status().code, 1);
}
