//! Every failure has its status, its envelope and its words.

use carrara_core::error::{Cause, Lockout, OtherBase, WRONG_STATE};
use carrara_core::ports::{DiskFault, EvidenceError, PolicyFailure, StoreError, WriteFailure};
use carrara_types::manifest::ManifestError;
use http_body_util::BodyExt as _;

use super::*;
use Version::{V1, V2};

fn store() -> StoreError {
    StoreError::Write("disk full at /secret/place".into())
}

fn policy() -> PolicyFailure {
    PolicyFailure::failed("rbac".to_owned(), "trap at 0x1234".to_owned())
}

fn dry_run() -> SetManifestError {
    SetManifestError::DryRunPolicy { place: "in Marble M: file F".to_owned(), failure: policy() }
}

/// Status, kind and message, in short.
fn shown(version: Version, failure: &Failure) -> (u16, Kind, String) {
    let problem = problem(version, failure);
    (problem.status.as_u16(), problem.kind, problem.message)
}

async fn body(version: Version, failure: &Failure) -> (http::HeaderMap, String) {
    let response = problem(version, failure).into_response();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

/// As long as its component is being compiled.
fn not_ready() -> PolicyFailure {
    PolicyFailure { kind: FailureKind::NotReady, ..policy() }
}

/// Every failure that a policy can be the reason of.
fn undecided_by(policy: fn() -> PolicyFailure) -> Vec<Failure> {
    let set = || SetManifestError::Policy(policy());
    let dry_run = || SetManifestError::DryRunPolicy { place: "in Marble M".to_owned(), failure: policy() };
    vec![
        Failure::SetManifest(set()),
        Failure::SetManifest(dry_run()),
        Failure::WriteSecrets(WriteSecretsError::DryRun(dry_run())),
        Failure::WriteSecrets(WriteSecretsError::Policy(policy())),
        Failure::Update(UpdateManifestError::Apply(set())),
        Failure::Update(UpdateManifestError::Apply(dry_run())),
        Failure::Update(UpdateManifestError::Policy(policy())),
        Failure::Pending(PendingUpdateError::Apply(set())),
        Failure::Pending(PendingUpdateError::Policy(policy())),
        Failure::Secrets(ReadSecretsError::Policy(policy())),
        Failure::Audit(ReadAuditError::Policy(policy())),
        Failure::UploadPolicy(UploadPolicyError::Policy(policy())),
        Failure::Decisions(ReadDecisionsError::Policy(policy())),
        Failure::Backup(BackupError::Policy(policy())),
    ]
}

// policy.md: "while it runs the answer is 503 / UNAVAILABLE with Retry-After"
#[tokio::test]
async fn a_policy_that_is_being_compiled_is_503_with_retry_after_whatever_it_was_asked() {
    for version in [V1, V2] {
        for (waits, failed) in undecided_by(not_ready).into_iter().zip(undecided_by(policy)) {
            let (status, kind, message) = shown(version, &waits);
            assert_eq!((status, kind), (503, Kind::Error), "{message}");
            assert!(message.ends_with("policy \"rbac\" is being compiled; try again"), "{message}");
            let (headers, _) = body(version, &waits).await;
            assert_eq!(headers["retry-after"], "1");
            let (status, _, message) = shown(version, &failed);
            assert!(
                status != 503 && message.ends_with("policy \"rbac\" could not decide"),
                "{status} {message}"
            );
            assert!(!body(version, &failed).await.0.contains_key("retry-after"));
        }
    }
}

//
#[tokio::test]
async fn what_is_not_allowed_has_no_message_and_no_allow_header() {
    for version in [V1, V2] {
        let (headers, text) = body(version, &Failure::NotAllowed).await;
        assert_eq!(text, "{\"status\":\"error\",\"data\":null}\n");
        assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!headers.contains_key("allow"));
        assert_eq!(problem(version, &Failure::NotAllowed).status, 405);
    }
}

