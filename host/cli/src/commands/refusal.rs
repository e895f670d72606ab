//! What a user can do about a coordinator's refusal.

use anyhow::Error;
use carrara_client::{Client, ClientError};
use sha2::{Digest, Sha256};

use crate::output::escaped;

/// HTTP's Service Unavailable.
const BUSY: u16 = 503;
/// What a coordinator says, with the same status, when it is still at work at the end of its own time limit.
const MAY_TAKE_EFFECT: &str = "it may still take effect";
/// What helps where no manifest is in force. In recovery setting one would be the wrong thing: it archives the state.
pub(super) const NO_MANIFEST: &str = "where `carrara status` says 1 the coordinator is in recovery: send the recovery \
                                      secrets (`carrara recover`), since setting a manifest would archive the state; where \
                                      it says 2 set a manifest first";

/// Turns a failed request into an error that names what was tried, as whom, and what helps.
pub(crate) fn explain(error: ClientError, doing: &str, client: &Client) -> Error {
    let remedy = remedy(&error, client);
    let separator = if remedy.is_empty() { "" } else { "; " };
    Error::new(error).context(format!("{doing}{separator}{remedy}"))
}

/// The same for a request that changes something: without an answer, the change may have been made all the same.
pub(crate) fn explain_change(error: ClientError, doing: &str, client: &Client) -> Error {
    if may_have_been_done(&error) {
        let doing = format!(
            "{doing}; it may have been done all the same: see `carrara manifest log` before trying again"
        );
        return Error::new(error).context(doing);
    }
    explain(error, doing, client)
}

/// No answer came, or one that says no more than that it takes long.
pub(crate) fn may_have_been_done(error: &ClientError) -> bool {
    match error {
        ClientError::Late { .. } | ClientError::Http { .. } => true,
        ClientError::Api(refusal) => refusal.message.contains(MAY_TAKE_EFFECT),
        _ => false,
    }
}

fn remedy(error: &ClientError, client: &Client) -> String {
    let message = match error {
        ClientError::Unauthorized(_) => {
            return format!(
                "the certificate that was presented ({}) must be that of a user of the manifest in force: compare it \
                 with what `carrara manifest get` prints; {NO_MANIFEST}",
                presented(client)
            );
        }
        ClientError::NoManifest => return NO_MANIFEST.to_owned(),
        ClientError::NoUpdate => return "start one with `carrara manifest update apply`".to_owned(),
        ClientError::Api(refusal) if refusal.code.as_u16() == BUSY => {
            return "the coordinator is busy: try again in a moment".to_owned();
        }
        ClientError::Api(refusal) => refusal.message.as_str(),
        _ => return String::new(),
    };
    let known = if message == "server is not in expected state" {
        NO_MANIFEST
    } else if message.starts_with("update already in progress") {
        "`carrara manifest update get` shows the pending one, `... acknowledge` and `... cancel` decide on it"
    } else if message.starts_with("another manifest is in force than") {
        "somebody else changed the manifest meanwhile: run the command again, and look at what it changes now"
    } else if let Some(policy) = denying(message) {
        return format!(
            "the policy {} of the manifest denied it, whatever the roles say: see `carrara policy list`, and `carrara policy decisions` \
             for what it was asked",
            escaped(policy)
        );
    } else if message.contains(" is not allowed to ") {
        "a role of the manifest must give this user the right: see `carrara manifest get`"
    } else if message.contains("manifest specifies a secret which the original manifest does not contain") {
        "`carrara manifest get` shows the names of the secrets"
    } else {
        ""
    };
    known.to_owned()
}

/// The policy that a denial names: behind the coordinator's own text, as `: NAME: message`.
fn denying(message: &str) -> Option<&str> {
    let (_, what) = message.split_once(" is not allowed to ")?;
    // What these say last are names.
    let names = ["read one or more secrets of: [", "update one or more packages of ["];
    let (_, denial) = match names.iter().find_map(|before| what.strip_prefix(before)) {
        Some(names) => names.split_once("]: ")?,
        None => what.strip_prefix("update secret: ").unwrap_or(what).split_once(": ")?,
    };
    denial.split_once(": ").map(|(policy, _)| policy)
}

/// By what it can be found in a manifest.
pub(super) fn presented(client: &Client) -> String {
    match client.identity() {
        Some(identity) => {
            format!("SHA-256 fingerprint {}", hex::encode(Sha256::digest(identity.certificate())))
        }
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use carrara_client::{ApiError, Trust};

    use super::*;

    fn explained(error: ClientError, change: bool) -> String {
        let client = Client::new("localhost:1".parse().unwrap(), Trust::Insecure);
        let explain = if change { explain_change } else { explain };
        format!("{:#}", explain(error, "doing", &client))
    }

    fn refused(code: u16, message: &str) -> ClientError {
        let (code, status) = (code.try_into().unwrap(), "error".to_owned());
        ClientError::Api(ApiError { code, status, message: message.to_owned(), data: None })
    }

    #[test]
    fn a_refusal_names_what_was_tried_and_what_helps() {
        for (error, expected) in [
            (refused(503, "too many"), "doing; the coordinator is busy: try again in a moment: "),
            (refused(500, "other"), "doing: the coordinator refused: 500 error: other"),
            (ClientError::NoUpdate, "doing; start one with `carrara manifest update apply`: "),
            (
                ClientError::Unauthorized("who?".to_owned()),
                "doing; the certificate that was presented (none) must be that of a user of the manifest in force: \
                 compare it with what `carrara manifest get` prints; where `carrara status` says 1 the coordinator is in \
                 recovery: send the recovery secrets (`carrara recover`), since setting a manifest would archive the \
                 state; where it says 2 set a manifest first: ",
            ),
            (
                refused(500, "server is not in expected state"),
                "doing; where `carrara status` says 1 the coordinator is in recovery: send the recovery secrets",
            ),
            (
                ClientError::NoManifest,
                "doing; where `carrara status` says 1 the coordinator is in recovery: ",
            ),
        ] {
            let text = explained(error, false);
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn a_denial_by_a_policy_names_the_policy_and_one_by_roles_the_roles() {
        for what in [
            "update the complete manifest",
            "update secret: key",
            "read one or more secrets of: [a b]",
            "update one or more packages of [app]",
            "read the audit trail; it takes a role of type Manifest with the action ReadAudit",
        ] {
            let roles = format!("user alice is not allowed to {what}");
            let text = explained(refused(500, &roles), false);
            assert!(
                text.starts_with("doing; a role of the manifest must give this user the right"),
                "{text}"
            );
            let text = explained(refused(500, &format!("{roles}: lock: not now: never (wait)")), false);
            assert!(text.starts_with("doing; the policy lock of the manifest denied it"), "{text}");
        }
    }

    #[test]
    fn whoever_was_overtaken_is_told_to_look_again() {
        let text = explained(refused(409, "another manifest is in force than the one that ..."), false);
        assert!(text.starts_with("doing; somebody else changed the manifest meanwhile: run"), "{text}");
    }

    #[test]
    fn a_change_without_an_answer_may_have_been_made() {
        let late = || ClientError::Late { address: "x".to_owned(), limit: std::time::Duration::from_secs(1) };
        assert!(explained(late(), true).contains("may have been done all the same"));
        assert!(!explained(late(), false).contains("all the same"));
        assert!(!explained(refused(500, "no"), true).contains("all the same"));
        assert!(!explained(refused(503, "overloaded"), true).contains("all the same"));
        let at_work = explained(refused(503, "the request took too long; it may still take effect"), true);
        assert!(at_work.contains("all the same") && !at_work.contains("try again in a moment"), "{at_work}");
    }
}
