use std::collections::BTreeSet;

use carrara_types::manifest::ParsedManifest;

use super::*;

/// The files that read manifests: what they name is what a manifest may have.
const READERS: [&str; 4] = [
    include_str!("../../../../../types/src/manifest/read.rs"),
    include_str!("../../../../../types/src/manifest/read/tee.rs"),
    include_str!("../../../../../types/src/manifest/read/template.rs"),
    include_str!("../../../../../types/src/manifest/read/uri.rs"),
];

/// Names in these files that nobody should write: refused, without effect, or no fields.
const NOT_OFFERED: &[&str] = &["Private", "Public", "Key", "User", "RawPath", "RawFragment", "Names"];

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn valid(manifest: &Value) -> Result<(), String> {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    validator.validate(manifest).map_err(|error| format!("{error} at {}", error.instance_path()))
}

/// The fields that the files name: texts of the form `"Name"` in lists and matches, but for what is ignored.
fn fields_of_the_reader() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for reader in READERS {
        let code = reader.split("#[cfg(test)]").next().unwrap();
        let (before, after) = match code.split_once("const IGNORED") {
            Some((before, rest)) => (before, rest.split_once("];").unwrap().1),
            None => (code, ""),
        };
        let is_name = |text: &&str| {
            text.starts_with(|first: char| first.is_ascii_uppercase())
                && text.chars().all(|character| character.is_ascii_alphanumeric())
        };
        let quoted = |line: &'static str| line.split('"').skip(1).step_by(2).filter(is_name);
        let lines = before.lines().chain(after.lines()).filter(|line| !line.trim_start().starts_with("//"));
        names.extend(lines.flat_map(quoted).map(str::to_owned));
    }
    names.retain(|name| !NOT_OFFERED.contains(&name.as_str()));
    names
}

fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|value| properties(value, found)),
        Value::Array(items) => items.iter().for_each(|value| properties(value, found)),
        _ => {}
    }
}

#[test]
fn the_schema_has_exactly_the_fields_that_the_coordinator_reads() {
    let mut schema = schema();
    // Not read by this version, but described.
    schema["$defs"].as_object_mut().unwrap().remove("policy").unwrap();
    let mut described = BTreeSet::new();
    properties(&schema, &mut described);
    assert!(described.remove("$schema"));
    assert_eq!(described, fields_of_the_reader(), "left: schema, right: reader");
}

#[test]
fn manifests_that_a_coordinator_takes_fit_the_schema() {
    let quickstart = include_str!("../../../../../../examples/quickstart/manifest.json");
    valid(&serde_json::from_str(quickstart).unwrap()).unwrap();
    valid(&serde_json::from_str(super::super::init::MANIFEST).unwrap()).unwrap();
    valid(&json!({ "Packages": { "a": { "SecurityVersion": 3 } } })).unwrap();
    // Manifest.md section 6 and what it names elsewhere.
    let full = json!({
        "Packages": { "svc": { "SignerID": "aa", "ProductID": 7, "SecurityVersion": 2, "AcceptedTCBStatuses": ["OutOfDate"] },
            "td": { "TDX": { "MRTD": "ab".repeat(48), "RTMR1": "AB".repeat(48), "RTMR2": "" } },
            "guest": { "SNP": { "Measurement": "ab".repeat(48), "HostData": "cd".repeat(32), "GuestSVN": 1, "VMPL": 0,
                "TCB": { "Bootloader": 4, "TEE": 0, "SNP": 22, "Microcode": 211, "FMC": 0 } } } },
        "Infrastructures": { "i": { "CPUSVN": [1, 2], "QESVN": 1, "PCESVN": 2, "RootCA": "AAEC" } },
        "Marbles": { "api": { "Package": "svc", "MaxActivations": 3, "TLS": ["web"], "DisableSecretBinding": true,
            "Parameters": { "Argv": ["./api"], "Env": { "KEY": "{{ hex .Secrets.k }}" }, "Files": {
                "/cfg": { "Data": "AAEC", "Encoding": "BASE64", "NoTemplates": true },
                "/liq": { "Data": "{{ Secrets.k | hex }}", "Renderer": "liquid" } } } } },
        "Secrets": { "k": { "Type": "symmetric-key", "Size": 256, "Shared": true },
            "tok": { "Type": "plain", "UserDefined": true },
            "c": { "Type": "cert-ecdsa", "Size": 256, "ValidFor": 7, "Cert": {
                "Subject": { "CommonName": "x", "ExtraNames": [{ "Type": [2, 5, 4, 3], "Value": "y" }] },
                "IPAddresses": ["::1"], "DNSNames": [], "ExtKeyUsage": [1], "URIs": [{ "Scheme": "spiffe", "Host": "h" }],
                "PermittedIPRanges": [{ "IP": "10.0.0.0", "Mask": "/wAAAA==" }],
                "ExtraExtensions": [{ "Id": [1, 2, 3], "Value": "AA==" }] } } },
        "Users": { "ops": { "Certificate": "-----BEGIN", "Roles": ["w", "u"] } },
        "RecoveryKeys": { "r": "-----BEGIN" },
        "Roles": { "w": { "ResourceType": "Secrets", "ResourceNames": ["tok"], "Actions": ["writesecret"] },
            "u": { "ResourceType": "Manifest", "Actions": ["UpdateManifest", "ReadAudit"] },
            "p": { "ResourceType": "Packages", "ResourceNames": ["svc"], "Actions": ["UpdateSecurityVersion"] } },
        "TLS": { "web": { "Incoming": [{ "Port": "443", "Cert": "c", "DisableClientAuth": true }],
            "Outgoing": [{ "Port": "1", "Addr": "a" }] } },
        "Config": { "SealMode": "UniqueKey", "FeatureGates": ["SignQuoteEndpoint"], "UpdateThreshold": 1,
            "RecoveryThreshold": 2, "RotateRootSecret": true },
    });
    valid(&full).unwrap();
    let read = ParsedManifest::parse(full.to_string().as_bytes()).unwrap();
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    valid(&serde_json::from_str(&read.normalised_json()).unwrap()).unwrap();
}

