//! Activating a Marble: evidence, admission, identity, parameters (marble-api.md sections 3 to 7).

use std::sync::Arc;

use carrara_types::claims::Claims;
use carrara_types::decision::{AdmissionRequest, Decision};
use carrara_types::manifest::{Marble, Package};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Coordinator;
use crate::authority::MarbleRequest;
use crate::catalog::{Catalog, UserDefined};
use crate::collateral_age::Refused;
use crate::error::{ActivateError, Cause};
use crate::matching;
use crate::outcome::{Activation, ActivationRequest};
use crate::parameters;
use crate::ports::{Batch, CommitError, PolicyDecision};
use crate::records;
use crate::render::{self, RenderFault, Rendered};
use crate::splice::Vault;
use crate::ttls::TtlsPlan;
use crate::view::{Epoch, View};

/// A commit in conflict is computed again this often; more means that the state changes faster than a Marble starts.
const ATTEMPTS: usize = 8;

/// Who asks for admission, after the host's own checks.
struct Applicant<'a> {
    marble: &'a Marble,
    request: &'a ActivationRequest,
    names: &'a MarbleRequest,
    claims: Option<&'a Claims>,
    uuid: &'a str,
}

impl Coordinator {
    /// Activates a Marble (marble-api.md section 3). Where the manifest or the CA changes before the activation is counted,
    /// everything is judged and made again.
    ///
    /// # Errors
    /// G-20..G-29, in that order.
    pub async fn activate(&self, request: ActivationRequest) -> Result<Activation, ActivateError> {
        for _ in 0..ATTEMPTS {
            let view = self.view().map_err(ActivateError::Store)?.ok_or(ActivateError::WrongState)?;
            let activation = self.prepare(&view, &request).await?;
            if self.count(&view.epoch, &request.marble_type).await? {
                return Ok(activation);
            }
        }
        Err(ActivateError::Busy)
    }

    /// Judges the request and makes what the Marble receives. Stores nothing of it.
    async fn prepare(&self, view: &View, request: &ActivationRequest) -> Result<Activation, ActivateError> {
        let peer = request.peer_certificate.as_deref().ok_or(ActivateError::NoCertificate)?;
        let now = self.now(view);
        let manifest = &view.epoch.manifest;
        let (marble, package) =
            entitled(&view.epoch, &request.marble_type).map_err(ActivateError::Verification)?;
        let claims = self.verify(view, package, &request.quote, peer, now).await?;
        check_limit(view, marble, &request.marble_type)?;
        let uuid = parse_uuid(&request.uuid).map_err(ActivateError::InvalidUuid)?;
        let names = &MarbleRequest::parse(&request.csr).map_err(issuing)?;
        let applicant = Applicant { marble, request, names, claims: claims.as_ref(), uuid: &uuid };
        self.admit(view, &applicant, now).await?;

        let entropy = Arc::clone(&self.ports.entropy);
        let authority = &view.epoch.live.authority;
        let identity = authority
            .issue_marble(names, &request.marble_type, &uuid, now, entropy.as_ref())
            .map_err(issuing)?;
        let rendered = self.render(view, marble, now).await?;
        let slow = parameters::needs_slow_secrets(manifest, &rendered);
        let vault = Vault::new(view.clone(), identity, request.marble_type.clone(), uuid, now, entropy);
        let argv = marble.parameters.argv.clone();
        if !slow {
            return parameters::assemble(vault, rendered, argv).map_err(|cause| customizing(&cause));
        }
        tokio::task::spawn_blocking(move || parameters::assemble(vault, rendered, argv))
            .await
            .map_err(|_| customizing(&"ended unexpectedly"))?
            .map_err(|cause| customizing(&cause))
    }

