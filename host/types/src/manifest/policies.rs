//! The section `Policies`: what a manifest says of its own policies (policy.md, "In the manifest").
//!
//! Unlike everywhere else an unknown field is a mistake and no warning: a policy with a misspelt `Mode` would be enforced. What is
//! read here has the right form; whether it makes sense is the host's list's to say (`safe/policies.rs`).

use std::fmt::Display;

use super::fields::{At, Read, Warnings};
use super::json::{Member, Tree, Value};
use super::normal::Writer;
use crate::policy::{Digest, Mode, PolicyEntry, World};

const FIELDS: &[&str] = &["World", "Component", "Settings", "Mode", "Replaces"];

/// One entry of the section.
pub(super) fn entry(at: &At<'_>) -> Read<PolicyEntry> {
    at.refuse_unknown(FIELDS)?;
    let (mut world, mut component): (Option<World>, Option<Digest>) = (None, None);
    let (mut mode, mut replaces, mut settings) = (Mode::default(), None, "null".to_owned());
    at.fields(FIELDS, &[], &mut Warnings::default(), |name, at, _| {
        match name {
            "World" => world = Some(parsed(at)?),
            "Component" => component = Some(parsed(at)?),
            "Settings" => settings = json_text(at)?,
            "Mode" => mode = read_mode(at)?,
            _ => replaces = at.optional_text()?.filter(|name| !name.is_empty()).map(str::to_owned),
        }
        Ok(())
    })?;
    let world = world.ok_or_else(|| {
        at.mistake(format!("a policy needs its World: {}", World::ALL.map(World::name).join(", ")))
    })?;
    let component = component.ok_or_else(|| {
        at.mistake("a policy needs its Component: `sha256:` and the 64 lower-case hex digits of its SHA-256")
    })?;
    Ok(PolicyEntry { world, component, settings, mode, replaces })
}

fn parsed<T: std::str::FromStr<Err: Display>>(at: &At<'_>) -> Read<T> {
    at.text()?.parse().map_err(|error: T::Err| at.mistake(error.to_string()))
}

fn read_mode(at: &At<'_>) -> Read<Mode> {
    match at.optional_text()? {
        None => Ok(Mode::default()),
        Some("enforce") => Ok(Mode::Enforce),
        Some("shadow") => Ok(Mode::Shadow),
        Some(_) => Err(at.mistake("unknown mode; it must be enforce or shadow")),
    }
}

/// The JSON text of a value: compact, names sorted. A duplicate is a mistake: the policy might read the other one.
fn json_text(at: &At<'_>) -> Read<String> {
    let mut writer = Writer::default();
    write(at, at.tree(), &mut writer)?;
    Ok(writer.finish())
}

fn write(at: &At<'_>, tree: Tree<'_>, w: &mut Writer) -> Read<()> {
    match &tree.node.value {
        Value::Null => w.display("null"),
        Value::Bool(value) => w.display(value),
        Value::Number(raw) => w.display(raw),
        Value::String(text) => w.string(text),
        Value::Array(_) => {
            let mut result = Ok(());
            w.items(&tree.items().collect::<Vec<_>>(), |w, item| {
                if result.is_ok() {
                    result = write(at, *item, w);
                }
            });
            return result;
        }
        Value::Object(_) => {
            let mut sorted: Vec<Member<'_>> = tree.members().collect();
            sorted.sort_by_key(|member| member.key);
            let twice = |pair: &&[Member<'_>]| matches!(pair, [a, b] if a.key == b.key);
            if let Some([_, second]) = sorted.windows(2).find(twice) {
                return Err(at.duplicate_within(second));
            }
            let mut result = Ok(());
            w.object(|w| {
                for member in sorted {
                    w.field(member.key, |w| {
                        if result.is_ok() {
                            result = write(at, member.value, w);
                        }
                    });
                }
            });
            return result;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::manifest::ParsedManifest;
    use crate::policy::{Digest, Mode, PolicyEntry, World};

    fn read(entry: &str) -> Result<PolicyEntry, String> {
        let text = format!("{{\"Policies\":{{\n\"p\":{entry}}}}}");
        let mut manifest = ParsedManifest::parse(text.as_bytes()).map_err(|error| error.message)?;
        Ok(manifest.policies.remove("p").unwrap())
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"World":"role-authorization","Component":"sha256:{}"{fields}}}"#, "ab".repeat(32))
    }

    // policy.md, In the manifest
    #[test]
    fn an_entry_is_read_and_what_is_left_out_has_its_default() {
        let least = PolicyEntry {
            world: World::RoleAuthorization,
            component: Digest([0xab; 32]),
            settings: "null".to_owned(),
            mode: Mode::Enforce,
            replaces: None,
        };
        assert_eq!(read(&with("")).unwrap(), least);
        assert_eq!(read(&with(r#","Mode":null,"Replaces":null,"Settings":null"#)).unwrap(), least);
        let full =
            read(&with(r#","Mode":"shadow","Replaces":"rbac","settings":{"b":[1.50,"\u0041"],"a":{}}"#));
        let full = full.unwrap();
        assert_eq!((full.mode, full.replaces.as_deref()), (Mode::Shadow, Some("rbac")));
        assert_eq!(full.settings, r#"{"a":{},"b":[1.50,"A"]}"#);
    }

    // policy.md: "Unknown keys in this section are errors, always"
    #[test]
    fn what_has_the_wrong_form_is_refused_with_its_place() {
        let digest = "ab".repeat(32);
        for (entry, said, place) in [
            (with(r#","Setings":{}"#), "unknown field Setings", "/Policies/p/Setings"),
            (with(r#","Mode":"Shadow""#), "enforce or shadow", "/Policies/p/Mode"),
            (with(r#","Settings":{"a":1,"a":2}"#), "duplicate key: a", "/Policies/p/Settings"),
            (
                with(r#","Settings":[[{"a":1,"b":{"c":1,"c":1}}]]"#),
                "duplicate key: c",
                "/Policies/p/Settings",
            ),
            (with(r#","Replaces":1"#), "expected a string", "/Policies/p/Replaces"),
            (format!(r#"{{"Component":"sha256:{digest}"}}"#), "needs its World", "/Policies/p"),
            (r#"{"World":"marble-admission"}"#.to_owned(), "needs its Component", "/Policies/p"),
            (r#"{"World":"admission"}"#.to_owned(), "unknown world", "/Policies/p/World"),
            (format!(r#"{{"Component":"{digest}"}}"#), "is named by `sha256:`", "/Policies/p/Component"),
            ("null".to_owned(), "needs its World", "/Policies/p"),
            ("1".to_owned(), "expected an object", "/Policies/p"),
        ] {
            let error = read(&entry).unwrap_err();
            assert!(error.contains(said) && error.contains(&format!("at {place}, line 2")), "{error}");
        }
    }
}
