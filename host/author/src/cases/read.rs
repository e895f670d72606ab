//! Reads a table of cases from YAML. What is wrong is named with file, line and column.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use carrara_wasm::World;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::{Case, CaseTable, Expected};
use crate::question::{Question, QuestionError};

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// No file, or no text.
    #[error("reading {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {reason}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// What is wrong.
        reason: String,
    },
}

/// The part that says how to read the rest.
#[derive(Deserialize)]
struct Head {
    world: World,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<R> {
    #[serde(rename = "world")]
    _world: IgnoredAny,
    #[serde(default, deserialize_with = "present")]
    settings: Option<Value>,
    cases: Spanned<Vec<Spanned<Form<R>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<R> {
    name: Spanned<String>,
    #[serde(default, deserialize_with = "present")]
    settings: Option<Value>,
    request: Option<Spanned<R>>,
    expect: Spanned<Expected>,
}

/// `settings: null` is not the same as no settings.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A request whose fields are judged later, with where they stand.
type Fields = BTreeMap<String, Spanned<Value>>;

impl CaseTable {
    /// Reads a file. Manifests that it names are looked for beside it.
    ///
    /// # Errors
    /// [`CasesError`] names file, line and column.
    pub fn read(path: &Path) -> Result<Self, CasesError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CasesError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// As [`CaseTable::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, CasesError> {
        let reader = Reader { path };
        let Head { world } = reader.yaml(text)?;
        match world {
            World::RoleAuthorization => {
                reader.table(text, world, |request| Ok(Question::Authorization(request)))
            }
            World::MarbleAdmission => reader.table(text, world, |request| Ok(Question::Admission(request))),
            World::ManifestValidation | World::SecretRendering => {
                reader.table(text, world, |fields| reader.question(world, fields))
            }
        }
    }
}

struct Reader<'a> {
    path: &'a Path,
}

/// A reason and, where it is known better than by the request, its place.
type Misfit = (Option<Location>, String);

impl Reader<'_> {
    fn yaml<T: DeserializeOwned>(&self, text: &str) -> Result<T, CasesError> {
        serde_saphyr::from_str(text).map_err(|error| {
            let location = error.location().unwrap_or(Location::UNKNOWN);
            let text = error
                .without_snippet()
                .to_string()
                .replace(", set DuplicateKeyPolicy in Options if acceptable", "");
            let suffix = format!(" at line {}, column {}", location.line(), location.column());
            self.wrong(location, text.strip_suffix(suffix.as_str()).unwrap_or(&text))
        })
    }

    fn table<R: DeserializeOwned>(
        &self,
        text: &str,
        world: World,
        question: impl Fn(R) -> Result<Question, Misfit>,
    ) -> Result<CaseTable, CasesError> {
        let file: File<R> = self.yaml(text)?;
        let settings = file.settings.unwrap_or_default().to_string();
        if file.cases.value.is_empty() {
            return Err(self.wrong(file.cases.referenced, "there are no cases"));
        }
        let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
        for Spanned { value: form, referenced, .. } in file.cases.value {
            if !names.insert(form.name.value.clone()) {
                return Err(self.wrong(form.name.referenced, "there is a case of this name already"));
            }
            form.expect.value.check(world).map_err(|reason| self.wrong(form.expect.referenced, &reason))?;
            let question = match form.request {
                Some(request) => {
                    let place = request.referenced;
                    let asked = question(request.value);
                    Some(asked.map_err(|(better, reason)| self.wrong(better.unwrap_or(place), &reason))?)
                }
                None if matches!(form.expect.value, Expected::RefusedSettings(_)) => None,
                None => return Err(self.wrong(referenced, "missing field `request`")),
            };
            cases.push(Case {
                name: form.name.value,
                line: referenced.line(),
                settings: form.settings.map_or_else(|| settings.clone(), |own| own.to_string()),
                question,
                expected: form.expect.value,
            });
        }
        Ok(CaseTable { world, settings, cases })
    }

    fn question(&self, world: World, fields: Fields) -> Result<Question, Misfit> {
        let places: BTreeMap<String, Location> =
            fields.iter().map(|(name, field)| (name.clone(), field.referenced)).collect();
        let value = fields.into_iter().map(|(name, field)| (name, field.value)).collect();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        Question::read(world, value, folder).map_err(|error| {
            let (field, reason) = match &error {
                QuestionError::Form { reason, .. } => (reason.split('`').nth(1), reason.clone()),
                QuestionError::NoManifest { field, .. } => (Some(*field), error.to_string()),
                QuestionError::Manifest { source, .. } => (Some("manifest"), format!("{error}: {source}")),
            };
            (field.and_then(|field| places.get(field)).copied(), reason)
        })
    }

    fn wrong(&self, place: Location, reason: &str) -> CasesError {
        CasesError::Wrong {
            path: self.path.to_owned(),
            line: place.line().max(1),
            column: place.column().max(1),
            reason: reason.to_owned(),
        }
    }
}