    /// G-25, G-26, M-91. `None` in simulation.
    async fn verify(
        &self,
        view: &View,
        package: &Package,
        quote: &[u8],
        peer: &[u8],
        now: OffsetDateTime,
    ) -> Result<Option<Claims>, ActivateError> {
        let evidence = &self.ports.evidence;
        if evidence.simulated() {
            return Ok(None);
        }
        let invalid = |text: &dyn std::fmt::Display| {
            ActivateError::Verification(Cause(format!("invalid quote: {text}")))
        };
        if quote.is_empty() {
            return Err(invalid(&"the Marble sent none, but this coordinator does not simulate"));
        }
        let mut claims = evidence.verify(quote, now).await.map_err(|error| invalid(&error))?;
        claims.tcb_status = matching::tcb_status(package, &claims);
        matching::match_package(package, &claims, peer).map_err(|text| invalid(&text))?;
        let infrastructures = view.epoch.manifest.infrastructures.values();
        if !matching::match_infrastructure(infrastructures, &claims) {
            return Err(ActivateError::Verification(Cause("invalid infrastructure".to_owned())));
        }
        self.keep_collateral_age(view, &claims).await.map_err(|refused| match (refused.text(), refused) {
            (Some(text), _) => invalid(&text),
            (None, Refused::Store(error)) => ActivateError::Store(error),
            (None, _) => ActivateError::Busy,
        })?;
        Ok(Some(claims))
    }

    /// The admission policies, asked after the host's own checks (policy.md, Texts).
    async fn admit(
        &self,
        view: &View,
        applicant: &Applicant<'_>,
        now: OffsetDateTime,
    ) -> Result<(), ActivateError> {
        let Applicant { marble, request, names, claims, uuid } = applicant;
        let counted = marble.max_activations > 0;
        let activations = records::activation_count(view.snapshot.as_ref(), &request.marble_type);
        let question = AdmissionRequest {
            context: view.context(now),
            marble_type: request.marble_type.clone(),
            package_name: marble.package.clone(),
            uuid: (*uuid).to_owned(),
            evidence: claims.map(matching::evidence_facts),
            dns_names: names.dns_names().to_vec(),
            ip_addresses: names.ip_addresses().iter().map(ToString::to_string).collect(),
            activations: if counted { Some(activations.map_err(ActivateError::Store)?) } else { None },
            max_activations: counted.then_some(marble.max_activations),
        };
        let answer = view.policies().admit(question).await.map_err(ActivateError::Admission)?;
        match admission_refusal(answer) {
            None => Ok(()),
            Some(cause) => Err(ActivateError::Verification(cause)),
        }
    }

    async fn render(
        &self,
        view: &View,
        marble: &Marble,
        now: OffsetDateTime,
    ) -> Result<Rendered, ActivateError> {
        let manifest = Arc::clone(&view.epoch.manifest);
        let plan = TtlsPlan::of(&manifest, marble);
        let stored = UserDefined::Stored(Arc::clone(&view.snapshot));
        let catalog = Arc::new(Catalog::new(manifest, stored));
        let rendered =
            render::render_marble(view.policies(), &view.context(now), marble, plan, catalog.clone()).await;
        match catalog.unreadable() {
            Some(error) => Err(customizing(error)),
            None => rendered.map_err(RenderFault::in_activation),
        }
    }

    /// Counts the activation where the epoch's manifest limits it (M-92), exactly: the limit is checked again on what
    /// the commit depends on. `false` if the epoch is over, counted or not.
    async fn count(&self, epoch: &Epoch, marble_type: &str) -> Result<bool, ActivateError> {
        let (marble, _) = entitled(epoch, marble_type).map_err(ActivateError::Verification)?;
        if marble.max_activations == 0 {
            // Nothing is stored, but what was judged by a manifest that is over must not be handed out.
            return Ok(epoch.is_of(self.ports.store.snapshot().as_ref()));
        }
        let _turn = self.turns.wait(&records::activations(marble_type)).await;
        for _ in 0..ATTEMPTS {
            let view = self.view().map_err(ActivateError::Store)?.ok_or(ActivateError::WrongState)?;
            if !epoch.is_of(view.snapshot.as_ref()) {
                return Ok(false);
            }
            let count = check_limit(&view, marble, marble_type)?;
            let key = records::activations(marble_type);
            let mut batch = Batch { depends: view.dependencies(), ..Batch::default() };
            batch.depends.push((key.clone(), view.snapshot.record_revision(&key)));
            records::put(&mut batch, key, (count + 1).to_le_bytes().to_vec());
            match self.commit(batch, self.now(&view), &[]).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(ActivateError::Store(error)),
            }
        }
        Err(ActivateError::Busy)
    }
}

