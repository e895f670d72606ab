//! Whether verified claims match what the manifest allows (M-81..M-90). Looks at claims only, never at raw evidence.

use carrara_types::claims::{Claims, Identity, SgxIdentity, SnpIdentity, TdxIdentity, Tee};
use carrara_types::decision::EvidenceFacts;
use carrara_types::manifest::{Infrastructure, Package, SnpPackage, TdxPackage};
use sha2::{Digest, Sha256};

mod facts;

/// Whether the claims satisfy the package and are bound to the peer's certificate.
///
/// # Errors
/// What does not match, for the text of G-25.
pub(crate) fn match_package(
    package: &Package,
    claims: &Claims,
    peer_certificate: &[u8],
) -> Result<(), String> {
    match_tee(package, &claims.identity)?;
    match_report_data(claims, peer_certificate)?;
    match_tcb(package, claims)?;
    // M-84
    if package.debug != claims.debug {
        return Err(format!("debug is {}, but the package demands {}", claims.debug, package.debug));
    }
    match &claims.identity {
        Identity::Sgx(identity) => match_sgx(package, identity),
        Identity::Tdx(identity) => {
            package.tdx.as_deref().map_or(Ok(()), |wanted| match_tdx(wanted, identity))
        }
        Identity::Snp(identity) => {
            package.snp.as_deref().map_or(Ok(()), |wanted| match_snp(wanted, identity))
        }
    }
}

/// The TCB status that counts for a package: nobody publishes one for SEV-SNP, so a platform below the versions that the
/// package wants is out of date. Asked before [`match_package`], so that policies see it, too.
pub(crate) fn tcb_status(package: &Package, claims: &Claims) -> String {
    let (Identity::Snp(identity), Some(wanted)) = (&claims.identity, &package.snp) else {
        return claims.tcb_status.clone();
    };
    let (least, has) = (&wanted.tcb, &identity.tcb);
    let parts = [
        (least.boot_loader, has.boot_loader),
        (least.tee, has.tee),
        (least.snp, has.snp),
        (least.microcode, has.microcode),
        (least.fmc, has.fmc),
    ];
    let below = parts.into_iter().any(|(least, has)| least.is_some_and(|least| has < least));
    if below { "OutOfDate".to_owned() } else { claims.tcb_status.clone() }
}

/// Whether the platform is one of the manifest's, where it names any (M-90 with X-4).
pub(crate) fn match_infrastructure<'a>(
    mut infrastructures: impl ExactSizeIterator<Item = &'a Infrastructure>,
    claims: &Claims,
) -> bool {
    infrastructures.len() == 0 || infrastructures.any(|entry| platform_is(entry, claims))
}

/// The claims as admission policies see them.
pub(crate) fn evidence_facts(claims: &Claims) -> EvidenceFacts {
    EvidenceFacts {
        tee: claims.tee.name().to_owned(),
        debug: claims.debug,
        tcb_status: claims.tcb_status.clone(),
        advisories: claims.advisories.clone().unwrap_or_default(),
        identity: facts::identity(&claims.identity),
    }
}

/// M-83: the first 32 bytes are the SHA-256 of the certificate; the rest is not looked at.
fn match_report_data(claims: &Claims, peer_certificate: &[u8]) -> Result<(), String> {
    let expected = Sha256::digest(peer_certificate);
    match claims.report_data.get(..32) {
        Some(bound) if bound == expected.as_slice() => Ok(()),
        _ => Err("report data does not match the certificate's hash".to_owned()),
    }
}

/// M-81, M-82.
fn match_tcb(package: &Package, claims: &Claims) -> Result<(), String> {
    const ALWAYS: &str = "UpToDate";
    const HARDENING: &str = "SWHardeningNeeded";
    let status = claims.tcb_status.as_str();
    let accepted = if package.accepted_tcb_statuses.is_empty() {
        status == HARDENING
    } else {
        package.accepted_tcb_statuses.iter().any(|accepted| accepted == status)
    };
    if status != ALWAYS && !accepted {
        return Err(format!("TCB status {status} is not accepted by the package"));
    }
    if status != HARDENING || package.accepted_advisories.is_empty() {
        return Ok(());
    }
    let Some(advisories) = &claims.advisories else {
        return Err("the advisories of the TCB status could not be read".to_owned());
    };
    let known =
        |id: &String| package.accepted_advisories.iter().any(|accepted| accepted.eq_ignore_ascii_case(id));
    match advisories.iter().find(|id| !known(id)) {
        None => Ok(()),
        Some(id) => Err(format!("advisory {id} is not accepted by the package")),
    }
}

