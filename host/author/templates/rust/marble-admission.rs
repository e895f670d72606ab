//! Asked when a Marble's evidence has been verified and matched: may it be activated?

use carrara_policy::admission::{Decision, Request, allow, deny};

/// No enclave in debug mode.
fn admit(request: &Request) -> Decision {
    if !request.evidence.as_ref().is_some_and(|evidence| evidence.debug) {
        return allow();
    }
    // edit here: what the log says
    deny("debug-enclave", "an enclave in debug mode shows its memory to its host")
}

carrara_policy::admitter!(admit);

#[cfg(test)]
mod tests {
    use carrara_policy::admission::Evidence;

    use super::*;

    #[test]
    fn an_enclave_in_debug_mode_is_not_admitted() {
        let evidence = |debug| Evidence { debug, ..Evidence::default() };
        let request = Request::new("frontend").with_evidence(evidence(true));
        assert_eq!(admit(&request).denial().unwrap().code, "debug-enclave");
        assert_eq!(admit(&Request::new("frontend").with_evidence(evidence(false))), allow());
    }
}
