//! Query strings as Go reads them: `+` is a space, names are case-sensitive, pairs that do not decode are left
//! out, unknown ones are ignored.

use crate::problem::Failure;

/// The values of all parameters of this name, in order.
pub(crate) fn values(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
    let decoded = pairs.filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key)? == name.as_bytes()).then(|| decode(value))?
    });
    decoded.map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

/// A whole number; of several the first one counts.
///
/// # Errors
/// [`Failure::Query`] if the text is none.
pub(crate) fn number(query: &str, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = values(query, name).into_iter().next() else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    let wrong =
        || Failure::Query(format!("invalid query: \"{name}\" must be an integer from 0 to {}", u64::MAX));
    number.map(Some).ok_or_else(wrong)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            other => other,
        });
    }
    Some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::{Failure, number, values};

    //
    #[test]
    fn a_parameter_may_repeat_and_the_same_value_too() {
        assert_eq!(values("s=a&s=b&x=1&s=a", "s"), ["a", "b", "a"]);
    }

    //
    #[test]
    fn values_are_url_decoded_and_plus_is_a_space() {
        assert_eq!(values("s=a+b%20c%2B%26%c3%a9", "s"), ["a b c+&é"]);
        assert_eq!(values("%73=a", "s"), ["a"]);
    }

    //
    #[test]
    fn names_are_case_sensitive_and_unknown_ones_ignored() {
        assert!(values("S=a&ss=b&t=c", "s").is_empty());
    }

    //
    #[test]
    fn an_empty_value_is_a_value() {
        assert_eq!(values("s", "s"), [""]);
        assert_eq!(values("s=&s=a", "s"), ["", "a"]);
    }

    #[test]
    fn pairs_that_do_not_decode_are_left_out() {
        for query in ["s=%", "s=%4", "s=%zz", "s=a;b", "%=s", ""] {
            assert!(values(query, "s").is_empty(), "{query}");
        }
        assert_eq!(values("s=%zz&s=a=b", "s"), ["a=b"]);
    }

    #[test]
    fn a_number_is_digits_only() {
        assert_eq!(number("from=0012&from=x", "from").unwrap(), Some(12));
        assert_eq!(number("FROM=1", "from").unwrap(), None);
        assert_eq!(number("from=18446744073709551615", "from").unwrap(), Some(u64::MAX));
        for query in [
            "from",
            "from=",
            "from=-1",
            "from=%2B1",
            "from=1.0",
            "from=18446744073709551616",
            "from=x&from=1",
        ] {
            let Err(Failure::Query(text)) = number(query, "from") else { panic!("{query} was accepted") };
            assert!(text.starts_with("invalid query: \"from\" must be"), "{text}");
        }
    }
}
