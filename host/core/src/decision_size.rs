//! What a decision record takes in memory, and how one that takes too much is cut: who asks for thousands of names must not
//! push out what others did.

use std::collections::BTreeMap;

use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Context, Decision, EvidenceFacts, Fact, Finding, HeldRole,
    Principal, Severity, Value,
};
use carrara_types::decision_record::{Answer, DecisionRecord, Question};

/// Of one record: all that can be kept then are at least a few hundred.
pub(crate) const RECORD_BYTES: usize = 64 << 10;

/// Of each list in a record that is cut: an admission has six of them.
const LIST_BYTES: usize = 8 << 10;

/// Of each list in a role or a fact: a role has two of them, and one role fits into its list.
const INNER_BYTES: usize = 2 << 10;

/// Of each text in a record that is cut: names are shorter, and of a message it is the first sentences.
const TEXT_BYTES: usize = 1 << 10;

/// Beside its texts, an entry of a list: its pointers, and what the allocator adds.
const EACH: usize = 64;

/// The last entry of a list that was cut, which says how many more there were.
const REST: usize = 4 * EACH;

/// What the record takes, about; one that takes more than [`RECORD_BYTES`] is cut before.
pub(crate) fn fit(record: &mut DecisionRecord) -> usize {
    let whole = size(record);
    if whole <= RECORD_BYTES {
        return whole;
    }
    record.cut = true;
    text(&mut record.policy);
    match &mut record.request {
        Question::Authorization(AuthorizationRequest {
            context,
            principal: user,
            action,
            resource_type,
            resource_names,
        }) => {
            facts(&mut context.facts);
            principal(user);
            text(action);
            text(resource_type);
            texts(resource_names, LIST_BYTES);
        }
        Question::Admission(request) => admission(request),
        Question::Validation(proposal) => {
            proposal.proposer.iter_mut().for_each(principal);
            facts(&mut proposal.facts);
            proposal.current_versions.iter_mut().for_each(versions);
        }
    }
    match &mut record.answer {
        Answer::Decision(Decision::Allow) => {}
        Answer::Decision(Decision::Deny(denial)) => {
            text(&mut denial.code);
            text(&mut denial.message);
            denial.hint.iter_mut().for_each(text);
            texts(&mut denial.resources, LIST_BYTES);
        }
        Answer::Findings(findings) => list(findings, LIST_BYTES, size_of_finding, finding, more_findings),
        Answer::Failed(reason) => text(reason),
    }
    size(record)
}

fn admission(request: &mut AdmissionRequest) {
    facts(&mut request.context.facts);
    text(&mut request.marble_type);
    text(&mut request.package_name);
    text(&mut request.uuid);
    texts(&mut request.dns_names, LIST_BYTES);
    texts(&mut request.ip_addresses, LIST_BYTES);
    if let Some(EvidenceFacts { tee, debug: _, tcb_status, advisories, identity }) = &mut request.evidence {
        text(tee);
        text(tcb_status);
        texts(advisories, LIST_BYTES);
        facts(identity);
    }
}

fn principal(user: &mut Principal) {
    text(&mut user.name);
    let role = |role: &mut HeldRole| {
        text(&mut role.name);
        text(&mut role.resource_type);
        texts(&mut role.resource_names, INNER_BYTES);
        texts(&mut role.actions, INNER_BYTES);
    };
    list(&mut user.roles, LIST_BYTES, size_of_role, role, |name| HeldRole { name, ..HeldRole::default() });
}

fn facts(all: &mut Vec<Fact>) {
    let fact = |fact: &mut Fact| {
        text(&mut fact.name);
        match &mut fact.value {
            Value::Text(value) => text(value),
            Value::Bytes(bytes) => {
                bytes.truncate(TEXT_BYTES);
                bytes.shrink_to_fit();
            }
            Value::Texts(values) => texts(values, INNER_BYTES),
            Value::Number(_) | Value::Truth(_) => {}
        }
    };
    list(all, LIST_BYTES, size_of_fact, fact, |name| Fact { name, value: Value::Truth(true) });
}

/// Keeps the first packages. That there were more is said by the record, which is cut.
fn versions(all: &mut BTreeMap<String, u64>) {
    let mut room = LIST_BYTES;
    all.retain(|name, _| {
        let left = room.checked_sub(name.len() + EACH);
        room = left.unwrap_or(0);
        left.is_some()
    });
}

