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
        _ => None,
    }
}
