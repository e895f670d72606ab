//! What the caller of an update makes sure of: `lockout=refuse` and `base=SHA256`, in both versions. Without them, as in
//! MarbleRun, nothing is looked at.

use carrara_core::outcome::Guards;

use super::query;
use crate::problem::Failure;

/// Reads them from a query; of several values the first one counts. What is wrong is refused: a guard that is not understood
/// must not be left out.
///
/// # Errors
/// [`Failure::Query`].
pub(super) fn guards(text: &str) -> Result<Guards, Failure> {
    let first = |name| query::values(text, name).into_iter().next();
    let refuse_lockout = match first("lockout").as_deref() {
        None => false,
        Some("refuse") => true,
        Some(_) => return Err(Failure::Query("invalid query: \"lockout\" must be refuse".to_owned())),
    };
    let base = first("base").map(|digest| sha256(&digest)).transpose()?;
    Ok(Guards { refuse_lockout, base })
}

fn sha256(text: &str) -> Result<[u8; 32], Failure> {
    let mut digest = [0; 32];
    match hex::decode_to_slice(text, &mut digest) {
        Ok(()) => Ok(digest),
        Err(_) => Err(Failure::Query(
            "invalid query: \"base\" must be the SHA-256 of a manifest, 64 hexadecimal digits".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_them_nothing_is_guarded() {
        for text in ["", "Lockout=refuse&BASE=1", "from=1"] {
            assert_eq!(guards(text).unwrap(), Guards::default(), "{text}");
        }
    }

    #[test]
    fn both_are_read_and_the_digest_in_either_case() {
        for digit in ["ab", "AB"] {
            let text = format!("base={}&lockout=refuse&lockout=x", digit.repeat(32));
            let expected = Guards { refuse_lockout: true, base: Some([0xab; 32]) };
            assert_eq!(guards(&text).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let long = format!("base={}", "0".repeat(65));
        for text in ["lockout", "lockout=allow", "lockout=&lockout=refuse", "base", "base=00", &long] {
            assert!(matches!(guards(text), Err(Failure::Query(_))), "{text}");
        }
    }
}