//
#[tokio::test]
async fn an_error_is_plain_text_and_a_fail_is_json() {
    let failure = Failure::Query("<bad>".to_owned());
    let (headers, text) = body(V1, &failure).await;
    assert_eq!(text, "{\"status\":\"error\",\"data\":null,\"message\":\"\\u003cbad\\u003e\"}\n");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    let (headers, text) = body(V2, &failure).await;
    assert_eq!(text, "{\"status\":\"fail\",\"data\":null,\"message\":\"\\u003cbad\\u003e\"}\n");
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("x-content-type-options"));
}

//
#[test]
fn a_refused_manifest_is_400_in_v1_and_500_in_v2() {
    let refusals = [
        (SetManifestError::WrongState, WRONG_STATE),
        (SetManifestError::DryRun(Cause("x".to_owned())), "running manifest template dry run: x"),
        (SetManifestError::Users(Cause("x".to_owned())), "generating users from manifest: x"),
        (SetManifestError::Store(store()), "the manifest could not be stored; see the coordinator's log"),
        (SetManifestError::Policy(policy()), "checking manifest: policy \"rbac\" could not decide"),
        (
            dry_run(),
            "running manifest template dry run: in Marble M: file F: policy \"rbac\" could not decide",
        ),
    ];
    for (error, message) in refusals {
        let failure = Failure::SetManifest(error);
        assert_eq!(shown(V1, &failure), (400, Kind::Error, message.to_owned()));
        assert_eq!(shown(V2, &failure), (500, Kind::Error, message.to_owned()));
    }
}

//
#[test]
fn of_recovery_only_what_does_not_decrypt_is_the_callers_fault() {
    let gone = "Recovering the Coordinator using the /recover API endpoint has been disabled. Use the /api/v2/recover \
                endpoint instead.";
    let used = "uploaded an invalid or already used secret: this one was already used";
    let (error, fail, internal) = ((500, Kind::Error), (400, Kind::Fail), (500, Kind::Error));
    let cause = || Cause("x".to_owned());
    assert_both(&Failure::Recover(RecoverError::Unsigned), (410, Kind::Error), (410, Kind::Error), gone);
    assert_both(&Failure::Recover(RecoverError::AlreadyUsed), error, internal, used);
    assert_both(&Failure::Recover(RecoverError::WrongState), error, internal, WRONG_STATE);
    let decrypt = Failure::Recover(RecoverError::Decrypt(cause()));
    assert_both(&decrypt, error, fail, "failed to decrypt recovery secret: x");
    let header = "the header Recovery-Signature must be standard base64 with padding";
    assert_both(&Failure::RecoverySignature, (400, Kind::Error), fail, header);
    let key = Failure::RecoveryPublicKey(RecoveryPublicKeyError::WrongState);
    assert_both(&key, error, internal, WRONG_STATE);
    let store = Failure::Recover(RecoverError::Store(store()));
    assert_both(&store, error, internal, "the state could not be recovered; see the coordinator's log");
    assert!(problem(V2, &store).cause.unwrap().contains("disk full"));
}

//
#[test]
fn a_body_that_is_too_long_for_recovery_is_malformed() {
    let failure = Failure::Body(BodyError::TooLong(20_480));
    let message = "the body is longer than the limit of 20480 bytes";
    assert_both(&failure, (400, Kind::Error), (400, Kind::Fail), message);
}

//
#[test]
fn no_manifest_is_500_in_v2() {
    let expected = (500, Kind::Error, "requested value not set".to_owned());
    assert_eq!(shown(V2, &Failure::NoManifest), expected);
}

//
#[test]
fn a_stranger_is_401_an_error_in_v1_and_a_fail_in_v2() {
    let failure = Failure::Secrets(ReadSecretsError::Unauthorized);
    let message = "unauthorized user: client certificate did not match any MarbleRun users".to_owned();
    assert_eq!(shown(V1, &failure), (401, Kind::Error, message.clone()));
    assert_eq!(shown(V2, &failure), (401, Kind::Fail, message));
}

