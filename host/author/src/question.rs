//! A request in its JSON form, asked of a component, and its answer in the same words.
//!
//! Names are those of `wit/`. What is left out has its default, what is unknown is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carrara_core::ports::{RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Denial, Encoding, Finding, Part,
    Proposal, Scope, SecretInfo, SecretReference, Target, Template, refuses,
};
use carrara_types::manifest::ParsedManifest;
use carrara_wasm::{CallReport, Called, Trial, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What a policy is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Of a validator.
    Validation(Proposal),
    /// Of an authorizer.
    Authorization(AuthorizationRequest),
    /// Of an admitter.
    Admission(AdmissionRequest),
    /// Of a renderer.
    Rendering(Rendering),
}

/// Templates, and what may be known of the secrets that they name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendering {
    /// Time, revision, facts.
    pub context: Context,
    /// What to render.
    pub templates: Vec<Template>,
    /// Descriptions: there are no secrets here.
    pub secrets: Vec<(Scope, SecretInfo)>,
}

/// Why a request cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// Not of its world's form.
    #[error("the request is none of the world {world}: {reason}")]
    Form {
        /// The world.
        world: World,
        /// Names the field.
        reason: String,
    },
    /// A manifest that the request names.
    #[error("reading the manifest {}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A manifest that a coordinator would not read either.
    #[error("the request's {field} is no manifest: {reason}")]
    NoManifest {
        /// `manifest` or `current`.
        field: &'static str,
        /// Names the line.
        reason: String,
    },
}

/// A policy's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Of an authorizer or admitter: yes.
    Allow,
    /// Of an authorizer or admitter: no.
    Deny(Denial),
    /// Of a validator.
    Findings(Vec<Finding>),
    /// Of a renderer: the texts, with `<secret:NAME:part:encoding>` where a secret goes.
    Rendered(Vec<String>),
    /// Of a renderer that found a template wrong.
    RenderError(RenderError),
    /// There is none: it trapped, ran out of a limit or answered nonsense. A coordinator denies then. The reason.
    Failure(String),
}

/// Why a template does not render.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct RenderError {
    /// Index of the template.
    pub template: u32,
    /// From 1; 0 where unknown.
    pub line: u32,
    /// From 0.
    pub column: u32,
    /// The renderer's text.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Answer {
    /// Whether a coordinator would go on after it.
    #[must_use]
    pub fn allows(&self) -> bool {
        match self {
            Self::Allow | Self::Rendered(_) => true,
            Self::Findings(findings) => !refuses(findings),
            Self::Deny(_) | Self::RenderError(_) | Self::Failure(_) => false,
        }
    }
}

impl Question {
    /// Reads the JSON form of a world's request. Files that it names are looked for beside `folder`.
    ///
    /// # Errors
    /// [`QuestionError`] names the field.
    pub fn read(world: World, value: Value, folder: &Path) -> Result<Self, QuestionError> {
        match world {
            World::ManifestValidation => proposal(value, folder).map(Self::Validation),
            World::RoleAuthorization => form(world, value).map(Self::Authorization),
            World::MarbleAdmission => form(world, value).map(Self::Admission),
            World::SecretRendering => {
                form::<RenderingForm>(world, value).map(|form| Self::Rendering(form.into()))
            }
        }
    }

    /// Reads the text of a file with such a request.
    ///
    /// # Errors
    /// [`QuestionError`] names the field, and its line and column in the text.
    pub fn read_text(world: World, text: &str, folder: &Path) -> Result<Self, QuestionError> {
        let form = |reason| QuestionError::Form { world, reason };
        let value = serde_json::from_str(text).map_err(|error| form(error.to_string()))?;
        Self::read(world, value, folder).map_err(|error| match error {
            QuestionError::Form { reason, .. } => form(placed(world, text, reason)),
            other => other,
        })
    }

    /// Which policies can be asked this.
    #[must_use]
    pub fn world(&self) -> World {
        match self {
            Self::Validation(_) => World::ManifestValidation,
            Self::Authorization(_) => World::RoleAuthorization,
            Self::Admission(_) => World::MarbleAdmission,
            Self::Rendering(_) => World::SecretRendering,
        }
    }
}

/// Asks a component. Settings are the JSON text of an entry's `Settings`.
#[must_use]
pub fn ask(trial: &Trial, settings: &str, question: &Question) -> (Answer, CallReport) {
    match question {
        Question::Validation(proposal) => told(trial.validate(settings, proposal), Answer::Findings),
        Question::Authorization(request) => told(trial.authorize(settings, request), decision),
        Question::Admission(request) => told(trial.admit(settings, request), decision),
        Question::Rendering(rendering) => {
            let catalog = Arc::new(Descriptions::of(&rendering.secrets));
            let called = trial.render(settings, &rendering.context, &rendering.templates, catalog);
            let answer = match called.answer {
                Ok(results) => Answer::Rendered(results.iter().map(|chunks| shown(chunks)).collect()),
                Err(RenderFailure::Template(error)) => Answer::RenderError(RenderError {
                    template: error.template,
                    line: error.line,
                    column: error.column,
                    message: error.message,
                    hint: error.hint,
                }),
                Err(RenderFailure::Policy(failure)) => Answer::Failure(failure.reason),
                Err(RenderFailure::UnknownRenderer(name)) => Answer::Failure(name),
            };
            (answer, called.report)
        }
    }
}

