//! How a proposed manifest is judged: by the host's list, and by the policies in force and its own (policy.md, "In the manifest").
//!
//! In this order: the host's list, whether its own policies' components are there and fit their worlds, their settings, the
//! validators of both sets. A manifest that the host refuses compiles nothing. Nothing is stored here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use carrara_types::decision::{Finding, Proposal, Severity, refuses};
use carrara_types::manifest::safe::{Known, POLICIES, Refusal};
use carrara_types::manifest::{AcceptedManifest, ParsedManifest, host_findings, merge};
use carrara_types::policy::{Digest, PolicyEntry, World};
use sha2::{Digest as _, Sha256};

use crate::Coordinator;
use crate::components::{AtHand, Entries, Offered, named};
use crate::error::{Cause, Refused};
use crate::facts;
use crate::ports::{Policies, PolicyEngine, PolicyFailure, PolicyProblem};
use crate::view::View;

/// For all components of a manifest together. Each is compiled once, and several megabytes take seconds; whoever proposes a
/// manifest waits for it.
const PREPARE_LIMIT: Duration = Duration::from_secs(300);

/// What is judged.
pub(crate) struct Question<'a> {
    pub(crate) manifest: &'a ParsedManifest,
    /// What came along with it.
    pub(crate) sent: &'a Offered,
    pub(crate) proposal: Proposal,
    /// Of the manifest in force, if there is one.
    pub(crate) view: Option<&'a View>,
    /// The coordinator's own.
    pub(crate) names: &'a [String],
}

/// A manifest that may come into force, with its policies.
pub(crate) struct Judged {
    pub(crate) manifest: AcceptedManifest,
    pub(crate) own: Own,
}

/// The policies that a manifest asks for, compiled.
pub(crate) struct Own {
    pub(crate) policies: Arc<dyn Policies>,
    /// The components that the manifest names, but for those that the state has.
    pub(crate) offered: Offered,
}

/// Why a manifest is not accepted.
pub(crate) enum Unfit {
    /// It is refused.
    Refused(Refused),
    /// A policy gave no answer.
    Policy(PolicyFailure),
}

/// Names components by their content, off the async workers.
pub(crate) async fn receive(components: Vec<Vec<u8>>) -> Result<Offered, Cause> {
    let hash = move || {
        let named = |bytes: Vec<u8>| (Digest(Sha256::digest(&bytes).into()), bytes.into());
        components.into_iter().map(named).collect()
    };
    tokio::task::spawn_blocking(hash)
        .await
        .map_err(|_| Cause("reading the policies' components ended unexpectedly".to_owned()))
}

impl Coordinator {
    /// Judges a proposed manifest.
    ///
    /// # Errors
    /// What refuses it, all findings together where that is possible.
    pub(crate) async fn judge_proposal(&self, question: Question<'_>) -> Result<Judged, Unfit> {
        let Question { manifest, sent, proposal, view, names } = question;
        let renderers = self.policies.built_in().renderers();
        let known = Known { renderers: Some(&renderers), coordinator_names: names };
        let current = view.map_or_else(|| self.policies.built_in().as_ref(), View::policies);
        let none = Entries::new();
        let in_force = view.map_or(&none, |view| &view.epoch.manifest.policies);

        let host = host_findings(manifest, &known);
        if !manifest.policies.is_empty() && refuses(&host) {
            let found = current.validate(proposal).await.map_err(Unfit::Policy)?;
            return Err(refusal(manifest, host, found));
        }
        let own = match self.own_policies(manifest, sent, view).await {
            Err(Unfit::Refused(Refused(own))) => return Err(refusal(manifest, host, own.findings)),
            own => own?,
        };
        let mut found = unnamed(manifest, sent);
        found.extend(too_many_facts(manifest));
        if validators(&manifest.policies).eq(validators(in_force)) {
            found.extend(current.validate(proposal).await.map_err(Unfit::Policy)?);
        } else {
            found.extend(current.validate(proposal.clone()).await.map_err(Unfit::Policy)?);
            found.extend(own.policies.validate(proposal).await.map_err(Unfit::Policy)?);
        }
        AcceptedManifest::judge(manifest.clone(), found, &known)
            .map(|manifest| Judged { manifest, own })
            .map_err(|refusal| Unfit::Refused(Refused(refusal)))
    }

    /// The policies that a manifest asks for; `None` where something is wrong with it. Whoever holds them has them compiled
    /// when it is judged.
    pub(crate) async fn compiled(
        &self,
        manifest: &ParsedManifest,
        sent: &Offered,
        view: &View,
    ) -> Option<Own> {
        let renderers = self.policies.built_in().renderers();
        let known = Known { renderers: Some(&renderers), coordinator_names: view.epoch.live.names() };
        if refuses(&host_findings(manifest, &known)) {
            return None;
        }
        self.own_policies(manifest, sent, Some(view)).await.ok()
    }

