//! The normal form, and that reading it gives the same manifest.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use time::OffsetDateTime;

use crate::manifest::secret::{
    CertificateTemplate, ExtraExtension, NameConstraints, NameSubtrees, SecretDefinition, SecretKind,
    SubjectTemplate,
};
use crate::manifest::{
    Config, File, FileEncoding, Infrastructure, Marble, Package, Parameters, ParsedManifest, Role,
    SnpPackage, SnpTcbMinimum, TdxPackage, TlsEntry, TlsTag, User,
};
use crate::policy::{Digest, Mode, PolicyEntry, World};

fn normalised(text: &str) -> String {
    ParsedManifest::parse(text.as_bytes()).unwrap().normalised_json()
}

#[test]
fn fields_get_their_canonical_names_and_defaults_are_left_out() {
    let text = r#" {"secrets": {"b": {"type":"plain","size":0,"Shared":false,"unknown":1}, "a":{"CERT":{}}},
        "PACKAGES": {"p": {"debug": true, "ProductID": 0}}, "Config": {}} "#;
    assert_eq!(
        normalised(text),
        r#"{"Packages":{"p":{"Debug":true,"ProductID":0}},"Secrets":{"a":{"Cert":{}},"b":{"Type":"plain"}}}"#
    );
    assert_eq!(normalised("null"), "{}");
}

// M-16
#[test]
fn files_are_objects_with_their_data_encoded_as_before() {
    let text = r#"{"Marbles":{"m":{"Parameters":{"Env":{"A":"x","B":{"Data":"AA\nE=","Encoding":"BASE64"},
        "C":{"Data":"FF","Encoding":"hex","NoTemplates":true,"Renderer":"liquid"},"D":{}}}}}}"#;
    assert_eq!(
        normalised(text),
        concat!(
            r#"{"Marbles":{"m":{"Parameters":{"Env":{"A":{"Data":"x"},"B":{"Data":"AAE=","Encoding":"base64"},"#,
            r#""C":{"Data":"ff","Encoding":"hex","NoTemplates":true,"Renderer":"liquid"},"D":{}}}}}}"#
        )
    );
}

#[test]
fn bytes_are_base64_whichever_way_they_were_written() {
    let text = r#"{"Infrastructures":{"i":{"CPUSVN":[0,1,255],"QESVN":0}}}"#;
    assert_eq!(normalised(text), r#"{"Infrastructures":{"i":{"CPUSVN":"AAH/","QESVN":0}}}"#);
}

#[test]
fn strings_are_escaped_where_json_demands_it() {
    let text = "{\"Packages\":{\"\\\"\\\\\\n\\u0001\u{7f}/\u{e9}\":{}}}";
    assert_eq!(normalised(text), "{\"Packages\":{\"\\\"\\\\\\n\\u0001\\u007f/\u{e9}\":{}}}");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zA-Z0-9/~ _.-]{1,6}", any::<String>()]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..5)
}

fn map<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = BTreeMap<String, T>> {
    btree_map(text(), value, 0..3)
}

fn package() -> impl Strategy<Value = Package> {
    let sgx = (any::<bool>(), text(), text(), any::<Option<u64>>(), any::<Option<u64>>());
    let others = (option::of(tdx().prop_map(Box::new)), option::of(snp().prop_map(Box::new)));
    (sgx, texts(), texts(), others).prop_map(
        |(
            (debug, unique_id, signer_id, product_id, security_version),
            accepted_tcb_statuses,
            accepted_advisories,
            (tdx, snp),
        )| {
            Package {
                debug,
                unique_id,
                signer_id,
                product_id,
                security_version,
                accepted_tcb_statuses,
                accepted_advisories,
                tdx,
                snp,
            }
        },
    )
}

fn measured<const N: usize>() -> impl Strategy<Value = Option<[u8; N]>> {
    option::of(any::<u8>().prop_map(|byte| [byte; N]))
}

fn tdx() -> impl Strategy<Value = TdxPackage> {
    let owner = (measured(), measured(), measured());
    (measured(), [measured(), measured(), measured(), measured()], measured(), owner).prop_map(
        |(mr_td, rtmrs, mr_seam, (mr_config_id, mr_owner, mr_owner_config))| TdxPackage {
            mr_td,
            rtmrs,
            mr_seam,
            mr_config_id,
            mr_owner,
            mr_owner_config,
        },
    )
}

