//! Whether verified claims match what the manifest allows (M-81..M-90). Looks at claims only, never at raw evidence.

use carrara_types::claims::{Claims, Identity, SgxIdentity, Tee};
use carrara_types::decision::EvidenceFacts;
use carrara_types::manifest::{Difference, Infrastructure, Package};
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
            match_measured(package.tdx.as_deref().and_then(|wanted| wanted.difference(identity)))
        }
        Identity::Snp(identity) => {
            match_measured(package.snp.as_deref().and_then(|wanted| wanted.difference(identity)))
        }
    }
}

/// The TCB status that counts for a package: nobody publishes one for SEV-SNP, so a platform below the versions that the
/// package wants is out of date. Asked before [`match_package`], so that policies see it, too.
pub(crate) fn tcb_status(package: &Package, claims: &Claims) -> String {
    let (Identity::Snp(identity), Some(wanted)) = (&claims.identity, &package.snp) else {
        return claims.tcb_status.clone();
    };
    if wanted.tcb.is_met_by(&identity.tcb) { claims.tcb_status.clone() } else { "OutOfDate".to_owned() }
}

/// Whether the platform is one of the manifest's, where it names any (M-90 with X-4).
pub(crate) fn match_infrastructure<'a>(
    mut infrastructures: impl ExactSizeIterator<Item = &'a Infrastructure>,
    claims: &Claims,
) -> bool {
    infrastructures.len() == 0 || infrastructures.any(|entry| platform_is(entry, claims))
}

/// The claims as admission policies see them.
#[must_use]
pub fn evidence_facts(claims: &Claims) -> EvidenceFacts {
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

/// What a TDX or SEV-SNP package demands.
fn match_measured(difference: Option<Difference>) -> Result<(), String> {
    match difference {
        Some(Difference { field, found, wanted }) => {
            Err(format!("{field} is {found}, but the package demands {wanted}"))
        }
        None => Ok(()),
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
