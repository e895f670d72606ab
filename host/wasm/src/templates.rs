//! Checks a manifest's templates with the renderers in force, without a coordinator: each template alone, so that every
//! one that is wrong is told and not only the first.

use std::sync::Arc;

use carrara_core::declared_secrets;
use carrara_core::ports::{PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{Context, Target, Template};
use carrara_types::manifest::{File, Marble, ParsedManifest};

use crate::host::PolicyHost;

/// The renderer of a File or Env that names none, and of TLS entries.
const DEFAULT_RENDERER: &str = "go-template";

/// A template that does not render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// RFC 6901 pointer to the template in the normalised manifest.
    pub path: String,
    /// Line in the template, from 1; 0 where unknown.
    pub line: u32,
    /// Column in the line, from 0.
    pub column: u32,
    /// The renderer's text.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A template and where it stands.
struct Placed<'a> {
    path: String,
    renderer: &'a str,
    template: Template,
}

impl PolicyHost {
    /// Renders every template once with what the manifest declares of its secrets (S-60, S-61), on the calling thread.
    /// Templates of renderers that are not in force are left out: that is a finding of its own.
    ///
    /// # Errors
    /// [`PolicyFailure`] of the first renderer that could not decide.
    pub fn check_templates_here(
        &self,
        manifest: &ParsedManifest,
    ) -> Result<Vec<TemplateFault>, PolicyFailure> {
        let secrets = declared_secrets(Box::new(manifest.clone()));
        let mut faults = Vec::new();
        for placed in templates(manifest) {
            faults.extend(self.check_template(placed, Arc::clone(&secrets))?);
        }
        Ok(faults)
    }

    fn check_template(
        &self,
        placed: Placed<'_>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Option<TemplateFault>, PolicyFailure> {
        let Placed { path, renderer, template } = placed;
        match self.render_here(renderer, &Context::default(), &[template], secrets) {
            Ok(_) | Err(RenderFailure::UnknownRenderer(_)) => Ok(None),
            Err(RenderFailure::Policy(failure)) => Err(failure),
            Err(RenderFailure::Template(error)) => Ok(Some(TemplateFault {
                path,
                line: error.line,
                column: error.column,
                message: error.message,
                hint: error.hint,
            })),
        }
    }
}

fn templates(manifest: &ParsedManifest) -> Vec<Placed<'_>> {
    let mut all = Vec::new();
    for (name, marble) in &manifest.marbles {
        all.extend(parameters(name, marble));
    }
    // As in an activation: only tags that some Marble has.
    let used = |tag: &String| manifest.marbles.values().any(|marble| marble.tls.contains(tag));
    for (name, tag) in manifest.tls.iter().filter(|(name, _)| used(name)) {
        let base = format!("/TLS/{}", escape(name));
        let outgoing = tag.outgoing.iter().enumerate().flat_map(|(index, entry)| {
            let place = format!("{base}/Outgoing/{index}");
            [(format!("{place}/Addr"), &entry.addr), (format!("{place}/Port"), &entry.port)]
        });
        let incoming = tag.incoming.iter().enumerate();
        let incoming = incoming.map(|(index, entry)| (format!("{base}/Incoming/{index}/Port"), &entry.port));
        for (path, text) in outgoing.chain(incoming).filter(|(_, text)| text.contains("{{")) {
            let template = Template {
                name: "MARBLE_TTLS_CONFIG".to_owned(),
                target: Target::Env,
                text: text.clone().into_bytes(),
            };
            all.push(Placed { path, renderer: DEFAULT_RENDERER, template });
        }
    }
    all
}

fn parameters<'a>(marble_type: &'a str, marble: &'a Marble) -> impl Iterator<Item = Placed<'a>> {
    let placed = move |section: &str, name: &str, target, file: &'a File| Placed {
        path: format!("/Marbles/{}/Parameters/{section}/{}/Data", escape(marble_type), escape(name)),
        renderer: file.renderer.as_deref().unwrap_or(DEFAULT_RENDERER),
        template: Template { name: name.to_owned(), target, text: file.data.clone() },
    };
    let files = marble.parameters.files.iter().filter(|(_, file)| !file.no_templates);
    let env = marble.parameters.env.iter().filter(|(_, file)| !file.no_templates);
    files
        .map(move |(name, file)| placed("Files", name, Target::File, file))
        .chain(env.map(move |(name, file)| placed("Env", name, Target::Env, file)))
}

/// One token of a pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
