//! What a Marble is told by its environment (marble-api.md section 8). An empty value counts as unset.

use std::ffi::OsString;
use std::path::PathBuf;

/// The coordinator's address.
pub const COORDINATOR_ADDR: &str = "EDG_MARBLE_COORDINATOR_ADDR";
/// The Marble's name in the manifest.
pub const MARBLE_TYPE: &str = "EDG_MARBLE_TYPE";
/// Names that the Marble's certificate shall hold.
pub const DNS_NAMES: &str = "EDG_MARBLE_DNS_NAMES";
/// Where the UUID is kept.
pub const UUID_FILE: &str = "EDG_MARBLE_UUID_FILE";
/// `json` (any case) for JSON logs.
pub const LOG_FORMAT: &str = "EDG_LOG_FORMAT";
/// The host's working directory.
pub const CWD: &str = "EDG_CWD";
/// PEM file with the coordinator's root certificate, if it is known beforehand (see [`crate::pin`]).
pub const COORDINATOR_ROOT_FILE: &str = "EDG_MARBLE_COORDINATOR_ROOT_FILE";

const DEFAULT_COORDINATOR_ADDR: &str = "localhost:2001";
const DEFAULT_DNS_NAMES: &str = "localhost";
const DEFAULT_UUID_FILE: &str = "uuid";

/// Why the environment makes no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The variable is required.
    #[error("environment variable {0} is not set: set it to the Marble's name in the manifest")]
    Missing(&'static str),
    /// The variable is not UTF-8.
    #[error("environment variable {0} is not valid UTF-8: correct its value")]
    NotText(&'static str),
    /// The address has no port.
    #[error(
        "environment variable {COORDINATOR_ADDR} has the value {0:?}: give it as HOST:PORT, such as localhost:2001"
    )]
    Address(String),
    /// The working directory is unknown.
    #[error("finding the working directory; set {UUID_FILE} to an absolute path")]
    WorkingDirectory(#[source] std::io::Error),
}

/// Where the coordinator listens.
pub use carrara_types::host_port::HostPort as Address;

/// Who this Marble is and whom it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The coordinator's Marble API.
    pub coordinator: Address,
    /// The Marble's name in the manifest.
    pub marble_type: String,
    /// As given, not trimmed; those that are IP addresses become IP SANs.
    pub dns_names: Vec<String>,
    /// Where the UUID is kept.
    pub uuid_file: PathBuf,
    /// PEM file with the coordinator's root certificate, if it is known beforehand.
    pub coordinator_root_file: Option<PathBuf>,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// A variable is missing or malformed; the text names it and the remedy.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var_os(name))
    }

    /// Reads variables through `lookup`; for those who keep them elsewhere, and for tests.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &'static str| match set(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(ConfigError::NotText(name)),
        };
        let address = text(COORDINATOR_ADDR)?.unwrap_or_else(|| DEFAULT_COORDINATOR_ADDR.to_owned());
        let marble_type = text(MARBLE_TYPE)?.ok_or(ConfigError::Missing(MARBLE_TYPE))?;
        let dns_names = text(DNS_NAMES)?.unwrap_or_else(|| DEFAULT_DNS_NAMES.to_owned());
        Ok(Self {
            coordinator: self::address(&address).ok_or(ConfigError::Address(address))?,
            marble_type,
            dns_names: dns_names.split(',').map(str::to_owned).collect(),
            uuid_file: uuid_file(set(UUID_FILE), set(CWD))?,
            coordinator_root_file: set(COORDINATOR_ROOT_FILE).map(PathBuf::from),
        })
    }
}

fn uuid_file(configured: Option<OsString>, cwd: Option<OsString>) -> Result<PathBuf, ConfigError> {
    if let Some(path) = configured {
        return Ok(PathBuf::from(path));
    }
    let directory = match cwd {
        Some(path) => PathBuf::from(path),
        None => std::env::current_dir().map_err(ConfigError::WorkingDirectory)?,
    };
    Ok(directory.join(DEFAULT_UUID_FILE))
}

/// Reads an address; a `dns:///` or `passthrough:///` in front, which gRPC targets may carry, is dropped.
fn address(text: &str) -> Option<Address> {
    let target = ["dns:///", "passthrough:///"].iter().find_map(|scheme| text.strip_prefix(scheme));
    Address::parse(target.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let map: HashMap<String, OsString> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        Config::read(|name| map.get(name).cloned())
    }

    // marble-api.md section 8
    #[test]
    fn defaults_are_those_of_the_specification() {
        let config = read(&[(MARBLE_TYPE, "api"), (CWD, "/srv/app")]).unwrap();
        assert_eq!(config.coordinator, Address { host: "localhost".into(), port: 2001 });
        assert_eq!(config.dns_names, ["localhost"]);
        assert_eq!(config.uuid_file, PathBuf::from("/srv/app/uuid"));
        assert_eq!(config.coordinator_root_file, None);
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let config = read(&[
            (MARBLE_TYPE, "api"),
            (COORDINATOR_ADDR, ""),
            (DNS_NAMES, ""),
            (UUID_FILE, ""),
            (CWD, "/srv"),
        ])
        .unwrap();
        assert_eq!(config.coordinator.port, 2001);
        assert_eq!(config.dns_names, ["localhost"]);
        assert_eq!(config.uuid_file, PathBuf::from("/srv/uuid"));
        let error = read(&[(MARBLE_TYPE, "")]).unwrap_err();
        assert!(error.to_string().contains(MARBLE_TYPE), "{error}");
    }

    #[test]
    fn names_are_split_at_commas_and_not_trimmed() {
        let config = read(&[(MARBLE_TYPE, "api"), (DNS_NAMES, "a, b,10.0.0.1")]).unwrap();
        assert_eq!(config.dns_names, ["a", " b", "10.0.0.1"]);
    }

    #[test]
    fn the_default_uuid_file_is_in_the_working_directory() {
        let config = read(&[(MARBLE_TYPE, "api")]).unwrap();
        assert_eq!(config.uuid_file, std::env::current_dir().unwrap().join("uuid"));
    }

    #[test]
    fn an_address_without_a_port_is_refused_with_the_remedy() {
        for address in
            ["localhost", "localhost:", "localhost:70000", ":2001", "::1:2001", "https://c:2001", "[]:1"]
        {
            let error = read(&[(MARBLE_TYPE, "api"), (COORDINATOR_ADDR, address)]).unwrap_err();
            assert!(error.to_string().contains("HOST:PORT"), "{address}: {error}");
        }
    }

    #[test]
    fn an_address_may_be_ipv6_or_a_grpc_target() {
        assert_eq!(address("[::1]:7").unwrap().host, "::1");
        assert_eq!(address("[::1]:7").unwrap().to_string(), "[::1]:7");
        assert_eq!(address("dns:///c.example:2001").unwrap().to_string(), "c.example:2001");
    }

    #[test]
    fn a_value_that_is_not_text_is_refused_by_name() {
        let error =
            Config::read(|name| (name == MARBLE_TYPE).then(|| OsString::from_vec(vec![0xff]))).unwrap_err();
        assert!(error.to_string().contains(MARBLE_TYPE), "{error}");
    }
}
