//! The limits that can be configured, and how many files that takes. They decide whom the coordinator serves under load,
//! not whom it trusts, so that the host may set them.

use anyhow::{Result, anyhow};
use carrara_server::Limits;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Deserialize;
use tracing::warn;

/// Limits as one source has them, by the options' names. What they mean: host/server/README.md.
#[derive(Debug, Default, Clone, Copy, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct LimitsLayer {
    /// Open connections per port [EDG_COORDINATOR_MAX_CONNECTIONS; default 2048]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<u64>,
    /// Requests being answered per port [EDG_COORDINATOR_MAX_REQUESTS; default 512]
    #[arg(long, value_name = "NUMBER")]
    max_requests: Option<u64>,
    /// For a TLS handshake [EDG_COORDINATOR_HANDSHAKE_SECONDS; default 10]
    #[arg(long, value_name = "SECONDS")]
    handshake_seconds: Option<u64>,
    /// For a request's whole body [EDG_COORDINATOR_BODY_SECONDS; default 60]
    #[arg(long, value_name = "SECONDS")]
    body_seconds: Option<u64>,
    /// For one answer [EDG_COORDINATOR_REQUEST_SECONDS; default 120]
    #[arg(long, value_name = "SECONDS")]
    request_seconds: Option<u64>,
    /// For a connection on which nothing is sent [EDG_COORDINATOR_IDLE_SECONDS; default 180]
    #[arg(long, value_name = "SECONDS")]
    idle_seconds: Option<u64>,
    /// All bodies being read per port [EDG_COORDINATOR_MAX_BODIES_MIB; default 128]
    #[arg(long, value_name = "MIB")]
    max_bodies_mib: Option<u64>,
    /// All long answers being sent per port [EDG_COORDINATOR_MAX_ANSWERS_MIB; default 256]
    #[arg(long, value_name = "MIB")]
    max_answers_mib: Option<u64>,
    /// A manifest [EDG_COORDINATOR_MAX_MANIFEST_MIB; default 16]
    #[arg(long, value_name = "MIB")]
    max_manifest_mib: Option<u64>,
    /// An upload of secrets [EDG_COORDINATOR_MAX_SECRETS_MIB; default 16]
    #[arg(long, value_name = "MIB")]
    max_secrets_mib: Option<u64>,
}

impl LimitsLayer {
    /// Reads the variables.
    pub(super) fn of_environment(variable: &impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let number = |name: &str| number(variable, name);
        Ok(Self {
            max_connections: number("EDG_COORDINATOR_MAX_CONNECTIONS")?,
            max_requests: number("EDG_COORDINATOR_MAX_REQUESTS")?,
            handshake_seconds: number("EDG_COORDINATOR_HANDSHAKE_SECONDS")?,
            body_seconds: number("EDG_COORDINATOR_BODY_SECONDS")?,
            request_seconds: number("EDG_COORDINATOR_REQUEST_SECONDS")?,
            idle_seconds: number("EDG_COORDINATOR_IDLE_SECONDS")?,
            max_bodies_mib: number("EDG_COORDINATOR_MAX_BODIES_MIB")?,
            max_answers_mib: number("EDG_COORDINATOR_MAX_ANSWERS_MIB")?,
            max_manifest_mib: number("EDG_COORDINATOR_MAX_MANIFEST_MIB")?,
            max_secrets_mib: number("EDG_COORDINATOR_MAX_SECRETS_MIB")?,
        })
    }

    /// Takes from `lower` what is unset here.
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            max_connections: self.max_connections.or(lower.max_connections),
            max_requests: self.max_requests.or(lower.max_requests),
            handshake_seconds: self.handshake_seconds.or(lower.handshake_seconds),
            body_seconds: self.body_seconds.or(lower.body_seconds),
            request_seconds: self.request_seconds.or(lower.request_seconds),
            idle_seconds: self.idle_seconds.or(lower.idle_seconds),
            max_bodies_mib: self.max_bodies_mib.or(lower.max_bodies_mib),
            max_answers_mib: self.max_answers_mib.or(lower.max_answers_mib),
            max_manifest_mib: self.max_manifest_mib.or(lower.max_manifest_mib),
            max_secrets_mib: self.max_secrets_mib.or(lower.max_secrets_mib),
        }
    }

    /// The limits, with the defaults where nothing is set.
    pub(super) fn check(self) -> Result<Limits> {
        let mut limits = Limits::default();
        for (name, value) in [
            ("max-connections", self.max_connections),
            ("max-requests", self.max_requests),
            ("handshake-seconds", self.handshake_seconds),
            ("body-seconds", self.body_seconds),
            ("request-seconds", self.request_seconds),
            ("idle-seconds", self.idle_seconds),
            ("max-bodies-mib", self.max_bodies_mib),
            ("max-answers-mib", self.max_answers_mib),
            ("max-manifest-mib", self.max_manifest_mib),
            ("max-secrets-mib", self.max_secrets_mib),
        ] {
            if let Some(value) = value {
                limits.set(name, value)?;
            }
        }
        limits.check()?;
        Ok(limits)
    }
}

