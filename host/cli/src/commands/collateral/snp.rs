//! What a bundle has for SEV-SNP, which an operator puts there by hand, and what evidence needs of it.

use anyhow::Result;
use carrara_client::snp::{SnpLacks, SnpPart, SnpPartKind};
use carrara_types::claims::SnpTcb;
use serde_json::{Value, json};

use super::{date, left};
use crate::output::Output;

/// Why nothing is fetched for this evidence, and what has to be done.
pub(super) fn to_be_added(evidence: &[u8]) -> Result<String> {
    let lacks = SnpLacks::of(evidence)?;
    let mut missing = Vec::new();
    if lacks.leaf && lacks.vlek {
        missing.push("the certificate of its VLEK, which the cloud provider has".to_owned());
    } else if lacks.leaf {
        missing.push(format!(
            "the certificate of its VCEK, which AMD's key distribution service has for chip id {} and reported TCB {}",
            hex::encode(lacks.chip_id),
            hex::encode(lacks.reported_tcb),
        ));
    }
    if lacks.intermediate && lacks.vlek {
        missing.push("the certificate of the ASVK, which AMD's key distribution service has".to_owned());
    }
    let needs = if missing.is_empty() {
        "it brings its certificates along, and needs a file only for AMD's revocation lists".to_owned()
    } else {
        format!("it lacks {}", missing.join(", and "))
    };
    Ok(format!(
        "this is evidence of SEV-SNP, for which nothing is fetched: a PCCS has none of AMD's collateral, and nobody else is \
         asked; {needs}. Put what is missing under \"snp\" into the file (host/docs/collateral.md says how), and look at it \
         with `carrara collateral show`"
    ))
}

pub(super) fn print(part: &SnpPart, now: i64, output: &mut Output) -> Result<()> {
    let generation = part.generation.map_or_else(String::new, |generation| format!(", {generation}"));
    output.line(&format!("SEV-SNP{generation}, {}", name(part)))?;
    if let Some(tcb) = part.tcb {
        let SnpTcb { boot_loader, tee, snp, microcode, fmc } = tcb;
        let parts =
            format!("boot loader {boot_loader}, TEE {tee}, SNP {snp}, microcode {microcode}, FMC {fmc}");
        output.line(&format!("  TCB         {parts}"))?;
    }
    if let Some(revoked) = part.revoked {
        output.line(&format!("  revokes     {revoked}"))?;
    }
    if let Some(from) = part.from {
        output.line(&format!("  valid from  {}", date(from)))?;
    }
    if let Some(until) = part.until {
        output.line(&format!("  valid until {}{}", date(until), left(until, now)))?;
    }
    match (&part.problem, part.kind) {
        (Some(problem), _) => output.line(&format!("  CANNOT BE USED: {problem}")),
        (None, SnpPartKind::Root) => output.line("  AMD's, and not needed here: the program has it"),
        (None, _) => output.line("  signed by AMD, and valid"),
    }
}

/// For programs.
pub(super) fn told(part: &SnpPart) -> Value {
    json!({
        "kind": word(part.kind),
        "generation": part.generation.map(|generation| generation.to_string()),
        "chipId": part.chip_id.as_ref().map(hex::encode),
        "tcb": part.tcb.map(|SnpTcb { boot_loader, tee, snp, microcode, fmc }| json!({
            "Bootloader": boot_loader, "TEE": tee, "SNP": snp, "Microcode": microcode, "FMC": fmc,
        })),
        "revoked": part.revoked,
        "validFrom": part.from.map(date),
        "validUntil": part.until.map(date),
        "problem": part.problem,
    })
}

fn name(part: &SnpPart) -> String {
    match (part.kind, &part.chip_id) {
        (SnpPartKind::Vcek, Some(chip)) => format!("VCEK of chip {}", hex::encode(chip)),
        (SnpPartKind::Vcek, None) => "VCEK".to_owned(),
        (SnpPartKind::Vlek, _) => "VLEK".to_owned(),
        (SnpPartKind::Authority, _) => "ASK or ASVK".to_owned(),
        (SnpPartKind::Root, _) => "ARK".to_owned(),
        (SnpPartKind::RevocationList, _) => "revocation list".to_owned(),
        (SnpPartKind::Unreadable, _) => "no certificate".to_owned(),
    }
}

const fn word(kind: SnpPartKind) -> &'static str {
    match kind {
        SnpPartKind::Vcek => "vcek",
        SnpPartKind::Vlek => "vlek",
        SnpPartKind::Authority => "authority",
        SnpPartKind::Root => "root",
        SnpPartKind::RevocationList => "revocation-list",
        SnpPartKind::Unreadable => "unreadable",
    }
}