/// The JSON text that a policy is given for a file of settings: the file's, where it is JSON, and else its text as a JSON
/// string, as a manifest holds pasted Cedar or Rego.
#[must_use]
pub fn settings_text(file: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(file) {
        Ok(_) => file.trim().to_owned(),
        Err(_) => Value::from(file).to_string(),
    }
}

fn told<A>(
    called: Called<Result<A, carrara_core::ports::PolicyFailure>>,
    form: impl FnOnce(A) -> Answer,
) -> (Answer, CallReport) {
    let answer = match called.answer {
        Ok(answer) => form(answer),
        Err(failure) => Answer::Failure(failure.reason),
    };
    (answer, called.report)
}

fn decision(decision: Decision) -> Answer {
    match decision {
        Decision::Allow => Answer::Allow,
        Decision::Deny(denial) => Answer::Deny(denial),
    }
}

/// A rendered template for people: `<secret:NAME:part:encoding>` where a secret goes, with its scope where that is not the
/// current one.
#[must_use]
pub fn shown(chunks: &[Chunk]) -> String {
    let chunk = |chunk: &Chunk| match chunk {
        Chunk::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Chunk::Secret(SecretReference { scope, name, part, encoding }) => {
            let scope = match scope {
                Scope::Current => "",
                Scope::Previous => "previous/",
                Scope::Reserved => "reserved/",
            };
            format!("<secret:{scope}{name}:{}:{}>", part_name(*part), encoding_name(*encoding))
        }
    };
    chunks.iter().map(chunk).collect()
}

fn form<T: serde::de::DeserializeOwned>(world: World, value: Value) -> Result<T, QuestionError> {
    serde_json::from_value(value).map_err(|error| QuestionError::Form { world, reason: error.to_string() })
}

/// A reason with its place in the text, if the text alone has the same fault: manifests may be objects there.
fn placed(world: World, text: &str, reason: String) -> String {
    let error = match world {
        World::ManifestValidation => serde_json::from_str::<Proposal>(text).err(),
        World::RoleAuthorization => serde_json::from_str::<AuthorizationRequest>(text).err(),
        World::MarbleAdmission => serde_json::from_str::<AdmissionRequest>(text).err(),
        World::SecretRendering => serde_json::from_str::<RenderingForm>(text).err(),
    };
    let error = error.map(|error| error.to_string());
    error.filter(|placed| placed.starts_with(&reason)).unwrap_or(reason)
}

/// A proposal whose manifests may be files or JSON objects; its change and digest follow from them where they are left out.
fn proposal(mut value: Value, folder: &Path) -> Result<Proposal, QuestionError> {
    let mut uploaded = None;
    let mut updates = None;
    for field in ["manifest", "current"] {
        let Some(text) =
            value.get_mut(field).map(|found| manifest_text(found, folder)).transpose()?.flatten()
        else {
            continue;
        };
        let read = ParsedManifest::parse(text.as_bytes());
        let manifest =
            read.map_err(|error| QuestionError::NoManifest { field, reason: error.to_string() })?;
        if let Some(place) = value.get_mut(field) {
            *place = Value::String(manifest.normalised_json());
        }
        match field {
            "manifest" => {
                updates = Some(manifest.is_package_update());
                uploaded = Some(<[u8; 32]>::from(Sha256::digest(text)));
            }
            _ if value.get("change").is_none() => {
                let change = if updates == Some(true) { "package-update" } else { "full-update" };
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("change".to_owned(), change.into());
                }
            }
            _ => {}
        }
    }
    let digest_is_given = value.get("manifest-sha256").is_some();
    let mut proposal: Proposal = form(World::ManifestValidation, value)?;
    if let (Some(digest), false) = (uploaded, digest_is_given) {
        proposal.manifest_sha256 = digest;
    }
    Ok(proposal)
}

/// The JSON of a manifest: an object, a text of JSON, or a file's name.
fn manifest_text(value: &Value, folder: &Path) -> Result<Option<String>, QuestionError> {
    match value {
        Value::Object(_) => Ok(Some(value.to_string())),
        Value::String(text) if text.trim_start().starts_with('{') => Ok(Some(text.clone())),
        Value::String(name) if !name.is_empty() => {
            let path = folder.join(name);
            let read = std::fs::read_to_string(&path);
            read.map(Some).map_err(|source| QuestionError::Manifest { path, source })
        }
        _ => Ok(None),
    }
}

