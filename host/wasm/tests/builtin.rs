//! The built-in policies as they are embedded, through the engine.

#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use carrara_core::ports::{Policies, RenderFailure};
use carrara_types::decision::{
    Change, Chunk, Context, Decision, Encoding, Fact, HeldRole, Part, Proposal, Scope, SecretReference,
    Severity, Value,
};
use carrara_wasm::{PolicyHost, World, digest};
use common::{context, one_key, request, template};

fn proposal(manifest: &str) -> Proposal {
    Proposal {
        context: context(1),
        change: Change::Initial,
        manifest: manifest.to_owned(),
        manifest_sha256: digest(manifest.as_bytes()),
        current: None,
        current_versions: Vec::new(),
        proposer: None,
    }
}

fn reader(names: &[&str]) -> HeldRole {
    HeldRole {
        name: "reader".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        actions: vec!["readsecret".to_owned()],
    }
}

/// A bare secret is its public bytes (secrets-and-templates.md section 5).
fn key(encoding: Encoding) -> Chunk {
    Chunk::Secret(SecretReference { scope: Scope::Current, name: "key".into(), part: Part::Public, encoding })
}

#[test]
fn the_four_are_there_and_understand_that_they_have_no_settings() {
    let host = PolicyHost::builtin().unwrap();
    let policies = host.policies();
    let names: Vec<_> = policies.iter().map(|policy| (policy.name.as_str(), policy.world)).collect();
    let expected = [
        ("manifest-rules", World::ManifestValidation),
        ("rbac", World::RoleAuthorization),
        ("go-template", World::SecretRendering),
        ("liquid", World::SecretRendering),
    ];
    assert_eq!(names, expected);
    assert_eq!(host.renderers(), ["go-template", "liquid"]);
    assert_eq!(host.check_settings().unwrap(), []);
    for policy in policies {
        assert_eq!(digest(host.component(&policy.digest).unwrap()), policy.digest);
    }
}

// M-30, M-31
#[tokio::test]
async fn manifest_rules_refuses_an_empty_manifest_and_accepts_a_small_one() {
    let host = PolicyHost::builtin().unwrap();
    let findings = host.validate(proposal("{}")).await.unwrap();
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert_eq!(
        (errors[0].code.as_str(), errors[0].message.as_str()),
        ("M-30", "no allowed packages defined")
    );
    let good = r#"{"Packages":{"p":{"Debug":true}},"Marbles":{"m":{"Package":"p"}}}"#;
    let findings = host.validate(proposal(good)).await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
}

#[tokio::test]
async fn rbac_allows_what_a_role_allows_and_nothing_else() {
    let host = PolicyHost::builtin().unwrap();
    let denied = host.authorize(request(1)).await.unwrap();
    assert_eq!(denied.policy, "rbac");
    let Decision::Deny(denial) = denied.decision else { panic!("allowed") };
    assert_eq!(denial.resources, ["key"]);
    let mut allowed = request(1);
    allowed.principal.roles = vec![reader(&["other"]), reader(&["key"])];
    assert_eq!(host.authorize(allowed).await.unwrap().decision, Decision::Allow);
    let mut other = request(1);
    other.principal.roles = vec![reader(&["other"])];
    assert!(matches!(host.authorize(other).await.unwrap().decision, Decision::Deny(_)));
}