/// The TEE's kind comes first: a package without any identity for it matches nothing, unless it is a debug package (M-35).
fn match_tee(package: &Package, identity: &Identity) -> Result<(), String> {
    let named = match identity {
        Identity::Sgx(_) => !package.unique_id.is_empty() || !package.signer_id.is_empty(),
        Identity::Tdx(_) => package.tdx.as_ref().is_some_and(|tdx| tdx.mr_td.is_some()),
        Identity::Snp(_) => package.snp.as_ref().is_some_and(|snp| snp.measurement.is_some()),
    };
    if named || package.debug {
        return Ok(());
    }
    Err(format!("the package has no identity for {}", identity.tee().name()))
}

/// M-85..M-87.
fn match_sgx(package: &Package, identity: &SgxIdentity) -> Result<(), String> {
    for (name, wanted, measured) in [
        ("UniqueID", &package.unique_id, &identity.unique_id),
        ("SignerID", &package.signer_id, &identity.signer_id),
    ] {
        let measured = hex::encode(measured);
        if !wanted.is_empty() && !wanted.eq_ignore_ascii_case(&measured) {
            return Err(format!("{name} is {measured}, but the package demands {wanted}"));
        }
    }
    if let Some(wanted) = package.product_id
        && wanted != identity.product_id
    {
        return Err(format!("ProductID is {}, but the package demands {wanted}", identity.product_id));
    }
    match package.security_version {
        Some(least) if identity.security_version < least => Err(format!(
            "SecurityVersion is {}, but the package demands at least {least}",
            identity.security_version
        )),
        _ => Ok(()),
    }
}

fn match_tdx(wanted: &TdxPackage, identity: &TdxIdentity) -> Result<(), String> {
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &wanted.rtmrs;
    let [has0, has1, has2, has3] = &identity.rtmrs;
    equal("TDX.MRTD", wanted.mr_td.as_ref(), &identity.mr_td)?;
    equal("TDX.RTMR0", rtmr0.as_ref(), has0)?;
    equal("TDX.RTMR1", rtmr1.as_ref(), has1)?;
    equal("TDX.RTMR2", rtmr2.as_ref(), has2)?;
    equal("TDX.RTMR3", rtmr3.as_ref(), has3)?;
    equal("TDX.MRSEAM", wanted.mr_seam.as_ref(), &identity.mr_seam)?;
    equal("TDX.MRConfigID", wanted.mr_config_id.as_ref(), &identity.mr_config_id)?;
    equal("TDX.MROwner", wanted.mr_owner.as_ref(), &identity.mr_owner)?;
    equal("TDX.MROwnerConfig", wanted.mr_owner_config.as_ref(), &identity.mr_owner_config)
}

fn match_snp(wanted: &SnpPackage, identity: &SnpIdentity) -> Result<(), String> {
    equal("SNP.Measurement", wanted.measurement.as_ref(), &identity.measurement)?;
    equal("SNP.HostData", wanted.host_data.as_ref(), &identity.host_data)?;
    equal("SNP.IDKeyDigest", wanted.id_key_digest.as_ref(), &identity.id_key_digest)?;
    equal("SNP.AuthorKeyDigest", wanted.author_key_digest.as_ref(), &identity.author_key_digest)?;
    let (least, has) = (wanted.guest_svn.unwrap_or_default(), identity.guest_svn);
    if has < least {
        return Err(format!("SNP.GuestSVN is {has}, but the package demands at least {least}"));
    }
    // A lower level of the same guest has the same measurement.
    let (most, has) = (wanted.vmpl.unwrap_or_default(), identity.vmpl);
    if has > u32::from(most) {
        return Err(format!("the report was asked for at VMPL {has}, but the package allows at most {most}"));
    }
    Ok(())
}

/// What is not set is not compared.
fn equal(name: &str, wanted: Option<&impl AsRef<[u8]>>, measured: &impl AsRef<[u8]>) -> Result<(), String> {
    match wanted.map(AsRef::as_ref) {
        Some(wanted) if wanted != measured.as_ref() => Err(format!(
            "{name} is {}, but the package demands {}",
            hex::encode(measured),
            hex::encode(wanted)
        )),
        _ => Ok(()),
    }
}

/// every field that the entry sets must equal what the quote proves; what cannot be checked matches nothing.
fn platform_is(entry: &Infrastructure, claims: &Claims) -> bool {
    let platform = &claims.platform;
    // AMD's platforms have neither of the three; the root is theirs, too.
    let has_svns = claims.tee != Tee::SevSnp;
    (entry.cpu_svn.is_empty() || (has_svns && entry.cpu_svn == platform.cpu_svn))
        && entry.qe_svn.is_none_or(|svn| has_svns && svn == platform.qe_svn)
        && entry.pce_svn.is_none_or(|svn| has_svns && svn == platform.pce_svn)
        && (entry.root_ca.is_empty() || entry.root_ca == platform.root_ca_sha256)
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
