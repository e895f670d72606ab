//! World `marble-admission`: may this Marble be activated?

use carrara_types::decision::{AdmissionRequest, EvidenceFacts};

use super::words;
// The bindings of this world are made in `words`, which needs the world's types anyway.
pub(crate) use super::words::bindings::MarbleAdmissionPre;
use super::words::bindings::exports::carrara::policy::marble_admitter::{Evidence, Request};

/// The question as the guest reads it.
pub(crate) fn question(request: &AdmissionRequest, settings: &str) -> Request {
    Request {
        context: words::context(&request.context, settings),
        marble_type: request.marble_type.clone(),
        package_name: request.package_name.clone(),
        uuid: request.uuid.clone(),
        evidence: request.evidence.as_ref().map(evidence),
        dns_names: request.dns_names.clone(),
        ip_addresses: request.ip_addresses.clone(),
        activations: request.activations,
        max_activations: request.max_activations,
    }
}

fn evidence(evidence: &EvidenceFacts) -> Evidence {
    Evidence {
        tee: evidence.tee.clone(),
        debug: evidence.debug,
        tcb_status: evidence.tcb_status.clone(),
        advisories: evidence.advisories.clone(),
        identity: words::facts(&evidence.identity),
    }
}
