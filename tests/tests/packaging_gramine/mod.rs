//! The published shape of Gramine's manifests, as far as ours has it: what gramine-manifest checks, `GramineManifestSchema` in
//! python/graminelibos/manifest_check.py of https://github.com/gramineproject/gramine (LGPL) at commit
//! 04734235380c371f184ee1bc136954a818152012; Documentation/manifest-syntax.rst describes the keys. No insecure key is among these.

use std::collections::BTreeSet;

use toml::Value;

use crate::gramine;

/// Keys and the types of their values; `*` is any name, `[]` each element of an array.
const KEYS: [(&str, &str); 32] = [
    ("fs.mounts", "array"),
    ("fs.mounts[]", "table"),
    ("fs.mounts[].path", "string"),
    ("fs.mounts[].type", "string"),
    ("fs.mounts[].uri", "string"),
    ("libos.entrypoint", "string"),
    ("loader.argv", "array"),
    ("loader.argv[]", "string"),
    ("loader.entrypoint", "table"),
    ("loader.entrypoint.uri", "string"),
    ("loader.env", "table"),
    ("loader.env.*", "string"),
    ("loader.env.*", "table"),
    ("loader.env.*.passthrough", "boolean"),
    ("loader.log_level", "string"),
    ("sgx.allowed_files", "array"),
    ("sgx.allowed_files[]", "string"),
    ("sgx.debug", "boolean"),
    ("sgx.edmm_enable", "boolean"),
    ("sgx.enclave_size", "string"),
    ("sgx.isvprodid", "integer"),
    ("sgx.isvsvn", "integer"),
    ("sgx.max_threads", "integer"),
    ("sgx.remote_attestation", "string"),
    ("sgx.trusted_files", "array"),
    ("sgx.trusted_files[]", "string"),
    ("sys.disallow_subprocesses", "boolean"),
    ("sys.enable_extra_runtime_domain_names_conf", "boolean"),
    ("sys.enable_sigterm_injection", "boolean"),
    ("sys.experimental__enable_flock", "boolean"),
    ("sys.stack", "table"),
    ("sys.stack.size", "string"),
];

/// Of the schema: what must be there.
const REQUIRED: [&str; 3] = ["fs.mounts", "libos.entrypoint", "loader.entrypoint.uri"];

/// Each key with the type of its value, as in [`KEYS`].
fn keys(value: &Value, at: &str, found: &mut BTreeSet<(String, &'static str)>) {
    if at.contains('.') {
        found.insert((at.to_owned(), value.type_str()));
    }
    if let Value::Table(table) = value {
        for (name, value) in table {
            let name = if at == "loader.env" { "*" } else { name };
            let place = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
            keys(value, &place, found);
        }
    }
    for value in value.as_array().into_iter().flatten() {
        keys(value, &format!("{at}[]"), found);
    }
}

#[test]
fn every_key_of_gramines_manifest_is_published_and_has_its_type() {
    let manifest = gramine();
    let mut found = BTreeSet::new();
    keys(&Value::Table(manifest.clone()), "", &mut found);
    let known: BTreeSet<_> = KEYS.iter().map(|(key, of_type)| ((*key).to_owned(), *of_type)).collect();
    assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&_>::new(), "not published so");
    assert_eq!(known.difference(&found).collect::<Vec<_>>(), Vec::<&_>::new(), "listed here for nothing");
    for key in REQUIRED {
        assert!(found.iter().any(|(there, _)| there == key), "{key}");
    }
    for mount in manifest["fs"]["mounts"].as_array().unwrap() {
        let of_type = mount.get("type").and_then(Value::as_str);
        assert!(mount.get("path").is_some(), "{mount}");
        assert!(matches!(of_type, None | Some("chroot" | "tmpfs")), "{mount}");
        assert!(mount.get("uri").is_some() || of_type == Some("tmpfs"), "{mount}");
    }
    let environment = manifest["loader"]["env"].as_table().unwrap().values();
    assert!(environment.filter_map(|value| value.get("passthrough")).all(|it| it.as_bool() == Some(true)));
}
