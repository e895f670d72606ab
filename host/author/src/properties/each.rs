//! Properties of one request.

use carrara_types::decision::{Fact, HeldRole, Value};
use carrara_wasm::CallReport;

use crate::asked::Asked;
use crate::question::{Answer, Question};
use crate::words::{in_words, verdict};

/// Every request is answered.
pub(super) fn no_trap(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    match asked.ask(settings, question).0 {
        Answer::Failure(reason) => Some(format!("there is no answer: {reason}")),
        _ => None,
    }
}

/// Two calls are the same.
pub(super) fn determinism(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    let (first, first_report) = asked.ask(settings, question);
    let (second, second_report) = asked.ask(settings, question);
    let reported = |CallReport { fuel, log, .. }: CallReport| (fuel, log);
    let (first_report, second_report) = (reported(first_report), reported(second_report));
    if first != second {
        return Some(format!(
            "asked twice, it answers\n{}\nand then\n{}",
            in_words(&first),
            in_words(&second)
        ));
    }
    (first_report.0 != second_report.0)
        .then(|| format!("asked twice, it takes {} and then {} of fuel", first_report.0, second_report.0))
        .or_else(|| {
            (first_report.1 != second_report.1).then(|| "asked twice, it logs other lines".to_owned())
        })
}

/// Verdict and code stay when lists are turned round. Messages may name things in the order of the request.
pub(super) fn order_independence(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    let mut turned = question.clone();
    turn(&mut turned);
    if turned == *question {
        return None;
    }
    let (before, after) = (asked.ask(settings, question).0, asked.ask(settings, &turned).0);
    (essence(&before) != essence(&after)).then(|| {
        format!(
            "it answers\n{}\nand with all lists the other way round\n{}",
            in_words(&before),
            in_words(&after)
        )
    })
}

fn turn(question: &mut Question) {
    match question {
        Question::Authorization(request) => {
            request.context.facts.reverse();
            request.resource_names.reverse();
            request.principal.roles.reverse();
            request.principal.roles.iter_mut().for_each(turn_role);
        }
        Question::Admission(request) => {
            request.context.facts.reverse();
            request.dns_names.reverse();
            request.ip_addresses.reverse();
            if let Some(evidence) = &mut request.evidence {
                evidence.advisories.reverse();
                evidence.identity.reverse();
            }
        }
        Question::Validation(proposal) => {
            proposal.context.facts.reverse();
            proposal.current_versions.reverse();
            if let Some(proposer) = &mut proposal.proposer {
                proposer.roles.reverse();
                proposer.roles.iter_mut().for_each(turn_role);
            }
        }
        Question::Rendering(rendering) => rendering.context.facts.reverse(),
    }
}

fn turn_role(role: &mut HeldRole) {
    role.resource_names.reverse();
    role.actions.reverse();
}

/// What of an answer does not depend on the order of the request.
fn essence(answer: &Answer) -> (&'static str, Vec<String>) {
    let mut codes: Vec<String> = match answer {
        Answer::Deny(denial) => vec![denial.code.clone()],
        Answer::Findings(findings) => {
            findings.iter().map(|finding| format!("{} {}", finding.code, finding.path)).collect()
        }
        _ => Vec::new(),
    };
    codes.sort_unstable();
    (verdict(answer), codes)
}

/// Names that no version of a coordinator is going to send.
fn strangers() -> [Fact; 3] {
    let fact = |name: &str, value| Fact { name: format!("x-carrara-unknown:{name}"), value };
    [
        fact("text", Value::Text("unknown".to_owned())),
        fact("number", Value::Number(u64::MAX)),
        fact("bytes", Value::Bytes(vec![0xff; 8])),
    ]
}

