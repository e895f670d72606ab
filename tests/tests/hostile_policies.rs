//! Hostile components, each offered to the engine as a coordinator would offer it: looked at, compiled, asked whether it
//! understands its settings, asked once. Each is refused or fails with a reason, the next call of a good policy is right, and
//! memory returns to its level. Guests that misbehave on one question only are also asked in `host/wasm/tests/hostile.rs`.

use std::error::Error as _;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carrara_core::ports::{RenderFailure, SecretCatalog};
use carrara_tests::hostile::{Hostile, component_of, prelude};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Change, Context, Decision, Part, Principal, Proposal, Scope,
    SecretInfo, Target, Template,
};
use carrara_wasm::{PolicyHost, PolicySource, World};

/// When this is the question's time, hostile guests misbehave.
const MISBEHAVE: u64 = 666;

/// Beside what a test of this size allocates for itself.
const MEMORY_LEFT_OVER: u64 = 64 << 20;

/// Far more than any of them needs; one that takes a minute would hold up all others.
const SLOWEST_COMPILE: Duration = Duration::from_secs(30);

const GOOD: &str = "(func $misbehave (result i32) (i32.const 2048))";

/// Memory is the whole process's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// How it ended, and the words about it.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Refused(String),
    Failed(String),
    Denied,
    Allowed,
}

impl End {
    fn matches(&self, expected: &str) -> bool {
        let (kind, words) = expected.split_once(':').expect("`ends: KIND: WORDS`");
        let said = |text: &String| {
            // No words would be any words: a component must not end for another reason than the one it is about.
            words.trim().split('|').all(|word| !word.is_empty())
                && words.trim().split('|').any(|word| text.contains(word))
        };
        match self {
            Self::Refused(text) => kind == "refused" && !text.is_empty() && said(text),
            Self::Failed(reason) => {
                let known = kind == "answered" || (kind == "failed" && said(reason));
                known && (1..=512).contains(&reason.len())
            }
            Self::Denied => matches!(kind, "denied" | "answered"),
            Self::Allowed => matches!(kind, "allowed" | "answered"),
        }
    }
}

fn authorizer(misbehave: &str) -> Vec<u8> {
    component_of("role-authorization", &format!("{}{misbehave}", prelude("authorizer")))
}

fn context(now: u64) -> Context {
    Context { now, revision: 1, facts: Vec::new() }
}

fn request(now: u64) -> AuthorizationRequest {
    AuthorizationRequest {
        context: context(now),
        principal: Principal { name: "alice".to_owned(), certificate_sha256: [7; 32], roles: Vec::new() },
        action: "ReadSecret".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key".to_owned()],
    }
}

/// One secret, `.Secrets.key`.
struct OneKey;

impl SecretCatalog for OneKey {
    fn names(&self, scope: Scope) -> Vec<String> {
        if scope == Scope::Current { vec!["key".to_owned()] } else { Vec::new() }
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        (scope == Scope::Current && name == "key").then(|| SecretInfo {
            name: "key".into(),
            kind: "symmetric-key".to_owned(),
            size: 128,
            shared: true,
            user_defined: false,
            valid_for: 0,
            parts: vec![Part::Public, Part::Private],
        })
    }
}

/// The way of a component in a coordinator: looked at and compiled, asked about its settings, asked a question.
fn offer(world: World, component: Vec<u8>) -> (End, Duration) {
    let (mut host, began) = (PolicyHost::empty().unwrap(), Instant::now());
    let added = host.add(PolicySource::new("hostile", world, component));
    let compiled = began.elapsed();
    if let Err(error) = added {
        return (
            End::Refused(error.source().map_or_else(|| error.to_string(), ToString::to_string)),
            compiled,
        );
    }
    if let Err(failure) = host.check_settings() {
        return (End::Failed(failure.reason), compiled);
    }
    let end = match world {
        World::ManifestValidation => validate(&host),
        World::RoleAuthorization => authorize(&host),
        World::MarbleAdmission => admit(&host),
        World::SecretRendering => render(&host),
    };
    (end, compiled)
}

