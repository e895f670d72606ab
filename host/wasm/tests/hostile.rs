//! Guests that misbehave: each denies its own request with its name, and nothing else.
#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use std::time::Duration;

use carrara_core::ports::{Policies, PolicyFailure, RenderFailure};
use carrara_types::decision::{Chunk, Decision, Encoding, Part, Scope, SecretReference};
use carrara_wasm::{Limits, PolicyHost, PolicySource, World};
use common::{MISBEHAVE, authorizer, context, one_key, renderer, request, template};

macro_rules! hostile {
    ($name:literal) => {
        include_str!(concat!("../../../tests/hostile/", $name, ".wat"))
    };
}

fn host(misbehave: &str) -> PolicyHost {
    host_with(misbehave, Limits::AUTHORIZATION)
}

fn host_with(misbehave: &str, limits: Limits) -> PolicyHost {
    let mut host = PolicyHost::empty().unwrap();
    let source = PolicySource::new("hostile", World::RoleAuthorization, authorizer(misbehave));
    host.add(PolicySource { limits, ..source }).unwrap();
    host
}

/// So long that fuel ends a call on a busy machine, too.
const PATIENT: Limits = Limits { deadline: Duration::from_secs(120), ..Limits::AUTHORIZATION };

/// Asks a guest that misbehaves, checks that it is named, and that its next answer is right. Returns the reason.
async fn refused(host: &PolicyHost) -> String {
    let failure = host.authorize(request(MISBEHAVE)).await.unwrap_err();
    assert_eq!(failure.to_string(), "policy \"hostile\" could not decide");
    assert!(!failure.reason.is_empty() && failure.reason.len() <= 512, "{}", failure.reason);
    let next = host.authorize(request(1)).await.unwrap();
    assert_eq!(next.decision, Decision::Allow);
    failure.reason
}

async fn reason(misbehave: &str) -> String {
    refused(&host(misbehave)).await
}

#[tokio::test]
async fn a_guest_that_never_ends_runs_out_of_fuel() {
    let reason = refused(&host_with(hostile!("loop"), PATIENT)).await;
    assert!(reason.contains("out of fuel (limit 500000000)"), "{reason}");
}

#[tokio::test]
async fn a_guest_that_never_ends_runs_out_of_time_where_fuel_does_not_end_it() {
    let limits = Limits { fuel: u64::MAX, deadline: Duration::from_millis(50), ..Limits::AUTHORIZATION };
    let host = host_with(hostile!("loop"), limits);
    assert!(refused(&host).await.contains("did not end within 50 ms"));
}

#[tokio::test]
async fn a_guest_whose_start_never_ends_is_never_asked() {
    let host = host_with(hostile!("loop-in-start"), PATIENT);
    let failure = host.authorize(request(1)).await.unwrap_err();
    assert_eq!(failure.policy, "hostile");
    // Starting has a budget of its own.
    assert!(failure.reason.contains("out of fuel (limit 200000000)"), "{}", failure.reason);
}

#[tokio::test]
async fn memory_is_limited() {
    let reason = reason(hostile!("grow-memory")).await;
    assert!(reason.contains("memory"), "{reason}");
}

#[tokio::test]
async fn tables_are_limited() {
    let reason = reason(hostile!("grow-table")).await;
    assert!(reason.contains("table"), "{reason}");
}

// P-28: several memories and tables have what one may have.
#[tokio::test]
async fn all_memories_and_all_tables_of_a_call_are_limited_together() {
    for (misbehave, limit) in [
        (hostile!("grow-memories"), format!("more memory than it may (limit {} bytes)", 64 << 20)),
        (hostile!("grow-tables"), "more elements than they may (limit 100000)".to_owned()),
    ] {
        let reason = reason(misbehave).await;
        assert!(reason.contains(&limit), "{reason}");
    }
}

#[tokio::test]
async fn recursion_is_limited() {
    assert!(reason(hostile!("recursion")).await.contains("out of stack"));
}

#[tokio::test]
async fn a_trap_is_a_denial_of_one_request() {
    assert!(reason(hostile!("trap")).await.contains("trapped"));
}

#[tokio::test]
async fn log_lines_are_limited() {
    assert!(reason(hostile!("log-flood")).await.contains("more lines to the log"));
}

#[tokio::test]
async fn bytes_of_log_lines_are_limited() {
    let reason = reason(hostile!("log-huge-line")).await;
    assert!(reason.contains("fuel"), "{reason}");
}

#[test]
fn a_log_line_is_cut_and_cleaned_and_names_the_policy() {
    let host = host(hostile!("log-long-line"));
    let lines = common::logged(|| {
        assert_eq!(host.authorize_here(&request(MISBEHAVE)).unwrap().decision, Decision::Allow);
    });
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("WARN") && lines.contains("policy=\"hostile\""), "{lines}");
    assert!(lines.contains("first ERROR second[0mxxx"), "{lines}");
    assert!(lines.len() < 1200, "{}", lines.len());
}

#[tokio::test]
async fn answers_are_limited() {
    for misbehave in [hostile!("huge-answer"), hostile!("huge-list")] {
        let reason = reason(misbehave).await;
        assert!(reason.contains("fuel"), "{reason}");
    }
}

#[tokio::test]
async fn answers_that_break_the_interface_are_refused() {
    reason(hostile!("answer-out-of-bounds")).await;
    assert!(reason(hostile!("answer-no-utf8")).await.contains("utf-8"));
    reason(hostile!("answer-unknown-variant")).await;
    assert!(reason(hostile!("silent-denial")).await.contains("without a code"));
}

