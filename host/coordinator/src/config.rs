//! What is configured: options, EDG_* variables, a file, defaults - in this order.
//!
//! Reads and checks everything before anything is opened or bound. A variable that asks for what this version cannot do
//! is refused by `unsupported.rs`, never ignored. An empty value is unset (lifecycle.md section 1).

pub(crate) mod collateral;
pub(crate) mod limits;
pub(crate) mod policies;
mod trust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use carrara_core::OwnerCertificate;
use carrara_server::{Limits, ListenAddress};
use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use tracing::Level;

use self::collateral::{CollateralLayer, CollateralSource};
use self::limits::LimitsLayer;
use self::policies::{PoliciesLayer, PolicyLimits};
use crate::{input, unsupported};
use trust::Build;

/// The coordinator of confidential services: verifies them, is their CA, gives them secrets and configuration.
///
/// Every setting can be given as an option, as an environment variable, or in a file (--config). An option beats its
/// variable, which beats the file, which beats the default.
#[derive(Debug, Parser)]
#[command(name = "carrara-coordinator", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    other: Option<OtherTask>,
    /// A TOML file with settings; its keys are the options' names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Layer,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
enum OtherTask {
    /// Verify a state directory without changing it; no coordinator may be using it
    ///
    /// Says what is wrong, where, and what to do. Exit codes: 0 sound, 1 damaged, 2 could not be checked, 3 sound as far as it
    /// can be seen without the sealing key, which only the coordinator's TEE (or --simulation) has.
    Check(CheckSettings),
}

/// The settings of `check`: the coordinator's own of these names.
#[derive(Debug, Args)]
struct CheckSettings {
    /// A TOML file with settings, as the coordinator takes it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The state directory [EDG_COORDINATOR_SEAL_DIR; default ./marblerun-coordinator-data]
    #[arg(long, value_name = "DIRECTORY")]
    seal_dir: Option<String>,
    /// The state was sealed in simulation [OE_SIMULATION=1]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    simulation: Option<bool>,
}

/// What the process is to do with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Be the coordinator.
    Serve,
    /// Verify the state directory.
    Check,
}

impl CommandLine {
    /// The task, and a command line of settings alone.
    fn task(self) -> (Task, Self) {
        let Some(OtherTask::Check(CheckSettings { config, seal_dir, simulation })) = self.other else {
            return (Task::Serve, self);
        };
        let settings = Layer { seal_dir, simulation, ..Layer::default() };
        (Task::Check, Self { other: None, config, settings })
    }
}