//
#[test]
fn secrets_that_may_not_be_read_are_400_in_v1_and_500_in_v2() {
    let denied = "user U is not allowed to read one or more secrets of: [a b]";
    for (error, message) in [
        (ReadSecretsError::Denied(denied.to_owned()), denied),
        (ReadSecretsError::WrongState, WRONG_STATE),
        (ReadSecretsError::Policy(policy()), "policy \"rbac\" could not decide"),
        (ReadSecretsError::Store(store()), "the secrets could not be read; see the coordinator's log"),
    ] {
        let failure = Failure::Secrets(error);
        assert_eq!(shown(V1, &failure), (400, Kind::Error, message.to_owned()));
        assert_eq!(shown(V2, &failure), (500, Kind::Error, message.to_owned()));
    }
}

fn unreadable() -> ManifestError {
    carrara_types::manifest::ParsedManifest::parse(b"{").unwrap_err()
}

fn apply() -> SetManifestError {
    SetManifestError::DryRun(Cause("in Marble M: file F: x".to_owned()))
}

/// Both versions.
fn assert_both(failure: &Failure, v1: (u16, Kind), v2: (u16, Kind), message: &str) {
    assert_eq!(shown(V1, failure), (v1.0, v1.1, message.to_owned()), "{failure:?} in version 1");
    assert_eq!(shown(V2, failure), (v2.0, v2.1, message.to_owned()), "{failure:?} in version 2");
}

const BUSY: &str = "the state changed too often meanwhile; try again";
const STRANGER: &str = "unauthorized user: client certificate did not match any MarbleRun users";

// wherever it is noticed
#[test]
fn every_use_case_knows_strangers() {
    for failure in [
        Failure::Unauthorized(Unauthorized),
        //
        Failure::SetManifest(SetManifestError::Unauthorized),
        Failure::WriteSecrets(WriteSecretsError::Unauthorized),
        Failure::Update(UpdateManifestError::Unauthorized),
        Failure::Pending(PendingUpdateError::Unauthorized),
        Failure::Audit(ReadAuditError::Unauthorized),
        Failure::Backup(BackupError::Unauthorized),
    ] {
        assert_both(&failure, (401, Kind::Error), (401, Kind::Fail), STRANGER);
    }
}

// R-53, S-51, S-55, S-56
#[test]
fn secrets_that_are_not_written_are_400_in_v1_and_500_in_v2() {
    let dry_run = "updating secrets: running manifest template dry run: in Marble M: file F: x";
    for (error, message) in [
        (
            WriteSecretsError::Denied("user U is not allowed to update secret: S".to_owned()),
            "user U is not allowed to update secret: S",
        ),
        (WriteSecretsError::Policy(policy()), "policy \"rbac\" could not decide"),
        (
            WriteSecretsError::Invalid(Cause("no new secrets defined".to_owned())),
            "parsing new secrets: no new secrets defined",
        ),
        (WriteSecretsError::DryRun(apply()), dry_run),
        (WriteSecretsError::Log(Cause("x".to_owned())), "updating secrets: x"),
        (WriteSecretsError::Store(store()), "the secrets could not be stored; see the coordinator's log"),
    ] {
        assert_both(&Failure::WriteSecrets(error), (400, Kind::Error), (500, Kind::Error), message);
    }
}