#[tokio::test]
async fn texts_lose_their_control_characters() {
    let host = host(hostile!("forged-log-line"));
    let answer = host.authorize(request(MISBEHAVE)).await.unwrap();
    assert_eq!(answer.policy, "hostile");
    let Decision::Deny(denial) = answer.decision else { panic!("allowed") };
    assert_eq!((denial.code.as_str(), denial.message.as_str()), ("E1", "no [2Jlevel=info allowed"));
}

#[tokio::test]
async fn nothing_is_remembered_from_one_call_to_the_next() {
    let host = host(hostile!("remember"));
    for _ in 0..3 {
        assert_eq!(host.authorize(request(MISBEHAVE)).await.unwrap().decision, Decision::Allow);
    }
}

#[tokio::test]
async fn one_policy_that_fails_denies_even_if_others_allow() {
    let mut host = host(hostile!("trap"));
    host.add(PolicySource::new("a-good-one", World::RoleAuthorization, authorizer(hostile!("remember"))))
        .unwrap();
    let failure = host.authorize(request(MISBEHAVE)).await.unwrap_err();
    assert_eq!(failure.policy, "hostile");
    assert_eq!(host.authorize(request(1)).await.unwrap().decision, Decision::Allow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_slow_policy_leaves_the_workers_and_the_other_policies_alone() {
    let limits = Limits { fuel: u64::MAX, deadline: Duration::from_secs(2), ..Limits::RENDERING };
    let mut host = host(hostile!("remember"));
    let slow = renderer("(func $misbehave (param i32) (loop $forever (br $forever)))");
    host.add(PolicySource { limits, ..PolicySource::new("slow", World::SecretRendering, slow) }).unwrap();
    let host = std::sync::Arc::new(host);
    let stuck = tokio::spawn({
        let host = std::sync::Arc::clone(&host);
        async move { host.render("slow", context(MISBEHAVE), vec![template("x")], one_key()).await }
    });
    for _ in 0..20 {
        assert_eq!(host.authorize(request(1)).await.unwrap().decision, Decision::Allow);
        assert!(host.render("slow", context(1), vec![template("x")], one_key()).await.is_ok());
    }
    assert!(!stuck.is_finished(), "the calls did not go on meanwhile");
    let failure = policy_failure(stuck.await.unwrap().unwrap_err());
    assert!(failure.reason.contains("did not end within 2000 ms"), "{}", failure.reason);
}

#[tokio::test]
async fn a_call_that_waits_too_long_for_its_turn_is_refused() {
    let limits = Limits {
        fuel: u64::MAX,
        deadline: Duration::from_millis(500),
        concurrency: 1,
        wait: Duration::from_millis(20),
        ..Limits::AUTHORIZATION
    };
    let mut host = PolicyHost::empty().unwrap();
    let source = PolicySource::new("hostile", World::RoleAuthorization, authorizer(hostile!("loop")));
    host.add(PolicySource { limits, ..source }).unwrap();
    let (slow, waiting) = tokio::join!(host.authorize(request(MISBEHAVE)), host.authorize(request(1)));
    assert!(slow.unwrap_err().reason.contains("did not end"));
    assert!(waiting.unwrap_err().reason.contains("turns"));
    assert_eq!(host.authorize(request(1)).await.unwrap().decision, Decision::Allow);
}

fn policy_failure(failure: RenderFailure) -> PolicyFailure {
    match failure {
        RenderFailure::Policy(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn rendering_host(misbehave: &str) -> PolicyHost {
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("hostile", World::SecretRendering, renderer(misbehave))).unwrap();
    host
}

async fn render_reason(misbehave: &str) -> String {
    let host = rendering_host(misbehave);
    let templates = || vec![template("a"), template("b")];
    let failure = host.render("hostile", context(MISBEHAVE), templates(), one_key()).await.unwrap_err();
    let failure = policy_failure(failure);
    assert_eq!(failure.policy, "hostile");
    let next = host.render("hostile", context(1), templates(), one_key()).await.unwrap();
    assert_eq!(next, vec![Vec::new(), Vec::new()]);
    failure.reason
}

#[tokio::test]
async fn handles_are_limited() {
    let reason = render_reason(hostile!("render-leak-handles")).await;
    assert!(reason.contains("it holds more handles of secrets and fragments than it may"), "{reason}");
}

#[tokio::test]
async fn a_renderer_may_place_only_fragments_that_it_was_given_and_each_once() {
    for misbehave in [
        hostile!("render-forged-fragment"),
        hostile!("render-fragment-twice"),
        hostile!("render-secret-as-fragment"),
    ] {
        let reason = render_reason(misbehave).await;
        assert!(reason.contains("handle") || reason.contains("resource"), "{reason}");
    }
    let host = rendering_host(hostile!("render-once"));
    let chunks = host.render("hostile", context(MISBEHAVE), vec![template("a")], one_key()).await.unwrap();
    let reference = SecretReference {
        scope: Scope::Current,
        name: "key".into(),
        part: Part::Whole,
        encoding: Encoding::Hex,
    };
    assert_eq!(chunks, vec![vec![Chunk::Secret(reference)]]);
}

#[tokio::test]
async fn a_renderer_answers_once_for_each_template() {
    assert!(render_reason(hostile!("render-too-few")).await.contains("1 results for 2 templates"));
    assert!(render_reason(hostile!("render-error-elsewhere")).await.contains("error in template 2 of 2"));
}

#[tokio::test]
async fn an_unknown_renderer_is_told_apart() {
    let host = rendering_host(hostile!("render-once"));
    let failure = host.render("other", context(1), vec![], one_key()).await.unwrap_err();
    assert!(matches!(failure, RenderFailure::UnknownRenderer(name) if name == "other"));
}

#[tokio::test]
async fn a_host_without_policies_never_says_yes() {
    let host = PolicyHost::empty().unwrap();
    assert_eq!(host.authorize(request(1)).await.unwrap_err().policy, "role-authorization");
}
