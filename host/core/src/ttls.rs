//! The transparent TLS configuration of a Marble (S-81..S-84).
//!
//! Only Addr and Port pass the template engine (deviations, S-81); the JSON around the results is built here, after the
//! secrets are there.

use std::collections::BTreeMap;

use carrara_types::manifest::{Marble, ParsedManifest, TlsEntry};
use carrara_types::secret::SecretBytes;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::Cause;

/// The environment variable that carries the configuration.
pub(crate) const VARIABLE: &str = "MARBLE_TTLS_CONFIG";

/// One connection before its address is rendered.
struct Connection {
    incoming: bool,
    /// Index of the address's template, unless it is literal.
    address: Text,
    port: Text,
    /// A secret's name, or empty: the Marble's own certificate.
    cert: String,
    client_auth: bool,
}

enum Text {
    Literal(String),
    Template(usize),
}

/// What the configuration will hold.
pub(crate) struct TtlsPlan {
    connections: Vec<Connection>,
    templates: Vec<String>,
}

/// The PEM texts of a connection's certificate and key.
pub(crate) struct Credentials {
    pub(crate) certificate: Zeroizing<String>,
    pub(crate) key: Zeroizing<String>,
}

/// The variable's JSON; it borrows the keys.
#[derive(Serialize)]
struct Configuration<'a> {
    tls: Directions<'a>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Directions<'a> {
    incoming: BTreeMap<String, Entry<'a>>,
    outgoing: BTreeMap<String, Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    cacrt: &'a str,
    clicrt: &'a str,
    clikey: &'a str,
    #[serde(rename = "clientAuth", skip_serializing_if = "Option::is_none")]
    client_auth: Option<bool>,
}

impl TtlsPlan {
    /// The plan of a Marble with at least one TLS tag; `None` without any.
    pub(crate) fn of(manifest: &ParsedManifest, marble: &Marble) -> Option<Self> {
        if marble.tls.is_empty() {
            return None;
        }
        let mut plan = Self { connections: Vec::new(), templates: Vec::new() };
        for tag in marble.tls.iter().filter_map(|name| manifest.tls.get(name)) {
            for entry in &tag.outgoing {
                let address = plan.text(&entry.addr);
                plan.add(false, address, entry, true);
            }
            for entry in &tag.incoming {
                plan.add(true, Text::Literal("*".to_owned()), entry, !entry.disable_client_auth);
            }
        }
        Some(plan)
    }

    /// The texts to render, each with its index.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (usize, Vec<u8>)> {
        self.templates.iter().map(|text| text.clone().into_bytes()).enumerate()
    }

    /// The secrets that connections use instead of the Marble's own certificate.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.connections.iter().map(|connection| connection.cert.as_str()).filter(|name| !name.is_empty())
    }

    /// The configuration as JSON. `texts` are the rendered templates, `root` is the PEM marble root, `own` the Marble's
    /// credentials; `credentials` gives a secret's, and is asked once for each.
    ///
    /// # Errors
    /// What `credentials` says.
    pub(crate) fn json(
        &self,
        texts: &BTreeMap<usize, String>,
        root: &str,
        own: Credentials,
        mut credentials: impl FnMut(&str) -> Result<Credentials, Cause>,
    ) -> Result<SecretBytes, Cause> {
        let mut known = BTreeMap::from([("", own)]);
        for name in self.secrets() {
            if !known.contains_key(name) {
                known.insert(name, credentials(name)?);
            }
        }
        let text = |text: &Text| match text {
            Text::Literal(literal) => literal.clone(),
            Text::Template(index) => texts.get(index).cloned().unwrap_or_default(),
        };
        let mut tls = Directions::default();
        for connection in &self.connections {
            let Some(Credentials { certificate, key }) = known.get(connection.cert.as_str()) else {
                continue;
            };
            let client_auth = connection.incoming.then_some(connection.client_auth);
            let entry = Entry { cacrt: root, clicrt: certificate, clikey: key, client_auth };
            let direction = if connection.incoming { &mut tls.incoming } else { &mut tls.outgoing };
            direction.insert(format!("{}:{}", text(&connection.address), text(&connection.port)), entry);
        }
        written(&Configuration { tls })
    }

    fn add(&mut self, incoming: bool, address: Text, entry: &TlsEntry, client_auth: bool) {
        let port = self.text(&entry.port);
        let cert = if incoming { entry.cert.clone() } else { String::new() };
        self.connections.push(Connection { incoming, address, port, cert, client_auth });
    }

    fn text(&mut self, text: &str) -> Text {
        if !text.contains("{{") {
            return Text::Literal(text.to_owned());
        }
        self.templates.push(text.to_owned());
        Text::Template(self.templates.len() - 1)
    }
}

