//! The contract policy of the world `marble-admission`.

use carrara_contract::{
    BROKE, Word, check, context, count, evidence, fail, log_lines, names, option, text, token_fact, word,
};
use carrara_policy::admission::{Decision, Request, allow, deny};

fn admit(request: &Request) -> Result<Decision, String> {
    Ok(match word(&request.context).map_err(|error| error.to_string())? {
        Word::Echo => deny("echo", echo(request)).hint("hint").about(request.dns_names.clone()),
        Word::Allow => allow(),
        Word::Plain | Word::Several => deny("plain", "plain"),
        Word::Facts => deny("facts", token_fact(&request.context)),
        Word::Log => {
            log_lines();
            allow()
        }
        Word::Count => deny("count", count().to_string()),
        Word::Fail => fail(),
        Word::Error | Word::Refuse => return Err(BROKE.to_owned()),
    })
}

fn echo(request: &Request) -> String {
    format!(
        "{} marble{} package{} uuid{} evidence {} dns{} ip{} activations {} max {}",
        context(&request.context),
        text(&request.marble_type),
        text(&request.package_name),
        text(&request.uuid),
        option(request.evidence.as_ref(), evidence),
        names(&request.dns_names),
        names(&request.ip_addresses),
        option(request.activations.as_ref(), u64::to_string),
        option(request.max_activations.as_ref(), u64::to_string)
    )
}

carrara_policy::admitter!(admit, check);
