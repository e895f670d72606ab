//! Which templates use which user-defined secrets, so that an upload renders those again and no others (S-55).
//!
//! Learnt from one dry run in which the catalog writes down what it is asked: at the first upload after a start or a
//! change of the manifest, once however many come at the same time. A dry run that is given up keeps what it learnt.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use carrara_types::decision::{Chunk, Context, Scope, SecretInfo, Template};
use carrara_types::manifest::{AcceptedManifest, Marble};
use tokio::sync::OnceCell;

use crate::catalog::{self, Catalog, UserDefined};
use crate::error::SetManifestError;
use crate::generate::SecretValue;
use crate::ports::{Policies, SecretCatalog};
use crate::render::{self, Fault, RenderFault, Slot};
use crate::splice;
use crate::ttls::TtlsPlan;

/// The uses in one manifest.
#[derive(Default)]
pub(crate) struct TemplateUses {
    index: OnceCell<Index>,
    /// By Marble; what the index is made of.
    learnt: Mutex<BTreeMap<String, Arc<MarbleUses>>>,
}

/// The user-defined secrets that the templates of one Marble use.
type MarbleUses = Vec<(Slot, BTreeSet<String>)>;

/// Marble and place of each template that uses a user-defined secret, and their positions in this list by secret.
#[derive(Default)]
struct Index {
    places: Vec<(String, Slot)>,
    by_secret: HashMap<String, Vec<usize>>,
}

/// What a dry run is about.
#[derive(Clone, Copy)]
pub(crate) struct DryRun<'a> {
    pub(crate) policies: &'a dyn Policies,
    pub(crate) manifest: &'a Arc<AcceptedManifest>,
    pub(crate) context: &'a Context,
}

impl TemplateUses {
    /// Renders the templates that use one of the uploaded secrets, and judges the values where they would go as an
    /// activation does. The other user-defined secrets are dummies (S-61).
    ///
    /// # Errors
    /// The first template that does not render.
    pub(crate) async fn render_affected(
        &self,
        run: DryRun<'_>,
        uploaded: &BTreeMap<String, SecretValue>,
    ) -> Result<(), SetManifestError> {
        let index = self.index.get_or_try_init(|| self.learn(run)).await?;
        let parts = uploaded.iter().map(|(name, value)| (name.clone(), catalog::set_parts(value)));
        let parts = UserDefined::Uploaded(parts.collect());
        let catalog: Arc<Catalog<AcceptedManifest>> = Arc::new(Catalog::new(Arc::clone(run.manifest), parts));
        for (name, slots) in index.affected(uploaded.keys()) {
            let Some(marble) = run.manifest.marbles.get(name) else { continue };
            for (renderer, mut asked) in questions(run, marble) {
                asked.retain(|(slot, _)| slots.contains(slot));
                if asked.is_empty() {
                    continue;
                }
                let rendered = render::ask(run.policies, renderer, run.context, asked, catalog.clone());
                let rendered = rendered.await.map_err(|fault| fault.in_dry_run(name))?;
                judge(run.manifest, rendered, uploaded).map_err(|fault| fault.in_dry_run(name))?;
            }
        }
        Ok(())
    }

    /// One dry run of everything that is not known yet.
    async fn learn(&self, run: DryRun<'_>) -> Result<Index, SetManifestError> {
        let mut index = Index::default();
        for (name, marble) in &run.manifest.marbles {
            let known = self.learnt.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone);
            let uses = match known {
                Some(uses) => uses,
                None => {
                    let uses = learn_marble(run, marble).await.map_err(|fault| fault.in_dry_run(name))?;
                    let uses = Arc::new(uses);
                    let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
                    learnt.insert(name.clone(), Arc::clone(&uses));
                    uses
                }
            };
            index.add(name, &uses);
        }
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(index)
    }
}

impl Index {
    fn add(&mut self, marble: &str, uses: &MarbleUses) {
        for (slot, secrets) in uses {
            for secret in secrets {
                self.by_secret.entry(secret.clone()).or_default().push(self.places.len());
            }
            self.places.push((marble.to_owned(), slot.clone()));
        }
    }