fn finding(finding: &mut Finding) {
    text(&mut finding.code);
    text(&mut finding.path);
    text(&mut finding.message);
    finding.hint.iter_mut().for_each(text);
}

fn more_findings(message: String) -> Finding {
    let (code, path) = (String::new(), String::new());
    Finding { severity: Severity::Warning, code, path, message, hint: None }
}

fn texts(all: &mut Vec<String>, limit: usize) {
    list(all, limit, |text| text.len() + EACH, text, |more| more);
}

/// Keeps the first entries, each cut for itself, and says how many more there were.
fn list<T>(
    all: &mut Vec<T>,
    limit: usize,
    size: impl Fn(&T) -> usize,
    cut: impl Fn(&mut T),
    more: impl Fn(String) -> T,
) {
    let (mut room, mut kept) = (limit - REST, 0);
    for entry in all.iter_mut() {
        cut(entry);
        let Some(left) = room.checked_sub(size(entry)) else { break };
        (room, kept) = (left, kept + 1);
    }
    if kept < all.len() {
        let rest = more(format!("… and {} more", all.len() - kept));
        all.truncate(kept);
        all.push(rest);
    }
    all.shrink_to_fit();
}

fn text(text: &mut String) {
    const MARK: &str = "…";
    if text.len() > TEXT_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_BYTES - MARK.len()));
        text.push_str(MARK);
        text.shrink_to_fit();
    }
}

fn size(record: &DecisionRecord) -> usize {
    let request = match &record.request {
        Question::Authorization(request) => {
            size_of_context(&request.context)
                + size_of_principal(&request.principal)
                + request.action.len()
                + request.resource_type.len()
                + size_of_texts(&request.resource_names)
        }
        Question::Admission(request) => size_of_admission(request),
        Question::Validation(proposal) => {
            let versions = proposal.current_versions.iter().flatten().map(|(name, _)| name.len() + EACH);
            proposal.proposer.as_ref().map_or(0, size_of_principal)
                + proposal.facts.iter().map(size_of_fact).sum::<usize>()
                + versions.sum::<usize>()
        }
    };
    let answer = match &record.answer {
        Answer::Decision(Decision::Allow) => 0,
        Answer::Decision(Decision::Deny(denial)) => {
            let hint = denial.hint.as_ref().map_or(0, String::len);
            denial.code.len() + denial.message.len() + hint + size_of_texts(&denial.resources)
        }
        Answer::Findings(findings) => findings.iter().map(size_of_finding).sum(),
        Answer::Failed(reason) => reason.len(),
    };
    size_of::<DecisionRecord>() + record.policy.len() + request + answer
}

fn size_of_admission(request: &AdmissionRequest) -> usize {
    let evidence = |evidence: &EvidenceFacts| {
        evidence.tee.len()
            + evidence.tcb_status.len()
            + size_of_texts(&evidence.advisories)
            + evidence.identity.iter().map(size_of_fact).sum::<usize>()
    };
    size_of_context(&request.context)
        + request.marble_type.len()
        + request.package_name.len()
        + request.uuid.len()
        + request.evidence.as_ref().map_or(0, evidence)
        + size_of_texts(&request.dns_names)
        + size_of_texts(&request.ip_addresses)
}

fn size_of_context(context: &Context) -> usize {
    context.facts.iter().map(size_of_fact).sum()
}

fn size_of_principal(user: &Principal) -> usize {
    user.name.len() + user.roles.iter().map(size_of_role).sum::<usize>()
}

fn size_of_role(role: &HeldRole) -> usize {
    let lists = size_of_texts(&role.resource_names) + size_of_texts(&role.actions);
    role.name.len() + role.resource_type.len() + lists + 2 * EACH
}

fn size_of_fact(fact: &Fact) -> usize {
    let value = match &fact.value {
        Value::Text(value) => value.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Texts(values) => size_of_texts(values),
        Value::Number(_) | Value::Truth(_) => 0,
    };
    fact.name.len() + value + 2 * EACH
}

fn size_of_finding(finding: &Finding) -> usize {
    let hint = finding.hint.as_ref().map_or(0, String::len);
    finding.code.len() + finding.path.len() + finding.message.len() + hint + 2 * EACH
}

fn size_of_texts(texts: &[String]) -> usize {
    texts.iter().map(|text| text.len() + EACH).sum()
}

#[cfg(test)]
mod tests {
    use carrara_types::decision::{Change, Denial};
    use carrara_types::decision_record::ProposalRecord;
    use carrara_types::policy::{Digest, Mode, World};