// P-3
#[tokio::test]
async fn facts_and_words_that_built_in_policies_do_not_know_change_nothing() {
    let host = PolicyHost::builtin().unwrap();
    let facts = |context: &mut Context| {
        let fact = |name: &str, value| Fact { name: name.to_owned(), value };
        context.facts = vec![fact("", Value::Truth(true)), fact("platform:1", Value::Bytes(vec![0xff; 8]))];
    };
    // Nobody has said what `Marbles` or `StopMarble` are: a role that names them allows them, and no other.
    let stop = |roles: Vec<HeldRole>| {
        let mut asked = request(1);
        (asked.resource_type, asked.action) = ("Marbles".to_owned(), "StopMarble".to_owned());
        asked.principal.roles = roles;
        asked
    };
    let stopper = HeldRole {
        resource_type: "Marbles".to_owned(),
        actions: vec!["StopMarble".to_owned()],
        ..reader(&["key"])
    };
    let mut read = request(1);
    read.principal.roles = vec![reader(&["key"])];
    for (asked, allowed) in [
        (request(1), false),
        (read, true),
        (stop(vec![reader(&["key"])]), false),
        (stop(vec![stopper]), true),
    ] {
        let known = host.authorize(asked.clone()).await.unwrap().decision;
        let mut more = asked;
        facts(&mut more.context);
        assert_eq!(host.authorize(more).await.unwrap().decision, known);
        assert_eq!(known == Decision::Allow, allowed, "{known:?}");
    }
    let known = host.validate(proposal("{}")).await.unwrap();
    let mut more = proposal("{}");
    facts(&mut more.context);
    assert_eq!(host.validate(more).await.unwrap(), known);
    for renderer in ["go-template", "liquid"] {
        let render = |context| host.render(renderer, context, vec![template("{{ 1 }}x")], one_key());
        let known = render(context(1)).await.unwrap();
        let mut more = context(1);
        facts(&mut more);
        assert_eq!(render(more).await.unwrap(), known);
    }
}

// S-70, S-71: a function with one argument and a pipeline
#[tokio::test]
async fn go_template_places_secrets_that_it_cannot_see() {
    let host = PolicyHost::builtin().unwrap();
    let templates =
        vec![template("k={{ hex .Secrets.key }};"), template("{{ .Secrets.key | base64 }}"), template("x")];
    let chunks = host.render("go-template", context(1), templates, one_key()).await.unwrap();
    let text = |text: &str| Chunk::Text(text.as_bytes().to_vec());
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[0], [text("k="), key(Encoding::Hex), text(";")]);
    assert_eq!(chunks[1], [key(Encoding::Base64)]);
    assert_eq!(chunks[2], [text("x")]);
}

// S-73
#[tokio::test]
async fn go_template_names_the_template_and_place_of_an_error() {
    let host = PolicyHost::builtin().unwrap();
    let templates = vec![template("fine"), template("line\n{{ hex .Secrets.missing }}")];
    let failure = host.render("go-template", context(1), templates, one_key()).await.unwrap_err();
    let RenderFailure::Template(error) = failure else { panic!("{failure:?}") };
    assert_eq!((error.template, error.line), (1, 2));
    assert!(error.message.contains("secret does not exist"), "{}", error.message);
}

#[tokio::test]
async fn liquid_places_secrets_that_it_cannot_see() {
    let host = PolicyHost::builtin().unwrap();
    let templates = vec![template("k={{ Secrets.key | hex }};")];
    let chunks = host.render("liquid", context(1), templates, one_key()).await.unwrap();
    let text = |text: &str| Chunk::Text(text.as_bytes().to_vec());
    assert_eq!(chunks, vec![vec![text("k="), key(Encoding::Hex), text(";")]]);
}

#[test]
fn starting_compiles_nothing() {
    // Compiling the four takes seconds even in an optimised build; loading them a few milliseconds.
    let start = std::time::Instant::now();
    PolicyHost::builtin().unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(1), "{:?}", start.elapsed());
}

mod engine {
    //! Sets of the built-in policies and a manifest's.

    use std::sync::Arc;
    use std::time::Duration;

    use carrara_core::ports::{CallOutcome, FailureKind, PolicyEngine as _};
    use carrara_types::decision::Decision;
    use carrara_types::decision_record::Question;
    use carrara_types::policy::{BUILT_IN, Digest, Mode, PolicyEntry, World};
    use carrara_wasm::{Engine, EngineLimits, Limits, digest};

    use super::common::sets::{Shelf, Stopped, Witness, entry, set, shadow};
    use super::common::{MISBEHAVE, authorizer, context, one_key, request, template};
    use super::{Proposal, proposal, reader};

