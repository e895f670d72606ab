//! The echo text as the host's own words have it: what every language must make of a request.

use carrara_author::question::{Answer, Question};
use carrara_types::decision::{
    Context, Denial, EvidenceFacts, Fact, Finding, HeldRole, Principal, Proposal, Severity, Value,
};

/// The answer to a question with the word `echo`.
pub(crate) fn answer(question: &Question, settings: &str) -> Answer {
    let denial = |message, resources: &[String]| {
        let (code, hint) = ("echo".to_owned(), Some("hint".to_owned()));
        Answer::Deny(Denial { code, message, hint, resources: resources.to_vec() })
    };
    match question {
        Question::Authorization(request) => {
            let message = format!(
                "{} principal {} action{} type{} names{}",
                context(&request.context, settings),
                principal(&request.principal),
                text(&request.action),
                text(&request.resource_type),
                texts(&request.resource_names)
            );
            denial(message, &request.resource_names)
        }
        Question::Admission(request) => {
            let message = format!(
                "{} marble{} package{} uuid{} evidence {} dns{} ip{} activations {} max {}",
                context(&request.context, settings),
                text(&request.marble_type),
                text(&request.package_name),
                text(&request.uuid),
                option(request.evidence.as_ref(), evidence),
                texts(&request.dns_names),
                texts(&request.ip_addresses),
                option(request.activations.as_ref(), u64::to_string),
                option(request.max_activations.as_ref(), u64::to_string)
            );
            denial(message, &request.dns_names)
        }
        Question::Validation(proposal) => {
            let (code, path) = ("echo".to_owned(), "/echo".to_owned());
            let (message, hint) = (validation(proposal, settings), Some("hint".to_owned()));
            Answer::Findings(vec![Finding { severity: Severity::Warning, code, path, message, hint }])
        }
        Question::Rendering(_) => panic!("what renderers echo is in the table"),
    }
}

fn validation(proposal: &Proposal, settings: &str) -> String {
    let versions = list(&proposal.current_versions, |(name, version)| format!("{} {version}", text(name)));
    format!(
        "{} change{} manifest{} sha256 {} current {} versions{versions} proposer {}",
        context(&proposal.context, settings),
        text(proposal.change.name()),
        text(&proposal.manifest),
        hex::encode(proposal.manifest_sha256),
        option(proposal.current.as_ref(), |current| text(current)),
        option(proposal.proposer.as_ref(), principal)
    )
}

fn context(context: &Context, settings: &str) -> String {
    let (settings, facts) = (text(settings), list(&context.facts, fact));
    format!("settings{settings} now {} revision {} facts{facts}", context.now, context.revision)
}

fn principal(principal: &Principal) -> String {
    let digest = hex::encode(principal.certificate_sha256);
    let roles = list(&principal.roles, |role: &HeldRole| {
        let (name, kind) = (text(&role.name), text(&role.resource_type));
        format!("{name} {kind} {} {}", texts(&role.resource_names), texts(&role.actions))
    });
    format!("{} {digest} {roles}", text(&principal.name))
}

fn evidence(evidence: &EvidenceFacts) -> String {
    let (tee, status) = (text(&evidence.tee), text(&evidence.tcb_status));
    let (advisories, identity) = (texts(&evidence.advisories), list(&evidence.identity, fact));
    format!("{tee} debug {} {status} {advisories} {identity}", evidence.debug)
}

fn fact(fact: &Fact) -> String {
    let value = match &fact.value {
        Value::Text(shown) => format!("text{}", text(shown)),
        Value::Number(number) => format!("number {number}"),
        Value::Truth(truth) => format!("truth {truth}"),
        Value::Bytes(bytes) => format!("bytes {}", hex::encode(bytes)),
        Value::Texts(shown) => format!("texts{}", texts(shown)),
    };
    format!("{}={value}", text(&fact.name))
}

fn text(text: &str) -> String {
    let shown = text.chars().map(|character| match character {
        '\0'..='\x1f' | '\x7f' => format!("\\x{:02x}", u32::from(character)),
        other => other.to_string(),
    });
    format!("<{}>", shown.collect::<String>())
}

fn texts(texts: &[String]) -> String {
    list(texts, |shown| text(shown))
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
}

fn option<T>(item: Option<&T>, show: impl Fn(&T) -> String) -> String {
    item.map_or_else(|| "none".to_owned(), |item| format!("some({})", show(item)))
}
