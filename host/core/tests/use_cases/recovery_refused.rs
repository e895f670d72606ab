//! L-45..L-49, X-18, X-19, X-29: wrong secrets cost nothing but themselves, wrong signatures cost everything.

use carrara_types::secret::SecretBytes;

use super::recovery_world::{Locked, input};
use crate::common::RecoveryKey;

const INVALID: &str = "uploaded an invalid or already used secret: it is not one of this state's secrets (it may be from \
                       before an update of the recovery keys)";
const USED: &str = "uploaded an invalid or already used secret: this one was already used";

// L-46, L-49: an error at once, and the right one after it works at once
#[tokio::test]
async fn a_wrong_single_secret_is_an_error_and_the_right_one_after_it_opens_the_state() {
    let test = Locked::new(1, 0).await;
    for wrong in [vec![0; 32], vec![0; 16], vec![0; 33]] {
        let text = test.refusal(input(&wrong, test.keys["alice"].sign(&wrong))).await;
        assert!(text.starts_with("the recovery secret does not open the state"), "{text}");
    }
    assert_eq!(test.remaining("alice").await, 0);
    test.expect_recovered().await;
}

// L-47, L-48
#[tokio::test]
async fn wrong_repeated_and_foreign_secrets_are_refused_and_the_progress_is_kept() {
    for threshold in [0, 2] {
        let test = Locked::new(3, threshold).await;
        let foreign = Locked::new(3, threshold).await;
        let needed = if threshold == 0 { 3 } else { 2 };
        let wrong = vec![9; test.secrets["alice"].len()];
        assert_eq!(test.refusal(input(&wrong, test.keys["alice"].sign(&wrong))).await, INVALID);
        assert_eq!(test.remaining("alice").await, needed - 1);
        assert_eq!(test.refusal(test.input("alice")).await, USED);
        assert_eq!(test.refusal(foreign.input("bob")).await, INVALID, "another state's");
        assert_eq!(test.refusal(input(&[1; 16], vec![1])).await, INVALID);
        assert_eq!(test.remaining("bob").await, needed - 2);
        if needed == 3 {
            assert_eq!(test.refusal(test.input("bob")).await, USED);
            assert_eq!(test.remaining("carol").await, 0);
        }
        test.expect_recovered().await;
    }
}

/// Sends all secrets, the last of which completes them with signatures that do not do; then all again, rightly.
async fn expect_all_again(
    owners: &[&str],
    threshold: u64,
    sign: impl Fn(&Locked, &str) -> Vec<u8>,
    why: &str,
) {
    let test = Locked::new(3, threshold).await;
    let (last, first) = owners.split_last().unwrap();
    for (index, owner) in first.iter().enumerate() {
        let step = test.send(input(&test.secrets[*owner], sign(&test, owner))).await.unwrap();
        assert_eq!(step.remaining, owners.len() - 1 - index);
    }
    let text = test.refusal(input(&test.secrets[*last], sign(&test, last))).await;
    assert!(text.starts_with("verifying the signatures of the recovery secrets"), "{text}");
    assert!(text.ends_with(why), "{text}");
    // L-49: "all progress and cached signatures dropped, still state 1"
    for (index, owner) in owners.iter().enumerate() {
        assert_eq!(test.remaining(owner).await, owners.len() - 1 - index);
    }
    test.expect_recovered().await;
}

// L-45, L-49
#[tokio::test]
async fn secrets_that_are_not_signed_by_different_recovery_keys_must_all_be_sent_again() {
    let stranger = RecoveryKey::generate();
    for (owners, threshold) in [(&["alice", "bob", "carol"][..], 0), (&["carol", "bob"], 2)] {
        let count = owners.len();
        let nobody = "a secret is not signed by any of the manifest's recovery keys";
        let nobody = &format!("{nobody} (number 1 of {count} that were sent)");
        expect_all_again(owners, threshold, |_, _| vec![0; 256], nobody).await;
        expect_all_again(owners, threshold, |test, owner| stranger.sign(&test.secrets[owner]), nobody).await;
        expect_all_again(owners, threshold, |test, owner| test.keys[owner].sign(b"other bytes"), nobody)
            .await;
        let same = "two secrets are signed by the same recovery key";
        let same = &format!("{same} (numbers 1 and 2 of {count} that were sent)");
        let one_wrong = |test: &Locked, owner: &str| match owner {
            "bob" => vec![1],
            _ => test.keys[owner].sign(&test.secrets[owner]),
        };
        let second = &nobody.replace("number 1", "number 2");
        expect_all_again(owners, threshold, one_wrong, second).await;
        expect_all_again(owners, threshold, |test, owner| test.keys["bob"].sign(&test.secrets[owner]), same)
            .await;
    }
}