//
#[test]
fn a_refused_update_is_400_in_v1_and_500_in_v2() {
    let pending =
        "update already in progress. Acknowledge the update to apply it, or cancel it to start a new one";
    for (error, message) in [
        (UpdateManifestError::Pending, pending),
        (UpdateManifestError::Denied("user U is not".to_owned()), "user U is not"),
        (UpdateManifestError::Packages(Cause("x".to_owned())), "checking update manifest: x"),
        (UpdateManifestError::Policy(policy()), "policy \"rbac\" could not decide"),
        (UpdateManifestError::NeedsVersion2("use /api/v2/update".to_owned()), "use /api/v2/update"),
        (
            UpdateManifestError::Apply(apply()),
            "applying the manifest update: running manifest template dry run: in Marble M: file F: x",
        ),
        (UpdateManifestError::Log(Cause("x".to_owned())), "updating the manifest: x"),
        (UpdateManifestError::Store(store()), "the update could not be stored; see the coordinator's log"),
    ] {
        assert_both(&Failure::Update(error), (400, Kind::Error), (500, Kind::Error), message);
    }
}

#[test]
fn what_the_caller_of_an_update_made_sure_of_is_refused_with_its_own_statuses() {
    let lockout = || Lockout("nobody could".to_owned());
    let told = "the update would lock everybody out, and was refused: nobody could; give users a role of type Manifest with \
                the action UpdateManifest, let every policy allow it, or repeat the request without lockout=refuse";
    for failure in [Failure::Update(lockout().into()), Failure::Pending(lockout().into())] {
        assert_both(&failure, (422, Kind::Error), (422, Kind::Fail), told);
    }
    let told = "another manifest is in force than the one that this update was made against: read the manifest in force, look \
                at what changes, and repeat the request";
    for failure in [Failure::Update(OtherBase.into()), Failure::Pending(OtherBase.into())] {
        assert_both(&failure, (409, Kind::Error), (409, Kind::Fail), told);
    }
}

// manifest.md section 7
#[test]
fn v1_says_of_an_unreadable_manifest_that_it_is_an_update_manifest() {
    let failure = || Failure::Update(UpdateManifestError::Parse(unreadable()));
    let cause = public_message(&unreadable());
    assert_eq!(shown(V1, &failure()), (400, Kind::Error, format!("unmarshaling update manifest: {cause}")));
    assert_eq!(shown(V2, &failure()), (500, Kind::Error, format!("unmarshaling manifest: {cause}")));
}

// any error
#[test]
fn reading_the_pending_update_is_404_whatever_happens() {
    for error in [PendingUpdateError::NotFound, PendingUpdateError::Store(store()), PendingUpdateError::Busy]
    {
        assert_both(
            &Failure::NoUpdate(error),
            (404, Kind::Error),
            (404, Kind::Error),
            "no update in progress",
        );
    }
}

// R-59, R-60a, L-53, L-55
#[test]
fn acknowledging_and_cancelling_is_404_without_an_update_and_else_500() {
    let not_found = Failure::Pending(PendingUpdateError::NotFound);
    assert_both(&not_found, (404, Kind::Error), (404, Kind::Error), "no update in progress");
    for (error, message) in [
        (PendingUpdateError::Denied("user U is not".to_owned()), "user U is not"),
        (PendingUpdateError::Different, "provided manifest does not match the pending manifest"),
        (PendingUpdateError::Policy(policy()), "policy \"rbac\" could not decide"),
        (PendingUpdateError::NeedsVersion2("use /api/v2".to_owned()), "use /api/v2"),
        (
            PendingUpdateError::Apply(apply()),
            "applying the manifest update: running manifest template dry run: in Marble M: file F: x",
        ),
        (PendingUpdateError::Log(Cause("x".to_owned())), "updating the manifest: x"),
        (PendingUpdateError::Store(store()), "the update could not be stored; see the coordinator's log"),
    ] {
        assert_both(&Failure::Pending(error), (500, Kind::Error), (500, Kind::Error), message);
    }
}