    const LOOPS: &str = include_str!("../../../tests/hostile/loop.wat");
    const DENIES: &str = include_str!("../../../tests/hostile/forged-log-line.wat");

    fn engine_with(limits: EngineLimits) -> (Engine, Arc<Witness>) {
        let witness = Arc::new(Witness::default());
        (Engine::start(limits, witness.clone(), Arc::new(Stopped)).unwrap(), witness)
    }

    fn engine() -> (Engine, Arc<Witness>) {
        engine_with(EngineLimits::default())
    }

    fn may_read(now: u64) -> carrara_types::decision::AuthorizationRequest {
        let mut allowed = request(now);
        allowed.principal.roles = vec![reader(&["key"])];
        allowed
    }

    #[tokio::test]
    async fn a_set_without_entries_is_the_built_in_policies_and_is_ready_at_once() {
        let (engine, witness) = engine();
        let set = set(&engine, &[], &Shelf::of(&[]));
        assert_eq!(set.renderers(), ["go-template", "liquid"]);
        let expected: Vec<_> = BUILT_IN.to_vec();
        let found: Vec<_> = engine.built_in().iter().map(|it| (it.name, it.world)).collect();
        assert_eq!(found, expected);
        for own in engine.built_in() {
            assert_eq!(own.digest.0, digest(own.component));
            assert_eq!(engine.inspect(own.component).unwrap().worlds, [own.world], "{}", own.name);
        }
        assert!(set.in_force().iter().all(|policy| policy.built_in && policy.mode == Mode::Enforce));
        assert_eq!(set.authorize(may_read(1)).await.unwrap().decision, Decision::Allow);
        assert!(matches!(set.authorize(request(1)).await.unwrap().decision, Decision::Deny(_)));
        assert_eq!(set.validate(proposal("{}")).await.unwrap()[0].code, "M-30");
        set.render("go-template", context(1), vec![template("x")], one_key()).await.unwrap();
        assert_eq!(witness.calls_of("rbac"), [CallOutcome::Allowed, CallOutcome::Refused]);
        assert_eq!(witness.calls_of("manifest-rules"), [CallOutcome::Refused]);
        assert_eq!(witness.calls_of("go-template"), [CallOutcome::Allowed]);
        assert_eq!(witness.records_of("go-template"), [], "rendering is not recorded");
        assert_eq!(witness.records_of("rbac").len(), 2);
    }

    #[tokio::test]
    async fn an_entry_adds_and_the_built_in_authorizer_is_asked_first() {
        let (engine, witness) = engine();
        let denies = authorizer(DENIES);
        let set = set(&engine, &[("a", entry(World::RoleAuthorization, &denies))], &Shelf::of(&[&denies]));
        set.prepare().await.unwrap();
        assert_eq!(set.authorize(request(MISBEHAVE)).await.unwrap().policy, "rbac");
        assert_eq!(witness.records_of("a"), [], "not asked what rbac denies");
        assert_eq!(set.authorize(may_read(MISBEHAVE)).await.unwrap().policy, "a");
        assert_eq!(set.authorize(may_read(1)).await.unwrap().decision, Decision::Allow);
    }

    #[tokio::test]
    async fn only_an_enforcing_entry_that_says_so_replaces_a_built_in() {
        let (engine, _) = engine();
        let allows = authorizer(DENIES);
        let shelf = Shelf::of(&[&allows]);
        let replaces =
            PolicyEntry { replaces: Some("rbac".to_owned()), ..entry(World::RoleAuthorization, &allows) };
        let replaced = set(&engine, &[("corp", replaces.clone())], &shelf);
        replaced.prepare().await.unwrap();
        let answer = replaced.authorize(request(1)).await.unwrap();
        assert_eq!((answer.policy.as_str(), answer.decision), ("corp", Decision::Allow));
        let not_obeyed = PolicyEntry { mode: Mode::Shadow, ..replaces };
        let kept = set(&engine, &[("corp", not_obeyed)], &shelf);
        assert_eq!(kept.authorize(request(1)).await.unwrap().policy, "rbac");
    }