#[test]
fn what_is_written_wrongly_does_not_fit_the_schema() {
    let broken = [
        json!([]),
        json!({ "Packeges": {} }),
        json!({ "Packages": { "a": { "Debug": 1 } } }),
        json!({ "Packages": { "a": { "ProductID": -1 } } }),
        json!({ "Packages": { "a": { "UniqueID": "xyz" } } }),
        json!({ "Packages": { "a": { "TDX": { "MRTD": "ab" } } } }),
        json!({ "Packages": { "a": { "TDX": { "RTMR4": "" } } } }),
        json!({ "Packages": { "a": { "SNP": { "VMPL": 4 } } } }),
        json!({ "Packages": { "a": { "SNP": { "TCB": { "Microcode": 256 } } } } }),
        json!({ "Packages": { "a": { "AcceptedTCBStatuses": ["uptodate"] } } }),
        json!({ "Marbles": { "m": {} } }),
        json!({ "Marbles": { "m": { "Package": "p", "Parameters": { "Files": { "f": 1 } } } } }),
        json!({ "Marbles": { "m": { "Package": "p", "Parameters": { "Files": { "f": { "Encoding": "rot13" } } } } } }),
        json!({ "Infrastructures": { "i": { "QESVN": 65536 } } }),
        json!({ "Infrastructures": { "i": { "CPUSVN": [256] } } }),
        json!({ "Secrets": { "s": { "Type": "key" } } }),
        json!({ "Secrets": { "s": { "Type": "plain" } } }),
        json!({ "Secrets": { "s": { "Type": "plain", "UserDefined": true, "Private": "AA==" } } }),
        json!({ "Users": { "u": { "Roles": [] } } }),
        json!({ "Roles": { "r": { "ResourceType": "secrets" } } }),
        json!({ "Roles": { "r": { "ResourceType": "Secrets", "Actions": ["UpdateManifest"] } } }),
        json!({ "Roles": { "r": { "ResourceType": "Manifest", "ResourceNames": ["x"] } } }),
        json!({ "TLS": { "t": { "Incoming": [{ "Port": 443 }] } } }),
        json!({ "Config": { "SealMode": "productkey" } }),
        json!({ "Config": { "FeatureGates": ["Other"] } }),
        json!({ "Config": { "RecoveryThreshold": 1 } }),
    ];
    for manifest in broken {
        valid(&manifest).unwrap_err();
    }
}
