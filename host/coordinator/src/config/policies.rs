//! What policies of manifests may use. A manifest names the policies and not what they may use: that is the operator's machine. A
//! policy that is given too little denies; no setting here makes one allow more.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use carrara_core::{DecisionLimits, UploadLimits};
use carrara_wasm::EngineLimits;
use clap::Args;
use serde::Deserialize;

/// One setting: its name, the range that makes sense, and what it sets.
struct PolicyOption {
    name: &'static str,
    least: u64,
    most: u64,
    set: fn(&mut PolicyLimits, u64),
}

/// What policies and their components may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PolicyLimits {
    /// Of calls.
    pub(crate) engine: EngineLimits,
    /// Of components that no manifest names yet.
    pub(crate) uploads: UploadLimits,
    /// Of decision records.
    pub(crate) decisions: DecisionLimits,
}

/// One line per option: its field, its variable, its range, its unit, and what it sets.
macro_rules! options {
    ($($(#[$doc:meta])+ $field:ident $variable:literal $least:literal..$most:literal $unit:literal $set:expr;)+) => {
        /// Limits as one source has them, by the options' names.
        #[derive(Debug, Default, Clone, Copy, Args, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(super) struct PoliciesLayer {
            $($(#[$doc])+ #[arg(long, value_name = $unit)] $field: Option<u64>,)+
        }

        impl PoliciesLayer {
            /// Reads the variables.
            pub(super) fn of_environment(variable: &impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
                Ok(Self { $($field: super::limits::number(variable, $variable)?,)+ })
            }

            /// Takes from `lower` what is unset here.
            pub(super) fn over(self, lower: Self) -> Self {
                Self { $($field: self.$field.or(lower.$field),)+ }
            }

            fn values(self) -> Vec<(PolicyOption, Option<u64>)> {
                vec![$((
                    PolicyOption { name: stringify!($field), least: $least, most: $most, set: $set },
                    self.$field,
                ),)+]
            }
        }
    };
}

options! {
    /// Fuel of a validator's call, in millions of instructions [EDG_COORDINATOR_VALIDATION_MFUEL; default 5000]
    validation_mfuel "EDG_COORDINATOR_VALIDATION_MFUEL" 20..1_000_000 "MILLIONS"
        |limits, value| limits.engine.validation.fuel = millions(value);
    /// Memory of a validator's call [EDG_COORDINATOR_VALIDATION_MIB; default 256]
    validation_mib "EDG_COORDINATOR_VALIDATION_MIB" 16..4096 "MIB"
        |limits, value| limits.engine.validation.memory = mib(value);
    /// Time of a validator's call [EDG_COORDINATOR_VALIDATION_MS; default 10000]
    validation_ms "EDG_COORDINATOR_VALIDATION_MS" 50..600_000 "MILLISECONDS"
        |limits, value| limits.engine.validation.deadline = Duration::from_millis(value);
    /// Fuel of an authorizer's call, in millions of instructions [EDG_COORDINATOR_AUTHORIZATION_MFUEL; default 500]
    authorization_mfuel "EDG_COORDINATOR_AUTHORIZATION_MFUEL" 20..1_000_000 "MILLIONS"
        |limits, value| limits.engine.authorization.fuel = millions(value);
    /// Memory of an authorizer's call [EDG_COORDINATOR_AUTHORIZATION_MIB; default 64]
    authorization_mib "EDG_COORDINATOR_AUTHORIZATION_MIB" 16..4096 "MIB"
        |limits, value| limits.engine.authorization.memory = mib(value);
    /// Time of an authorizer's call [EDG_COORDINATOR_AUTHORIZATION_MS; default 2000]
    authorization_ms "EDG_COORDINATOR_AUTHORIZATION_MS" 50..600_000 "MILLISECONDS"
        |limits, value| limits.engine.authorization.deadline = Duration::from_millis(value);
    /// Fuel of an admitter's call, in millions of instructions [EDG_COORDINATOR_ADMISSION_MFUEL; default 500]
    admission_mfuel "EDG_COORDINATOR_ADMISSION_MFUEL" 20..1_000_000 "MILLIONS"
        |limits, value| limits.engine.admission.fuel = millions(value);
    /// Memory of an admitter's call [EDG_COORDINATOR_ADMISSION_MIB; default 64]
    admission_mib "EDG_COORDINATOR_ADMISSION_MIB" 16..4096 "MIB"
        |limits, value| limits.engine.admission.memory = mib(value);
    /// Time of an admitter's call [EDG_COORDINATOR_ADMISSION_MS; default 2000]
    admission_ms "EDG_COORDINATOR_ADMISSION_MS" 50..600_000 "MILLISECONDS"
        |limits, value| limits.engine.admission.deadline = Duration::from_millis(value);
    /// Fuel of a renderer's call, in millions of instructions [EDG_COORDINATOR_RENDERING_MFUEL; default 2000]
    rendering_mfuel "EDG_COORDINATOR_RENDERING_MFUEL" 20..1_000_000 "MILLIONS"
        |limits, value| limits.engine.rendering.fuel = millions(value);
    /// Memory of a renderer's call [EDG_COORDINATOR_RENDERING_MIB; default 128]
    rendering_mib "EDG_COORDINATOR_RENDERING_MIB" 16..4096 "MIB"
        |limits, value| limits.engine.rendering.memory = mib(value);
    /// Time of a renderer's call [EDG_COORDINATOR_RENDERING_MS; default 5000]
    rendering_ms "EDG_COORDINATOR_RENDERING_MS" 50..600_000 "MILLISECONDS"
        |limits, value| limits.engine.rendering.deadline = Duration::from_millis(value);
    /// Calls of all policies of manifests at once [EDG_COORDINATOR_POLICY_CALLS; default 32]
    policy_calls "EDG_COORDINATOR_POLICY_CALLS" 1..1024 "NUMBER"
        |limits, value| limits.engine.calls = size(value);
    /// Memory of all those calls together [EDG_COORDINATOR_POLICY_CALLS_MIB; default 1024]
    policy_calls_mib "EDG_COORDINATOR_POLICY_CALLS_MIB" 16..65_536 "MIB"
        |limits, value| limits.engine.memory = mib(value);
    /// Memory to compile a policy [EDG_COORDINATOR_COMPILING_MIB; default 2048]
    compiling_mib "EDG_COORDINATOR_COMPILING_MIB" 16..65_536 "MIB"
        |limits, value| limits.engine.compiling = value << 20;
    /// Questions that wait for shadow policies [EDG_COORDINATOR_WAITING_SHADOWS; default 256]
    waiting_shadows "EDG_COORDINATOR_WAITING_SHADOWS" 1..65_536 "NUMBER"
        |limits, value| limits.engine.waiting_shadows = size(value);
    /// Decision records that are kept [EDG_COORDINATOR_DECISIONS; default 4096]
    decisions "EDG_COORDINATOR_DECISIONS" 1..1_000_000 "NUMBER"
        |limits, value| limits.decisions.kept = size(value);
    /// All of them together [EDG_COORDINATOR_DECISIONS_MIB; default 16]
    decisions_mib "EDG_COORDINATOR_DECISIONS_MIB" 1..4096 "MIB"
        |limits, value| limits.decisions.kept_bytes = mib(value);
    /// Components that a manifest names, all of them together [EDG_COORDINATOR_POLICIES_MIB; default 256]
    policies_mib "EDG_COORDINATOR_POLICIES_MIB" 1..16_384 "MIB"
        |limits, value| limits.uploads.named_bytes = mib(value);
    /// Components that were uploaded and that no manifest names [EDG_COORDINATOR_UPLOADS; default 64]
    uploads "EDG_COORDINATOR_UPLOADS" 1..1024 "NUMBER"
        |limits, value| limits.uploads.count = size(value);
    /// All of them together [EDG_COORDINATOR_UPLOADS_MIB; default 128]
    uploads_mib "EDG_COORDINATOR_UPLOADS_MIB" 1..16_384 "MIB"
        |limits, value| limits.uploads.bytes = mib(value);
    /// How long each of them is kept [EDG_COORDINATOR_UPLOADS_HOURS; default 24]
    uploads_hours "EDG_COORDINATOR_UPLOADS_HOURS" 1..8760 "HOURS"
        |limits, value| limits.uploads.kept = time::Duration::hours(i64::try_from(value).unwrap_or(i64::MAX / 3600));
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn mib(value: u64) -> usize {
    size(value << 20)
}

fn millions(value: u64) -> u64 {
    value * 1_000_000
}

impl PoliciesLayer {
    /// The limits, with the defaults where nothing is set.
    pub(super) fn check(self) -> Result<PolicyLimits> {
        let mut limits = PolicyLimits::default();
        for (PolicyOption { name, least, most, set }, value) in self.values() {
            let Some(value) = value else { continue };
            if !(least..=most).contains(&value) {
                let name = name.replace('_', "-");
                bail!("setting {name}: {value} is out of range; write a number from {least} to {most}");
            }
            set(&mut limits, value);
        }
        let EngineLimits { validation, authorization, admission, rendering, memory, .. } = limits.engine;
        let most = [validation, authorization, admission, rendering].map(|world| world.memory);
        let most = most.into_iter().max().unwrap_or_default();
        if memory < most {
            return Err(anyhow!(
                "setting policy-calls-mib: it must be at least {}, the memory of one call, or such a call never had its turn",
                most >> 20
            ));
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> PoliciesLayer {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn each_option_takes_its_range_and_nothing_beyond_it() {
        for (option, _) in PoliciesLayer::default().values() {
            let name = option.name.replace('_', "-");
            let set = |value: u64| {
                layer(&format!("policy-calls-mib = 65536\n{name} = {value}\n").replace(
                &format!("policy-calls-mib = 65536\npolicy-calls-mib = {value}\n"),
                &format!("policy-calls-mib = {value}\nvalidation-mib = 16\nauthorization-mib = 16\nadmission-mib = 16\nrendering-mib = 16\n"),
            ))
            };
            let (least, most) = (set(option.least).check().unwrap(), set(option.most).check().unwrap());
            assert_ne!(least, most, "{name} changes nothing");
            for value in [option.least - 1, option.most + 1] {
                let error = set(value).check().unwrap_err().to_string();
                let range = format!("from {} to {}", option.least, option.most);
                assert!(error.contains(&name) && error.contains(&range), "{error}");
            }
        }
        assert_eq!(PoliciesLayer::default().check().unwrap(), PolicyLimits::default());
    }

    #[test]
    fn one_call_fits_into_the_memory_of_all() {
        let most = PolicyLimits::default().engine.validation.memory >> 20;
        let error = layer(&format!("policy-calls-mib = {}", most - 1)).check().unwrap_err().to_string();
        assert!(error.contains(&format!("policy-calls-mib: it must be at least {most}")), "{error}");
        layer(&format!("policy-calls-mib = {most}")).check().unwrap();
        assert!(layer("rendering-mib = 2048").check().is_err());
    }
}