    /// The places by Marble.
    fn affected<'a>(&self, secrets: impl Iterator<Item = &'a String>) -> BTreeMap<&str, BTreeSet<&Slot>> {
        let mut places: BTreeMap<&str, BTreeSet<&Slot>> = BTreeMap::new();
        let positions = secrets.filter_map(|secret| self.by_secret.get(secret)).flatten();
        for (marble, slot) in positions.filter_map(|position| self.places.get(*position)) {
            places.entry(marble).or_default().insert(slot);
        }
        places
    }
}

fn questions<'a>(run: DryRun<'a>, marble: &'a Marble) -> BTreeMap<&'a str, Vec<(Slot, Template)>> {
    render::questions(marble, TtlsPlan::of(run.manifest, marble).as_ref())
}

/// What one Marble's templates use. A renderer that uses nothing in a call for all templates is not asked for each.
async fn learn_marble(run: DryRun<'_>, marble: &Marble) -> Result<MarbleUses, RenderFault> {
    let mut uses = Vec::new();
    for (renderer, asked) in questions(run, marble) {
        let alone = asked.len() == 1;
        let slot = asked.first().map(|(slot, _)| slot.clone());
        let together = learn_call(run, renderer, asked).await?;
        match slot {
            Some(slot) if alone => uses.push((slot, together)),
            _ if together.is_empty() => {}
            _ => {
                for question in questions(run, marble).remove(renderer).unwrap_or_default() {
                    let slot = question.0.clone();
                    uses.push((slot, learn_call(run, renderer, vec![question]).await?));
                }
            }
        }
    }
    uses.retain(|(_, secrets)| !secrets.is_empty());
    Ok(uses)
}

/// The user-defined secrets that one call asked for or refers to.
async fn learn_call(
    run: DryRun<'_>,
    renderer: &str,
    asked: Vec<(Slot, Template)>,
) -> Result<BTreeSet<String>, RenderFault> {
    let recorder = Arc::new(Recorder {
        catalog: Catalog::new(Arc::clone(run.manifest), UserDefined::Dummies),
        seen: Mutex::default(),
    });
    let rendered = render::ask(run.policies, renderer, run.context, asked, recorder.clone()).await?;
    let mut seen = std::mem::take(&mut *recorder.seen.lock().unwrap_or_else(PoisonError::into_inner));
    for chunk in rendered.into_iter().flat_map(|(_, chunks)| chunks) {
        if let Chunk::Secret(reference) = chunk
            && reference.scope != Scope::Reserved
        {
            seen.insert(reference.name.to_string());
        }
    }
    seen.retain(|name| run.manifest.secrets.get(name).is_some_and(|secret| secret.user_defined));
    Ok(seen)
}

/// A catalog of dummies that remembers what it was asked for.
struct Recorder {
    catalog: Catalog<AcceptedManifest>,
    seen: Mutex<BTreeSet<String>>,
}

impl SecretCatalog for Recorder {
    /// Whoever lists them may use any.
    fn names(&self, scope: Scope) -> Vec<String> {
        let names = self.catalog.names(scope);
        if scope != Scope::Reserved {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned());
        }
        names
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        let found = self.catalog.lookup(scope, name)?;
        if scope != Scope::Reserved && found.user_defined {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
        Some(found)
    }
}

/// Emptiness and zero bytes, which no renderer sees. `.Previous` is the same map in a dry run (S-61).
fn judge(
    manifest: &AcceptedManifest,
    rendered: Vec<(Slot, Vec<Chunk>)>,
    uploaded: &BTreeMap<String, SecretValue>,
) -> Result<(), RenderFault> {
    for (slot, chunks) in rendered {
        for chunk in chunks {
            let Chunk::Secret(reference) = chunk else { continue };
            let (Some(value), Some(definition)) =
                (uploaded.get(&*reference.name), manifest.secrets.get(&*reference.name))
            else {
                continue;
            };
            if reference.scope == Scope::Reserved {
                continue;
            }
            if let Err(cause) = splice::referenced(value, &reference, &definition.kind) {
                return Err(RenderFault { slot, fault: Fault::Template(cause.0) });
            }
        }
    }
    Ok(())
}