// M-74
#[test]
fn a_feature_that_is_off_is_a_403_error() {
    let off = Failure::Feature(FeatureError::Off(carrara_core::outcome::Feature::MonotonicCounter));
    let message = "MonotonicCounter feature is not enabled in the manifest".to_owned();
    assert_eq!(shown(V2, &off), (403, Kind::Error, message));
    let message = "the manifest could not be read; see the coordinator's log".to_owned();
    assert_eq!(shown(V2, &Failure::Feature(FeatureError::Store(store()))), (500, Kind::Error, message));
}

// rest-api.md, sign-quote
#[tokio::test]
async fn a_quote_that_does_not_verify_has_its_reason_in_the_data() {
    let failure = Failure::SignQuote(SignQuoteError::Verification(Cause("no <chain>".to_owned())));
    let (headers, text) = body(V2, &failure).await;
    assert_eq!(problem(V2, &failure).status, 400);
    assert_eq!(headers["content-type"], "application/json");
    let expected = "{\"status\":\"fail\",\"data\":{\"sgxQuote\":\"quote verification failed: no \\u003cchain\\u003e\"},\
        \"message\":\"quote verification failed\"}\n";
    assert_eq!(text, expected);
    let failure = Failure::SignQuoteBody(BodyError::Empty);
    assert_eq!(problem(V2, &failure).status, 400);
    let expected =
        "{\"status\":\"fail\",\"data\":{\"sgxQuote\":\"failed to parse JSON data\"},\"message\":\"EOF\"}\n";
    assert_eq!(body(V2, &failure).await.1, expected);
    let failure = Failure::SignQuote(SignQuoteError::Sign(Cause("key".to_owned())));
    assert_eq!(shown(V2, &failure), (500, Kind::Error, "signing the TCB status".to_owned()));
}

// rest-api.md, monotonic-counter
#[test]
fn a_counter_is_for_marbles_only_and_has_a_name_that_is_not_too_long() {
    for (error, status, kind, message) in [
        (CounterError::Unauthorized(Cause("x".to_owned())), 401, Kind::Fail, "unauthorized marble: x"),
        (CounterError::Invalid("too long".to_owned()), 400, Kind::Fail, "too long"),
        (
            CounterError::Store(store()),
            500,
            Kind::Error,
            "the counter could not be stored; see the coordinator's log",
        ),
        (CounterError::Busy, 503, Kind::Error, BUSY),
    ] {
        assert_eq!(shown(V2, &Failure::Counter(error)), (status, kind, message.to_owned()));
    }
}

#[test]
fn the_new_endpoints_use_ordinary_codes() {
    let read = "could not be read; see the coordinator's log";
    for (failure, status, kind, message) in [
        (Failure::LogHead(LogHeadError::WrongState), 503, Kind::Error, WRONG_STATE.to_owned()),
        (
            Failure::LogHead(LogHeadError::TooFar { from: 3, size: 2 }),
            400,
            Kind::Fail,
            "the update log has 2 lines, fewer than from=3".to_owned(),
        ),
        (Failure::LogHead(LogHeadError::Store(store())), 500, Kind::Error, format!("the update log {read}")),
        (
            Failure::Audit(ReadAuditError::Denied("user U is not".to_owned())),
            403,
            Kind::Fail,
            "user U is not".to_owned(),
        ),
        (
            Failure::Audit(ReadAuditError::Policy(policy())),
            403,
            Kind::Fail,
            "policy \"rbac\" could not decide".to_owned(),
        ),
        (Failure::Audit(ReadAuditError::Store(store())), 500, Kind::Error, format!("the audit trail {read}")),
        (
            Failure::Backup(BackupError::Denied("user U is not".to_owned())),
            403,
            Kind::Fail,
            "user U is not".to_owned(),
        ),
        (
            Failure::Backup(BackupError::Policy(policy())),
            403,
            Kind::Fail,
            "policy \"rbac\" could not decide".to_owned(),
        ),
        (Failure::Backup(BackupError::NotKept), 409, Kind::Fail, BackupError::NotKept.to_string()),
        (
            Failure::Backup(BackupError::Store(store())),
            500,
            Kind::Error,
            "the state could not be copied; see the coordinator's log".to_owned(),
        ),
        (
            Failure::BackupsFull,
            503,
            Kind::Error,
            "another backup is being made; try again when it is done".to_owned(),
        ),
    ] {
        assert_eq!(shown(V2, &failure), (status, kind, message));
    }
}