/// The Marble and its package as it is in force (G-23, G-24).
fn entitled<'a>(epoch: &'a Epoch, marble_type: &str) -> Result<(&'a Marble, &'a Package), Cause> {
    let marble = epoch.manifest.marbles.get(marble_type);
    let marble = marble.ok_or_else(|| Cause("unknown marble type requested".to_owned()))?;
    let package = epoch
        .packages
        .get(&marble.package)
        .ok_or_else(|| Cause(format!("undefined package {:?}", marble.package)))?;
    Ok((marble, package))
}

/// The count so far, refused at the limit (G-27, M-92).
fn check_limit(view: &View, marble: &Marble, marble_type: &str) -> Result<u64, ActivateError> {
    if marble.max_activations == 0 {
        return Ok(0);
    }
    let count =
        records::activation_count(view.snapshot.as_ref(), marble_type).map_err(ActivateError::Store)?;
    if count >= marble.max_activations {
        let limit = marble.max_activations;
        let text = format!("reached max activations count ({limit}) for marble type {marble_type:?}");
        return Err(ActivateError::Verification(Cause(text)));
    }
    Ok(count)
}

/// The canonical form of any form that marble-api.md section 5 accepts; the nil UUID is refused (X-21).
fn parse_uuid(text: &str) -> Result<String, Cause> {
    let bare = match text.len() {
        45 if text.get(..9).is_some_and(|prefix| prefix.eq_ignore_ascii_case("urn:uuid:")) => text.get(9..),
        38 if text.starts_with('{') && text.ends_with('}') => text.get(1..37),
        36 | 32 => Some(text),
        length => return Err(Cause(format!("invalid UUID length: {length}"))),
    };
    let uuid = bare.and_then(|bare| Uuid::try_parse(bare).ok()).ok_or_else(|| {
        Cause("invalid UUID format: expected xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx".to_owned())
    })?;
    if uuid.is_nil() {
        return Err(Cause("the nil UUID does not identify a Marble; choose a random one".to_owned()));
    }
    Ok(uuid.hyphenated().to_string())
}

fn admission_refusal(answer: PolicyDecision) -> Option<Cause> {
    let Decision::Deny(denial) = answer.decision else { return None };
    let hint = denial.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    Some(Cause(format!("policy {:?}: {}{hint}", answer.policy, denial.message)))
}

fn issuing(source: Cause) -> ActivateError {
    ActivateError::Failed { context: "issuing the marble certificate", source }
}

fn customizing(cause: &dyn std::fmt::Display) -> ActivateError {
    ActivateError::Failed { context: "customizing marble parameters", source: Cause(cause.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // marble-api.md section 5, G-28
    #[test]
    fn every_accepted_form_of_a_uuid_has_one_canonical_form() {
        let canonical = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        for form in [
            canonical,
            "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
            "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "URN:UUID:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
            "6ba7b8109dad11d180b400c04fd430c8",
        ] {
            assert_eq!(parse_uuid(form).unwrap(), canonical, "{form}");
        }
    }

    // G-28, X-21
    #[test]
    fn what_is_no_uuid_and_the_nil_uuid_are_refused() {
        assert_eq!(parse_uuid("abc").unwrap_err().0, "invalid UUID length: 3");
        assert!(parse_uuid("").is_err());
        assert!(parse_uuid("zba7b810-9dad-11d1-80b4-00c04fd430c8").is_err());
        assert!(parse_uuid("(6ba7b810-9dad-11d1-80b4-00c04fd430c8)").is_err());
        assert!(parse_uuid("00000000-0000-0000-0000-000000000000").unwrap_err().0.contains("nil UUID"));
    }

    // policy.md, Texts
    #[test]
    fn a_refused_admission_names_the_policy_its_message_and_hint() {
        let denial = carrara_types::decision::Denial {
            code: "x".into(),
            message: "not on Sundays".into(),
            hint: Some("come tomorrow".into()),
            resources: Vec::new(),
        };
        let answer = PolicyDecision { policy: "hours".into(), decision: Decision::Deny(denial) };
        assert_eq!(admission_refusal(answer).unwrap().0, r#"policy "hours": not on Sundays (come tomorrow)"#);
        assert!(
            admission_refusal(PolicyDecision { policy: "p".into(), decision: Decision::Allow }).is_none()
        );
    }
}