/// The settings of one source, as written there.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Layer {
    /// Where Marbles connect: HOST:PORT, or :PORT for all interfaces [EDG_COORDINATOR_MESH_ADDR; default :2001]
    #[arg(long, value_name = "ADDRESS")]
    mesh_addr: Option<String>,
    /// Where users connect [EDG_COORDINATOR_CLIENT_ADDR; default :4433]
    #[arg(long, value_name = "ADDRESS")]
    client_addr: Option<String>,
    /// Where Prometheus asks for /metrics and /events, in plain HTTP without authentication: HOST:PORT, or :PORT for all
    /// interfaces [EDG_COORDINATOR_PROMETHEUS_ADDR; default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    prometheus_addr: Option<String>,
    /// Names and IPs in the certificates of a new CA, separated by commas [EDG_COORDINATOR_DNS_NAMES; default localhost]
    #[arg(long, value_name = "NAMES")]
    dns_names: Option<String>,
    /// Where the sealed state is kept [EDG_COORDINATOR_SEAL_DIR; default ./marblerun-coordinator-data]
    #[arg(long, value_name = "DIRECTORY")]
    seal_dir: Option<String>,
    /// A manifest to set at start [EDG_STARTUP_MANIFEST]
    #[arg(long, value_name = "FILE")]
    startup_manifest: Option<String>,
    /// Where the startup manifest's recovery secrets are written; must not exist yet [EDG_STARTUP_RECOVERY_FILE]
    #[arg(long, value_name = "FILE")]
    startup_recovery_file: Option<String>,
    /// A directory with the components that the startup manifest's policies are made of [EDG_STARTUP_POLICIES]
    #[arg(long, value_name = "DIRECTORY")]
    startup_policies: Option<String>,
    /// Where the chosen addresses are written as JSON [EDG_COORDINATOR_ADDRESSES_FILE]
    #[arg(long, value_name = "FILE")]
    addresses_file: Option<String>,
    /// Log lines: text or json [EDG_LOG_FORMAT; default text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Log more [EDG_DEBUG_LOGGING=1]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    debug_logging: Option<bool>,
    /// Development logs; nothing else changes [EDG_COORDINATOR_DEV_MODE=1]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    dev_mode: Option<bool>,
    /// The level of failed connections: debug, info, warn or error [EDG_HTTP_ERROR_LOG_LEVEL; default error]
    #[arg(long, value_name = "LEVEL")]
    http_error_log_level: Option<String>,
    /// Run without a TEE: nothing is attested; only in builds for development [OE_SIMULATION=1]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    simulation: Option<bool>,
    /// PEM file with the certificate of the owner, who alone sets the first manifest or resets in recovery; outside
    /// simulation it comes from the measured image [EDG_COORDINATOR_OWNER_CERT]
    #[arg(long, value_name = "FILE")]
    owner_cert: Option<String>,
    #[command(flatten)]
    collateral: CollateralLayer,
    #[command(flatten)]
    limits: LimitsLayer,
    #[command(flatten)]
    policies: PoliciesLayer,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logging {
    /// Text or JSON.
    pub(crate) format: LogFormat,
    /// Debug level.
    pub(crate) debug: bool,
    /// Development logs. Must change nothing but logs.
    pub(crate) development: bool,
}

/// A manifest to set at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartupManifest {
    /// The manifest.
    pub(crate) manifest: PathBuf,
    /// Where its recovery secrets go.
    pub(crate) recovery_file: Option<PathBuf>,
    /// Where its policies' components are.
    pub(crate) policies: Option<PathBuf>,
}

/// All settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// For Marbles.
    pub(crate) mesh: ListenAddress,
    /// For users.
    pub(crate) rest: ListenAddress,
    /// For Prometheus.
    pub(crate) metrics: Option<ListenAddress>,
    /// L-12; not trimmed.
    pub(crate) dns_names: Vec<String>,
    /// The sealed state.
    pub(crate) seal_dir: PathBuf,
    ///
    pub(crate) startup: Option<StartupManifest>,
    /// For scripts.
    pub(crate) addresses_file: Option<PathBuf>,
    /// Logs.
    pub(crate) logging: Logging,
    /// Where Intel's collateral comes from.
    pub(crate) collateral: CollateralSource,
    /// What clients may use up.
    pub(crate) limits: Limits,
    /// What policies may use up.
    pub(crate) policies: PolicyLimits,
    /// Failed connections.
    pub(crate) connection_errors: Level,
    /// No TEE.
    pub(crate) simulation: bool,
    ///
    pub(crate) owner: Option<OwnerCertificate>,
    /// What was read by now or is read later, each with its setting.
    pub(crate) files_read: Vec<(&'static str, PathBuf)>,
}

impl Config {
    /// Reads the process's command line and environment. Ends the process for `--help`, `--version` and options that do
    /// not exist.
    ///
    /// # Errors
    /// A setting is wrong or asks for what this version cannot do.
    pub(crate) fn of_process() -> (Task, Result<Self>) {
        let line = CommandLine::try_parse().unwrap_or_else(|error| {
            let checks = std::env::args_os().nth(1).is_some_and(|first| first == "check");
            // clap's own code for a bad option is 2; ours is 1, as for everything else that ends a start.
            let code = if checks { i32::from(crate::check::UNKNOWN) } else { 1 };
            let _ = error.print();
            std::process::exit(if error.use_stderr() { code } else { 0 })
        });
        let (task, line) = line.task();
        (task, Self::read(line, |name| std::env::var_os(name), &Build::this()))
    }