#[tokio::test]
async fn whoever_met_too_much_business_is_told_when_to_try_again() {
    for failure in [
        Failure::WriteSecrets(WriteSecretsError::Busy),
        Failure::Update(UpdateManifestError::Busy),
        Failure::Pending(PendingUpdateError::Busy),
        Failure::Counter(CounterError::Busy),
    ] {
        assert_both(&failure, (503, Kind::Error), (503, Kind::Error), BUSY);
        assert_eq!(body(V2, &failure).await.0["retry-after"], "1");
    }
    for mishap in [Mishap::Overload, Mishap::Timeout] {
        assert_eq!(body(V1, &Failure::Mishap(mishap)).await.0["retry-after"], "1");
    }
    assert!(!body(V1, &Failure::Mishap(Mishap::Panic)).await.0.contains_key("retry-after"));
}

//
#[test]
fn reading_what_everybody_may_read_fails_with_500() {
    for version in [V1, V2] {
        for failure in [
            Failure::Manifest(ManifestReadError::Store(store())),
            Failure::Quote(QuoteError::Issue(EvidenceError("driver".to_owned()))),
            Failure::Log(ReadLogError::Store(store())),
            Failure::Log(ReadLogError::WrongState),
        ] {
            let (status, kind, _) = shown(version, &failure);
            assert_eq!((status, kind), (500, Kind::Error), "{failure:?}");
        }
    }
    assert_eq!(shown(V1, &Failure::Log(ReadLogError::WrongState)).2, WRONG_STATE);
}

//
#[test]
fn an_empty_body_is_a_400_fail() {
    assert_eq!(shown(V2, &Failure::Body(BodyError::Empty)), (400, Kind::Fail, "EOF".to_owned()));
}

#[test]
fn a_body_that_is_too_long_names_the_limit() {
    let (status, kind, message) = shown(V2, &Failure::BodyTooLarge(1234));
    assert_eq!((status, kind), (413, Kind::Error));
    assert!(message.contains("1234 bytes"), "{message}");
}

#[test]
fn what_goes_wrong_on_the_way_has_its_own_status() {
    for (failure, status) in [
        (Failure::BodySlow, 408),
        (Failure::BodyBroken, 400),
        (Failure::BodiesFull, 503),
        (Failure::Encoding, 500),
        (Failure::Mishap(Mishap::Panic), 500),
        (Failure::Mishap(Mishap::Timeout), 503),
        (Failure::Mishap(Mishap::Overload), 503),
    ] {
        assert_eq!(problem(V2, &failure).status, status, "{failure:?}");
        assert_eq!(problem(V2, &failure).kind, Kind::Error);
    }
}

