//! What a full update does with each secret (S-41). Decides only; `apply_update.rs` carries it out.
//!
//! Definitions are compared as declared, never as stored, and without their certificates' templates.

use carrara_types::manifest::{ParsedManifest, SecretDefinition};

/// What becomes of a stored secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Current and previous value stay.
    Kept,
    /// The current value becomes the previous one; a new one is made.
    Renewed,
    /// A new value is made, which is the previous one, too; what was stored is lost.
    Fresh,
    /// Nothing is stored any more: the secret is gone, is made for each Marble, or waits for its user.
    Emptied,
}

/// The fate of every secret that the current or the proposed manifest has, by name. Names come once.
pub(crate) fn fates<'a>(
    current: &'a ParsedManifest,
    proposed: &'a ParsedManifest,
) -> impl Iterator<Item = (&'a str, Fate)> {
    let rotate = proposed.config.rotate_root_secret;
    let removed = current.secrets.keys().filter(|name| !proposed.secrets.contains_key(*name));
    let removed = removed.map(|name| (name.as_str(), Fate::Emptied));
    let declared = proposed
        .secrets
        .iter()
        .map(move |(name, definition)| (name.as_str(), fate(current.secrets.get(name), definition, rotate)));
    removed.chain(declared)
}

fn fate(current: Option<&SecretDefinition>, proposed: &SecretDefinition, rotate: bool) -> Fate {
    let unchanged = current.is_some_and(|current| is_same(current, proposed));
    match (unchanged, proposed.user_defined, proposed.shared) {
        (true, true, _) => Fate::Kept,
        // What is made for each Marble follows from the root secrets.
        (_, true, _) | (_, false, false) => Fate::Emptied,
        (false, false, true) => Fate::Fresh,
        (true, false, true) if proposed.kind.is_certificate() || rotate => Fate::Renewed,
        (true, false, true) => Fate::Kept,
    }
}

fn is_same(a: &SecretDefinition, b: &SecretDefinition) -> bool {
    a.kind == b.kind
        && a.size == b.size
        && a.shared == b.shared
        && a.user_defined == b.user_defined
        && a.valid_for == b.valid_for
}

#[cfg(test)]
mod tests {
    use carrara_types::manifest::{CertificateTemplate, SecretKind};

    use super::*;

    fn secret(kind: &str, shared: bool, user_defined: bool) -> SecretDefinition {
        SecretDefinition {
            kind: SecretKind::from_name(kind),
            shared,
            user_defined,
            ..SecretDefinition::default()
        }
    }

    // S-41, row by row
    #[test]
    fn an_unchanged_secret_has_its_row_s_fate() {
        for (kind, shared, user_defined, plain, rotating) in [
            ("cert-ecdsa", true, false, Fate::Renewed, Fate::Renewed),
            ("symmetric-key", true, false, Fate::Kept, Fate::Renewed),
            ("plain", false, true, Fate::Kept, Fate::Kept),
            ("symmetric-key", true, true, Fate::Kept, Fate::Kept),
            ("cert-rsa", false, true, Fate::Kept, Fate::Kept),
            ("symmetric-key", false, false, Fate::Emptied, Fate::Emptied),
            ("cert-ed25519", false, false, Fate::Emptied, Fate::Emptied),
        ] {
            let secret = secret(kind, shared, user_defined);
            assert_eq!(fate(Some(&secret), &secret, false), plain, "{kind} {shared} {user_defined}");
            assert_eq!(fate(Some(&secret), &secret, true), rotating, "{kind} {shared} {user_defined}");
        }
    }

    // S-41: "Definition changed (Type/Size/Shared/UserDefined/ValidFor differ)"
    #[test]
    fn each_field_of_a_definition_makes_it_another_one() {
        let generated = secret("symmetric-key", true, false);
        let changes: [fn(&mut SecretDefinition); 5] = [
            |secret| secret.kind = SecretKind::CertEcdsa,
            |secret| secret.size = 512,
            |secret| secret.shared = !secret.shared,
            |secret| secret.user_defined = !secret.user_defined,
            |secret| secret.valid_for = 7,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut old = generated.clone();
            change(&mut old);
            assert_eq!(fate(Some(&old), &generated, false), Fate::Fresh, "change {index}");
            let mut emptied = secret("plain", true, true);
            let uploaded = emptied.clone();
            change(&mut emptied);
            emptied.user_defined = true;
            if emptied != uploaded {
                assert_eq!(fate(Some(&uploaded), &emptied, false), Fate::Emptied, "change {index}");
            }
        }
        assert_eq!(fate(None, &generated, false), Fate::Fresh);
        assert_eq!(fate(None, &secret("plain", false, true), false), Fate::Emptied);
    }

    // S-41, S-41a, X-23: "Cert template not considered", ValidFor as declared
    #[test]
    fn another_template_of_a_certificate_is_no_other_definition() {
        let old = secret("cert-ecdsa", true, false);
        let new = SecretDefinition { cert: Some(Box::<CertificateTemplate>::default()), ..old.clone() };
        assert_eq!(fate(Some(&old), &new, false), Fate::Renewed);
    }

    // S-41
    #[test]
    fn removed_secrets_are_emptied_and_every_name_comes_once() {
        let mut current = ParsedManifest::default();
        let mut proposed = ParsedManifest::default();
        current.secrets.insert("gone".to_owned(), secret("plain", false, true));
        current.secrets.insert("kept".to_owned(), secret("plain", false, true));
        proposed.secrets = current.secrets.clone();
        proposed.secrets.remove("gone");
        proposed.secrets.insert("new".to_owned(), secret("cert-rsa", true, false));
        let fates: Vec<_> = fates(&current, &proposed).collect();
        assert_eq!(fates, [("gone", Fate::Emptied), ("kept", Fate::Kept), ("new", Fate::Fresh)]);
    }
}
