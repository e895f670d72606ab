//! What a premain runs in, and what differs there (marble-api.md section 9, table of runtimes).
//!
//! Decided by what the kernel, or the library OS in its place, calls itself. Nothing of it is trusted: a service that a host
//! starts outside a TEE gets no quote that a coordinator accepts.

use std::error::Error;
use std::ffi::OsString;

use carrara_attest::issue::{Places, Platform};

use crate::quote::{QuoteIssuer, ReportData};

/// Zeros behind the hash, up to a report's length.
const REPORT_DATA_BYTES: usize = 64;

/// What runs this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Linux itself: a plain process, or a VM that is a TEE.
    Native,
    /// Gramine. Its key files are written first; the program is the one that the premain was started as.
    Gramine,
    /// Occlum. The program's path must exist, and its first argument is its base name.
    Occlum,
}

/// What `uname` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemName {
    /// `uname -s`.
    pub system: String,
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
}

impl SystemName {
    fn of_this_system() -> Self {
        let name = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Self {
            system: text(name.sysname()),
            release: text(name.release()),
            version: text(name.version()),
            machine: text(name.machine()),
        }
    }
}

impl Runtime {
    /// By what the system calls itself.
    #[must_use]
    pub fn of(name: &SystemName) -> Self {
        let SystemName { system, release, version, machine } = name;
        match [system.as_str(), release, version, machine] {
            ["Occlum", ..] => Self::Occlum,
            ["Linux", "3.10.0", "1", "x86_64"] => Self::Gramine,
            _ => Self::Native,
        }
    }
}

/// All that a premain takes from around it but its environment. Tests choose their own.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// What runs this process.
    pub runtime: Runtime,
    /// As what it was started: its `argv[0]`.
    pub program: OsString,
    /// Where the interfaces of TEEs are.
    pub places: Places,
}

impl Surroundings {
    /// Of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let name = SystemName::of_this_system();
        let program = std::env::args_os().next().unwrap_or_default();
        Self { runtime: Runtime::of(&name), program, places: Places::default() }
    }
}

/// Asks the TEE that is found in these places.
impl QuoteIssuer for Places {
    fn issue(&self, report_data: &ReportData) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        let mut padded = [0; REPORT_DATA_BYTES];
        for (to, from) in padded.iter_mut().zip(report_data) {
            *to = *from;
        }
        let platform = Platform::detect(self)?;
        tracing::debug!(tee = platform.name(), "asking for a quote");
        Ok(platform.issue(&padded).map_err(|error| error.chain())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(system: &str, release: &str, version: &str, machine: &str) -> Runtime {
        let [system, release, version, machine] = [system, release, version, machine].map(str::to_owned);
        Runtime::of(&SystemName { system, release, version, machine })
    }

    // marble-api.md section 9, table of runtimes
    #[test]
    fn the_runtime_is_known_by_the_system_s_name() {
        assert_eq!(runtime("Linux", "3.10.0", "1", "x86_64"), Runtime::Gramine);
        assert_eq!(runtime("Occlum", "0.1", "0.1", "x86-64"), Runtime::Occlum);
        for [release, version, machine] in
            [["3.10.0-1160", "1", "x86_64"], ["3.10.0", "#1 SMP", "x86_64"], ["3.10.0", "1", "aarch64"]]
        {
            assert_eq!(runtime("Linux", release, version, machine), Runtime::Native);
        }
        assert_eq!(runtime("occlum", "", "", ""), Runtime::Native);
    }

    #[test]
    fn this_process_is_known_to_itself() {
        let here = Surroundings::of_this_process();
        assert_eq!(here.runtime, Runtime::Native);
        assert_eq!(Some(here.program), std::env::args_os().next());
    }
}