    /// The policies that a manifest asks for, ready to be asked.
    async fn own_policies(
        &self,
        manifest: &ParsedManifest,
        sent: &Offered,
        view: Option<&View>,
    ) -> Result<Own, Unfit> {
        let entries = &manifest.policies;
        if entries.is_empty() {
            return Ok(Own { policies: Arc::clone(self.policies.built_in()), offered: Offered::new() });
        }
        let offered = self.gather(entries, sent, view)?;
        self.fit_together(entries, &offered, view).await?;
        inspect(Arc::clone(self.policies.engine()), entries.clone(), offered.clone()).await?;
        let snapshot = view.map(|view| Arc::clone(&view.snapshot));
        let policies = self.policies.of(entries, AtHand { offered: offered.clone(), snapshot });
        prepare(policies.as_ref()).await?;
        let problems = policies.check_settings().await.map_err(Unfit::Policy)?;
        if !problems.is_empty() {
            return Err(refused(problems.into_iter().map(finding)));
        }
        Ok(Own { policies, offered })
    }

    /// The components of the entries but for those that the state has: sent along, built in, or uploaded before.
    pub(crate) fn gather(
        &self,
        entries: &Entries,
        sent: &Offered,
        view: Option<&View>,
    ) -> Result<Offered, Unfit> {
        let built_in = self.policies.engine().built_in();
        let (mut offered, mut missing) = (Offered::new(), Vec::new());
        for digest in named(entries) {
            let stored = view.is_some_and(|view| {
                let key = crate::records::component_key(&digest);
                view.snapshot.record_revision(&key).is_some()
            });
            let own = || built_in.iter().find(|own| own.digest == digest).map(|own| own.component.into());
            let uploaded = || self.uploads.component(&digest, self.ports.clock.now());
            match sent.get(&digest).cloned().or_else(own).or_else(uploaded) {
                Some(bytes) => _ = offered.insert(digest, bytes),
                None if stored => {}
                None => missing.push(digest),
            }
        }
        if missing.is_empty() { Ok(offered) } else { Err(refused([absent(entries, &missing)])) }
    }

    /// What a manifest names is stored, backed up and compiled: each component is limited, and so are all of them together.
    /// One that cannot be read counts nothing here; it is refused later.
    async fn fit_together(
        &self,
        entries: &Entries,
        offered: &Offered,
        view: Option<&View>,
    ) -> Result<(), Unfit> {
        let mut sizes: BTreeMap<_, _> =
            offered.iter().map(|(digest, bytes)| (*digest, bytes.len() as u64)).collect();
        if let Some(view) = view {
            let stored = named(entries).into_iter().filter(|digest| !offered.contains_key(digest)).collect();
            sizes.extend(self.sizes(view, stored).await);
        }
        let (sum, limit) = (sizes.values().sum(), self.uploads.limits.named_bytes);
        let within = usize::try_from(sum).is_ok_and(|sum| sum <= limit);
        if within { Ok(()) } else { Err(refused([too_large(entries, &sizes, sum, limit)])) }
    }
}

/// Waits until the policies are compiled.
///
/// # Errors
/// Those that cannot be.
pub(crate) async fn prepare(policies: &dyn Policies) -> Result<(), Unfit> {
    match tokio::time::timeout(PREPARE_LIMIT, policies.prepare()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(problems)) => Err(refused(problems.into_iter().map(finding))),
        Err(_) => {
            let seconds = PREPARE_LIMIT.as_secs();
            let message = format!("compiling the policies took longer than {seconds} s");
            Err(refused([error(
                "",
                "Component",
                message,
                Some("try again, or give smaller components".to_owned()),
            )]))
        }
    }
}

/// Whether what was not stored before is what its entries say, without compiling it. Off the async workers: it is parsed whole.
async fn inspect(engine: Arc<dyn PolicyEngine>, entries: Entries, offered: Offered) -> Result<(), Unfit> {
    let work = move || {
        let infos: BTreeMap<_, _> =
            offered.iter().map(|(digest, bytes)| (*digest, engine.inspect(bytes))).collect();
        let judged = entries.iter().filter_map(|(name, entry)| match infos.get(&entry.component)? {
            Err(why) => Some(error(name, "Component", format!("policy {name}: {why}"), None)),
            Ok(info) if info.worlds.contains(&entry.world) => None,
            Ok(info) => Some(other_world(name, entry, &info.worlds)),
        });
        judged.collect::<Vec<_>>()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(found) if found.is_empty() => Ok(()),
        Ok(found) => Err(refused(found)),
        Err(_) => {
            let why = "reading its component ended unexpectedly";
            Err(Unfit::Policy(PolicyFailure::failed("Policies", why)))
        }
    }
}