/// The request of a renderer.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
struct RenderingForm {
    context: Context,
    templates: Vec<TemplateForm>,
    secrets: Vec<SecretForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct TemplateForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    target: TargetForm,
    text: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum TargetForm {
    #[default]
    File,
    Env,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SecretForm {
    name: String,
    #[serde(default)]
    scope: ScopeForm,
    #[serde(default = "plain")]
    kind: String,
    #[serde(default)]
    size: u32,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    user_defined: bool,
    #[serde(default)]
    valid_for: u32,
    /// Without it, those that the kind has when it is set.
    parts: Option<Vec<PartForm>>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum ScopeForm {
    #[default]
    Current,
    Previous,
    Reserved,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum PartForm {
    Public,
    Private,
    Certificate,
}

fn plain() -> String {
    "plain".to_owned()
}

impl From<RenderingForm> for Rendering {
    fn from(form: RenderingForm) -> Self {
        let template = |template: TemplateForm| Template {
            name: template.name,
            target: match template.target {
                TargetForm::File => Target::File,
                TargetForm::Env => Target::Env,
            },
            text: template.text.into_bytes(),
        };
        Self {
            context: form.context,
            templates: form.templates.into_iter().map(template).collect(),
            secrets: form.secrets.into_iter().map(SecretForm::into_info).collect(),
        }
    }
}

impl SecretForm {
    fn into_info(self) -> (Scope, SecretInfo) {
        let scope = match self.scope {
            ScopeForm::Current => Scope::Current,
            ScopeForm::Previous => Scope::Previous,
            ScopeForm::Reserved => Scope::Reserved,
        };
        let parts = match self.parts {
            Some(parts) => parts.into_iter().map(PartForm::part).collect(),
            None if self.kind.starts_with("cert-") => vec![Part::Public, Part::Private, Part::Certificate],
            None => vec![Part::Public, Part::Private],
        };
        let info = SecretInfo {
            name: self.name.into(),
            kind: self.kind,
            size: self.size,
            shared: self.shared,
            user_defined: self.user_defined,
            valid_for: self.valid_for,
            parts,
        };
        (scope, info)
    }
}

impl PartForm {
    fn part(self) -> Part {
        match self {
            Self::Public => Part::Public,
            Self::Private => Part::Private,
            Self::Certificate => Part::Certificate,
        }
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Whole => "whole",
        Part::Public => "public",
        Part::Private => "private",
        Part::Certificate => "certificate",
    }
}

fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Raw => "raw",
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
        Encoding::Pem => "pem",
        Encoding::Text => "text",
    }
}

/// Secrets of which nothing is there but their descriptions.
struct Descriptions(BTreeMap<(Scope, Arc<str>), SecretInfo>);

impl Descriptions {
    fn of(secrets: &[(Scope, SecretInfo)]) -> Self {
        let entry = |(scope, info): &(Scope, SecretInfo)| ((*scope, Arc::clone(&info.name)), info.clone());
        Self(secrets.iter().map(entry).collect())
    }
}

impl SecretCatalog for Descriptions {
    fn names(&self, scope: Scope) -> Vec<String> {
        self.0.keys().filter(|(found, _)| *found == scope).map(|(_, name)| name.to_string()).collect()
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        self.0.get(&(scope, name.into())).cloned()
    }
}

#[cfg(test)]
mod tests {
    use carrara_types::decision::Change;
    use serde_json::json;

    use super::*;

    fn read(world: World, value: Value) -> Result<Question, QuestionError> {
        Question::read(world, value, Path::new("."))
    }

    #[test]
    fn a_request_is_read_by_its_world_and_an_unknown_field_is_named() {
        let question =
            read(World::RoleAuthorization, json!({ "action": "ReadSecret", "resource-names": ["a"] }));
        let Ok(Question::Authorization(request)) = question else { panic!("{question:?}") };
        assert_eq!((request.action.as_str(), request.resource_names.len()), ("ReadSecret", 1));
        let error = read(World::MarbleAdmission, json!({ "action": "x" })).unwrap_err().to_string();
        assert!(error.contains("marble-admission") && error.contains("`action`"), "{error}");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_line_and_column() {
        let told = |world, text: &str| {
            Question::read_text(world, text, Path::new(".")).err().map(|error| error.to_string())
        };
        for world in World::ALL {
            let unknown = told(world, "{\n  \"context\": {},\n  \"acton\": 1\n}").unwrap();
            assert!(unknown.contains("`acton`") && unknown.ends_with("at line 3 column 9"), "{unknown}");
            assert!(told(world, "{\n  \"context\":,").unwrap().ends_with("at line 2 column 13"));
            assert_eq!(told(world, "{}"), None);
        }
        let after_an_object = told(World::ManifestValidation, "{\"manifest\": {},\n \"acton\": 1}").unwrap();
        assert!(after_an_object.contains("`acton`"), "{after_an_object}");
    }

    #[test]
    fn a_manifest_is_an_object_a_text_or_a_file_and_reaches_the_policy_as_the_host_would_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{ "Packages": { "p": { "Debug": true } } }"#;
        std::fs::write(folder.path().join("m.json"), text).unwrap();
        let manifest: Value = serde_json::from_str(text).unwrap();
        let proposals = [manifest, Value::from(text), Value::from("m.json")].map(|manifest| {
            let question =
                Question::read(World::ManifestValidation, json!({ "manifest": manifest }), folder.path());
            let Ok(Question::Validation(proposal)) = question else { panic!("{question:?}") };
            proposal
        });
        assert!(proposals.iter().all(|proposal| proposal.manifest == proposals[0].manifest));
        assert_eq!(proposals[1].manifest_sha256, proposals[2].manifest_sha256);
        assert_eq!(proposals[2].manifest_sha256, <[u8; 32]>::from(Sha256::digest(text)));
        assert_eq!(proposals[0].change, Change::Initial);
    }

    #[test]
    fn a_proposal_with_a_manifest_in_force_is_an_update() {
        let manifest =
            json!({ "Packages": { "p": { "Debug": true } }, "Marbles": { "m": { "Package": "p" } } });
        let value = json!({ "manifest": manifest, "current": manifest });
        let Ok(Question::Validation(proposal)) = read(World::ManifestValidation, value) else { panic!() };
        assert_eq!(proposal.change, Change::FullUpdate);
        assert_eq!(proposal.current.as_ref(), Some(&proposal.manifest));
    }

    #[test]
    fn a_missing_manifest_is_named_and_so_is_one_that_is_none() {
        let missing = read(World::ManifestValidation, json!({ "manifest": "nowhere.json" })).unwrap_err();
        assert!(missing.to_string().contains("nowhere.json"), "{missing}");
        let wrong = read(World::ManifestValidation, json!({ "manifest": "{\"Packages\": 1}" })).unwrap_err();
        assert!(wrong.to_string().contains("the request's manifest is no manifest"), "{wrong}");
    }

    #[test]
    fn secrets_are_described_and_have_the_parts_of_their_kind() {
        let value = json!({
            "templates": [{ "name": "/f", "text": "x" }, { "target": "env", "text": "y" }],
            "secrets": [{ "name": "a" }, { "name": "c", "kind": "cert-rsa", "scope": "previous" },
                { "name": "u", "user-defined": true, "parts": [] }],
        });
        let Ok(Question::Rendering(rendering)) = read(World::SecretRendering, value) else { panic!() };
        assert_eq!(rendering.templates[1].target, Target::Env);
        let parts: Vec<usize> = rendering.secrets.iter().map(|(_, info)| info.parts.len()).collect();
        assert_eq!(parts, [2, 3, 0]);
        let catalog = Descriptions::of(&rendering.secrets);
        assert_eq!(catalog.names(Scope::Current), ["a", "u"]);
        assert!(
            catalog.lookup(Scope::Previous, "c").is_some() && catalog.lookup(Scope::Current, "c").is_none()
        );
    }

    #[test]
    fn a_secret_is_shown_by_its_name_part_and_encoding() {
        let secret = |scope| {
            Chunk::Secret(SecretReference {
                scope,
                name: "n".into(),
                part: Part::Private,
                encoding: Encoding::Pem,
            })
        };
        let chunks = [Chunk::Text(b"a ".to_vec()), secret(Scope::Current), secret(Scope::Previous)];
        assert_eq!(shown(&chunks), "a <secret:n:private:pem><secret:previous/n:private:pem>");
    }

    #[test]
    fn settings_are_json_or_a_pasted_text() {
        assert_eq!(settings_text(" {\"a\": [1]}\n"), "{\"a\": [1]}");
        assert_eq!(settings_text("permit (\n);"), "\"permit (\\n);\"");
    }

    #[test]
    fn an_answer_is_written_in_the_words_of_the_interface() {
        let denial = Denial { code: "c".to_owned(), message: "m".to_owned(), ..Denial::default() };
        assert_eq!(serde_json::to_value(Answer::Allow).unwrap(), "allow");
        assert_eq!(serde_json::to_value(Answer::Deny(denial)).unwrap()["deny"]["code"], "c");
        assert_eq!(serde_json::to_value(Answer::Findings(Vec::new())).unwrap(), json!({ "findings": [] }));
        assert!(Answer::Allow.allows() && !Answer::Failure("x".to_owned()).allows());
    }
}
