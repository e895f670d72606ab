//! Renders a Marble's files and environment variables: asks the renderers, in one call each, where secrets go.
//!
//! The result holds references to secrets, not secrets; `splice.rs` puts the bytes in. The same code runs for a
//! dry run and for an activation.

use std::collections::BTreeMap;
use std::sync::Arc;

use carrara_types::decision::{Chunk, Context, Target, Template};
use carrara_types::manifest::{File, Marble};

use crate::error::{ActivateError, Cause, SetManifestError};
use crate::ports::{Policies, PolicyFailure, RenderFailure, SecretCatalog};
use crate::ttls::TtlsPlan;

/// The renderer of a File or Env that names none.
pub(crate) const DEFAULT_RENDERER: &str = "go-template";

/// What a template belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    File(String),
    Env(String),
    /// Index into the TTLS plan's texts.
    Ttls(usize),
}

/// A Marble's parameters with references where secrets go.
pub(crate) struct Rendered {
    pub(crate) slots: Vec<(Slot, Vec<Chunk>)>,
    pub(crate) ttls: Option<TtlsPlan>,
}

/// Why a template does not render.
#[derive(Debug)]
pub(crate) struct RenderFault {
    pub(crate) slot: Slot,
    pub(crate) fault: Fault,
}

/// Who is at fault.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The template; the engine's text.
    Template(String),
    /// The policy.
    Policy(PolicyFailure),
}

impl RenderFault {
    /// The frame of a dry run (secrets-and-templates.md section 7): `in Marble M: file F: TE`.
    pub(crate) fn in_dry_run(self, marble: &str) -> SetManifestError {
        let place = match &self.slot {
            Slot::File(path) => format!("in Marble {marble}: file {path}"),
            Slot::Env(name) => format!("in Marble {marble}: env variable {name}"),
            Slot::Ttls(_) => format!("in Marble {marble}: env variable {}", crate::ttls::VARIABLE),
        };
        match self.fault {
            Fault::Template(text) => SetManifestError::DryRun(Cause(format!("{place}: {text}"))),
            Fault::Policy(failure) => SetManifestError::DryRunPolicy { place, failure },
        }
    }

    /// The frame of an activation: `parsing secrets for file "F": TE`.
    pub(crate) fn in_activation(self) -> ActivateError {
        let place = match &self.slot {
            Slot::File(path) => format!("parsing secrets for file {path:?}"),
            Slot::Env(name) => format!("parsing secrets for env variable {name:?}"),
            Slot::Ttls(_) => format!("parsing secrets for env variable {:?}", crate::ttls::VARIABLE),
        };
        match self.fault {
            Fault::Template(text) => ActivateError::Failed {
                context: "customizing marble parameters",
                source: Cause(format!("{place}: {text}")),
            },
            Fault::Policy(failure) => ActivateError::Rendering { place, failure },
        }
    }
}

/// Renders everything of one Marble.
///
/// # Errors
/// The first template that does not render.
pub(crate) async fn render_marble(
    policies: &dyn Policies,
    context: &Context,
    marble: &Marble,
    ttls: Option<TtlsPlan>,
    secrets: Arc<dyn SecretCatalog>,
) -> Result<Rendered, RenderFault> {
    let mut slots = Vec::new();
    for (slot, _, file) in parameters(marble).filter(|(_, _, file)| file.no_templates) {
        slots.push((slot, vec![Chunk::Text(file.data.clone())]));
    }
    for (renderer, asked) in questions(marble, ttls.as_ref()) {
        slots.extend(ask(policies, renderer, context, asked, Arc::clone(&secrets)).await?);
    }
    Ok(Rendered { slots, ttls })
}

/// The templates of one Marble by their renderer.
pub(crate) fn questions<'a>(
    marble: &'a Marble,
    ttls: Option<&TtlsPlan>,
) -> BTreeMap<&'a str, Vec<(Slot, Template)>> {
    let mut questions: BTreeMap<&str, Vec<(Slot, Template)>> = BTreeMap::new();
    for (slot, target, file) in parameters(marble).filter(|(_, _, file)| !file.no_templates) {
        let renderer = file.renderer.as_deref().unwrap_or(DEFAULT_RENDERER);
        let template = Template { name: slot_name(&slot), target, text: file.data.clone() };
        questions.entry(renderer).or_default().push((slot, template));
    }
    for (index, text) in ttls.into_iter().flat_map(TtlsPlan::templates) {
        let template = Template { name: crate::ttls::VARIABLE.to_owned(), target: Target::Env, text };
        questions.entry(DEFAULT_RENDERER).or_default().push((Slot::Ttls(index), template));
    }
    questions
}

fn parameters(marble: &Marble) -> impl Iterator<Item = (Slot, Target, &File)> {
    let files =
        marble.parameters.files.iter().map(|(path, file)| (Slot::File(path.clone()), Target::File, file));
    let env = marble.parameters.env.iter().map(|(name, file)| (Slot::Env(name.clone()), Target::Env, file));
    files.chain(env)
}

fn slot_name(slot: &Slot) -> String {
    match slot {
        Slot::File(name) | Slot::Env(name) => name.clone(),
        Slot::Ttls(_) => crate::ttls::VARIABLE.to_owned(),
    }
}

/// Asks one renderer, in one call.
///
/// # Errors
/// The first template that does not render.
pub(crate) async fn ask(
    policies: &dyn Policies,
    renderer: &str,
    context: &Context,
    asked: Vec<(Slot, Template)>,
    secrets: Arc<dyn SecretCatalog>,
) -> Result<Vec<(Slot, Vec<Chunk>)>, RenderFault> {
    let (slots, templates): (Vec<Slot>, Vec<Template>) = asked.into_iter().unzip();
    // A failure that names no template is told of the first one.
    let first = || slots.first().cloned().unwrap_or(Slot::Ttls(0));
    match policies.render(renderer, context.clone(), templates, secrets).await {
        Ok(results) if results.len() == slots.len() => Ok(slots.into_iter().zip(results).collect()),
        Ok(_) => Err(RenderFault { slot: first(), fault: Fault::Policy(wrong_count(renderer)) }),
        Err(RenderFailure::Policy(failure)) => {
            Err(RenderFault { slot: first(), fault: Fault::Policy(failure) })
        }
        Err(RenderFailure::UnknownRenderer(name)) => Err(RenderFault {
            slot: first(),
            fault: Fault::Template(format!("there is no renderer {name:?}")),
        }),
        Err(RenderFailure::Template(error)) => {
            let slot = slots.get(error.template as usize).cloned().unwrap_or_else(first);
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            Err(RenderFault { slot, fault: Fault::Template(format!("{}{hint}", error.message)) })
        }
    }
}

fn wrong_count(renderer: &str) -> PolicyFailure {
    PolicyFailure::failed(renderer.to_owned(), "answered with a wrong number of results".to_owned())
}
