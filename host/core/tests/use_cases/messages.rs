//! The public text of every error: a change of one must be meant. What stores and policies say of themselves stays out.

use std::collections::BTreeMap;

use carrara_core::error::{
    ActivateError, Cause, CounterError, ManifestReadError, PendingUpdateError, QuoteError, ReadLogError,
    ReadSecretsError, RecoverError, RecoveryPublicKeyError, Refused, SetManifestError, StartError,
    StartupManifestError, Unknown, UpdateManifestError, WriteSecretsError,
};
use carrara_core::ports::{EvidenceError, PolicyFailure, StoreError};
use carrara_types::decision::Severity;
use carrara_types::manifest::{ManifestError, Refusal};

use crate::common::{INTERNAL, finding, message};

fn cause() -> Cause {
    Cause("why".to_owned())
}

fn stores() -> [StoreError; 5] {
    let internal = || INTERNAL.to_owned();
    let (write, read) = (StoreError::Write(internal().into()), StoreError::Read(internal()));
    [write, read, StoreError::NotOpen, StoreError::NotLocked, StoreError::Closed]
}

fn policy() -> PolicyFailure {
    PolicyFailure::failed("p".to_owned(), INTERNAL.to_owned())
}

fn parse() -> ManifestError {
    ManifestError { message: "unexpected end of JSON input".to_owned(), position: None }
}

fn refused(errors: usize) -> Refused {
    let mut findings = vec![finding(Severity::Warning, "w", "/", "a warning")];
    findings.extend((1..=errors).map(|n| finding(Severity::Error, "M", "/", &format!("error {n}"))));
    Refused(Refusal { findings })
}

#[test]
fn starting() {
    assert_eq!(message(&StartError::State(cause())), "loading the state: why");
    assert_eq!(message(&StartError::Quote(cause())), "obtaining the coordinator's quote: why");
    assert_eq!(message(&StartError::Authority(cause())), "making the certificate authority: why");
}

