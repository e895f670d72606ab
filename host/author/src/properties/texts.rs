//! Texts that break what is careless with texts.

use carrara_types::decision::{Fact, HeldRole, Principal, Value};

use crate::asked::Asked;
use crate::question::{Answer, Question};
use crate::words::short_json;

/// What is shown of a text in an explanation.
const SHOWN: usize = 40;

/// Longer names are refused before a policy is asked.
const LONG: usize = 60_000;

fn hostile() -> Vec<String> {
    let texts = [
        "",
        " ",
        "\0",
        "a\0b",
        "a\nb\r\n",
        "\u{1b}[31mred\u{1b}[0m",
        "\u{202e}txt.exe",
        "\u{feff}",
        "\u{10ffff}",
        "é🦀漢",
        "e\u{301}",
        "\"",
        "\\",
        "'; --",
        "{{ . }}",
        "${x}",
        "%s%n",
        "../../etc/passwd",
        "a/b~0~1",
        "*",
        "null",
        "-1",
        "1e999",
    ];
    texts.into_iter().map(str::to_owned).chain(["x".repeat(LONG), "é".repeat(LONG / 2)]).collect()
}

/// Each of them in the place of every name.
pub(super) fn hostile_texts(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    hostile().into_iter().find_map(|text| {
        let changed = with_text(question, &text)?;
        match asked.ask(settings, &changed).0 {
            Answer::Failure(reason) => {
                let shown: String = text.chars().take(SHOWN).collect();
                let (cut, length) = (if shown.len() < text.len() { "..." } else { "" }, text.len());
                Some(format!(
                    "with the text {shown:?}{cut} ({length} bytes) in it there is no answer: {reason}"
                ))
            }
            _ => None,
        }
    })
}

fn with_text(question: &Question, text: &str) -> Option<Question> {
    let mut changed = question.clone();
    let put = |place: &mut String| text.clone_into(place);
    match &mut changed {
        Question::Authorization(request) => {
            put(&mut request.action);
            put(&mut request.resource_type);
            request.resource_names.iter_mut().for_each(put);
            put_principal(&mut request.principal, text);
            put_facts(&mut request.context.facts, text);
        }
        Question::Admission(request) => {
            put(&mut request.marble_type);
            put(&mut request.package_name);
            request.dns_names.iter_mut().chain(&mut request.ip_addresses).for_each(put);
            put_facts(&mut request.context.facts, text);
            if let Some(evidence) = &mut request.evidence {
                put(&mut evidence.tcb_status);
                evidence.advisories.iter_mut().for_each(put);
                put_facts(&mut evidence.identity, text);
            }
        }
        Question::Validation(_) => return in_manifest(question, text),
        Question::Rendering(rendering) => {
            put_facts(&mut rendering.context.facts, text);
            for template in &mut rendering.templates {
                put(&mut template.name);
                template.text.extend_from_slice(text.as_bytes());
            }
        }
    }
    Some(changed)
}

fn put_principal(principal: &mut Principal, text: &str) {
    text.clone_into(&mut principal.name);
    for HeldRole { name, resource_type, resource_names, actions } in &mut principal.roles {
        [name, resource_type]
            .into_iter()
            .chain(resource_names)
            .chain(actions)
            .for_each(|place| text.clone_into(place));
    }
}

fn put_facts(facts: &mut [Fact], text: &str) {
    for fact in facts {
        text.clone_into(&mut fact.name);
        if let Value::Text(value) = &mut fact.value {
            text.clone_into(value);
        }
    }
}

/// The name in each section of the manifest, beside what is there. `None` if no coordinator would read such a manifest.
fn in_manifest(question: &Question, text: &str) -> Option<Question> {
    let mut form = short_json(question);
    let manifest = form.get_mut("manifest")?;
    for section in ["Packages", "Marbles", "Secrets", "Users", "Roles"] {
        if let Some(members) = manifest.get_mut(section).and_then(serde_json::Value::as_object_mut)
            && let Some(member) = members.values().next().cloned()
        {
            members.insert(text.to_owned(), member);
        }
    }
    let mut changed = crate::corpus::read(question.world(), form)?;
    if let Question::Validation(proposal) = &mut changed {
        put_facts(&mut proposal.context.facts, text);
        proposal.current_versions.iter_mut().for_each(|(name, _)| text.clone_into(name));
        if let Some(proposer) = &mut proposal.proposer {
            put_principal(proposer, text);
        }
    }
    Some(changed)
}