fn validate(host: &PolicyHost) -> End {
    let proposal = Proposal {
        context: context(MISBEHAVE),
        change: Change::Initial,
        manifest: "{}".to_owned(),
        manifest_sha256: [7; 32],
        current: None,
        current_versions: Vec::new(),
        proposer: None,
    };
    match host.validate_here(&proposal) {
        Ok(findings) if findings.is_empty() => End::Allowed,
        Ok(_) => End::Denied,
        Err(failure) => End::Failed(failure.reason),
    }
}

fn admit(host: &PolicyHost) -> End {
    match host.admit_here(&AdmissionRequest { context: context(MISBEHAVE), ..AdmissionRequest::default() }) {
        Ok(answer) if answer.decision == Decision::Allow => End::Allowed,
        Ok(_) => End::Denied,
        Err(failure) => End::Failed(failure.reason),
    }
}

fn authorize(host: &PolicyHost) -> End {
    match host.authorize_here(&request(MISBEHAVE)) {
        Ok(answer) if answer.decision == Decision::Allow => End::Allowed,
        Ok(_) => End::Denied,
        Err(failure) => End::Failed(failure.reason),
    }
}

fn render(host: &PolicyHost) -> End {
    let template = Template { name: "/etc/config".to_owned(), target: Target::File, text: b"x".to_vec() };
    match host.render_here("hostile", &context(MISBEHAVE), &[template], Arc::new(OneKey)) {
        Ok(_) => End::Allowed,
        Err(RenderFailure::Policy(failure)) => End::Failed(failure.reason),
        Err(other) => panic!("{other:?}"),
    }
}

/// A good policy, asked after each hostile one.
struct Good(PolicyHost);

impl Good {
    fn new() -> Self {
        let mut host = PolicyHost::empty().unwrap();
        host.add(PolicySource::new("good", World::RoleAuthorization, authorizer(GOOD))).unwrap();
        Self(host)
    }

    fn answers(&self, after: &str) {
        let answer = self.0.authorize_here(&request(MISBEHAVE));
        assert_eq!(answer.expect("an answer").decision, Decision::Allow, "after {after}");
    }
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Asks all of them; the first one is asked before memory is measured, so that what is made once is there.
fn all_end_as_expected(hostile: Vec<(String, World, Vec<u8>, String)>) {
    let good = Good::new();
    let (mut wrong, mut before) = (Vec::new(), None);
    for (name, world, component, expected) in hostile {
        let (end, compiled) = offer(world, component);
        if !end.matches(&expected) {
            wrong.push(format!("{name}: expected {expected}, found {end:?}"));
        }
        if compiled > SLOWEST_COMPILE {
            wrong.push(format!("{name}: compiled for {compiled:?}"));
        }
        println!("{name}: {compiled:?}, {} KiB", resident() >> 10);
        good.answers(&name);
        before.get_or_insert_with(resident);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (before, after) = (before.expect("at least one"), resident());
    assert!(after <= before + MEMORY_LEFT_OVER, "{before} bytes before, {after} afterwards");
}

#[test]
fn every_component_of_the_corpus_ends_as_it_says_and_harms_nobody() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let all = Hostile::all();
    assert!(all.len() >= 85, "{}", all.len());
    for world in World::ALL {
        let of_world = all.iter().filter(|hostile| hostile.world == world.name()).count();
        assert!(of_world >= 8, "{of_world} texts of {}", world.name());
    }
    let offered = |hostile: &Hostile| {
        let world = hostile.world.parse().expect("a world");
        (hostile.name.clone(), world, hostile.component(), hostile.ends.clone())
    };
    all_end_as_expected(all.iter().map(offered).collect());
}

/// Components that are too long to be written down: large, or slow to compile.
fn costly() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let with = |fields: &str| authorizer(&format!("{fields}{GOOD}"));
    let times = |count: usize, text: &str| text.repeat(count);
    vec![
        (
            "many-targets",
            "refused: branches",
            with(&format!("(func (param i32) (block (br_table {} (local.get 0))))", times(100_000, "0 "))),
        ),
        ("blocks-nested", "answered:", with(&nested(3_200, "block "))),
        ("blocks-too-deep", "refused: 3200", with(&nested(3_201, "block "))),
        ("blocks-far-too-deep", "refused: 3200", with(&nested(100_000, "block "))),
        ("ifs-nested", "answered:", with(&nested(2_000, "local.get 0 if "))),
        ("ifs-far-too-deep", "refused: 3200", with(&nested(50_000, "local.get 0 if "))),
        ("many-functions", "allowed:", with(&times(2_000, "(func)"))),
        ("functions-too-many", "refused: 40000", with(&times(40_001, "(func)"))),
        ("functions-far-too-many", "refused: 40000", with(&times(500_000, "(func)"))),
        ("many-globals", "allowed:", with(&times(10_000, "(global (mut i64) (i64.const 0))"))),
        (
            "many-values",
            "answered:",
            with(&format!(
                "(func (result i32) (i32.const 1) {})",
                times(60_000, "i32.const 3 i32.mul i32.const 1 i32.add ")
            )),
        ),
        ("many-locals-in-loops", "answered:", with(&locals_in_loops(1_000, 100))),
        ("locals-too-many", "refused: locals", with(&format!("(func {})", times(10_001, "(local i64)")))),
        ("function-too-large", "refused: bytes", with(&format!("(func {})", times(1_100_000, "nop ")))),
        ("branches-too-many", "refused: branches", with(&branches(30_000, "local.get 0 if end "))),
        ("loops-too-many", "refused: branches", with(&branches(10_000, "loop end "))),
        ("calls-too-many", "refused: branches", with(&branches(10_000, "local.get 0 memory.grow drop "))),
        (
            "locals-across-branches",
            "refused: locals with many branches",
            with(&branches(4_000, "block end ").replace("(param i32)", &times(6_000, "(local i64)"))),
        ),
        (
            "results-too-many",
            "refused: 16 results",
            with(&format!("(func (result {}) unreachable)", times(17, "i32 "))),
        ),
        ("instances-of-instances", "answered:", instances_of_instances(1)),
        ("instances-of-instances-of-instances", "refused: 160", instances_of_instances(2)),
        ("instances-in-four-levels", "refused: 160", instances_of_instances(4)),
        ("instances-in-forty-levels", "refused: 160", instances_of_instances(40)),
    ]
}

