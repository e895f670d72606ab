//! Why a change needs a second look.

use serde_json::Value;

use super::{Change, Kind, rights};

const DEBUG: &str = "whoever runs a debug enclave can read its memory and all its secrets";
pub(super) const OLDER: &str = "older versions, with their known weaknesses, may run again";
const REPLACED: &str = "the coordinator makes a new value; the old one is lost";
const EMPTIED: &str = "its value is deleted; it is empty until a user uploads a new one";
const RECOVERY: &str = "recovery keys open the state; new recovery data replaces the old and must be kept";

/// What is dangerous about a change between these manifests in normal form.
pub(super) fn of(change: &Change, old: &Value, new: &Value) -> Option<String> {
    let path: Vec<String> =
        change.path.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if let Some(text) = rights::granted(&path, change, new) {
        return Some(text);
    }
    let text = match *path.as_slice() {
        ["Packages", _, "TDX" | "SNP", ref within @ ..] => machine(within, change),
        ["Packages", ..] => package(path.get(2).copied(), change),
        ["Infrastructures", _] if change.kind == Kind::Removed && is_empty(new, "Infrastructures") => {
            Some("every genuine platform is accepted, whatever its level")
        }
        ["Users", _, "Certificate"] => Some("whoever holds the new certificate's key is this user now"),
        ["Marbles", _, "DisableSecretBinding"] => Some("the Marble's own symmetric keys get other values"),
        ["Secrets", name] if change.kind == Kind::Removed => {
            let what = match is_user_defined(old, name) {
                true => "the uploaded value is deleted, and so is the previous one",
                false => "its value is deleted, and so is the previous one",
            };
            Some(what)
        }
        ["Secrets", name, "Type" | "Size" | "Shared" | "UserDefined" | "ValidFor"] => {
            Some(if is_user_defined(new, name) { EMPTIED } else { REPLACED })
        }
        ["RecoveryKeys", _] => Some(RECOVERY),
        ["TLS", _, ..] if accepts_anybody(change.new.as_ref()) && !accepts_anybody(change.old.as_ref()) => {
            Some("clients of this port are not authenticated")
        }
        ["Config", name] => config(name, change),
        ["Policies", ..] => Some("policies decide what is accepted and who may do what"),
        _ => None,
    };
    text.map(str::to_owned)
}

/// What happens with every full update by this manifest.
pub(super) fn effects(old: &Value, new: &Value) -> Option<Change> {
    let rotates = |manifest: &Value| manifest.pointer("/Config/RotateRootSecret") == Some(&Value::Bool(true));
    (rotates(old) && rotates(new)).then(|| Change {
        kind: Kind::Effect,
        path: "/Config/RotateRootSecret".to_owned(),
        old: None,
        new: Some(Value::Bool(true)),
        danger: Some(ROTATION.to_owned()),
    })
}

const ROTATION: &str = "each full update makes a new root secret: symmetric keys change, and only one generation of \
                        previous ones is kept";

fn package(field: Option<&str>, change: &Change) -> Option<&'static str> {
    let debug = |value: &Option<Value>| {
        value
            .as_ref()
            .is_some_and(|value| *value == true || value.get("Debug").is_some_and(|debug| *debug == true))
    };
    let numbers = (number(&change.old), number(&change.new));
    match field {
        None if debug(&change.new) => Some(DEBUG),
        Some("Debug") if debug(&change.new) => Some(DEBUG),
        Some("SecurityVersion") if change.kind == Kind::Removed || numbers.1 < numbers.0 => Some(OLDER),
        Some("UniqueID" | "SignerID" | "ProductID") if change.kind == Kind::Removed => {
            Some("it is not compared any more: more enclaves match this package")
        }
        Some("SignerID") if change.kind == Kind::Changed => {
            Some("enclaves of another signer match this package")
        }
        Some("AcceptedTCBStatuses") if change.kind == Kind::Added => {
            Some("platforms with known weaknesses may be accepted")
        }
        Some("AcceptedAdvisories") => Some("other weaknesses of the platform are accepted"),
        _ => None,
    }
}

/// What identifies a virtual machine: `within` the `TDX` or `SNP` object.
fn machine(within: &[&str], change: &Change) -> Option<&'static str> {
    let numbers = (number(&change.old), number(&change.new));
    match (within, change.kind) {
        ([], Kind::Added) => Some("virtual machines match this package, too"),
        (["GuestSVN" | "TCB", ..], _) if change.kind == Kind::Removed || numbers.1 < numbers.0 => Some(OLDER),
        (["VMPL"], _) if numbers.1 > numbers.0 => {
            Some("less privileged software of the same guest may be activated")
        }
        (["VMPL" | "GuestSVN" | "TCB", ..], _) => None,
        ([_, ..], Kind::Removed) => {
            Some("it is not compared any more: more virtual machines match this package")
        }
        _ => None,
    }
}

fn config(field: &str, change: &Change) -> Option<&'static str> {
    // 0 stands for all.
    let lowered = || {
        let all_for_zero = |value| if value == 0 { u64::MAX } else { value };
        all_for_zero(number(&change.new)) < all_for_zero(number(&change.old))
    };
    match field {
        "UpdateThreshold" if lowered() => Some("fewer users suffice to update the manifest"),
        "RecoveryThreshold" if lowered() => {
            Some("fewer recovery keys open the state; new recovery data replaces the old and must be kept")
        }
        "RecoveryThreshold" => Some("new recovery data replaces the old and must be kept"),
        "SealMode" => Some(match change.new.as_ref().and_then(Value::as_str) {
            Some("Disabled") => "the state leaves the disk: the next restart loses all of it",
            Some("UniqueKey") => "another version of the coordinator needs a recovery",
            _ => "later versions of the coordinator by the same signer open the state",
        }),
        "RotateRootSecret" if change.new.as_ref().is_some_and(|new| *new == true) => Some(ROTATION),
        _ => None,
    }
}

fn number(value: &Option<Value>) -> u64 {
    value.as_ref().and_then(Value::as_u64).unwrap_or_default()
}

fn is_empty(manifest: &Value, section: &str) -> bool {
    manifest.get(section).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
}

fn is_user_defined(manifest: &Value, secret: &str) -> bool {
    let secret = manifest.get("Secrets").and_then(|all| all.get(secret));
    secret.and_then(|secret| secret.get("UserDefined")).is_some_and(|value| *value == true)
}

/// `value` is a tag or its `Incoming` list.
fn accepts_anybody(value: Option<&Value>) -> bool {
    let entries = value.map(|value| value.get("Incoming").unwrap_or(value)).and_then(Value::as_array);
    let disabled = entries.into_iter().flatten().filter_map(|entry| entry.get("DisableClientAuth"));
    disabled.into_iter().any(|disabled| *disabled == true)
}