    fn read(
        line: CommandLine,
        variable: impl Fn(&str) -> Option<OsString>,
        build: &Build<'_>,
    ) -> Result<Self> {
        let variable = |name: &str| text_of(name, variable(name));
        unsupported::refuse(&variable)?;
        let file = line.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let environment = Layer::of_environment(&variable)?;
        let working_directory = variable("EDG_CWD")?.unwrap_or_default();
        let mut config =
            line.settings.over(environment).over(file).check(Path::new(&working_directory), build)?;
        config.files_read.extend(line.config.map(|path| ("config", path)));
        Ok(config)
    }
}

impl Layer {
    fn of_environment(variable: &impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let switch = |name: &str| variable(name)?.map(|value| truth(name, &value)).transpose();
        Ok(Self {
            mesh_addr: variable("EDG_COORDINATOR_MESH_ADDR")?,
            client_addr: variable("EDG_COORDINATOR_CLIENT_ADDR")?,
            prometheus_addr: variable("EDG_COORDINATOR_PROMETHEUS_ADDR")?,
            dns_names: variable("EDG_COORDINATOR_DNS_NAMES")?,
            seal_dir: variable("EDG_COORDINATOR_SEAL_DIR")?,
            startup_manifest: variable("EDG_STARTUP_MANIFEST")?,
            startup_recovery_file: variable("EDG_STARTUP_RECOVERY_FILE")?,
            startup_policies: variable("EDG_STARTUP_POLICIES")?,
            addresses_file: variable("EDG_COORDINATOR_ADDRESSES_FILE")?,
            log_format: variable("EDG_LOG_FORMAT")?,
            debug_logging: switch("EDG_DEBUG_LOGGING")?,
            dev_mode: switch("EDG_COORDINATOR_DEV_MODE")?,
            http_error_log_level: variable("EDG_HTTP_ERROR_LOG_LEVEL")?,
            simulation: switch("OE_SIMULATION")?,
            owner_cert: variable("EDG_COORDINATOR_OWNER_CERT")?,
            collateral: CollateralLayer::of_environment(variable)?,
            limits: LimitsLayer::of_environment(variable)?,
            policies: PoliciesLayer::of_environment(variable)?,
        })
    }

    /// Takes from `lower` what is unset here.
    fn over(self, lower: Self) -> Self {
        let text =
            |upper: Option<String>, lower: Option<String>| upper.filter(|text| !text.is_empty()).or(lower);
        Self {
            mesh_addr: text(self.mesh_addr, lower.mesh_addr),
            client_addr: text(self.client_addr, lower.client_addr),
            prometheus_addr: text(self.prometheus_addr, lower.prometheus_addr),
            dns_names: text(self.dns_names, lower.dns_names),
            seal_dir: text(self.seal_dir, lower.seal_dir),
            startup_manifest: text(self.startup_manifest, lower.startup_manifest),
            startup_recovery_file: text(self.startup_recovery_file, lower.startup_recovery_file),
            startup_policies: text(self.startup_policies, lower.startup_policies),
            addresses_file: text(self.addresses_file, lower.addresses_file),
            log_format: text(self.log_format, lower.log_format),
            debug_logging: self.debug_logging.or(lower.debug_logging),
            dev_mode: self.dev_mode.or(lower.dev_mode),
            http_error_log_level: text(self.http_error_log_level, lower.http_error_log_level),
            simulation: self.simulation.or(lower.simulation),
            owner_cert: text(self.owner_cert, lower.owner_cert),
            collateral: self.collateral.over(lower.collateral),
            limits: self.limits.over(lower.limits),
            policies: self.policies.over(lower.policies),
        }
    }