/// A variable that is a number.
pub(super) fn number(variable: &impl Fn(&str) -> Result<Option<String>>, name: &str) -> Result<Option<u64>> {
    let wrong = |text: &str| anyhow!("the environment variable {name} is \"{text}\"; write a number");
    variable(name)?.map(|text| text.parse().map_err(|_| wrong(&text))).transpose()
}

/// Files beside the connections of the two TLS ports: the metrics port's connections, the state, the log.
const OTHER_FILES: u64 = 256;

/// Lets the process open as many files as the limits need. Where it may not, there are as many connections as fit: to run
/// out of files in the middle of a commit would be worse.
pub(crate) fn within_open_files(limits: &Limits) -> Limits {
    let allowed = getrlimit(Resource::Nofile);
    let needed = OTHER_FILES + files_of(limits, limits.connections);
    let most = allowed.maximum.unwrap_or(u64::MAX);
    let wanted = needed.min(most).max(allowed.current.unwrap_or(u64::MAX));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: allowed.maximum });
    let files = if raised.is_ok() { wanted } else { allowed.current.unwrap_or(u64::MAX) };
    let connections = connections_within(files, limits);
    if connections < limits.connections {
        warn!(
            files,
            wanted = needed,
            max_connections = limits.connections,
            connections,
            "the process may open too few files for its connections: there are fewer of them; raise the limit (ulimit -n, \
             LimitNOFILE of systemd, --ulimit of docker) or lower max-connections"
        );
    }
    Limits { connections, ..limits.clone() }
}

/// Files of both ports with so many connections each.
fn files_of(limits: &Limits, connections: usize) -> u64 {
    let open = Limits { connections, ..limits.clone() }.open_connections();
    2 * u64::try_from(open).unwrap_or(u64::MAX / 4)
}

/// How many connections a port may have with so many files: a quarter of few files is left to everything else.
fn connections_within(files: u64, limits: &Limits) -> usize {
    let room = files - OTHER_FILES.min(files / 4);
    let fits = |connections: &usize| files_of(limits, *connections) <= room;
    (1..=limits.connections).rev().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_the_files_that_nothing_else_needs() {
        let limits = Limits { connections: 2048, ..Limits::default() };
        let within = |files| connections_within(files, &limits);
        // 2048, 256 that make room, and one.
        assert_eq!(within(1 << 20), 2048);
        assert_eq!(within(OTHER_FILES + 2 * 2305), 2048);
        assert_eq!(within(OTHER_FILES + 2 * 2305 - 1), 2047);
        assert_eq!(within(64), 21);
        assert_eq!(within(0), 1);
    }

    #[test]
    fn every_option_of_the_server_is_one_here() {
        let command = LimitsLayer::augment_args(clap::Command::new("x"));
        let mut options: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let mut known: Vec<_> = carrara_server::LIMIT_OPTIONS.iter().map(|option| option.name).collect();
        options.sort_unstable();
        known.sort_unstable();
        assert_eq!(options, known);
        let most: String = carrara_server::LIMIT_OPTIONS
            .iter()
            .map(|option| format!("{} = {}\n", option.name, option.most))
            .collect();
        let layer: LimitsLayer = toml::from_str(&most).unwrap();
        let mut limits = Limits::default();
        carrara_server::LIMIT_OPTIONS.iter().for_each(|option| limits.set(option.name, option.most).unwrap());
        assert_eq!(
            layer.check().unwrap(),
            limits,
            "each is taken from the file, and the greatest go together"
        );
    }
}
