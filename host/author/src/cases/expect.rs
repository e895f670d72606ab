//! What a case expects, as far as its author says: what is left out may be anything.

use carrara_types::decision::Severity;
use carrara_wasm::World;
use serde::Deserialize;

/// An expected answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Yes; of a validator: no error.
    Allow,
    /// A denial.
    Deny(DenialPattern),
    /// Exactly these findings, in this order.
    Findings(Vec<FindingPattern>),
    /// Exactly these texts.
    Rendered(Vec<String>),
    /// A template that does not render.
    RenderError(RenderErrorPattern),
    /// No answer, or what SDKs make of an uncaught error: the code `policy-error`.
    Failure,
    /// The settings are refused when a manifest is set, with exactly these errors; nothing is asked.
    RefusedSettings(Vec<SettingsPattern>),
}

/// What is known of an expected denial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct DenialPattern {
    /// Its code.
    pub code: Option<String>,
    /// Its whole message.
    pub message: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
    /// All of its resources, in order.
    pub resources: Option<Vec<String>>,
}

/// What is known of an expected finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct FindingPattern {
    /// Whether it refuses.
    pub severity: Option<Severity>,
    /// Its code.
    pub code: Option<String>,
    /// Its pointer.
    pub path: Option<String>,
    /// Its whole message.
    pub message: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
}

/// What is known of an expected error of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct RenderErrorPattern {
    /// Index of the template.
    pub template: Option<u32>,
    /// From 1.
    pub line: Option<u32>,
    /// From 0.
    pub column: Option<u32>,
    /// Its whole message.
    pub message: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
}

/// What is known of an expected error in settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct SettingsPattern {
    /// From 1.
    pub line: Option<u32>,
    /// From 1.
    pub column: Option<u32>,
    /// Its whole message.
    pub message: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
}

impl Expected {
    /// Whether policies of the world can answer so; else what they answer with.
    pub(super) fn check(&self, world: World) -> Result<(), String> {
        let (fits, answers) = match world {
            World::RoleAuthorization | World::MarbleAdmission => {
                (matches!(self, Self::Allow | Self::Deny(_)), "`allow` or `deny`")
            }
            World::ManifestValidation => {
                (matches!(self, Self::Allow | Self::Findings(_)), "`findings` or `allow`")
            }
            World::SecretRendering => {
                (matches!(self, Self::Rendered(_) | Self::RenderError(_)), "`rendered` or `render-error`")
            }
        };
        if fits || matches!(self, Self::Failure | Self::RefusedSettings(_)) {
            return Ok(());
        }
        Err(format!("policies of the world {world} answer with {answers}, `failure` or `refused-settings`"))
    }
}