/// Facts with unknown names, before and after the known ones.
pub(super) fn unknown_facts(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    let mut more = question.clone();
    let facts = match &mut more {
        Question::Authorization(request) => &mut request.context.facts,
        Question::Admission(request) => &mut request.context.facts,
        Question::Validation(proposal) => &mut proposal.context.facts,
        Question::Rendering(rendering) => &mut rendering.context.facts,
    };
    let [text, number, bytes] = strangers();
    facts.insert(0, text);
    facts.extend([number, bytes]);
    if let Question::Admission(request) = &mut more
        && let Some(evidence) = &mut request.evidence
    {
        evidence.identity.extend(strangers());
    }
    let (before, after) = (asked.ask(settings, question).0, asked.ask(settings, &more).0);
    (before != after).then(|| {
        format!("it answers\n{}\nand with facts that nobody knows\n{}", in_words(&before), in_words(&after))
    })
}

/// Hours and days, so that both times of day and ages are met.
const SHIFTS: [u64; 5] = [6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 400 * 86_400];

/// The same at other times.
pub(super) fn time_shift(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    let before = asked.ask(settings, question).0;
    SHIFTS.into_iter().find_map(|shift| {
        let mut later = question.clone();
        let now = match &mut later {
            Question::Authorization(request) => &mut request.context.now,
            Question::Admission(request) => &mut request.context.now,
            Question::Validation(proposal) => &mut proposal.context.now,
            Question::Rendering(rendering) => &mut rendering.context.now,
        };
        *now = now.saturating_add(shift);
        let after = asked.ask(settings, &later).0;
        (verdict(&before) != verdict(&after)).then(|| {
            let hours = shift / 3600;
            format!("it answers\n{}\nand {hours} hours later\n{}", in_words(&before), in_words(&after))
        })
    })
}

/// Taking something away from who asks turns no denial into permission.
pub(super) fn fewer_roles(asked: &dyn Asked, settings: &str, question: &Question) -> Option<String> {
    let before = asked.ask(settings, question).0;
    if verdict(&before) != "deny" {
        return None;
    }
    with_less(question).into_iter().find_map(|(what, less)| {
        let after = asked.ask(settings, &less).0;
        (verdict(&after) == "allow")
            .then(|| format!("it answers\n{}\nand without {what}\n{}", in_words(&before), in_words(&after)))
    })
}

fn roles(question: &mut Question) -> Option<&mut Vec<HeldRole>> {
    match question {
        Question::Authorization(request) => Some(&mut request.principal.roles),
        Question::Validation(proposal) => proposal.proposer.as_mut().map(|proposer| &mut proposer.roles),
        Question::Admission(_) | Question::Rendering(_) => None,
    }
}

/// A change of the roles that somebody has.
type Loss = Box<dyn Fn(&mut Vec<HeldRole>)>;

fn with_less(question: &Question) -> Vec<(String, Question)> {
    let mut losses: Vec<(String, Loss)> = vec![("any role".to_owned(), Box::new(Vec::clear))];
    let mut held = question.clone();
    for (index, role) in roles(&mut held).into_iter().flatten().enumerate() {
        losses.push((format!("role {}", role.name), Box::new(move |roles| drop(roles.remove(index)))));
        for at in 0..role.actions.len() {
            let what =
                format!("action {} of role {}", role.actions.get(at).map_or("", String::as_str), role.name);
            losses.push((what, Box::new(move |roles| without(roles, index, at, |role| &mut role.actions))));
        }
        for at in 0..role.resource_names.len() {
            let what = format!(
                "name {} of role {}",
                role.resource_names.get(at).map_or("", String::as_str),
                role.name
            );
            losses.push((
                what,
                Box::new(move |roles| without(roles, index, at, |role| &mut role.resource_names)),
            ));
        }
    }
    let less = losses.into_iter().filter_map(|(what, lose)| {
        let mut less = question.clone();
        lose(roles(&mut less)?);
        (less != *question).then_some((what, less))
    });
    less.collect()
}

fn without(roles: &mut [HeldRole], index: usize, at: usize, list: fn(&mut HeldRole) -> &mut Vec<String>) {
    if let Some(role) = roles.get_mut(index) {
        list(role).remove(at);
    }
}
