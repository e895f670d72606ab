//! in which form a recovery secret may come.

use carrara_core::outcome::RecoveryInput;
use carrara_types::secret::SecretBytes;

use super::recovery_world::{Locked, input};
use crate::common::encrypt_to;

// L-44
#[tokio::test]
async fn secrets_may_be_encrypted_with_a_key_that_stays_the_same_until_the_state_is_open() {
    let test = Locked::new(3, 2).await;
    let key = test.coordinator.recovery_public_key().await.unwrap();
    assert_eq!(test.coordinator.recovery_public_key().await.unwrap(), key);
    let encrypted = |owner: &str| {
        let secret = &test.secrets[owner];
        input(&encrypt_to(&key, secret), test.keys[owner].sign(secret))
    };
    assert_eq!(test.send(encrypted("bob")).await.unwrap().remaining, 1);
    // One in the clear, one encrypted: X-32.
    assert_eq!(test.secrets["alice"].len(), 33);
    assert_eq!(test.remaining("alice").await, 0);
    let error = test.coordinator.recovery_public_key().await.unwrap_err();
    assert_eq!(error.to_string(), "server is not in expected state");
    let error = test.send(encrypted("carol")).await.unwrap_err();
    assert!(error.to_string().starts_with("failed to decrypt recovery secret"), "the key is gone");
    test.expect_recovered().await;
}

// "failure (also wrong state, no key generated)"
#[tokio::test]
async fn what_does_not_decrypt_is_refused_and_changes_nothing() {
    let test = Locked::new(2, 0).await;
    assert_eq!(test.remaining("alice").await, 1);
    let text = test.refusal(input(&[1; 512], vec![1])).await;
    assert!(text.starts_with("failed to decrypt recovery secret: "), "{text}");
    let key = test.coordinator.recovery_public_key().await.unwrap();
    let other = crate::common::RecoveryKey::generate();
    let foreign = encrypt_to(&pem::parse(other.pem()).unwrap().into_contents(), &test.secrets["bob"]);
    let mut damaged = encrypt_to(&key, &test.secrets["bob"]);
    damaged[100] ^= 1;
    for bytes in
        [foreign, damaged, Vec::new(), vec![1; 15], vec![1; 17], vec![1; 31], vec![1; 34], vec![1; 9999]]
    {
        let text = test.refusal(input(&bytes, test.keys["bob"].sign(&test.secrets["bob"]))).await;
        assert!(text.starts_with("failed to decrypt recovery secret: "), "{} bytes: {text}", bytes.len());
    }
    assert_eq!(test.remaining("bob").await, 0);
    test.expect_recovered().await;
}

// what was encrypted is judged as if it had come in the clear
#[tokio::test]
async fn a_wrong_secret_is_not_better_for_being_encrypted() {
    let test = Locked::new(1, 0).await;
    let key = test.coordinator.recovery_public_key().await.unwrap();
    for plain in [vec![3; 32], vec![3; 33], vec![3; 5], Vec::new()] {
        let text = test.refusal(input(&encrypt_to(&key, &plain), test.keys["alice"].sign(&plain))).await;
        assert!(text.starts_with("the recovery secret does not open the state"), "{text}");
    }
    assert_eq!(test.remaining("alice").await, 0);
}

// R-41, L-45: only simulation, where nothing is protected, does without signatures
#[tokio::test]
async fn a_secret_without_signature_is_refused_but_in_simulation() {
    let test = Locked::new(1, 0).await;
    let unsigned = || RecoveryInput {
        secret: SecretBytes::new("secret", test.secrets["alice"].clone()),
        signature: None,
    };
    let text = test.refusal(unsigned()).await;
    assert!(text.contains("not signed"), "{text}");

    let mut world = crate::common::World::simulated().await;
    world.store = test.world.store.clone();
    let simulated = world.start().await;
    assert_eq!(simulated.recover(unsigned()).await.unwrap().remaining, 0);
}

#[tokio::test]
async fn a_signature_that_no_key_can_have_made_is_not_kept() {
    let test = Locked::new(2, 0).await;
    let text = test.refusal(input(&test.secrets["alice"], vec![1; 2049])).await;
    assert_eq!(text, "the signature of the recovery secret is longer than 2048 bytes");
    assert_eq!((test.remaining("alice").await, test.remaining("bob").await), (1, 0));
}
