//! About how many bytes a question takes in memory, for what lets questions wait. Nothing is formatted or copied.

use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Context, EvidenceFacts, Fact, HeldRole, Principal, Proposal,
    Value,
};

/// Something that can wait.
pub(crate) trait Weight: Sized {
    /// Bytes on the heap.
    fn heap(&self) -> usize;

    /// All bytes.
    fn weight(&self) -> usize {
        size_of::<Self>().saturating_add(self.heap())
    }
}

impl Weight for String {
    fn heap(&self) -> usize {
        self.len()
    }
}

impl<T: Weight> Weight for Vec<T> {
    fn heap(&self) -> usize {
        self.iter().map(Weight::weight).fold(0, usize::saturating_add)
    }
}

impl<T: Weight> Weight for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, Weight::heap)
    }
}

impl Weight for (String, u64) {
    fn heap(&self) -> usize {
        self.0.heap()
    }
}

impl Weight for Fact {
    fn heap(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.heap(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Texts(texts) => texts.heap(),
            Value::Number(_) | Value::Truth(_) => 0,
        };
        self.name.heap() + value
    }
}

impl Weight for Context {
    fn heap(&self) -> usize {
        let Self { now: _, revision: _, facts } = self;
        facts.heap()
    }
}

impl Weight for HeldRole {
    fn heap(&self) -> usize {
        let Self { name, resource_type, resource_names, actions } = self;
        name.heap() + resource_type.heap() + resource_names.heap() + actions.heap()
    }
}

impl Weight for Principal {
    fn heap(&self) -> usize {
        let Self { name, certificate_sha256: _, roles } = self;
        name.heap() + roles.heap()
    }
}

impl Weight for EvidenceFacts {
    fn heap(&self) -> usize {
        let Self { tee, debug: _, tcb_status, advisories, identity } = self;
        tee.heap() + tcb_status.heap() + advisories.heap() + identity.heap()
    }
}

impl Weight for Proposal {
    fn heap(&self) -> usize {
        let Self { context, change: _, manifest, manifest_sha256: _, current, current_versions, proposer } =
            self;
        context.heap() + manifest.heap() + current.heap() + current_versions.heap() + proposer.heap()
    }
}

impl Weight for AuthorizationRequest {
    fn heap(&self) -> usize {
        let Self { context, principal, action, resource_type, resource_names } = self;
        context.heap() + principal.heap() + action.heap() + resource_type.heap() + resource_names.heap()
    }
}

impl Weight for AdmissionRequest {
    fn heap(&self) -> usize {
        let Self { context, marble_type, package_name, uuid, evidence, dns_names, ip_addresses, .. } = self;
        let names = marble_type.heap() + package_name.heap() + uuid.heap();
        context.heap() + names + evidence.heap() + dns_names.heap() + ip_addresses.heap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_large_in_a_question_weighs_what_it_has() {
        let large = || "n".repeat(1000);
        let texts = || vec![large()];
        let fact = Fact { name: large(), value: Value::Texts(texts()) };
        let context = Context { facts: vec![fact.clone()], ..Context::default() };
        let role =
            HeldRole { resource_names: texts(), actions: texts(), name: large(), resource_type: large() };
        let principal = Principal { name: large(), roles: vec![role], ..Principal::default() };
        let within = |weight: usize, texts: usize| {
            assert!((texts * 1000..texts * 1000 + 1000).contains(&weight), "{weight}");
        };
        let proposal = Proposal {
            context: context.clone(),
            manifest: large(),
            current: Some(large()),
            current_versions: vec![(large(), 1)],
            proposer: Some(principal.clone()),
            ..Proposal::default()
        };
        within(proposal.weight(), 10);
        let request = AuthorizationRequest {
            context: context.clone(),
            principal,
            action: large(),
            resource_type: large(),
            resource_names: texts(),
        };
        within(request.weight(), 10);
        let evidence = EvidenceFacts {
            tee: large(),
            tcb_status: large(),
            advisories: texts(),
            identity: vec![Fact { name: large(), value: Value::Bytes(vec![0; 1000]) }],
            ..EvidenceFacts::default()
        };
        let request = AdmissionRequest {
            context,
            marble_type: large(),
            package_name: large(),
            uuid: large(),
            evidence: Some(evidence),
            dns_names: texts(),
            ip_addresses: texts(),
            ..AdmissionRequest::default()
        };
        within(request.weight(), 12);
        // Many that are empty take room, too.
        assert!(vec![String::new(); 1000].weight() >= 1000 * size_of::<String>());
    }
}
