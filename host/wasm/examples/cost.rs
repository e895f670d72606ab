//! Prints what one call of each built-in policy costs on this machine, and how much fuel a second burns.

#![allow(clippy::print_stdout)] // its purpose

#[path = "../tests/common/mod.rs"]
mod common;

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
use carrara_wasm::{Engine, EngineLimits, Limits, PolicyHost, PolicySource, World};
use time::OffsetDateTime;

struct Keys;

impl SecretCatalog for Keys {
    fn names(&self, _: Scope) -> Vec<String> {
        vec!["key".to_owned()]
    }

    fn lookup(&self, _: Scope, name: &str) -> Option<SecretInfo> {
        Some(SecretInfo {
            name: name.into(),
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
    report_fuel(&host)
}

/// Prints how many units of fuel a second burns, by calls that have too little.
fn report_fuel(host: &PolicyHost) -> Result<(), Box<dyn std::error::Error>> {
    let endless = common::authorizer(include_str!("../../../tests/hostile/loop.wat"));
    let looping = PolicySource::new("loop", World::RoleAuthorization, endless);
    burn(looping, 200_000_000, |host| host.authorize_here(&common::request(common::MISBEHAVE)).map(drop))?;
    let many: Vec<String> = (0..100_000).map(|index| format!("s{index}")).collect();
    let mut large = request();
    large.resource_names.clone_from(&many);
    large.principal.roles.iter_mut().for_each(|role| role.resource_names.clone_from(&many));
    burn(own(host, "rbac")?, 2_000_000, |host| host.authorize_here(&large).map(drop))?;
    let manifest = proposal(4_000_000);
    burn(own(host, "manifest-rules")?, 50_000_000, |host| host.validate_here(&manifest).map(drop))?;
    for (renderer, text) in [
        ("go-template", "{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}"),
        ("liquid", "{% for a in (1..9999) %}{% for b in (1..9999) %}{% endfor %}{% endfor %}"),
    ] {
        let endless = [common::template(text)];
        burn(own(host, renderer)?, 200_000_000, |host| {
            let rendered = host.render_here(renderer, &Context::default(), &endless, Arc::new(Keys));
            rendered.map(drop).map_err(render_failure)
        })?;
    }
    Ok(())
}

/// A built-in policy, alone.
fn own(host: &PolicyHost, name: &str) -> Result<PolicySource, Box<dyn std::error::Error>> {
    let policy = host.policies().into_iter().find(|policy| policy.name == name).ok_or("no such policy")?;
    let component = host.component(&policy.digest).ok_or("no such component")?.to_vec();
    Ok(PolicySource::new(name, policy.world, component))
}

/// Burns so much fuel in a policy, five times.
fn burn(
    mut source: PolicySource,
    fuel: u64,
    call: impl Fn(&PolicyHost) -> Result<(), PolicyFailure>,
) -> Result<(), Box<dyn std::error::Error>> {
    let name = source.name.clone();
    source.limits = Limits { fuel, deadline: Duration::from_secs(600), ..source.limits };
    let mut host = PolicyHost::empty()?;
    host.add(source)?;
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let ended = call(&host);
        times.push(start.elapsed());
        if !ended.is_err_and(|failure| failure.reason.contains("out of fuel")) {
            return Err(format!("{name} did not burn {fuel}").into());
        }
    }
    times.sort_unstable();
    let median = times.get(2).copied().unwrap_or_default().as_micros().max(1);
    println!("fuel of {name:<14} {:>5} million/s", u128::from(fuel) / median);
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