    #[tokio::test]
    async fn a_replacement_that_is_not_there_denies() {
        let (engine, _) = engine();
        let gone = PolicyEntry {
            replaces: Some("rbac".to_owned()),
            ..entry(World::RoleAuthorization, b"not there")
        };
        let set = set(&engine, &[("corp", gone)], &Shelf::of(&[]));
        set.prepare().await.unwrap_err();
        let failure = set.authorize(may_read(1)).await.unwrap_err();
        assert_eq!((failure.policy.as_str(), failure.kind), ("corp", FailureKind::Unavailable));
    }

    #[tokio::test]
    async fn a_built_in_policy_can_be_named_by_its_digest_and_needs_no_compiling() {
        let (engine, witness) = engine();
        let rbac = engine.built_in().into_iter().find(|own| own.name == "rbac").unwrap();
        let shelf = Shelf::of(&[rbac.component]);
        let entries = [
            ("pinned", entry(World::RoleAuthorization, rbac.component)),
            ("watched", shadow(rbac.component)),
        ];
        let set = set(&engine, &entries, &shelf);
        assert_eq!(set.authorize(may_read(1)).await.unwrap().policy, "pinned");
        assert_eq!(witness.record_of("watched").await.answer.verdict(), "allow");
        assert_eq!(shelf.reads(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn an_authorizer_that_never_ends_leaves_the_threads_and_the_others_requests_alone() {
        let slow = Limits { fuel: u64::MAX, deadline: Duration::from_secs(2), ..Limits::AUTHORIZATION };
        let (engine, _) = engine_with(EngineLimits { authorization: slow, ..EngineLimits::default() });
        let loops = authorizer(LOOPS);
        let shelf = Shelf::of(&[&loops]);
        let slow = set(&engine, &[("slow", entry(World::RoleAuthorization, &loops))], &shelf);
        slow.prepare().await.unwrap();
        let stuck: Vec<_> = (0..4)
            .map(|_| {
                let slow = Arc::clone(&slow);
                tokio::spawn(async move { slow.authorize(may_read(MISBEHAVE)).await })
            })
            .collect();
        let plain = set(&engine, &[], &shelf);
        for _ in 0..20 {
            assert_eq!(plain.authorize(may_read(1)).await.unwrap().decision, Decision::Allow);
            plain.render("go-template", context(1), vec![template("x")], one_key()).await.unwrap();
        }
        assert!(stuck.iter().all(|call| !call.is_finished()), "the others did not go on meanwhile");
        for call in stuck {
            assert!(call.await.unwrap().unwrap_err().reason.contains("did not end within 2000 ms"));
        }
    }

    // P-36
    #[tokio::test]
    async fn a_manifest_is_recorded_by_its_digest() {
        let (engine, witness) = engine();
        let set = set(&engine, &[], &Shelf::of(&[]));
        let manifest = |word: &str| {
            let env = format!(r#"{{"Env":{{"A":"{word}"}}}}"#);
            format!(
                r#"{{"Packages":{{"p":{{"Debug":true}}}},"Marbles":{{"m":{{"Package":"p","Parameters":{env}}}}}}}"#
            )
        };
        let (proposed, current) = (manifest("zebra"), manifest("gnu"));
        let asked = Proposal { current: Some(current.clone()), ..proposal(&proposed) };
        set.validate(asked).await.unwrap();
        let [record] = witness.records_of("manifest-rules").try_into().unwrap();
        let Question::Validation(question) = &record.request else { panic!("{record:?}") };
        assert_eq!(question.manifest_sha256, Digest(digest(proposed.as_bytes())));
        assert_eq!(question.current_sha256, Some(Digest(digest(current.as_bytes()))));
        assert_eq!(record.answer.verdict(), "allow");
        let text = serde_json::to_string(&record).unwrap();
        assert!(!text.contains("zebra") && !text.contains("gnu"), "{text}");
    }
}