    use super::*;

    fn record(request: Question, answer: Answer) -> DecisionRecord {
        DecisionRecord {
            sequence: 0,
            time_ms: 1,
            revision: 2,
            world: World::RoleAuthorization,
            policy: "p".to_owned(),
            digest: Digest([1; 32]),
            mode: Mode::Enforce,
            settings: Digest([2; 32]),
            request,
            answer,
            fuel: 3,
            duration_us: 4,
            cut: false,
        }
    }

    fn long() -> String {
        "é".repeat(100_000)
    }

    fn many() -> Vec<String> {
        (0..50_000).map(|number| number.to_string()).collect()
    }

    fn many_facts() -> Vec<Fact> {
        let fact = |value: Value| Fact { name: long(), value };
        let all =
            [Value::Text(long()), Value::Bytes(vec![7; 100_000]), Value::Texts(many()), Value::Number(1)];
        all.into_iter().cycle().take(50).map(fact).collect()
    }

    #[test]
    fn a_record_at_the_bound_is_kept_whole_and_one_above_it_is_cut() {
        let failed =
            |length| record(Question::Authorization(Default::default()), Answer::Failed("x".repeat(length)));
        let most = RECORD_BYTES - size(&failed(0));
        let mut whole = failed(most);
        assert_eq!(fit(&mut whole), RECORD_BYTES);
        assert_eq!(whole, failed(most));
        let mut cut = failed(most + 1);
        assert!(fit(&mut cut) < RECORD_BYTES && cut.cut && !whole.cut);
        let Answer::Failed(reason) = cut.answer else { panic!() };
        assert_eq!(reason, format!("{}…", "x".repeat(TEXT_BYTES - 3)));
    }

    #[test]
    fn of_many_names_the_first_are_kept_and_the_others_counted() {
        let request = AuthorizationRequest { resource_names: many(), ..Default::default() };
        let mut cut = record(Question::Authorization(request), Answer::Decision(Decision::Allow));
        fit(&mut cut);
        let Question::Authorization(AuthorizationRequest { resource_names, .. }) = cut.request else {
            panic!()
        };
        let (last, kept) = resource_names.split_last().unwrap();
        assert!(kept.len() > 100 && kept == &many()[..kept.len()], "{}", kept.len());
        assert_eq!(*last, format!("… and {} more", 50_000 - kept.len()));
    }

    #[test]
    fn whatever_is_large_in_a_record_it_takes_no_more_than_the_bound() {
        let role = HeldRole { name: long(), resource_type: long(), resource_names: many(), actions: many() };
        let user = Principal { name: long(), roles: vec![role; 9], ..Default::default() };
        let context = || Context { facts: many_facts(), ..Default::default() };
        let authorization = AuthorizationRequest {
            context: context(),
            principal: user,
            action: long(),
            resource_type: long(),
            resource_names: many(),
        };
        let admission = AdmissionRequest {
            context: context(),
            marble_type: long(),
            package_name: long(),
            uuid: long(),
            evidence: Some(EvidenceFacts {
                tee: long(),
                tcb_status: long(),
                advisories: many(),
                identity: many_facts(),
                ..Default::default()
            }),
            dns_names: many(),
            ip_addresses: many(),
            ..Default::default()
        };
        let denial = Denial { code: long(), message: long(), hint: Some(long()), resources: many() };
        let found = Finding { code: long(), path: long(), hint: Some(long()), ..more_findings(long()) };
        let validation = ProposalRecord {
            change: Change::FullUpdate,
            now: 1,
            manifest_sha256: Digest([3; 32]),
            current_sha256: None,
            proposer: Some(authorization.principal.clone()),
            facts: many_facts(),
            current_versions: Some(many().into_iter().map(|name| (name, 1)).collect()),
        };
        let requests = [
            Question::Authorization(authorization),
            Question::Admission(admission),
            Question::Validation(validation),
        ];
        for request in requests {
            for answer in [
                Answer::Decision(Decision::Deny(denial.clone())),
                Answer::Findings(vec![found.clone(); 99]),
                Answer::Failed(long()),
            ] {
                let mut cut = record(request.clone(), answer);
                let taken = fit(&mut cut);
                assert!(taken <= RECORD_BYTES && taken == size(&cut), "{taken}");
                assert!(serde_json::to_string(&cut).unwrap().len() <= RECORD_BYTES);
            }
        }
    }
}
