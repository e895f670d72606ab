//! Calls of the built-in policies, in this process, as the coordinator makes them: a fresh instance for each.
//!
//! The components are those that a coordinator embeds; they are compiled here first, which does not count.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use carrara_core::ports::{RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AuthorizationRequest, Change, Context, Decision, HeldRole, Part, Principal, Proposal, Scope, SecretInfo,
    Target, Template,
};
use carrara_types::manifest::ParsedManifest;
use carrara_wasm::{HostError, Limits, PolicyHost, PolicySource, World};

use crate::bench::figures::Figures;
use crate::bench::load::Bounds;
use crate::bench::manifests;
use crate::bench::usage;

use super::Stage;

/// Secrets in each rendered file.
const SECRETS_A_FILE: usize = 10;

/// A user with one role asks for one secret.
pub(super) fn authorize(stage: &Stage) -> anyhow::Result<Figures> {
    let mut rbac = source(stage, "rbac", World::RoleAuthorization)?;
    rbac.limits = Limits::BUILTIN_AUTHORIZATION;
    let host = slotted(rbac)?;
    let request = authorization_request();
    repeat(stage, || {
        let answer = host.authorize_here(&request).context("asking rbac")?;
        ensure!(answer.decision == Decision::Allow, "rbac does not allow it");
        Ok(())
    })
}

/// The same of an authorizer that is written in another language; what it answers does not matter.
pub(super) fn authorize_in(stage: &Stage, language: &str) -> anyhow::Result<Figures> {
    let path = stage.sdk.join(format!("{language}-role-authorization.wasm"));
    let component = fs::read(&path).with_context(|| {
        format!("reading {}; `cargo test -p carrara-tests --test sdk_contract` builds it", path.display())
    })?;
    let host = on_demand(PolicySource::new(language, World::RoleAuthorization, component))?;
    let request = authorization_request();
    repeat(stage, || host.authorize_here(&request).map(drop).context("asking the policy"))
}

/// Files with ten secrets each, in one call.
pub(super) fn render(stage: &Stage, files: usize) -> anyhow::Result<Figures> {
    let host = slotted(source(stage, "go-template", World::SecretRendering)?)?;
    let templates: Vec<Template> = (0..files).map(template).collect();
    let secrets: Arc<dyn SecretCatalog> = Arc::new(Keys);
    let context = context();
    repeat(stage, || match host.render_here("go-template", &context, &templates, Arc::clone(&secrets)) {
        Ok(rendered) => {
            ensure!(rendered.len() == files, "{} files were rendered", rendered.len());
            Ok(())
        }
        Err(RenderFailure::Template(error)) => bail!("go-template: {}", error.message),
        Err(_) => bail!("go-template failed"),
    })
}

/// A manifest that the validator accepts, also by the same code compiled natively (which frees the manifest afterwards; a guest's memory
/// goes with its instance).
pub(super) fn validate(stage: &Stage, bytes: usize) -> anyhow::Result<Figures> {
    let host = slotted(source(stage, "manifest-rules", World::ManifestValidation)?)?;
    let proposal = proposal(&manifests::of_size(bytes).to_string())?;
    let figures = repeat(stage, || {
        let findings = host.validate_here(&proposal).context("asking manifest-rules")?;
        ensure!(findings.is_empty(), "manifest-rules finds: {}", texts(&findings));
        Ok(())
    })?;
    let native = repeat(stage, || {
        let findings = carrara_plugin_manifest_rules::validate(proposal.change.name(), &proposal.manifest);
        ensure!(findings.is_empty(), "manifest-rules finds: {}", texts(&findings));
        Ok(())
    })?;
    let times_native = figures.latency.zip(native.latency).map(|(wasm, native)| wasm.p50_us / native.p50_us);
    Ok(Figures { times_native, ..figures })
}

fn source(stage: &Stage, name: &str, world: World) -> anyhow::Result<PolicySource> {
    let path = stage.guests.join(format!("{name}.wasm"));
    let component = fs::read(&path)
        .with_context(|| format!("reading {}; `cargo xtask guests` builds it", path.display()))?;
    Ok(PolicySource::new(name, world, component))
}

/// As a coordinator runs a built-in policy.
fn slotted(source: PolicySource) -> anyhow::Result<PolicyHost> {
    with(PolicyHost::pooled(&[source.limits]), source)
}

/// As a coordinator runs a policy that a manifest brings.
fn on_demand(source: PolicySource) -> anyhow::Result<PolicyHost> {
    with(PolicyHost::empty(), source)
}

fn with(host: Result<PolicyHost, HostError>, source: PolicySource) -> anyhow::Result<PolicyHost> {
    let mut host = host.context("starting the policy engine")?;
    host.add(source).context("loading the policy")?;
    Ok(host)
}

/// Calls on this thread, one after the other, within the bounds; at least once.
fn repeat(stage: &Stage, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Figures> {
    let Bounds { warm_up, duration, operations } = stage.scale.bounds;
    let me = std::process::id();
    for_a_while(warm_up, operations, &mut call)?;
    let before = stage.clock.cpu_of(me)?;
    let started = Instant::now();
    let times = for_a_while(duration, operations, &mut call)?;
    let wall = started.elapsed();
    let cpu = stage.clock.cpu_of(me)?.saturating_sub(before);
    Ok(Figures::of_run(times, wall, cpu).with_memory(usage::resident_kib(me)?))
}

fn for_a_while(
    duration: Duration,
    operations: u64,
    call: &mut impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let until = Instant::now() + duration;
    let mut times = Vec::new();
    loop {
        let started = Instant::now();
        call()?;
        let ended = Instant::now();
        times.push(ended - started);
        if ended >= until || times.len() as u64 >= operations {
            return Ok(times);
        }
    }
}

fn context() -> Context {
    Context { now: 1_800_000_000, revision: 7, facts: Vec::new() }
}

fn authorization_request() -> AuthorizationRequest {
    let role = HeldRole {
        name: "reading".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key_0".to_owned(), "key_1".to_owned()],
        actions: vec!["ReadSecret".to_owned()],
    };
    AuthorizationRequest {
        context: context(),
        principal: Principal { name: "reader".to_owned(), certificate_sha256: [7; 32], roles: vec![role] },
        action: "ReadSecret".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key_1".to_owned()],
    }
}

fn template(file: usize) -> Template {
    let lines = (0..SECRETS_A_FILE).map(|key| format!("key_{key} = {{{{ hex .Secrets.key_{key} }}}}\n"));
    Template {
        name: format!("/etc/app/{file}.conf"),
        target: Target::File,
        text: lines.collect::<String>().into_bytes(),
    }
}

fn proposal(manifest: &str) -> anyhow::Result<Proposal> {
    let parsed = ParsedManifest::parse(manifest.as_bytes()).context("reading the manifest")?;
    Ok(Proposal {
        context: context(),
        change: Change::Initial,
        manifest: parsed.normalised_json(),
        manifest_sha256: [7; 32],
        current: None,
        current_versions: Vec::new(),
        proposer: None,
    })
}

fn texts(findings: &[carrara_types::decision::Finding]) -> String {
    findings.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The secrets `key_0` to `key_9`.
struct Keys;

impl SecretCatalog for Keys {
    fn names(&self, scope: Scope) -> Vec<String> {
        let keys = if scope == Scope::Current { SECRETS_A_FILE } else { 0 };
        (0..keys).map(|key| format!("key_{key}")).collect()
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        let known = scope == Scope::Current && name.starts_with("key_");
        known.then(|| SecretInfo {
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