/// The JSON, allocated once at its final length: growing would leave copies of the keys behind.
fn written(configuration: &Configuration<'_>) -> Result<SecretBytes, Cause> {
    let failed = |_| Cause("writing the TLS configuration".to_owned());
    let mut length = Length(0);
    serde_json::to_writer(&mut length, configuration).map_err(failed)?;
    let mut json = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *json, configuration).map_err(failed)?;
    Ok(SecretBytes::new("TTLS", std::mem::take(&mut *json)))
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use carrara_types::manifest::TlsTag;
    use serde_json::Value;

    use super::*;

    fn plan(tags: &[(&str, TlsTag)]) -> TtlsPlan {
        let mut manifest = ParsedManifest::parse(b"{}").unwrap();
        manifest.tls = tags.iter().map(|(name, tag)| ((*name).to_owned(), tag.clone())).collect();
        let marble =
            Marble { tls: tags.iter().map(|(name, _)| (*name).to_owned()).collect(), ..Marble::default() };
        TtlsPlan::of(&manifest, &marble).unwrap()
    }

    fn entry(addr: &str, port: &str, cert: &str) -> TlsEntry {
        TlsEntry {
            addr: addr.into(),
            port: port.into(),
            cert: cert.into(),
            disable_client_auth: !cert.is_empty(),
        }
    }

    fn json(plan: &TtlsPlan, texts: &[(usize, &str)]) -> Value {
        let texts = texts.iter().map(|(index, text)| (*index, (*text).to_owned())).collect();
        let pem = |name: &str| Credentials {
            certificate: format!("crt<{name}>").into(),
            key: format!("key<{name}>").into(),
        };
        let mut asked = Vec::new();
        let json = plan.json(&texts, "root", pem(""), |name| {
            asked.push(name.to_owned());
            Ok(pem(name))
        });
        assert!(asked.iter().all(|name| asked.iter().filter(|other| *other == name).count() == 1));
        serde_json::from_slice(json.unwrap().expose()).unwrap()
    }

    // S-82, S-83
    #[test]
    fn outgoing_and_incoming_entries_have_their_keys_and_credentials() {
        let tag = TlsTag {
            outgoing: vec![entry("db", "5432", "")],
            incoming: vec![entry("", "8443", "web"), entry("x", "1", "")],
        };
        let value = json(&plan(&[("t", tag)]), &[]);
        let outgoing = &value["tls"]["Outgoing"]["db:5432"];
        assert_eq!(outgoing["clicrt"], "crt<>");
        assert!(outgoing.get("clientAuth").is_none());
        let incoming = &value["tls"]["Incoming"]["*:8443"];
        assert_eq!(
            (&incoming["clikey"], &incoming["clientAuth"]),
            (&Value::from("key<web>"), &Value::from(false))
        );
        assert_eq!(value["tls"]["Incoming"]["*:1"]["clientAuth"], true);
    }

    // S-81
    #[test]
    fn a_marble_without_tags_has_no_configuration_and_an_empty_tag_yields_empty_maps() {
        assert!(TtlsPlan::of(&ParsedManifest::default(), &Marble::default()).is_none());
        assert_eq!(
            json(&plan(&[("t", TlsTag::default())]), &[]).to_string(),
            r#"{"tls":{"Incoming":{},"Outgoing":{}}}"#
        );
    }

    // S-81 (deviations): what stands in an Addr is rendered, what stands in a PEM is not.
    #[test]
    fn only_addresses_and_ports_with_braces_are_templates() {
        let tag =
            TlsTag { outgoing: vec![entry("{{ string .Secrets.host }}", "1", "")], incoming: Vec::new() };
        let plan = plan(&[("t", tag)]);
        assert_eq!(plan.templates().count(), 1);
        assert!(json(&plan, &[(0, "a\"b")])["tls"]["Outgoing"]["a\"b:1"].is_object());
    }

    // S-82: later tags overwrite equal keys.
    #[test]
    fn a_later_tag_overwrites_an_equal_key() {
        let first = TlsTag { outgoing: Vec::new(), incoming: vec![entry("", "1", "a")] };
        let second = TlsTag { outgoing: Vec::new(), incoming: vec![entry("", "1", "b")] };
        let value = json(&plan(&[("a", first), ("b", second)]), &[]);
        assert_eq!(value["tls"]["Incoming"]["*:1"]["clicrt"], "crt<b>");
    }
}