// L-49: the holder herself sees to it that the round is not lost
#[tokio::test]
async fn a_secret_that_was_signed_wrongly_can_be_sent_again_with_another_signature() {
    let stranger = RecoveryKey::generate();
    for threshold in [0, 2] {
        let test = Locked::new(3, threshold).await;
        let needed = if threshold == 0 { 3 } else { 2 };
        let secret = &test.secrets["alice"];
        for signature in [stranger.sign(secret), vec![1], test.keys["alice"].sign(secret)] {
            let step = test.send(input(secret, signature)).await.unwrap();
            assert_eq!(step.remaining, needed - 1, "it counts once");
        }
        assert_eq!(test.refusal(test.input("alice")).await, USED);
        assert_eq!(test.remaining("bob").await, needed - 2);
        if needed == 3 {
            assert_eq!(test.remaining("carol").await, 0);
        }
        test.expect_recovered().await;
    }
}

// L-49: the last one said counts
#[tokio::test]
async fn a_good_signature_that_was_replaced_by_a_bad_one_is_gone() {
    let test = Locked::new(2, 0).await;
    assert_eq!(test.remaining("alice").await, 1);
    assert_eq!(test.send(input(&test.secrets["alice"], vec![1])).await.unwrap().remaining, 1);
    let text = test.refusal(test.input("bob")).await;
    assert!(text.contains("not signed by any") && text.contains("number 1 of 2"), "{text}");
}

// R-42, L-49: at once, not when all are there
#[tokio::test]
async fn a_secret_without_a_signature_is_refused_before_it_can_cost_the_others_theirs() {
    let test = Locked::new(3, 2).await;
    assert_eq!(test.remaining("alice").await, 1);
    let text = test.refusal(input(&test.secrets["bob"], Vec::new())).await;
    assert!(text.starts_with("the recovery secret is not signed") && text.ends_with("are kept"), "{text}");
    assert_eq!(test.remaining("bob").await, 0);
    test.expect_recovered().await;
}

// L-49: whose secret it was does not matter, only that all keys are different
#[tokio::test]
async fn holders_may_sign_each_others_secrets() {
    let test = Locked::new(2, 0).await;
    for (owner, signer) in [("alice", "bob"), ("bob", "alice")] {
        let secret = &test.secrets[owner];
        test.send(input(secret, test.keys[signer].sign(secret))).await.unwrap();
    }
    test.expect_recovered().await;
}

// L-45
#[tokio::test]
async fn the_single_secret_must_be_signed_by_the_recovery_key() {
    let test = Locked::new(1, 0).await;
    let secret = test.secrets["alice"].clone();
    for signature in [vec![1], RecoveryKey::generate().sign(&secret), test.keys["alice"].sign(b"other")] {
        let text = test.refusal(input(&secret, signature)).await;
        assert!(text.contains("not signed by any"), "{text}");
    }
    assert_eq!(test.remaining("alice").await, 0);
}

// no subsets are tried; what is not asked for is not kept
#[tokio::test]
async fn the_data_key_itself_is_no_share() {
    let test = Locked::new(2, 0).await;
    let mut key = vec![0; 32];
    for secret in test.secrets.values() {
        key.iter_mut().zip(secret).for_each(|(sum, byte)| *sum ^= byte);
    }
    assert_eq!(test.refusal(input(&key, test.keys["alice"].sign(&key))).await, INVALID);
}

// Secrets never show where they do not belong.
#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let test = Locked::new(1, 0).await;
    let sent = input(&[0xAB; 32], vec![1]);
    assert!(!format!("{sent:?}").contains("171"), "{sent:?}");
    let error = test.send(sent).await.unwrap_err();
    assert!(!format!("{error:?}").contains("171"));
    assert!(format!("{:?}", SecretBytes::new("recovery secret", vec![1])).contains("recovery secret"));
}
