//! The contract policy of the world `manifest-validation`.

use carrara_contract::{
    BROKE, Word, check, context, count, fail, hex, list, log_lines, option, principal, text, token_fact,
    version, word,
};
use carrara_policy::validation::{Finding, Proposal, error, warning};

fn validate(proposal: &Proposal) -> Result<Vec<Finding>, String> {
    Ok(match word(&proposal.context).map_err(|error| error.to_string())? {
        Word::Echo => vec![warning("echo", "/echo", echo(proposal)).hint("hint")],
        Word::Allow => Vec::new(),
        Word::Plain => vec![error("plain", "", "plain")],
        Word::Several => vec![
            error("E-1", "/Packages/a~1b", "first").hint("do this"),
            warning("W-1", "/Marbles", "second"),
            error("E-2", "", "third ✓"),
        ],
        Word::Facts => vec![error("facts", "", token_fact(&proposal.context))],
        Word::Log => {
            log_lines();
            Vec::new()
        }
        Word::Count => vec![error("count", "", count().to_string())],
        Word::Fail => fail(),
        Word::Error | Word::Refuse => return Err(BROKE.to_owned()),
    })
}

fn echo(proposal: &Proposal) -> String {
    format!(
        "{} change{} manifest{} sha256 {} current {} versions{} proposer {}",
        context(&proposal.context),
        text(&proposal.change),
        text(&proposal.manifest),
        hex(&proposal.manifest_sha256),
        option(proposal.current.as_ref(), |current| text(current)),
        list(&proposal.current_versions, version),
        option(proposal.proposer.as_ref(), principal)
    )
}

carrara_policy::validator!(validate, check);
