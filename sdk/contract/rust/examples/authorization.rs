//! The contract policy of the world `role-authorization`.

use carrara_contract::{
    BROKE, Word, check, context, count, fail, log_lines, names, principal, text, token_fact, word,
};
use carrara_policy::authorization::{Decision, Request, allow, deny};

fn authorize(request: &Request) -> Result<Decision, String> {
    Ok(match word(&request.context).map_err(|error| error.to_string())? {
        Word::Echo => deny("echo", echo(request)).hint("hint").about(request.resource_names.clone()),
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
        "{} principal {} action{} type{} names{}",
        context(&request.context),
        principal(&request.principal),
        text(&request.action),
        text(&request.resource_type),
        names(&request.resource_names)
    )
}

carrara_policy::authorizer!(authorize, check);
