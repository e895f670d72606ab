//! `carrara-coordinator check`: verifies a state directory and changes nothing. It must run where the coordinator runs to open
//! the records: nobody else has the sealing key.

use std::io::Write as _;
use std::process::ExitCode;

use carrara_attest::Expected;
use carrara_store::Verdict;

use crate::config::Config;
use crate::{complain, memory, tee};

/// Something could not be looked at, the command line is wrong, or standard output is closed. 1 is damage.
pub(crate) const UNKNOWN: u8 = 2;
/// Sound as far as it can be seen without the sealing key.
const UNOPENED: u8 = 3;

/// Checks the directory that is configured and prints what was found.
pub(crate) fn run(config: &Config) -> ExitCode {
    if let Err(error) = memory::hide() {
        return complain(&error, ExitCode::from(UNKNOWN));
    }
    let expected = if config.simulation { Expected::Simulation } else { Expected::Tee };
    let attestation = carrara_attest::open(expected);
    let mut text = match &attestation {
        Ok(attestation) if !attestation.has_sealing_key() => {
            format!("note: {} has no sealing key, so that no record is opened\n", attestation.name())
        }
        Ok(_) => String::new(),
        Err(error) => format!("note: there is no sealing key here, so that no record is opened: {error}\n"),
    };
    let tee = attestation.ok().and_then(tee::opener);
    // redb panics over some damages; the report says what there is to say.
    std::panic::set_hook(Box::new(|_| {}));
    let report = carrara_store::check(&config.seal_dir, tee.as_deref().map(|tee| tee as _));
    text.push_str(&format!("{report}\n"));
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return ExitCode::from(UNKNOWN);
    }
    match report.verdict() {
        Verdict::Sound => ExitCode::SUCCESS,
        Verdict::Damaged => ExitCode::FAILURE,
        Verdict::Unknown => ExitCode::from(UNKNOWN),
        Verdict::Unopened => ExitCode::from(UNOPENED),
    }
}