fn snp() -> impl Strategy<Value = SnpPackage> {
    let keys = (measured(), measured());
    let tcb = any::<[Option<u8>; 5]>().prop_map(|[boot_loader, tee, snp, microcode, fmc]| SnpTcbMinimum {
        boot_loader,
        tee,
        snp,
        microcode,
        fmc,
    });
    (measured(), measured(), keys, any::<Option<u32>>(), option::of(0_u8..4), tcb).prop_map(
        |(measurement, host_data, (id_key_digest, author_key_digest), guest_svn, vmpl, tcb)| SnpPackage {
            measurement,
            host_data,
            id_key_digest,
            author_key_digest,
            guest_svn,
            vmpl,
            tcb,
        },
    )
}

fn infrastructure() -> impl Strategy<Value = Infrastructure> {
    (bytes(), any::<Option<u16>>(), any::<Option<u16>>(), bytes())
        .prop_map(|(cpu_svn, qe_svn, pce_svn, root_ca)| Infrastructure { cpu_svn, qe_svn, pce_svn, root_ca })
}

fn file() -> impl Strategy<Value = File> {
    let content = prop_oneof![
        text().prop_map(|text| (text.into_bytes(), FileEncoding::String)),
        bytes().prop_map(|data| (data, FileEncoding::Base64)),
        bytes().prop_map(|data| (data, FileEncoding::Hex)),
    ];
    (content, any::<bool>(), option::of("[a-z]{1,5}")).prop_map(
        |((data, encoding), no_templates, renderer)| File { data, encoding, no_templates, renderer },
    )
}

fn marble() -> impl Strategy<Value = Marble> {
    let parameters =
        (map(file()), map(file()), texts()).prop_map(|(files, env, argv)| Parameters { files, env, argv });
    (text(), any::<u64>(), parameters, texts(), any::<bool>()).prop_map(
        |(package, max_activations, parameters, tls, disable_secret_binding)| Marble {
            package,
            max_activations,
            parameters,
            tls,
            disable_secret_binding,
        },
    )
}

fn tls_tag() -> impl Strategy<Value = TlsTag> {
    let entry =
        || {
            (text(), text(), text(), any::<bool>()).prop_map(|(port, addr, cert, disable_client_auth)| {
                TlsEntry { port, addr, cert, disable_client_auth }
            })
        };
    (vec(entry(), 0..3), vec(entry(), 0..3)).prop_map(|(outgoing, incoming)| TlsTag { outgoing, incoming })
}

fn config() -> impl Strategy<Value = Config> {
    (text(), texts(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
        |(seal_mode, feature_gates, update_threshold, recovery_threshold, rotate_root_secret)| Config {
            seal_mode,
            feature_gates,
            update_threshold,
            recovery_threshold,
            rotate_root_secret,
        },
    )
}

fn oid() -> impl Strategy<Value = Vec<u64>> {
    vec(any::<u64>(), 0..4)
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|ip| ip.to_canonical())
}

fn subtrees() -> impl Strategy<Value = NameSubtrees> {
    let range = (address(), vec(any::<u8>(), 16)).prop_map(|(ip, mut mask)| {
        mask.truncate(if ip.is_ipv4() { 4 } else { 16 });
        (ip, mask)
    });
    (texts(), vec(range, 0..2), texts(), texts()).prop_map(
        |(dns_domains, ip_ranges, email_addresses, uri_domains)| NameSubtrees {
            dns_domains,
            ip_ranges,
            email_addresses,
            uri_domains,
        },
    )
}

fn subject() -> impl Strategy<Value = SubjectTemplate> {
    (vec(texts(), 7), text(), text(), vec((oid(), text()), 0..2)).prop_map(
        |(mut lists, serial_number, common_name, extra_names)| {
            let mut next = || lists.pop().unwrap();
            SubjectTemplate {
                country: next(),
                organization: next(),
                organizational_unit: next(),
                locality: next(),
                province: next(),
                street_address: next(),
                postal_code: next(),
                serial_number,
                common_name,
                extra_names,
            }
        },
    )
}