    fn check(self, working_directory: &Path, build: &Build<'_>) -> Result<Config> {
        let this = self.over(Self::default());
        let parse = |name: &str, written: &str| -> Result<ListenAddress> {
            written.parse().with_context(|| format!("setting {name}"))
        };
        let address =
            |name, written: Option<String>, default| parse(name, written.as_deref().unwrap_or(default));
        let metrics = this.prometheus_addr.filter(|address| !address.is_empty());
        let path = |written: Option<String>| written.filter(|text| !text.is_empty()).map(PathBuf::from);
        let startup = startup(
            path(this.startup_manifest),
            path(this.startup_recovery_file),
            path(this.startup_policies),
        )?;
        let seal_dir = path(this.seal_dir).unwrap_or_else(|| PathBuf::from("marblerun-coordinator-data"));
        let owner_cert = path(this.owner_cert);
        let names = this.dns_names.unwrap_or_else(|| "localhost".to_owned());
        let collateral = this.collateral.check()?;
        let owner_file = owner_cert.iter().map(|path| ("owner-cert", path.clone()));
        let files_read = owner_file.chain(collateral.files()).collect();
        Ok(Config {
            mesh: address("mesh-addr", this.mesh_addr, ":2001")?,
            rest: address("client-addr", this.client_addr, ":4433")?,
            metrics: metrics.map(|written| parse("prometheus-addr", &written)).transpose()?,
            dns_names: names.split(',').map(str::to_owned).collect(),
            seal_dir: working_directory.join(seal_dir),
            startup,
            addresses_file: path(this.addresses_file),
            logging: Logging {
                format: log_format(this.log_format.as_deref())?,
                debug: this.debug_logging.unwrap_or(false),
                development: this.dev_mode.unwrap_or(false),
            },
            connection_errors: level(this.http_error_log_level.as_deref())?,
            collateral,
            limits: this.limits.check()?,
            policies: this.policies.check()?,
            simulation: this.simulation.unwrap_or(false),
            owner: build.owner(owner_cert.as_deref())?,
            files_read,
        })
    }
}

fn startup(
    manifest: Option<PathBuf>,
    recovery_file: Option<PathBuf>,
    policies: Option<PathBuf>,
) -> Result<Option<StartupManifest>> {
    match manifest {
        Some(manifest) => Ok(Some(StartupManifest { manifest, recovery_file, policies })),
        None if recovery_file.is_some() => bail!(
            "setting startup-recovery-file: there is no startup-manifest whose secrets could be written to it"
        ),
        None if policies.is_some() => {
            bail!(
                "setting startup-policies: there is no startup-manifest whose policies could be made of them"
            )
        }
        None => Ok(None),
    }
}

fn text_of(name: &str, value: Option<OsString>) -> Result<Option<String>> {
    let value = value.map(OsString::into_string).transpose();
    let value = value.map_err(|_| anyhow!("the environment variable {name} is not valid UTF-8"))?;
    Ok(value.filter(|text| !text.is_empty()))
}

fn truth(name: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => bail!("the environment variable {name} is \"{other}\"; write 1 or 0"),
    }
}

fn read_file(path: &Path) -> Result<Layer> {
    let text = input::read_text(path).with_context(|| format!("reading {}", path.display()))?;
    let error = |error: toml::de::Error| anyhow!("{}: {}", path.display(), error.to_string().trim_end());
    toml::from_str(&text).map_err(error)
}

fn log_format(written: Option<&str>) -> Result<LogFormat> {
    match written.unwrap_or("text").to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => bail!("setting log-format: \"{other}\" is unknown; write text or json"),
    }
}

fn level(written: Option<&str>) -> Result<Level> {
    match written.unwrap_or("error").to_ascii_lowercase().as_str() {
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warn" => Ok(Level::WARN),
        "error" => Ok(Level::ERROR),
        other => {
            bail!("setting http-error-log-level: \"{other}\" is unknown; write debug, info, warn or error")
        }
    }
}

#[cfg(test)]
mod tests;
