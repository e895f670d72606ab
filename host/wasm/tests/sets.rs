//! Sets of policies as manifests ask for them: made at once, compiled once, obeyed or only recorded.
#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use carrara_core::ports::{CallOutcome, FailureKind, PolicyEngine as _};
use carrara_types::decision::{Decision, Principal};
use carrara_types::decision_record::{Answer, Question};
use carrara_types::policy::{Digest, Mode, World};
use carrara_wasm::{Engine, EngineLimits, Limits, digest};
use common::sets::{Shelf, Stopped, Witness, entry, set, shadow};
use common::{MISBEHAVE, authorizer, component_of, renderer, request, wit};

const HARMLESS: &str = "(func $misbehave (result i32) (i32.const 2048))";

/// Denies at [`MISBEHAVE`] with code E1.
const DENIES: &str = include_str!("../../../tests/hostile/forged-log-line.wat");

const LOOPS: &str = include_str!("../../../tests/hostile/loop.wat");

fn engine() -> (Engine, Arc<Witness>) {
    engine_with(EngineLimits::default())
}

fn engine_with(limits: EngineLimits) -> (Engine, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    (Engine::bare(limits, witness.clone(), Arc::new(Stopped)), witness)
}

/// The harmless guest, with another digest for each number.
fn numbered(number: usize) -> Vec<u8> {
    authorizer(&format!("{HARMLESS} (data (i32.const 9000) \"{number}\")"))
}

#[tokio::test]
async fn a_set_is_made_at_once_and_a_policy_that_is_not_compiled_yet_says_so() {
    let (engine, witness) = engine();
    let guest = authorizer(HARMLESS);
    let shelf = Shelf::of(&[&guest]);
    let go = shelf.hold();
    let set = set(&engine, &[("two-rooms", entry(World::RoleAuthorization, &guest))], &shelf);
    let failure = set.authorize(request(1)).await.unwrap_err();
    assert_eq!((failure.kind, failure.policy.as_str()), (FailureKind::NotReady, "two-rooms"));
    assert_eq!(failure.to_string(), "policy \"two-rooms\" is being compiled; try again");
    assert_eq!(witness.records_of("two-rooms"), [], "nothing was decided");
    go.send(()).unwrap();
    set.prepare().await.unwrap();
    let answer = set.authorize(request(1)).await.unwrap();
    assert_eq!((answer.policy.as_str(), answer.decision), ("two-rooms", Decision::Allow));
    assert_eq!(witness.calls_of("two-rooms"), [CallOutcome::Failed, CallOutcome::Allowed]);
}

#[tokio::test]
async fn what_nobody_asked_is_answered_alike_and_leaves_no_record() {
    let (engine, witness) = engine();
    let guest = authorizer(DENIES);
    let shelf = Shelf::of(&[&guest]);
    let entries = [("p", entry(World::RoleAuthorization, &guest)), ("s", shadow(&guest))];
    let set = set(&engine, &entries, &shelf);
    set.prepare().await.unwrap();
    for question in [1, MISBEHAVE] {
        let would = set.would_authorize(request(question)).await.unwrap();
        assert_eq!(witness.records_of("p"), []);
        assert_eq!(would, set.authorize(request(question)).await.unwrap());
        witness.records.lock().unwrap().clear();
    }
    let (allowed, refused) = (CallOutcome::Allowed, CallOutcome::Refused);
    assert_eq!(witness.calls_of("p"), [allowed, allowed, refused, refused]);
}