fn validators(entries: &Entries) -> impl Iterator<Item = (&String, &PolicyEntry)> {
    entries.iter().filter(|(_, entry)| entry.world == World::ManifestValidation)
}

/// What reader and host found, too.
fn refusal(manifest: &ParsedManifest, host: Vec<Finding>, found: Vec<Finding>) -> Unfit {
    let all = manifest.warnings.iter().cloned().chain(host).chain(found).collect();
    Unfit::Refused(Refused(Refusal { findings: merge(all) }))
}

fn refused(findings: impl IntoIterator<Item = Finding>) -> Unfit {
    Unfit::Refused(Refused(Refusal { findings: findings.into_iter().collect() }))
}

/// An error about an entry's field; the section's where the name is empty.
fn error(name: &str, field: &str, message: String, hint: Option<String>) -> Finding {
    let path = match name {
        "" => "/Policies".to_owned(),
        name => format!("/Policies/{}/{field}", name.replace('~', "~0").replace('/', "~1")),
    };
    Finding { severity: Severity::Error, code: POLICIES.to_owned(), path, message, hint }
}

/// Names the place in the settings' own text, which is not the manifest's where they are a string.
fn finding(problem: PolicyProblem) -> Finding {
    let PolicyProblem { policy, message, place, hint } = problem;
    match place {
        None => error(&policy, "Component", format!("policy {policy}: {message}"), hint),
        Some((line, column)) => {
            let text = format!("settings of policy {policy}, line {line}, column {column}: {message}");
            error(&policy, "Settings", text, hint)
        }
    }
}

fn other_world(name: &str, entry: &PolicyEntry, worlds: &[World]) -> Finding {
    let can: Vec<&str> = worlds.iter().map(|world| world.name()).collect();
    let message =
        format!("policy {name} is of world {}, but its component implements {}", entry.world, can.join(", "));
    error(
        name,
        "World",
        message,
        Some("name the right component, or the world that it implements".to_owned()),
    )
}

/// All components that are missing, in one finding: whoever repairs it needs all of them.
fn absent(entries: &Entries, missing: &[Digest]) -> Finding {
    let users = |digest: &Digest| {
        let names: Vec<&str> = entries
            .iter()
            .filter(|(_, entry)| entry.component == *digest)
            .map(|(name, _)| name.as_str())
            .collect();
        format!("{digest} ({})", names.join(", "))
    };
    let listed: Vec<String> = missing.iter().map(users).collect();
    let message = format!("missing components of policies: {}", listed.join(", "));
    let hint = "upload them first, or send them along with the manifest".to_owned();
    let first = entries.iter().find(|(_, entry)| missing.contains(&entry.component));
    error(first.map_or("", |(name, _)| name), "Component", message, Some(hint))
}

/// Names the largest: it is the first that whoever repairs it looks at.
fn too_large(entries: &Entries, sizes: &BTreeMap<Digest, u64>, sum: u64, limit: usize) -> Finding {
    let largest = sizes.iter().max_by_key(|(_, size)| **size);
    let user = largest.and_then(|(largest, size)| {
        let (name, _) = entries.iter().find(|(_, entry)| entry.component == *largest)?;
        Some((name.as_str(), *size))
    });
    let (name, size) = user.unwrap_or_default();
    let message = format!(
        "the components of all policies have {sum} bytes together, and at most {limit} are allowed; \
         that of policy {name} is the largest with {size} bytes"
    );
    error(name, "Component", message, Some("name fewer or smaller components".to_owned()))
}

/// A policy that asks when a secret was set may not be told.
fn too_many_facts(manifest: &ParsedManifest) -> Option<Finding> {
    let left_out = facts::left_out(manifest);
    let message = format!(
        "policies are told when a user-defined secret was last set of the first {} by name alone, and may not be told of {left_out} \
         more",
        facts::MAX_FACTS
    );
    let hint =
        "declare fewer user-defined secrets, or let the names of those that policies ask for come first";
    (left_out > 0).then(|| Finding {
        severity: Severity::Warning,
        path: "/Secrets".to_owned(),
        ..error("", "", message, Some(hint.to_owned()))
    })
}

/// What came along for nothing.
fn unnamed(manifest: &ParsedManifest, sent: &Offered) -> Vec<Finding> {
    let named = named(&manifest.policies);
    let unnamed = sent.keys().filter(|digest| !named.contains(digest));
    let finding = |digest: &Digest| Finding {
        severity: Severity::Warning,
        hint: Some("name it under Policies, or do not send it".to_owned()),
        ..error(
            "",
            "",
            format!("the component {digest} came along, and no policy of the manifest is made of it"),
            None,
        )
    };
    unnamed.map(finding).collect()
}
