//! URIs of certificate templates: Go's url.URL as JSON, to and from one text.
//!
//! A template holds the URI as Go would write it. User information cannot be given: in Go it has no JSON form.

use crate::manifest::fields::{At, Read, Warnings};

/// The fields of Go's url.URL that can be given.
#[derive(Debug, Default)]
pub(in crate::manifest) struct Parts {
    pub(in crate::manifest) scheme: String,
    pub(in crate::manifest) opaque: String,
    pub(in crate::manifest) host: String,
    pub(in crate::manifest) path: String,
    pub(in crate::manifest) raw_query: String,
    pub(in crate::manifest) fragment: String,
    omit_host: bool,
    force_query: bool,
}

pub(super) fn uri(at: &At<'_>, warnings: &mut Warnings) -> Read<String> {
    const FIELDS: &[&str] = &[
        "Scheme",
        "Opaque",
        "User",
        "Host",
        "Path",
        "RawPath",
        "OmitHost",
        "ForceQuery",
        "RawQuery",
        "Fragment",
        "RawFragment",
    ];
    if !at.is_object() {
        return Err(at.mistake(
            "expected an object such as {\"Scheme\": \"spiffe\", \"Host\": \"...\", \"Path\": \"...\"}",
        ));
    }
    let mut parts = Parts::default();
    at.fields(FIELDS, &[], warnings, |name, at, _| {
        match name {
            "Scheme" => parts.scheme = at.text()?,
            "Opaque" => parts.opaque = at.text()?,
            "Host" => parts.host = at.text()?,
            "Path" => parts.path = at.text()?,
            "OmitHost" => parts.omit_host = at.boolean()?,
            "ForceQuery" => parts.force_query = at.boolean()?,
            "RawQuery" => parts.raw_query = at.text()?,
            "Fragment" => parts.fragment = at.text()?,
            "User" if at.is_null() => {}
            field => {
                if field == "User" || at.optional_text()?.is_some_and(|text| !text.is_empty()) {
                    return Err(
                        at.mistake(format!("{field} is not supported; write the URI with Scheme and Opaque"))
                    );
                }
            }
        }
        Ok(())
    })?;
    Ok(parts.written())
}

/// Parts that are written as this text: readable ones where there are some.
pub(in crate::manifest) fn parts(uri: &str) -> Parts {
    let opaque = Parts { opaque: uri.to_owned(), ..Parts::default() };
    let Some((scheme, rest)) = uri.split_once("://") else { return opaque };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let readable = Parts {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        path: path.to_owned(),
        raw_query: query.to_owned(),
        fragment: fragment.to_owned(),
        ..Parts::default()
    };
    if readable.written() == uri { readable } else { opaque }
}

impl Parts {
    /// As Go's URL.String.
    fn written(&self) -> String {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            text.push_str(&self.scheme);
            text.push(':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut text)
        } else {
            text.push_str(&self.opaque)
        }
        if self.force_query || !self.raw_query.is_empty() {
            text.push('?');
            text.push_str(&self.raw_query);
        }
        if !self.fragment.is_empty() {
            text.push('#');
            escape(&mut text, &self.fragment, "$&+,/:;=?@!()*");
        }
        text
    }

    fn write_hierarchy(&self, text: &mut String) {
        let omitted = self.omit_host && self.host.is_empty();
        let authority = !self.scheme.is_empty() || !self.host.is_empty();
        if authority && !omitted && !(self.host.is_empty() && self.path.is_empty()) {
            text.push_str("//");
            escape(text, &self.host, "!$&'()*+,;=:[]<>\"");
        }
        if !self.host.is_empty() && !self.path.is_empty() && !self.path.starts_with('/') {
            text.push('/');
        }
        // RFC 3986, section 4.2: a colon in the first segment would be taken for a scheme's.
        if text.is_empty() && self.path.split('/').next().is_some_and(|segment| segment.contains(':')) {
            text.push_str("./");
        }
        if self.path == "*" { text.push('*') } else { escape(text, &self.path, "$&+,/:;=@") }
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters and those in `kept`.
fn escape(text: &mut String, part: &str, kept: &str) {
    for byte in part.bytes() {
        let letter = char::from(byte);
        if byte.is_ascii_alphanumeric()
            || "-_.~".contains(letter)
            || (byte.is_ascii() && kept.contains(letter))
        {
            text.push(letter);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spiffe(host: &str, path: &str) -> Parts {
        Parts { scheme: "spiffe".into(), host: host.into(), path: path.into(), ..Parts::default() }
    }

    // manifest.md 2.9
    #[test]
    fn uris_are_written_as_go_writes_them() {
        assert_eq!(spiffe("example.org", "/a b?").written(), "spiffe://example.org/a%20b%3F");
        assert_eq!(spiffe("example.org", "a").written(), "spiffe://example.org/a");
        assert_eq!(spiffe("", "/a").written(), "spiffe:///a");
        assert_eq!(spiffe("", "").written(), "spiffe:");
        assert_eq!(Parts { path: "a:b".into(), ..Parts::default() }.written(), "./a:b");
        assert_eq!(Parts { omit_host: true, ..spiffe("", "/a") }.written(), "spiffe:/a");
        assert_eq!(Parts { force_query: true, ..spiffe("h", "") }.written(), "spiffe://h?");
        let urn = Parts { scheme: "urn".into(), opaque: "x:y".into(), ..Parts::default() };
        assert_eq!(urn.written(), "urn:x:y");
        assert_eq!(Parts { fragment: "a b".into(), ..spiffe("h", "/") }.written(), "spiffe://h/#a%20b");
    }

    #[test]
    fn parts_of_a_text_are_written_as_that_text() {
        for uri in [
            "",
            "urn:x:y",
            "spiffe://h/p",
            "https://h:1/p%20q?a=b#f",
            "http://h",
            "a b",
            "://",
            "x://h?",
            "*",
        ] {
            assert_eq!(parts(uri).written(), uri, "{uri}");
        }
        assert_eq!(parts("spiffe://h/p").host, "h");
    }
}