fn template() -> impl Strategy<Value = CertificateTemplate> {
    // From the second of the zero time, which stands for none, to the end of the year 9999.
    let not_after =
        option::of((-62_135_596_799_i64..253_402_300_800, 0_i128..1_000_000_000).prop_map(|(s, ns)| {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(s) * 1_000_000_000 + ns).unwrap()
        }));
    let numbers =
        (any::<i64>(), any::<i64>(), option::of(vec(any::<i64>(), 0..3)), any::<bool>(), any::<i64>());
    let names = (option::of(texts()), texts(), option::of(vec(address(), 0..3)), texts());
    let constraints = (any::<bool>(), subtrees(), subtrees())
        .prop_map(|(critical, permitted, excluded)| NameConstraints { critical, permitted, excluded });
    let extension = (oid(), any::<bool>(), bytes()).prop_map(|(id, critical, value)| ExtraExtension {
        id,
        critical,
        value,
    });
    let lists = (
        vec(oid(), 0..3),
        bytes(),
        bytes(),
        texts(),
        texts(),
        texts(),
        vec(oid(), 0..3),
        vec(extension, 0..3),
    );
    (not_after, numbers, names, constraints, lists, subject(), any::<bool>()).prop_map(
        |(not_after, numbers, names, name_constraints, lists, subject, max_path_len_zero)| {
            CertificateTemplate {
                signature_algorithm: numbers.0,
                subject,
                not_after,
                key_usage: numbers.1,
                ext_key_usage: numbers.2,
                unknown_ext_key_usage: lists.0,
                is_ca: numbers.3,
                max_path_len: numbers.4,
                max_path_len_zero,
                subject_key_id: lists.1,
                authority_key_id: lists.2,
                ocsp_server: lists.3,
                issuing_certificate_url: lists.4,
                dns_names: names.0,
                email_addresses: names.1,
                ip_addresses: names.2,
                uris: names.3,
                name_constraints,
                crl_distribution_points: lists.5,
                policy_identifiers: lists.6,
                extra_extensions: lists.7,
            }
        },
    )
}

fn secret() -> impl Strategy<Value = SecretDefinition> {
    let kind = prop_oneof![Just("symmetric-key".to_owned()), Just("plain".to_owned()), text()];
    (kind, any::<u64>(), any::<bool>(), any::<bool>(), any::<u64>(), option::of(template())).prop_map(
        |(kind, size, shared, user_defined, valid_for, cert)| SecretDefinition {
            kind: SecretKind::from_name(&kind),
            size,
            shared,
            user_defined,
            valid_for,
            cert: cert.map(Box::new),
        },
    )
}

fn policy() -> impl Strategy<Value = PolicyEntry> {
    let world = prop::sample::select(World::ALL.to_vec());
    let mode = prop::sample::select(vec![Mode::Enforce, Mode::Shadow]);
    let settings = prop::sample::select(vec![
        "null",
        r#"{"a":["\u0000",1.50e3,true]}"#,
        r#""permit (principal);\n""#,
        "0",
    ]);
    let replaces = prop::option::of("[a-z]{1,3}");
    (world, any::<[u8; 32]>(), settings, mode, replaces).prop_map(
        |(world, digest, settings, mode, replaces)| {
            let (component, settings) = (Digest(digest), settings.to_owned());
            PolicyEntry { world, component, settings, mode, replaces }
        },
    )
}

fn manifest() -> impl Strategy<Value = ParsedManifest> {
    let user = (text(), texts()).prop_map(|(certificate, roles)| User { certificate, roles });
    let role = (text(), texts(), texts()).prop_map(|(resource_type, resource_names, actions)| Role {
        resource_type,
        resource_names,
        actions,
    });
    let code =
        (map(package()), map(infrastructure()), map(marble()), map(tls_tag()), config(), map(policy()));
    (code, map(user), map(role), map(secret()), map(text())).prop_map(
        |(code, users, roles, secrets, recovery_keys)| {
            let mut manifest = ParsedManifest::default();
            (
                manifest.packages,
                manifest.infrastructures,
                manifest.marbles,
                manifest.tls,
                manifest.config,
                manifest.policies,
            ) = code;
            (manifest.users, manifest.roles, manifest.secrets) = (users, roles, secrets);
            manifest.recovery_keys = recovery_keys;
            manifest
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_the_normal_form_gives_the_same_manifest(manifest in manifest()) {
        let json = manifest.normalised_json();
        let again = ParsedManifest::parse(json.as_bytes()).unwrap();
        prop_assert_eq!(&again, &manifest);
        prop_assert!(again.warnings.is_empty());
        prop_assert_eq!(again.normalised_json(), json);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused_without_a_panic(bytes in vec(any::<u8>(), 0..64)) {
        let _ = ParsedManifest::parse(&bytes);
    }

    #[test]
    fn a_damaged_manifest_is_read_or_refused_without_a_panic(
        manifest in manifest(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut json = manifest.normalised_json().into_bytes();
        let at = at.index(json.len());
        json[at] = byte;
        if cut {
            json.truncate(at);
        }
        match ParsedManifest::parse(&json) {
            Ok(read) => {
                let _ = read.locate("/Secrets");
                let _ = crate::manifest::host_findings(&read, &crate::manifest::Known::default());
            }
            Err(error) => prop_assert!(error.position.is_some()),
        }
    }
}