#[tokio::test]
async fn a_component_is_compiled_once_for_all_sets_and_entries() {
    let (engine, _) = engine();
    let guest = authorizer(HARMLESS);
    let shelf = Shelf::of(&[&guest]);
    let entry = entry(World::RoleAuthorization, &guest);
    let first = set(&engine, &[("a", entry.clone()), ("b", entry.clone())], &shelf);
    let second = set(&engine, &[("c", entry.clone())], &shelf);
    first.prepare().await.unwrap();
    second.prepare().await.unwrap();
    drop((first, second));
    // The last ones live on: a manifest is often proposed again.
    set(&engine, &[("d", entry)], &shelf).prepare().await.unwrap();
    assert_eq!(shelf.reads(), 1);
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_not_compiled() {
    let (engine, _) = engine();
    let (first, second, third) = (numbered(1), numbered(2), numbered(3));
    let shelf = Shelf::of(&[&first, &second, &third]);
    let go = shelf.hold();
    let wanted = |guest: &[u8]| set(&engine, &[("p", entry(World::RoleAuthorization, guest))], &shelf);
    let (one, two, three) = (wanted(&first), wanted(&second), wanted(&third));
    drop(two);
    go.send(()).unwrap();
    three.prepare().await.unwrap();
    one.prepare().await.unwrap();
    assert!(!shelf.read.lock().unwrap().contains(&Digest(digest(&second))));
    assert_eq!(shelf.reads(), 2);
}

#[tokio::test]
async fn compiled_components_do_not_pile_up() {
    let (engine, _) = engine();
    let guests: Vec<_> = (0..7).map(numbered).collect();
    let shelf = Shelf::of(&guests.iter().map(Vec::as_slice).collect::<Vec<_>>());
    for guest in guests.iter().chain(&guests[..1]) {
        let set = set(&engine, &[("p", entry(World::RoleAuthorization, guest))], &shelf);
        set.prepare().await.unwrap();
    }
    assert_eq!(shelf.reads(), 8, "the first was forgotten when the seventh came");
}

#[tokio::test]
async fn a_component_that_is_not_there_denies_until_a_set_is_made_that_has_it() {
    let (engine, witness) = engine();
    let guest = authorizer(HARMLESS);
    let shelf = Shelf::of(&[]);
    let entries = [("gone", entry(World::RoleAuthorization, &guest))];
    let first = set(&engine, &entries, &shelf);
    let problems = first.prepare().await.unwrap_err();
    let name = Digest(digest(&guest)).to_string();
    assert_eq!(problems[0].policy, "gone");
    assert!(problems[0].message.contains(&name), "{}", problems[0].message);
    assert!(problems[0].hint.as_ref().unwrap().contains("carrara policy push"));
    let failure = first.authorize(request(1)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert_eq!(failure.to_string(), "policy \"gone\" is unavailable");
    assert!(
        matches!(&witness.records_of("gone")[0].answer, Answer::Failed(reason) if reason.contains(&name))
    );
    shelf.add(&guest);
    let second = set(&engine, &entries, &shelf);
    second.prepare().await.unwrap();
    assert_eq!(second.authorize(request(1)).await.unwrap().decision, Decision::Allow);
}

#[tokio::test]
async fn bytes_that_the_digest_does_not_name_are_never_run() {
    let (engine, _) = engine();
    let (named, stored) = (numbered(1), numbered(2));
    let shelf = Shelf::of(&[]);
    shelf.swap(&named, &stored);
    let set = set(&engine, &[("p", entry(World::RoleAuthorization, &named))], &shelf);
    let problems = set.prepare().await.unwrap_err();
    assert!(problems[0].message.contains("another component"), "{}", problems[0].message);
}

#[tokio::test]
async fn a_source_that_comes_while_another_is_asked_is_asked_too() {
    let (engine, _) = engine();
    let guest = authorizer(HARMLESS);
    let (empty, full) = (Shelf::of(&[]), Shelf::of(&[&guest]));
    let go = empty.hold();
    let entries = [("p", entry(World::RoleAuthorization, &guest))];
    let (first, second) = (set(&engine, &entries, &empty), set(&engine, &entries, &full));
    go.send(()).unwrap();
    second.prepare().await.unwrap();
    first.prepare().await.unwrap();
}

#[tokio::test]
async fn a_component_of_another_world_is_told_with_the_interface_and_its_version() {
    let (engine, _) = engine();
    let guest = renderer("(func $misbehave (param i32))");
    let shelf = Shelf::of(&[&guest]);
    let set = set(&engine, &[("p", entry(World::RoleAuthorization, &guest))], &shelf);
    let problems = set.prepare().await.unwrap_err();
    assert!(problems[0].message.contains("carrara:policy/role-authorizer@1.0.0"), "{}", problems[0].message);
}

#[tokio::test]
async fn all_enforcing_authorizers_must_allow_and_each_answer_is_recorded() {
    let (engine, witness) = engine();
    let (allows, denies) = (authorizer(HARMLESS), authorizer(DENIES));
    let shelf = Shelf::of(&[&allows, &denies]);
    let of = |guest: &[u8]| entry(World::RoleAuthorization, guest);
    let set = set(&engine, &[("a", of(&allows)), ("b", of(&denies)), ("c", of(&allows))], &shelf);
    set.prepare().await.unwrap();
    let answer = set.authorize(request(MISBEHAVE)).await.unwrap();
    assert_eq!(answer.policy, "b");
    let Decision::Deny(denial) = answer.decision else { panic!("allowed") };
    let [first] = witness.records_of("a").try_into().unwrap();
    let [second] = witness.records_of("b").try_into().unwrap();
    assert_eq!(witness.records_of("c"), [], "nobody asks after a denial");
    assert_eq!((first.answer.verdict(), second.answer.verdict()), ("allow", "deny"));
    assert_eq!(second.answer, Answer::Decision(Decision::Deny(denial)));
    assert_eq!(second.request, Question::Authorization(request(MISBEHAVE)));
    assert_eq!((second.time_ms, second.revision, second.sequence), (1_000_500, 1, 0));
    assert_eq!((second.digest, second.mode), (Digest(digest(&denies)), Mode::Enforce));
    assert_eq!(second.settings, Digest(digest(b"null")));
    assert!(second.fuel > 0 && first.fuel > 0);
}

#[tokio::test]
async fn a_shadow_is_recorded_and_never_obeyed() {
    let (engine, witness) = engine();
    let (allows, denies) = (authorizer(HARMLESS), authorizer(DENIES));
    let shelf = Shelf::of(&[&allows, &denies]);
    let entries = [("a", entry(World::RoleAuthorization, &allows)), ("new", shadow(&denies))];
    let set = set(&engine, &entries, &shelf);
    set.prepare().await.unwrap();
    assert_eq!(set.authorize(request(MISBEHAVE)).await.unwrap().decision, Decision::Allow);
    let record = witness.record_of("new").await;
    assert_eq!((record.mode, record.answer.verdict()), (Mode::Shadow, "deny"));
    assert_eq!(record.request, Question::Authorization(request(MISBEHAVE)));
    let modes: Vec<_> = set.in_force().into_iter().map(|policy| (policy.name, policy.mode)).collect();
    assert_eq!(modes, [("a".to_owned(), Mode::Enforce), ("new".to_owned(), Mode::Shadow)]);
}

#[tokio::test]
async fn shadows_that_never_end_or_are_not_there_neither_delay_nor_deny_and_what_has_no_room_is_dropped() {
    let slow = Limits { fuel: u64::MAX, deadline: Duration::from_secs(600), ..Limits::AUTHORIZATION };
    let (engine, witness) =
        engine_with(EngineLimits { authorization: slow, waiting_shadows: 2, ..EngineLimits::default() });
    let (allows, loops) = (authorizer(HARMLESS), authorizer(LOOPS));
    let shelf = Shelf::of(&[&allows, &loops]);
    let gone = shadow(&numbered(1));
    let entries = [("a", entry(World::RoleAuthorization, &allows)), ("slow", shadow(&loops)), ("gone", gone)];
    let set = set(&engine, &entries, &shelf);
    set.prepare().await.unwrap_err();
    // One runs, two wait; each request has two questions to shadows.
    for _ in 0..10 {
        assert_eq!(set.authorize(request(MISBEHAVE)).await.unwrap().decision, Decision::Allow);
    }
    assert!((16..=18).contains(&engine.dropped_shadows()), "{}", engine.dropped_shadows());
    assert_eq!(witness.dropped.load(Ordering::Relaxed) as u64, engine.dropped_shadows(), "each is told");
}

#[tokio::test]
async fn settings_errors_come_with_their_place_and_the_policys_name() {
    let (engine, _) = engine();
    let fields = include_str!("../../../tests/hostile/authorizer.prelude.wat").replace(
        "(i32.const 1024))",
        r#"(i32.store (i32.const 1024) (i32.const 1))
        (i32.store offset=4 (i32.const 1024) (i32.const 1100))
        (i32.store offset=8 (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1100) (i32.const 3)) (i32.store offset=4 (i32.const 1100) (i32.const 7))
        (i32.store offset=8 (i32.const 1100) (i32.const 1200))
        (i32.store offset=12 (i32.const 1100) (i32.const 4))
        (i32.const 1024)) (data (i32.const 1200) "a\0ab\1b")"#,
    );
    let guest = component_of(&wit(), "role-authorization", &format!("{fields}{HARMLESS}"));
    let shelf = Shelf::of(&[&guest]);
    let set = set(&engine, &[("cedar", entry(World::RoleAuthorization, &guest))], &shelf);
    assert_eq!(set.check_settings().await.unwrap_err().kind, FailureKind::NotReady);
    set.prepare().await.unwrap();
    let problems = set.check_settings().await.unwrap();
    assert_eq!((problems[0].policy.as_str(), problems[0].place), ("cedar", Some((3, 7))));
    assert_eq!(problems[0].message, "a b", "without control characters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_policies_have_bounded_turns_together_and_the_next_call_is_right() {
    let slow = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_millis(300),
        wait: Duration::from_millis(20),
        ..Limits::AUTHORIZATION
    };
    let memory = slow.memory;
    let (engine, _) = engine_with(EngineLimits { authorization: slow, memory, ..EngineLimits::default() });
    let (loops, harmless) = (authorizer(LOOPS), authorizer(HARMLESS));
    let shelf = Shelf::of(&[&loops, &harmless]);
    let of = |name, guest: &[u8]| set(&engine, &[(name, entry(World::RoleAuthorization, guest))], &shelf);
    let (slow, other) = (of("slow", &loops), of("other", &harmless));
    slow.prepare().await.unwrap();
    other.prepare().await.unwrap();
    // There is memory for one call only, whichever policy makes it.
    let (ended, waited) = tokio::join!(slow.authorize(request(MISBEHAVE)), other.authorize(request(1)));
    assert!(ended.unwrap_err().reason.contains("did not end"));
    assert!(waited.unwrap_err().reason.contains("turns"));
    assert_eq!(other.authorize(request(1)).await.unwrap().decision, Decision::Allow);
}

#[tokio::test]
async fn a_question_is_recorded_whole_and_its_texts_are_those_that_were_asked() {
    let (engine, witness) = engine();
    let guest = authorizer(HARMLESS);
    let set = set(&engine, &[("p", entry(World::RoleAuthorization, &guest))], &Shelf::of(&[&guest]));
    set.prepare().await.unwrap();
    let mut asked = request(1);
    asked.principal = Principal { name: "früh\n".to_owned(), ..asked.principal };
    set.authorize(asked.clone()).await.unwrap();
    assert_eq!(witness.records_of("p")[0].request, Question::Authorization(asked));
}

#[test]
fn a_set_without_an_authorizer_never_says_yes() {
    let (engine, _) = engine();
    let set = set(&engine, &[], &Shelf::of(&[]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(set.authorize(request(1))).unwrap_err().policy, "role-authorization");
}

#[test]
fn a_component_is_looked_at_without_being_compiled() {
    let (engine, _) = engine();
    let guest = authorizer(HARMLESS);
    let info = engine.inspect(&guest).unwrap();
    assert_eq!(info.worlds, [World::RoleAuthorization]);
    assert_eq!((info.digest, info.size), (Digest(digest(&guest)), guest.len()));
    let refused = engine.inspect(&wat::parse_str("(component)").unwrap()).unwrap_err();
    assert!(refused.to_string().contains("is no policy"), "{refused}");
}
