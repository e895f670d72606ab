//! Whether a user's roles allow an action on resources.
//!
//! A name is allowed if any one role of the request's resource type lists both the name and the action; roles add up.
//! Resource types and names are compared as they stand, actions ignoring ASCII case (M-60..M-62). Where a request has
//! no names - resource type `Manifest`, or an empty list (M-100) - holding the action is enough. Names in a request
//! about `Manifest` are refused, because no role can list them (M-62).

/// The names that a refusal's message spells out; all of them are in [`Denial::resources`].
const NAMED_IN_MESSAGE: usize = 16;

/// The code of every refusal.
const NO_ROLE: &str = "no-role";

/// A role that the user holds.
#[derive(Debug, Clone, Copy)]
pub struct Role<'a> {
    /// Its name in the manifest.
    pub name: &'a str,
    /// `Packages`, `Secrets` or `Manifest`.
    pub resource_type: &'a str,
    /// What it is about.
    pub resource_names: &'a [String],
    /// What it allows.
    pub actions: &'a [String],
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The user's name in the manifest.
    pub user: &'a str,
    /// The roles that the user holds.
    pub roles: &'a [Role<'a>],
    /// Such as `ReadSecret`.
    pub action: &'a str,
    /// Such as `Secrets`.
    pub resource_type: &'a str,
    /// All names of one call.
    pub resource_names: &'a [String],
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Stable and short.
    pub code: &'static str,
    /// Names the user, the action and what was refused.
    pub message: String,
    /// Which role in the manifest would be needed.
    pub hint: String,
    /// What was refused, sorted, each once; empty where the request has no names.
    pub resources: Vec<String>,
}

/// Decides a request. Takes time linear in the names of the roles, whatever the number of names in the request (but
/// for a logarithm).
///
/// # Errors
/// What no role allows.
pub fn authorize(request: &Request<'_>) -> Result<(), Denial> {
    match request.resource_names {
        [] if granting(request).next().is_some() => Ok(()),
        [] => Err(denial(request, Vec::new())),
        [name] if granting(request).any(|role| role.resource_names.contains(name)) => Ok(()),
        [name] => Err(denial(request, vec![name.clone()])),
        names => {
            let refused = uncovered(request, names);
            if refused.is_empty() { Ok(()) } else { Err(denial(request, refused)) }
        }
    }
}

/// The roles that allow the action on some resource of the type.
fn granting<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a Role<'a>> {
    let (action, resource_type) = (request.action, request.resource_type);
    request.roles.iter().filter(move |role| {
        role.resource_type == resource_type
            && role.actions.iter().any(|allowed| allowed.eq_ignore_ascii_case(action))
    })
}

/// The names that no granting role lists, sorted, each once.
fn uncovered(request: &Request<'_>, names: &[String]) -> Vec<String> {
    let mut wanted: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), false)).collect();
    // The host promises an order; a decision must not hang on it.
    if !wanted.is_sorted() {
        wanted.sort_unstable();
    }
    wanted.dedup();
    for name in granting(request).flat_map(|role| role.resource_names) {
        if let Ok(index) = wanted.binary_search_by(|(candidate, _)| (*candidate).cmp(name.as_str()))
            && let Some((_, covered)) = wanted.get_mut(index)
        {
            *covered = true;
        }
    }
    wanted.into_iter().filter(|(_, covered)| !covered).map(|(name, _)| name.to_owned()).collect()
}

fn denial(request: &Request<'_>, resources: Vec<String>) -> Denial {
    Denial {
        code: NO_ROLE,
        message: message(request, &resources),
        hint: hint(request, &resources),
        resources,
    }
}

fn message(request: &Request<'_>, refused: &[String]) -> String {
    let mut text = String::with_capacity(128);
    push_all(&mut text, &["no role of user ", request.user, " allows ", request.action]);
    push_all(&mut text, &[" on ", request.resource_type]);
    for (index, name) in refused.iter().take(NAMED_IN_MESSAGE).enumerate() {
        push_all(&mut text, &[if index == 0 { ": " } else { ", " }, name]);
    }
    let more = refused.len().saturating_sub(NAMED_IN_MESSAGE);
    if more > 0 {
        push_all(&mut text, &[" and ", &more.to_string(), " more"]);
    }
    text
}

/// The smallest change of the manifest that would allow the request.
fn hint(request: &Request<'_>, refused: &[String]) -> String {
    let mut text = String::with_capacity(160);
    match granting(request).next() {
        Some(role) if !refused.is_empty() => {
            push_all(&mut text, &["Add what is missing to ResourceNames of role ", role.name]);
            push_all(&mut text, &[" in the manifest, or give ", request.user, " another role with"]);
        }
        _ => push_all(&mut text, &["Give ", request.user, " a role of the manifest with"]),
    }
    push_all(&mut text, &[" ResourceType ", request.resource_type, " and action ", request.action]);
    if !refused.is_empty() {
        text.push_str(" that lists what is missing");
    }
    text.push('.');
    text
}

/// Formatting without the formatting machinery, which would be half of the component.
fn push_all(text: &mut String, pieces: &[&str]) {
    for piece in pieces {
        text.push_str(piece);
    }
}

#[cfg(test)]
mod tests;