/// A function of nested blocks.
fn nested(depth: usize, open: &str) -> String {
    format!("(func (param i32) {}{})", open.repeat(depth), "end ".repeat(depth))
}

/// A function of branches, one after the other.
fn branches(count: usize, text: &str) -> String {
    format!("(func (param i32) {})", text.repeat(count))
}

/// A policy, and beside it ten instances of a component that makes ten instances, and so on: 300 bytes for each level.
fn instances_of_instances(depth: usize) -> Vec<u8> {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=depth {
        let instances = format!("(instance (instantiate $c{}))", level - 1).repeat(10);
        text = format!("(component $c{level} {text} {instances})");
    }
    let inner = wat::parse_str(&text).unwrap();
    let mut component = authorizer(GOOD);
    let index = sections(&component).iter().filter(|id| **id == 4).count();
    component.push(4);
    write_length(&mut component, inner.len());
    component.extend(inner);
    component.extend([5, 4, 1, 0, u8::try_from(index).unwrap(), 0]);
    component
}

/// The numbers of a component's sections.
fn sections(component: &[u8]) -> Vec<u8> {
    let (mut ids, mut at) = (Vec::new(), 8);
    while at < component.len() {
        ids.push(component[at]);
        at += 1;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = component[at];
            at += 1;
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        at += length;
    }
    ids
}

/// LEB128.
fn write_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length > 127 {
        bytes.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
}

/// Every local changes in every loop.
fn locals_in_loops(locals: usize, loops: usize) -> String {
    let body: String =
        (0..locals).map(|at| format!("(local.set {at} (i32.add (local.get {at}) (i32.const 1)))")).collect();
    let mut text = format!("(func {} ", "(local i32)".repeat(locals));
    for at in 0..loops {
        let one = at % locals;
        text.push_str(&format!(
            "(loop (local.set {one} (i32.add (local.get {one}) (i32.const 1))) (br_if 0 (local.get {one})))"
        ));
    }
    text + &body + ")"
}

#[test]
fn what_is_large_or_slow_to_compile_is_refused_or_compiled_within_bounds() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let costly = costly().into_iter();
    let costly = costly.map(|(name, ends, component)| {
        (name.to_owned(), World::RoleAuthorization, component, ends.to_owned())
    });
    all_end_as_expected(costly.collect());
}
