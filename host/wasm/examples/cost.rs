//! Prints what one call of each built-in policy costs on this machine.

#![allow(clippy::print_stdout)] // its purpose

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carrara_core::ports::{
    Clock, Components, Policies, PolicyCall, PolicyEngine as _, PolicyFailure, PolicyObserver, RenderFailure,
    SecretCatalog, StoreError,
};
use carrara_types::decision::{
    AuthorizationRequest, Change, Context, HeldRole, Part, Principal, Proposal, Scope, SecretInfo, Target,
    Template,
};
use carrara_types::decision_record::DecisionRecord;
use carrara_types::policy::Digest;
use carrara_wasm::{Engine, EngineLimits, PolicyHost};
use time::OffsetDateTime;

struct Keys;

impl SecretCatalog for Keys {
    fn names(&self, _: Scope) -> Vec<String> {
        vec!["key".to_owned()]
    }

    fn lookup(&self, _: Scope, name: &str) -> Option<SecretInfo> {
        Some(SecretInfo {
            name: name.to_owned(),
            kind: "symmetric-key".to_owned(),
            size: 128,
            shared: true,
            user_defined: false,
            valid_for: 0,
            parts: vec![Part::Public, Part::Private],
        })
    }
}

/// Drops what it is told.
struct Nobody;

impl PolicyObserver for Nobody {
    fn called(&self, _: &PolicyCall<'_>) {}

    fn decided(&self, record: DecisionRecord) {
        drop(record);
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
}

impl Components for Nobody {
    fn component(&self, _: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

/// The built-in policies as a coordinator without a manifest has them.
fn set(engine: &Engine) -> Arc<dyn Policies> {
    engine.set(&BTreeMap::new(), Arc::new(Nobody))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let host = PolicyHost::builtin()?;
    println!("load the four         {:>9.1?}", start.elapsed());
    let request = request();
    report("authorize", 2000, || host.authorize_here(&request).map(drop))?;
    let set = set(&Engine::start(EngineLimits::default(), Arc::new(Nobody), Arc::new(Stopped))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    // As a coordinator asks: with its metrics and its record.
    report("authorize in a set", 2000, || runtime.block_on(set.authorize(request.clone())).map(drop))?;
    report_threads("authorize, 4 threads", 4, 2000, || host.authorize_here(&request).map(drop))?;
    for renderer in ["go-template", "liquid"] {
        let templates = templates(renderer);
        report(&format!("render 10x10 {renderer}"), 200, || {
            host.render_here(renderer, &Context::default(), &templates, Arc::new(Keys))
                .map(drop)
                .map_err(render_failure)
        })?;
    }
    for kilobytes in [100, 1000] {
        let proposal = proposal(kilobytes * 1000);
        report(&format!("validate {kilobytes} KB"), 20, || host.validate_here(&proposal).map(drop))?;
    }
    Ok(())
}

/// Prints the median of `calls` calls.
fn report(
    what: &str,
    calls: usize,
    mut call: impl FnMut() -> Result<(), PolicyFailure>,
) -> Result<(), PolicyFailure> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let median = times.get(calls / 2).copied().unwrap_or(Duration::ZERO);
    println!("{what:<21} {median:>9.1?}");
    Ok(())
}

/// Prints the time per call of several threads that do nothing but call: what they cost each other.
fn report_threads(
    what: &str,
    threads: u32,
    calls: u32,
    call: impl Fn() -> Result<(), PolicyFailure> + Sync,
) -> Result<(), PolicyFailure> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let run = || (0..calls).try_for_each(|_| call());
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    println!("{what:<21} {:>9.1?}", start.elapsed() / (threads * calls));
    Ok(())
}

fn render_failure(failure: RenderFailure) -> PolicyFailure {
    match failure {
        RenderFailure::Policy(failure) => failure,
        other => PolicyFailure::failed("renderer".to_owned(), format!("{other:?}")),
    }
}

fn request() -> AuthorizationRequest {
    let role = HeldRole {
        name: "reader".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key".to_owned()],
        actions: vec!["ReadSecret".to_owned()],
    };
    AuthorizationRequest {
        context: Context::default(),
        principal: Principal { name: "alice".to_owned(), certificate_sha256: [7; 32], roles: vec![role] },
        action: "ReadSecret".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key".to_owned()],
    }
}

fn templates(renderer: &str) -> Vec<Template> {
    let call =
        if renderer == "liquid" { "k={{ Secrets.key | hex }}\n" } else { "k={{ hex .Secrets.key }}\n" };
    let template =
        |index| Template { name: format!("/f{index}"), target: Target::File, text: call.repeat(10).into() };
    (0..10).map(template).collect()
}

fn proposal(bytes: usize) -> Proposal {
    let mut marbles = String::new();
    let mut index = 0;
    while marbles.len() < bytes {
        marbles.push_str(&format!(
            r#"{}"m{index}":{{"Package":"p","Parameters":{{"Env":{{"A":"{}"}}}}}}"#,
            if index == 0 { "" } else { "," },
            "x".repeat(100)
        ));
        index += 1;
    }
    let manifest = format!(r#"{{"Packages":{{"p":{{"Debug":true}}}},"Marbles":{{{marbles}}}}}"#);
    Proposal {
        context: Context::default(),
        change: Change::Initial,
        manifest,
        manifest_sha256: [0; 32],
        current: None,
        current_versions: Vec::new(),
        proposer: None,
    }
}