//
#[test]
fn a_fault_of_the_disk_is_told_by_its_kind_and_remedy_and_its_place_is_for_the_log() {
    let full = || StoreError::Write(WriteFailure::of_disk(DiskFault::Full, "no space left at /secret/place"));
    let stored =
        |what: &str| format!("{what} could not be stored: the disk is full; make room and send it again");
    for (failure, message) in [
        (Failure::SetManifest(SetManifestError::Store(full())), stored("the manifest")),
        (Failure::WriteSecrets(WriteSecretsError::Store(full())), stored("the secrets")),
        (Failure::Update(UpdateManifestError::Store(full())), stored("the update")),
        (Failure::Pending(PendingUpdateError::Store(full())), stored("the update")),
        (Failure::Counter(CounterError::Store(full())), stored("the counter")),
        (
            Failure::Backup(BackupError::Store(full())),
            "the state could not be copied: the disk is full; make room and send it again".to_owned(),
        ),
        (
            Failure::Recover(RecoverError::Store(full())),
            "the state could not be recovered: the disk is full; make room and send it again".to_owned(),
        ),
    ] {
        for version in [V1, V2] {
            let problem = problem(version, &failure);
            assert_eq!(problem.message, message);
            assert!(problem.cause.is_some_and(|cause| cause.contains("/secret/place")), "{failure:?}");
        }
    }
    for fault in [
        DiskFault::Full,
        DiskFault::Quota,
        DiskFault::ReadOnly,
        DiskFault::Forbidden,
        DiskFault::FileSize,
        DiskFault::OpenFiles,
        DiskFault::Missing,
        DiskFault::Io,
    ] {
        let store = StoreError::Write(WriteFailure::of_disk(fault, "/secret/place"));
        let message = shown(V2, &Failure::WriteSecrets(WriteSecretsError::Store(store))).2;
        assert_eq!(message, format!("the secrets could not be stored: {fault}"));
    }
}

#[test]
fn internals_reach_the_log_and_never_the_message() {
    for (failure, internal) in [
        (Failure::SetManifest(SetManifestError::Store(store())), "/secret/place"),
        (Failure::SetManifest(SetManifestError::Policy(policy())), "0x1234"),
        (Failure::SetManifest(dry_run()), "0x1234"),
        (Failure::Manifest(ManifestReadError::Store(store())), "/secret/place"),
        (Failure::Secrets(ReadSecretsError::Store(store())), "/secret/place"),
        (Failure::Secrets(ReadSecretsError::Policy(policy())), "0x1234"),
        (Failure::Log(ReadLogError::Store(store())), "/secret/place"),
        (Failure::Quote(QuoteError::Issue(EvidenceError("driver".to_owned()))), "driver"),
        (Failure::Feature(FeatureError::Store(store())), "/secret/place"),
        (Failure::WriteSecrets(WriteSecretsError::Store(store())), "/secret/place"),
        (Failure::WriteSecrets(WriteSecretsError::Policy(policy())), "0x1234"),
        (Failure::WriteSecrets(WriteSecretsError::DryRun(dry_run())), "0x1234"),
        (Failure::Update(UpdateManifestError::Store(store())), "/secret/place"),
        (Failure::Update(UpdateManifestError::Policy(policy())), "0x1234"),
        (Failure::Update(UpdateManifestError::Apply(dry_run())), "0x1234"),
        (Failure::NoUpdate(PendingUpdateError::Store(store())), "/secret/place"),
        (Failure::Pending(PendingUpdateError::Store(store())), "/secret/place"),
        (Failure::Pending(PendingUpdateError::Policy(policy())), "0x1234"),
        (Failure::Pending(PendingUpdateError::Apply(dry_run())), "0x1234"),
        (Failure::Counter(CounterError::Store(store())), "/secret/place"),
        (Failure::LogHead(LogHeadError::Store(store())), "/secret/place"),
        (Failure::LogHead(LogHeadError::Sign(Cause("/secret/place".to_owned()))), "/secret/place"),
        (Failure::SignQuote(SignQuoteError::Sign(Cause("/secret/place".to_owned()))), "/secret/place"),
        (Failure::Audit(ReadAuditError::Store(store())), "/secret/place"),
        (Failure::Audit(ReadAuditError::Policy(policy())), "0x1234"),
        (Failure::Backup(BackupError::Store(store())), "/secret/place"),
        (Failure::Backup(BackupError::Policy(policy())), "0x1234"),
    ] {
        for version in [V1, V2] {
            let problem = problem(version, &failure);
            assert!(!problem.message.contains(internal), "{}", problem.message);
            assert!(problem.cause.is_some_and(|cause| cause.contains(internal)), "{failure:?}");
        }
    }
    assert_eq!(problem(V2, &Failure::NotAllowed).cause, None);
}