// manifest.md section 7
#[test]
fn setting_a_manifest() {
    use SetManifestError as E;
    for (error, text) in [
        (E::WrongState, "server is not in expected state"),
        (E::Parse(parse()), "unmarshaling manifest: unexpected end of JSON input"),
        (E::Refused(refused(1)), "checking manifest: error 1"),
        (E::Refused(refused(2)), "checking manifest: error 1 (and 1 more)"),
        (E::Refused(refused(4)), "checking manifest: error 1 (and 3 more)"),
        (E::Secrets(cause()), "generating placeholder secrets from manifest: why"),
        (E::RecoveryKeys(cause()), "generating recovery encryption key: why"),
        (E::Users(cause()), "generating users from manifest: why"),
        (E::DryRun(cause()), "running manifest template dry run: why"),
        (E::Policy(policy()), r#"checking manifest: policy "p" could not decide"#),
        (
            E::DryRunPolicy { place: "in Marble m: file f".to_owned(), failure: policy() },
            r#"running manifest template dry run: in Marble m: file f: policy "p" could not decide"#,
        ),
    ] {
        assert_eq!(message(&error), text);
    }
    for store in stores() {
        let text = "the manifest could not be stored; see the coordinator's log";
        assert_eq!(message(&E::Store(store)), text);
    }
}

#[test]
fn setting_the_startup_manifest() {
    use StartupManifestError as E;
    for (error, text) in [
        (
            E::Different("ab12".to_owned()),
            "the state holds another manifest (fingerprint ab12): remove the startup manifest, or update the manifest over the REST API",
        ),
        (
            E::Recovery,
            "the coordinator is in recovery: a startup manifest is never applied there; recover first",
        ),
        (
            E::RecoveryKeys,
            "the startup manifest has recovery keys: name a file for the recovery secrets, or remove the keys",
        ),
        (
            E::Read(ManifestReadError::Store(StoreError::Read(INTERNAL.to_owned()))),
            "reading the manifest in force: the manifest could not be read; see the coordinator's log",
        ),
        (
            E::Set(SetManifestError::Parse(parse())),
            "setting the startup manifest: unmarshaling manifest: unexpected end of JSON input",
        ),
    ] {
        assert_eq!(message(&error), text);
    }
}

// R-52, R-54
#[test]
fn reading() {
    use ReadSecretsError as E;
    for (error, text) in [
        (E::Unauthorized, "unauthorized user: client certificate did not match any MarbleRun users"),
        (E::WrongState, "server is not in expected state"),
        (E::Denied("the whole text".to_owned()), "the whole text"),
        (E::Policy(policy()), r#"policy "p" could not decide"#),
    ] {
        assert_eq!(message(&error), text);
    }
    assert_eq!(message(&ReadLogError::WrongState), "server is not in expected state");
    let issue = QuoteError::Issue(EvidenceError(INTERNAL.to_owned()));
    assert_eq!(message(&issue), "no quote could be obtained; see the coordinator's log");
    for store in stores() {
        let again = || match &store {
            StoreError::Write(failure) => StoreError::Write(failure.clone()),
            StoreError::Unknown(text) => StoreError::Unknown(text.clone()),
            StoreError::Read(text) => StoreError::Read(text.clone()),
            StoreError::NotOpen => StoreError::NotOpen,
            StoreError::NotLocked => StoreError::NotLocked,
            StoreError::Closed => StoreError::Closed,
        };
        let secrets = message(&E::Store(again()));
        assert_eq!(secrets, "the secrets could not be read; see the coordinator's log");
        let log = message(&ReadLogError::Store(again()));
        assert_eq!(log, "the update log could not be read; see the coordinator's log");
        let manifest = message(&ManifestReadError::Store(again()));
        assert_eq!(manifest, "the manifest could not be read; see the coordinator's log");
    }
}

// lifecycle.md section 7
#[test]
fn recovering() {
    use RecoverError as E;
    for (error, text, drops) in [
        (E::WrongState, "server is not in expected state", false),
        (
            E::Unsigned,
            "the recovery secret is not signed: sign it with the recovery key that it was encrypted for",
            false,
        ),
        (E::SignatureTooLong(9), "the signature of the recovery secret is longer than 9 bytes", false),
        (E::Decrypt(cause()), "failed to decrypt recovery secret: why", false),
        (
            E::NoKeys,
            "the state cannot be recovered, since its manifest has no recovery keys: set a new manifest",
            false,
        ),
        (
            E::WrongSecret,
            "the recovery secret does not open the state: send what the holder of the newest manifest's recovery key \
             decrypts",
            false,
        ),
        (
            E::NotExpected,
            "uploaded an invalid or already used secret: it is not one of this state's secrets (it may be from before an \
             update of the recovery keys)",
            false,
        ),
        (E::AlreadyUsed, "uploaded an invalid or already used secret: this one was already used", false),
        (E::DoNotOpen, "the recovery secrets do not open the state: upload all of them again", true),
        (
            E::Signatures(cause()),
            "verifying the signatures of the recovery secrets, which must all be uploaded again: why",
            true,
        ),
        (
            E::DataLost,
            "the recovery data of the state is lost or damaged: restore state.redb from a copy, or set a new manifest",
            false,
        ),
    ] {
        assert_eq!(message(&error), text);
        assert_eq!((error.internal(), error.drops_progress()), (None, drops), "{text}");
    }
    let quote = E::Quote(EvidenceError(INTERNAL.to_owned()));
    assert_eq!(message(&quote), "no quote could be obtained; see the coordinator's log");
    assert!(quote.internal().unwrap().contains(INTERNAL) && !quote.drops_progress());
    for store in stores() {
        let (internal, error) = (store.to_string(), E::Store(store));
        assert_eq!(message(&error), "the state could not be recovered; see the coordinator's log");
        assert_eq!((error.internal(), error.drops_progress()), (Some(internal), false));
    }
    use RecoveryPublicKeyError as K;
    assert_eq!(message(&K::WrongState), "server is not in expected state");
    assert_eq!(message(&K::Generate(cause())), "making the recovery public key: why");
}

// marble-api.md section 3
#[test]
fn activating() {
    use ActivateError as E;
    for (error, text) in [
        (E::WrongState, "cannot accept marbles in current state"),
        (E::NoCertificate, "couldn't get marble TLS certificate"),
        (E::Verification(cause()), "marble verification failed: why"),
        (E::Admission(policy()), r#"marble verification failed: policy "p" could not decide"#),
        (
            E::Rendering { place: "parsing secrets for file \"f\"".to_owned(), failure: policy() },
            r#"customizing marble parameters: parsing secrets for file "f": policy "p" could not decide"#,
        ),
        (E::InvalidUuid(cause()), "invalid UUID: why"),
        (
            E::Failed { context: "customizing marble parameters", source: cause() },
            "customizing marble parameters: why",
        ),
        (E::Busy, "the state changed too often meanwhile; try again"),
    ] {
        assert_eq!(message(&error), text);
    }
    for store in stores() {
        let text = "the activation could not be stored; see the coordinator's log";
        assert_eq!(message(&E::Store(store)), text);
    }
}

// style.md rule 4: what the text keeps back is there for the log, and nothing else is
#[test]
fn what_is_kept_back_is_told_to_the_log() {
    let write = || StoreError::Write(INTERNAL.into());
    let place = || "place".to_owned();
    let kept_back = [
        SetManifestError::Store(write()).internal(),
        SetManifestError::Policy(policy()).internal(),
        SetManifestError::DryRunPolicy { place: place(), failure: policy() }.internal(),
        ActivateError::Store(write()).internal(),
        ActivateError::Admission(policy()).internal(),
        ActivateError::Rendering { place: place(), failure: policy() }.internal(),
    ];
    for text in kept_back {
        assert!(text.as_ref().is_some_and(|text| text.contains(INTERNAL)), "{text:?}");
    }
    assert_eq!(SetManifestError::DryRun(cause()).internal(), None);
    assert_eq!(ActivateError::Verification(cause()).internal(), None);
}

// Who asked must not lose the recovery secrets of a manifest that may be in force.
#[test]
fn a_change_that_may_be_stored_is_not_called_undone_and_its_recovery_secrets_are_told() {
    let unknown = || StoreError::Unknown(INTERNAL.to_owned());
    let expected = "since its disk failed meanwhile: when it works again, read back what is in force before you repeat \
                    the request; see the coordinator's log";
    for (error, what) in [
        (message(&SetManifestError::Store(unknown())), "the manifest"),
        (message(&WriteSecretsError::Store(unknown())), "the secrets"),
        (message(&UpdateManifestError::Store(unknown())), "the update"),
        (message(&PendingUpdateError::Store(unknown())), "the update"),
        (message(&CounterError::Store(unknown())), "the counter"),
        (message(&ActivateError::Store(unknown())), "the activation"),
    ] {
        assert_eq!(error, format!("it is not known whether the coordinator stored {what}, {expected}"));
    }
    let secrets = BTreeMap::from([("one".to_owned(), vec![255])]);
    let make =
        || Unknown { fingerprint: "ab12".to_owned(), recovery_secrets: secrets.clone(), cause: unknown() };
    let kept = r#". Keep its recovery secrets, which are shown only here; they hold if the manifest in force then has the fingerprint ab12: {"RecoverySecrets":{"one":"/w=="}}"#;
    let (set, update, last) = (
        SetManifestError::Unknown(make()),
        UpdateManifestError::Unknown(make()),
        PendingUpdateError::Unknown(make()),
    );
    let internals = [set.internal(), update.internal(), last.internal()];
    for (text, internal) in [message(&set), message(&update), message(&last)].into_iter().zip(internals) {
        assert_eq!(
            text,
            format!("it is not known whether the coordinator stored the manifest, {expected}{kept}")
        );
        assert!(internal.unwrap().contains(INTERNAL));
    }
}
