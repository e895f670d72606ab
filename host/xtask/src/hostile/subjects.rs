//! The components that a real coordinator is given: the texts of the corpus, and machine-made ones that ran.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use carrara_tests::hostile::{Hostile, prelude};
use carrara_wasm::World;

/// A policy for a manifest.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) world: World,
    pub(crate) component: Vec<u8>,
    /// Whether it is obeyed. The others are shadows: what they would do to whoever must remove them again is not known.
    pub(crate) enforced: bool,
    /// How it must end, if that is known: `refused`, `failed`, `denied`, `allowed` or `answered`.
    pub(crate) ends: Option<String>,
}

/// What the preludes ask before they let a guest misbehave, and what they ask instead: a coordinator has a clock. Authorizers misbehave
/// when a secret is read, the only action of ten letters, so that the manifest can be changed again.
const CONDITIONS: [(&str, &str, &str); 4] = [
    ("authorizer", OF_REQUESTS, "(i32.eq (i32.load offset=60 (local.get 0)) (i32.const 10))"),
    ("admitter", OF_REQUESTS, "(i32.const 1)"),
    ("validator", OF_REQUESTS, "(i32.const 1)"),
    ("renderer", "(i64.eq (local.get $now) (i64.const 666))", "(i32.const 1)"),
];

const OF_REQUESTS: &str = "(i64.eq (i64.load offset=8 (local.get 0)) (i64.const 666))";

/// The corpus.
pub(crate) fn texts() -> anyhow::Result<Vec<Subject>> {
    Hostile::all().iter().map(of_text).collect()
}

fn of_text(hostile: &Hostile) -> anyhow::Result<Subject> {
    let mut text = prelude(&hostile.prelude);
    for (_, asked, instead) in CONDITIONS.iter().filter(|(name, ..)| hostile.prelude.starts_with(name)) {
        text = text.replace(asked, instead);
    }
    let world: World = hostile.world.parse().with_context(|| format!("the world of {}", hostile.name))?;
    // What it does to every question, and not only when it is told to, it would do to its removal.
    let always = ["(start", "cabi_post", "cabi_realloc"].iter().any(|word| hostile.text.contains(word));
    let enforced = world != World::RoleAuthorization || !always;
    let ends = hostile.ends.split(':').next().filter(|_| enforced).map(ToOwned::to_owned);
    Ok(Subject {
        name: hostile.name.clone(),
        world,
        component: hostile.component_with(&text),
        enforced,
        ends,
    })
}

/// Those that ran, from the folder where they were kept as NAME.WORLD.wasm.
pub(crate) fn made(folder: &Path) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.context("reading a folder")?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (name, world) = stem.rsplit_once('.').with_context(|| format!("{stem} names no world"))?;
        let world: World = world.parse().with_context(|| format!("the world of {name}"))?;
        let component = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let enforced = matches!(world, World::MarbleAdmission | World::SecretRendering);
        subjects.push(Subject { name: name.to_owned(), world, component, enforced, ends: None });
    }
    subjects.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(subjects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prelude_asks_for_the_time_as_is_thought_here() {
        for (name, asked, _) in CONDITIONS {
            assert_eq!(prelude(name).matches(asked).count(), 1, "{name}");
        }
    }
}
