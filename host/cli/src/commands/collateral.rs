//! `collateral fetch|show`: Intel's collateral in a file, for coordinators and clients that reach no PCCS.
//!
//! What is written was checked: signed by Intel's root, for the platform that was asked for, and valid now. What is shown is
//! checked again and shown whatever is wrong with it; so is what an operator put there for SEV-SNP, for which nothing is fetched.

mod snp;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_client::collateral::{
    Bundle, Collateral as Piece, Fmspc, Key, MOST_BUNDLE_BYTES, PckCa, Root, Source, Tee,
};
use carrara_client::snp::SnpVerifier;
use carrara_client::{QuoteKind, Verifier};
use clap::{Args, Subcommand};
use rustls::pki_types::UnixTime;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::Globals;
use crate::files;
use crate::output::Output;
use crate::session::pccs;

/// Prepare Intel's collateral for where no PCCS can be reached
#[derive(Debug, Subcommand)]
pub(crate) enum Collateral {
    Fetch(Box<Fetch>),
    /// Show what a file of `collateral fetch` is for, and until when it can be used
    Show {
        /// The file
        file: PathBuf,
    },
}

/// Fetch collateral from a PCCS (--pccs-url) into a file
///
/// For which platform is said by one of its quotes (--quote), or by --fmspc, --ca and --tee. The file is for --collateral-bundle of
/// carrara-coordinator; it has to be fetched anew before it expires, about once a month.
///
/// Nothing is fetched for AMD SEV-SNP: a PCCS has Intel's collateral only, and nobody else is asked. With --quote and its
/// evidence it says what is missing, for you to add to the file.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// A quote of the platform, such as --save-sgx-quote saves; can be given several times
    #[arg(long, value_name = "FILE", required_unless_present = "fmspc")]
    quote: Vec<PathBuf>,
    /// The kind of platform, 12 hex digits; several are separated by commas
    #[arg(long, value_name = "HEX", value_delimiter = ',', requires_all = ["ca", "tee"])]
    fmspc: Vec<Fmspc>,
    /// The CA that certified the platform: processor or platform
    #[arg(long, value_name = "CA", requires = "fmspc")]
    ca: Option<PckCa>,
    /// The TEE: sgx or tdx
    #[arg(long, value_name = "TEE", requires = "fmspc")]
    tee: Option<Tee>,
    /// Where it goes
    #[arg(short, long, default_value = "collateral.json", value_name = "FILE")]
    out_file: PathBuf,
}

pub(crate) async fn run(globals: &Globals, command: &Collateral, output: &mut Output) -> Result<()> {
    let now = i64::try_from(UnixTime::now().as_secs()).context("the system's clock is wrong; set it")?;
    match command {
        Collateral::Fetch(fetch) => fetch.run(globals, &Root::INTEL, now, output).await,
        Collateral::Show { file } => show(file, (&Root::INTEL, &SnpVerifier::default()), now, output),
    }
}

impl Fetch {
    async fn run(&self, globals: &Globals, root: &Root, now: i64, output: &mut Output) -> Result<()> {
        let pccs = pccs(globals)?.context("there is no PCCS to ask: name one with --pccs-url")?;
        let keys = self.keys()?;
        let place = files::Place::reserve(&self.out_file)?;
        let source = Source::default().with_pccs(pccs);
        let mut bundle = Bundle::default();
        for key in keys {
            let fetched = source.fetch(key, root, now).await;
            bundle.add(fetched.with_context(|| format!("fetching the collateral for {key}"))?.collateral);
        }
        place.fill(bundle.to_json().as_bytes())?;
        for piece in bundle.iter() {
            print(piece, root, now, output)?;
        }
        output.line(&format!("Collateral written to {}", self.out_file.display()))?;
        let pieces: Vec<_> = bundle.iter().map(|piece| told(piece, root, now)).collect();
        output.result(&json!({ "file": self.out_file, "collateral": pieces, "snp": [] }))
    }

    /// What is to be fetched.
    fn keys(&self) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        for path in &self.quote {
            let quote = files::read(path)?;
            let kind = Verifier::new().kind(&quote);
            match kind.with_context(|| format!("looking for the platform in {}", path.display()))? {
                QuoteKind::Intel(key) => keys.push(key),
                QuoteKind::Snp => bail!("{}: {}", path.display(), snp::to_be_added(&quote)?),
            }
        }
        if let (Some(ca), Some(tee)) = (self.ca, self.tee) {
            keys.extend(self.fmspc.iter().map(|fmspc| Key { tee, fmspc: *fmspc, ca }));
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }
}

fn show(path: &Path, by: (&Root, &SnpVerifier), now: i64, output: &mut Output) -> Result<()> {
    let (root, verifier) = by;
    let text = files::read(path)?;
    if text.len() > MOST_BUNDLE_BYTES {
        bail!("{} is larger than any bundle of collateral", path.display());
    }
    let bundle = Bundle::from_json(&text).with_context(|| format!("reading {}", path.display()))?;
    let parts = verifier.look(bundle.snp(), now);
    if bundle.iter().next().is_none() && parts.is_empty() {
        output.line("There is no collateral in it")?;
    }
    for piece in bundle.iter() {
        print(piece, root, now, output)?;
    }
    for part in &parts {
        snp::print(part, now, output)?;
    }
    let pieces: Vec<_> = bundle.iter().map(|piece| told(piece, root, now)).collect();
    let parts: Vec<_> = parts.iter().map(snp::told).collect();
    output.result(&json!({ "file": path, "collateral": pieces, "snp": parts }))
}

fn print(piece: &Piece, root: &Root, now: i64, output: &mut Output) -> Result<()> {
    output.line(&piece.key().to_string())?;
    output.line(&format!("  issued      {}", date(piece.issued())))?;
    output.line(&format!(
        "  valid until {}{}",
        date(piece.validity().until),
        left(piece.validity().until, now)
    ))?;
    output.line(&format!("  TCB evaluation data number {}", piece.tcb_evaluation_data_number()))?;
    match piece.check(root, now) {
        Ok(()) => output.line("  signed by Intel, and valid"),
        Err(problem) => output.line(&format!("  CANNOT BE USED: {problem}")),
    }
}

/// For programs.
fn told(piece: &Piece, root: &Root, now: i64) -> Value {
    let (key, validity) = (piece.key(), piece.validity());
    json!({
        "tee": key.tee.word(),
        "fmspc": key.fmspc.to_string(),
        "ca": key.ca.word(),
        "issued": date(piece.issued()),
        "validFrom": date(validity.from),
        "validUntil": date(validity.until),
        "tcbEvaluationDataNumber": piece.tcb_evaluation_data_number(),
        "problem": piece.check(root, now).err().map(|problem| problem.to_string()),
    })
}

fn date(seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| seconds.to_string())
}

fn left(until: i64, now: i64) -> String {
    match until.saturating_sub(now) {
        seconds if seconds <= 0 => String::new(),
        seconds if seconds < 2 * 86_400 => format!(" ({} hours)", seconds / 3600),
        seconds => format!(" ({} days)", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
