//! Who gains or loses which rights over the manifest itself: it follows from Users and Roles together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Change, Kind, pointer};

/// Users and what each may do to resources of type Manifest, lower case.
type Rights<'a> = BTreeMap<&'a str, BTreeSet<String>>;

/// One change per user and right, and one if nobody is left to update.
pub(super) fn effects(old: &Value, new: &Value) -> Vec<Change> {
    let (old, new) = (rights(old), rights(new));
    let none = BTreeSet::new();
    let mut changes = Vec::new();
    for user in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (had, has) = (old.get(user).unwrap_or(&none), new.get(user).unwrap_or(&none));
        let mut change = |text: String, danger: Option<String>| {
            let new = Some(json!(text));
            let path = pointer(&["Users", user]);
            changes.push(Change { kind: Kind::Effect, path, old: None, new, danger });
        };
        for action in has.difference(had) {
            change(format!("may {}", written(action)), gain(action).map(str::to_owned));
        }
        for action in had.difference(has) {
            change(format!("may no longer {}", written(action)), None);
        }
    }
    let updates = |rights: &Rights<'_>| rights.values().any(|actions| actions.contains(UPDATE));
    if updates(&old) && !updates(&new) {
        changes.push(Change {
            kind: Kind::Effect,
            path: NOBODY.0.to_owned(),
            old: None,
            new: Some(json!(NOBODY.1)),
            danger: Some("this is the last update: nobody can change the manifest after it".to_owned()),
        });
    }
    changes
}

/// Where and how it is said that nobody is left to update.
const NOBODY: (&str, &str) = ("/Users", "nobody may UpdateManifest");

/// Whether this is the effect that nobody is left to update.
pub(super) fn locks_everybody_out(change: &Change) -> bool {
    let text = change.new.as_ref().and_then(Value::as_str);
    change.kind == Kind::Effect && (change.path.as_str(), text) == (NOBODY.0, Some(NOBODY.1))
}

/// What a change of users and roles lets somebody do that she could not do before; `new` in normal form.
pub(super) fn granted(path: &[&str], change: &Change, new: &Value) -> Option<String> {
    let value = change.new.as_ref()?;
    let role = |name: &str| new.get("Roles").and_then(|all| all.get(name));
    let may =
        |role: &Value, actions: &str, names: Option<&str>| format!("may {}", scope(role, actions, names));
    match *path {
        ["Users", _] if change.kind == Kind::Added => {
            let roles = texts(value.get("Roles")).filter_map(role);
            let rights: Vec<_> =
                roles.filter(|role| has_actions(role)).map(|role| may(role, &actions(role), None)).collect();
            Some(match rights.is_empty() {
                true => "a new user, who may do nothing so far".to_owned(),
                false => format!("a new user: whoever holds the certificate's key {}", rights.join("; ")),
            })
        }
        ["Users", _, "Roles"] => {
            let roles: Vec<&str> = items(value);
            let rights: Vec<_> =
                roles.into_iter().filter_map(role).filter(|role| has_actions(role)).collect();
            let rights: Vec<_> = rights.into_iter().map(|role| may(role, &actions(role), None)).collect();
            (!rights.is_empty()).then(|| format!("this user {}", rights.join("; ")))
        }
        ["Roles", _] if change.kind == Kind::Added && has_actions(value) => {
            Some(format!("who has this role {}", may(value, &actions(value), None)))
        }
        ["Roles", name, "Actions"] => {
            Some(format!("who has this role {}", may(role(name)?, &items(value).join(", "), None)))
        }
        ["Roles", name, "ResourceNames"] => {
            let role = role(name).filter(|role| has_actions(role))?;
            Some(format!("who has this role {}", may(role, &actions(role), Some(&items(value).join(", ")))))
        }
        ["Roles", name, "ResourceType"] => {
            let role = role(name).filter(|role| has_actions(role))?;
            Some(format!("who has this role {}", may(role, &actions(role), None)))
        }
        _ => None,
    }
}

/// A text, or the texts of a list.
fn items(value: &Value) -> Vec<&str> {
    value.as_str().into_iter().chain(texts(Some(value))).collect()
}

fn actions(role: &Value) -> String {
    texts(role.get("Actions")).collect::<Vec<_>>().join(", ")
}

fn has_actions(role: &Value) -> bool {
    texts(role.get("Actions")).next().is_some()
}

/// `ReadSecret of Secrets a, b`.
fn scope(role: &Value, actions: &str, names: Option<&str>) -> String {
    let kind = role.get("ResourceType").and_then(Value::as_str).unwrap_or_default();
    let all = texts(role.get("ResourceNames")).collect::<Vec<_>>().join(", ");
    format!("{actions} of {kind} {}", names.unwrap_or(&all)).trim_end().to_owned()
}

const UPDATE: &str = "updatemanifest";

fn rights(manifest: &Value) -> Rights<'_> {
    let mut rights = Rights::new();
    let users = manifest.get("Users").and_then(Value::as_object);
    for (user, definition) in users.into_iter().flatten() {
        let roles = texts(definition.get("Roles"));
        let roles = roles.filter_map(|role| manifest.get("Roles").and_then(|all| all.get(role)));
        let roles = roles.filter(|role| role.get("ResourceType").is_some_and(|kind| *kind == "Manifest"));
        let actions = roles.flat_map(|role| texts(role.get("Actions"))).map(str::to_ascii_lowercase);
        rights.entry(user).or_default().extend(actions);
    }
    rights
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn written(action: &str) -> &str {
    match action {
        UPDATE => "UpdateManifest",
        "readaudit" => "ReadAudit",
        "readdecisions" => "ReadDecisions",
        "backup" => "Backup",
        other => other,
    }
}

fn gain(action: &str) -> Option<&'static str> {
    match action {
        UPDATE => Some("this user takes part in deciding on every later manifest"),
        "backup" => Some("this user may take away the sealed state"),
        "readaudit" => Some("this user may read who did what"),
        _ => None,
    }
}
