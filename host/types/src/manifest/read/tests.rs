//! M-1..M-21 and X-9, one by one. M-6, M-6a and M-7 are also tested below, at the reader of JSON.

use proptest::test_runner::Config as ProptestConfig;

use crate::decision::Severity;
use crate::manifest::secret::CertificateTemplate;
use crate::manifest::{File, FileEncoding, Package, ParsedManifest, Position, SecretKind};

fn parse(text: &str) -> ParsedManifest {
    ParsedManifest::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    ParsedManifest::parse(text.as_bytes()).expect_err(text).message
}

fn file(value: &str) -> File {
    let manifest = parse(&format!(r#"{{"Marbles":{{"m":{{"Parameters":{{"Files":{{"/f":{value}}}}}}}}}}}"#));
    manifest.marbles["m"].parameters.files["/f"].clone()
}

fn file_refusal(value: &str) -> String {
    refusal(&format!(r#"{{"Marbles":{{"m":{{"Parameters":{{"Env":{{"E":{value}}}}}}}}}}}"#))
}

fn template(fields: &str) -> CertificateTemplate {
    let manifest = parse(&format!(r#"{{"Secrets":{{"s":{{"Type":"cert-rsa","Cert":{{{fields}}}}}}}}}"#));
    *manifest.secrets["s"].cert.clone().unwrap()
}

fn template_refusal(fields: &str) -> String {
    refusal(&format!(r#"{{"Secrets":{{"s":{{"Cert":{{{fields}}}}}}}}}"#))
}

// X-66, M-2
#[test]
fn field_names_match_in_any_case_and_chosen_names_only_exactly() {
    let manifest = parse(
        r#"{"pacKages":{"a":{"signerid":"x","PRODUCTID":1},"A":{"Debug":true}},"\u017fecrets":{"\u212aey":{"type":"plain"}}}"#,
    );
    assert_eq!(manifest.packages["a"].signer_id, "x");
    assert_eq!(manifest.packages["a"].product_id, Some(1));
    assert!(manifest.packages["A"].debug);
    assert_eq!(manifest.secrets["\u{212A}ey"].kind, SecretKind::Plain);
    assert!(manifest.warnings.is_empty());
}

// A finding repeats the names of what it stands in: a long one with many faults inside would fill the memory.
#[test]
fn a_name_has_4096_bytes_at_most() {
    let named = |bytes: usize| format!(r#"{{"Roles":{{"{}":{{}}}}}}"#, "r".repeat(bytes));
    assert_eq!(parse(&named(4096)).roles.len(), 1);
    let text = refusal(&named(4097));
    assert!(text.contains("is too long: give at most 4096 bytes") && text.len() < 500, "{text}");
}

// M-3, X-9
#[test]
fn unknown_fields_are_ignored_with_a_warning_that_names_the_nearest_known_field() {
    let text = "{\"Packages\":{\"a/b\":{\"AcceptedAdivsories\":[{\"x\":1}]}},\n \"Comment\":\"hi\"}";
    let manifest = parse(text);
    let warnings = &manifest.warnings;
    assert_eq!(warnings.len(), 2);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!(
        (warnings[0].code.as_str(), warnings[0].path.as_str()),
        ("X-9", "/Packages/a~1b/AcceptedAdivsories")
    );
    assert_eq!(warnings[0].message, "unknown field AcceptedAdivsories is ignored");
    assert_eq!(warnings[0].hint.as_deref(), Some("did you mean AcceptedAdvisories?"));
    assert_eq!(warnings[1].hint, None);
    assert_eq!(manifest.locate(&warnings[1].path), Some(Position { line: 2, column: 2 }));
    assert!(manifest.packages["a/b"].accepted_advisories.is_empty());
    assert_eq!(template(r#""IPAdresses":["x"]"#).ip_addresses, None);
    let file = parse(r#"{"Marbles":{"m":{"Parameters":{"Files":{"/f":{"Encodng":"hex"}}}}}}"#);
    assert_eq!(file.warnings[0].hint.as_deref(), Some("did you mean Encoding?"));
}

// X-9
#[test]
fn many_unknown_fields_are_counted_beyond_the_first_hundred() {
    let fields: Vec<String> = (0..150).map(|index| format!("\"x{index}\":0")).collect();
    let warnings = parse(&format!("{{{}}}", fields.join(","))).warnings;
    assert_eq!(warnings.len(), 101);
    assert_eq!(warnings[100].message, "50 more unknown fields are ignored");
}

// M-4
#[test]
fn null_is_every_fields_default() {
    assert_eq!(parse("null"), ParsedManifest::default());
    let nulls = r#"{"Packages":null,"Infrastructures":null,"Marbles":null,"Users":null,"Secrets":null,
        "RecoveryKeys":null,"Roles":null,"TLS":null,"Config":null,"Policies":null}"#;
    assert_eq!(parse(nulls), ParsedManifest::default());
    let manifest = parse(
        r#"{"Packages":{"a":null,"b":{"Debug":null,"UniqueID":null,"ProductID":null,"AcceptedTCBStatuses":null,"TDX":null}},
        "Infrastructures":{"i":{"CPUSVN":null,"QESVN":null}},"RecoveryKeys":{"r":null},
        "Secrets":{"s":null,"t":{"Type":"plain","Size":null,"Cert":null,"Private":null,"Public":null}},
        "Marbles":{"m":{"Parameters":{"Files":null,"Env":{"E":{"Data":null,"Encoding":null}},"Argv":[null,"x"]}}}}"#,
    );
    assert_eq!(manifest.packages["a"], manifest.packages["b"]);
    assert_eq!(manifest.packages["b"].product_id, None);
    assert_eq!(manifest.recovery_keys["r"], "");
    assert_eq!(manifest.secrets["s"].kind, SecretKind::Unknown(String::new()));
    assert_eq!(manifest.marbles["m"].parameters.env["E"], File::default());
    assert_eq!(manifest.marbles["m"].parameters.argv, ["", "x"]);
}

// M-5, X-9
#[test]
fn duplicate_keys_are_refused_and_field_names_also_when_they_differ_by_case() {
    let refused = [
        r#"{"Packages":{},"Packages":{}}"#,
        r#"{"Packages":{},"packages":{}}"#,
        r#"{"Config":{},"\u0043onfig":null}"#,
        r#"{"Packages":{"a":{},"a":{}}}"#,
        r#"{"Packages":{"a":{"Debug":true,"debug":false}}}"#,
        r#"{"unknown":1,"Unknown":1}"#,
        r#"{"Secrets":{},"\u017fecrets":{}}"#,
        r#"{"Marbles":{"m":{"Parameters":{"Env":{"E":"","E":""}}}}}"#,
        r#"{"Secrets":{"s":{"Cert":{"Raw":1,"raw":2}}}}"#,
        r#"{"Marbles":{"m":{"Parameters":{"Files":{"/f":{"Encoding":"hex","encoding":"hex"}}}}}}"#,
    ];
    for text in refused {
        assert!(refusal(text).starts_with("duplicate key: "), "{text}");
    }
    let error = ParsedManifest::parse(b"{\"Packages\":{},\n \"packages\":{}}").unwrap_err();
    assert_eq!(error.position, Some(Position { line: 2, column: 2 }));
    assert!(error.message.ends_with("(at /Packages, line 2, column 2)"), "{error}");
    assert_eq!(parse(r#"{"Packages":{"a":{},"A":{}}}"#).packages.len(), 2);
}

// M-6
#[test]
fn only_an_object_or_null_is_a_manifest() {
    for text in ["[]", "1", "\"x\"", "true"] {
        assert!(refusal(text).contains("expected an object"), "{text}");
    }
    assert!(refusal("{} {}").starts_with("invalid character '{' after top-level value (line 1, column 4)"));
    assert!(refusal("\u{FEFF}{}").contains("byte order mark"));
    assert_eq!(refusal(""), "unexpected end of JSON input (line 1, column 1)");
    assert_eq!(refusal("{\n\"a\":"), "unexpected end of JSON input (line 2, column 5)");
}

// M-6a
#[test]
fn ignored_fields_may_be_nested_201_levels_deep() {
    let text = format!("{{\"x\":{}{}}}", "[".repeat(201), "]".repeat(201));
    assert_eq!(parse(&text).warnings.len(), 1);
}

// M-7
#[test]
fn what_is_not_unicode_in_names_and_values_becomes_replacement_characters() {
    let manifest = ParsedManifest::parse(b"{\"Packages\":{\"a\xFF\":{\"UniqueID\":\"\\ud800x\"}}}").unwrap();
    assert_eq!(manifest.packages["a\u{FFFD}"].unique_id, "\u{FFFD}x");
    // Two names that become the same are the same.
    assert!(ParsedManifest::parse(b"{\"Packages\":{\"a\xFF\":{},\"a\xFE\":{}}}").is_err());
}

// M-8
#[test]
fn unsigned_integers_are_plain_integers_in_range() {
    let product = |value: &str| format!(r#"{{"Packages":{{"a":{{"ProductID":{value}}}}}}}"#);
    for (text, value) in [("0", 0), ("18446744073709551615", u64::MAX)] {
        assert_eq!(parse(&product(text)).packages["a"].product_id, Some(value));
    }
    for text in ["1.0", "1e2", "-1", "-0", "\"1\"", "18446744073709551616", "true", "[]"] {
        assert!(refusal(&product(text)).contains("(at /Packages/a/ProductID, line 1, column"), "{text}");
    }
    let qesvn = |value: &str| format!(r#"{{"Infrastructures":{{"i":{{"QESVN":{value}}}}}}}"#);
    assert_eq!(parse(&qesvn("65535")).infrastructures["i"].qe_svn, Some(65535));
    assert!(refusal(&qesvn("65536")).starts_with("65536 is not an integer from 0 to 65535"));
}

proptest::proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // M-8
    #[test]
    fn any_version_is_read_as_it_is_written_and_nothing_that_is_no_plain_integer(
        version in proptest::num::u64::ANY, fraction in "[.][0-9]{1,3}|[eE][+-]?[0-9]{1,2}", sign in "[-+]?",
    ) {
        let text = |version: &str| format!(r#"{{"Packages":{{"a":{{"SecurityVersion":{version}}}}}}}"#);
        let read = parse(&text(&version.to_string()));
        proptest::prop_assert_eq!(read.packages["a"].security_version, Some(version));
        let again = parse(&read.normalised_json());
        proptest::prop_assert_eq!(&again, &read);
        let other = text(&format!("{sign}{version}{fraction}"));
        proptest::prop_assert!(ParsedManifest::parse(other.as_bytes()).is_err());
    }

    // M-9, M-13: however bytes are written, they are the same
    #[test]
    fn bytes_are_read_as_they_are_written(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
        for written in [format!("\"{encoded}\""), format!("{bytes:?}"), format!("\"{}\"", encoded.replace('A', "A\\n"))] {
            let text = format!(r#"{{"Infrastructures":{{"i":{{"CPUSVN":{written}}}}}}}"#);
            proptest::prop_assert_eq!(&parse(&text).infrastructures["i"].cpu_svn, &bytes, "{}", written);
        }
    }
}

// M-9
#[test]
fn bytes_are_base64_or_a_list_of_integers() {
    let cpu = |value: &str| format!(r#"{{"Infrastructures":{{"i":{{"CPUSVN":{value}}}}}}}"#);
    for text in ["\"AAH/\"", "\"AA\\r\\nH/\"", "[0,1,255]"] {
        assert_eq!(parse(&cpu(text)).infrastructures["i"].cpu_svn, [0, 1, 255], "{text}");
    }
    assert!(parse(&cpu("[]")).infrastructures["i"].cpu_svn.is_empty());
    assert!(refusal(&cpu("\"AAH\"")).starts_with("illegal base64 data at input byte 0"));
    assert!(refusal(&cpu("\"AA H/\"")).starts_with("illegal base64 data at input byte 2"));
    assert!(refusal(&cpu("\"AAH_\"")).starts_with("illegal base64 data at input byte 3"));
    for text in ["[256]", "[-1]", "[1.0]", "[\"1\"]", "1", "{}"] {
        assert!(refusal(&cpu(text)).contains("/Infrastructures/i/CPUSVN"), "{text}");
    }
}

// M-10, manifest.md 2.6
#[test]
fn a_wrong_type_is_refused_with_its_place() {
    let message = refusal("{\"Packages\":{\"a\":{\n  \"Debug\": \"true\"}}}");
    assert_eq!(message, "expected true or false, found a string (at /Packages/a/Debug, line 2, column 12)");
    let refused = [
        (r#"{"TLS":{"t":{"Incoming":[{"Port":8080}]}}}"#, "/TLS/t/Incoming/0/Port"),
        (r#"{"TLS":{"t":{"Incoming":{}}}}"#, "/TLS/t/Incoming"),
        (r#"{"Packages":[]}"#, "/Packages"),
        (r#"{"Packages":{"a":1}}"#, "/Packages/a"),
        (r#"{"Marbles":{"m":{"Parameters":{"Argv":"x"}}}}"#, "/Marbles/m/Parameters/Argv"),
        (r#"{"Marbles":{"m":{"Parameters":{"Argv":[1]}}}}"#, "/Marbles/m/Parameters/Argv/0"),
        (r#"{"Users":{"u":{"Roles":"x"}}}"#, "/Users/u/Roles"),
        (r#"{"Config":{"FeatureGates":"x"}}"#, "/Config/FeatureGates"),
        (r#"{"Config":[]}"#, "/Config"),
        (r#"{"RecoveryKeys":{"k":1}}"#, "/RecoveryKeys/k"),
        (r#"{"Policies":[]}"#, "/Policies"),
    ];
    for (text, place) in refused {
        assert!(
            refusal(text).contains(&format!("(at {place}, line 1, column ")),
            "{text}: {}",
            refusal(text)
        );
    }
}

// M-11, M-12
#[test]
fn a_file_is_a_string_or_an_object() {
    let text = File { data: b"{{ x }}".to_vec(), ..File::default() };
    assert_eq!(file(r#""{{ x }}""#), text);
    assert_eq!(file(r#"{"data":"{{ x }}"}"#), text);
    assert_eq!(file(r#"{"Data":"{{ x }}","Encoding":"","Renderer":""}"#), text);
    assert_eq!(file("{}"), File::default());
    let renderer = Some("liquid".to_owned());
    assert_eq!(file(r#"{"Data":"{{ x }}","RENDERER":"liquid"}"#), File { renderer, ..text });
}

// X-66, M-13
#[test]
fn encodings_are_compared_ignoring_case_and_decoded_at_once() {
    for (value, encoding, data) in [
        (r#"{"Data":"AAEC","Encoding":"BASE64"}"#, FileEncoding::Base64, vec![0, 1, 2]),
        (r#"{"Encoding":"base64","Data":"AA\nEC"}"#, FileEncoding::Base64, vec![0, 1, 2]),
        (r#"{"Data":"00fF","Encoding":"Hex"}"#, FileEncoding::Hex, vec![0, 255]),
        (r#"{"Data":"00fF","Encoding":"STRING"}"#, FileEncoding::String, b"00fF".to_vec()),
    ] {
        let read = file(value);
        assert_eq!((read.encoding, read.data), (encoding, data), "{value}");
    }
    for (value, start) in [
        (r#"{"Encoding":"rot13"}"#, "unknown encoding type: rot13"),
        (r#"{"Data":"AAE","Encoding":"base64"}"#, "illegal base64 data at input byte 0"),
        (r#"{"Data":"abc","Encoding":"hex"}"#, "encoding/hex: odd length hex string"),
        (r#"{"Data":"zz","Encoding":"hex"}"#, "encoding/hex: invalid byte: U+007A 'z'"),
    ] {
        let message = file_refusal(value);
        assert!(message.starts_with(start), "{message}");
        assert!(message.contains("/Marbles/m/Parameters/Env/E/"), "{message}");
    }
}

// M-14
#[test]
fn null_numbers_booleans_and_lists_are_no_files() {
    for value in ["null", "1", "true", "[]"] {
        assert!(file_refusal(value).contains("(at /Marbles/m/Parameters/Env/E, "), "{value}");
    }
    for value in [r#"{"Data":1}"#, r#"{"NoTemplates":"true"}"#, r#"{"Renderer":1}"#, r#"{"Encoding":1}"#] {
        assert!(file_refusal(value).starts_with("expected "), "{value}");
    }
}

// M-15
#[test]
fn no_templates_is_read() {
    assert!(file(r#"{"Data":"{{","NoTemplates":true}"#).no_templates);
    assert!(!file(r#"{"Data":"{{"}"#).no_templates);
}

// M-17, M-18, M-19, M-21
#[test]
fn key_usages_are_numbers_and_empty_lists_differ_from_missing_ones() {
    let read =
        template(r#""KeyUsage":33,"ExtKeyUsage":[0,13],"DNSNames":["a"],"IPAddresses":["10.0.0.1","::1"]"#);
    assert_eq!(read.key_usage, 33);
    assert_eq!(read.ext_key_usage, Some(vec![0, 13]));
    assert_eq!(read.ip_addresses.unwrap().len(), 2);
    let empty = template(r#""ExtKeyUsage":[],"DNSNames":[],"IPAddresses":[]"#);
    assert_eq!(
        (empty.ext_key_usage, empty.dns_names, empty.ip_addresses),
        (Some(vec![]), Some(vec![]), Some(vec![]))
    );
    let null = template(r#""KeyUsage":null,"ExtKeyUsage":null,"DNSNames":null,"IPAddresses":null"#);
    assert_eq!(null, CertificateTemplate::default());
    assert!(template_refusal(r#""KeyUsage":"digitalSignature""#).contains("/Secrets/s/Cert/KeyUsage"));
    assert!(template_refusal(r#""KeyUsage":1.5"#).starts_with("1.5 is not an integer"));
}

// M-20, M-21
#[test]
fn not_after_is_a_time_and_gos_zero_time_is_none() {
    let read = template(r#""NotAfter":"2030-01-31T01:02:03.5+02:00""#).not_after.unwrap();
    assert_eq!(read, time::macros::datetime!(2030-01-30 23:02:03.5 UTC));
    assert_eq!(template(r#""NotAfter":"0001-01-01T00:00:00Z""#).not_after, None);
    assert_eq!(template(r#""NotAfter":null"#).not_after, None);
    for text in
        ["", "2030-01-31", "2030-01-31 00:00:00Z", "2030-01-31T00:00:00", "2030-13-01T00:00:00Z", "soon"]
    {
        let message = template_refusal(&format!(r#""NotAfter":"{text}""#));
        assert!(message.contains("is no time"), "{text}: {message}");
    }
    assert!(template_refusal(r#""NotAfter":1"#).starts_with("expected a string"));
}

// M-21
#[test]
fn a_bad_address_is_refused() {
    for text in ["", "10.0.0", "10.0.0.256", "fe80::1%eth0", "localhost"] {
        let message = template_refusal(&format!(r#""IPAddresses":["{text}"]"#));
        assert!(message.starts_with("invalid IP address: "), "{message}");
    }
    assert!(template_refusal(r#""IPAddresses":[1]"#).starts_with("expected a string"));
    let mapped = template(r#""IPAddresses":["::ffff:10.0.0.1"]"#).ip_addresses.unwrap();
    assert_eq!(mapped, [std::net::IpAddr::from([10, 0, 0, 1])]);
}

// manifest.md 2.9
#[test]
fn the_whole_template_is_read() {
    let cert = template(
        r#""SignatureAlgorithm":11,"Subject":{"Country":["C"],"CommonName":"cn","Names":[1],
        "ExtraNames":[{"Type":[2,5,4,3],"Value":"v"}]},"UnknownExtKeyUsage":[[1,2,3]],"IsCA":true,"MaxPathLen":-1,
        "MaxPathLenZero":true,"SubjectKeyId":"AAE=","AuthorityKeyId":[2],"OCSPServer":["o"],
        "IssuingCertificateURL":["i"],"EmailAddresses":["e"],"URIs":[{"Scheme":"spiffe","Host":"h","Path":"/p"}],
        "PermittedDNSDomainsCritical":true,"PermittedDNSDomains":["d"],"ExcludedURIDomains":["u"],
        "PermittedIPRanges":[{"IP":"10.0.0.0","Mask":"/wAAAA=="}],"CRLDistributionPoints":["c"],
        "PolicyIdentifiers":[[1,2]],"ExtraExtensions":[{"Id":[1,2],"Critical":true,"Value":"AA=="}],
        "SerialNumber":5,"NotBefore":"2020-01-01T00:00:00Z","Issuer":{},"BasicConstraintsValid":true,"Version":3"#,
    );
    assert_eq!(
        (cert.signature_algorithm, cert.is_ca, cert.max_path_len, cert.max_path_len_zero),
        (11, true, -1, true)
    );
    assert_eq!(cert.subject.country, ["C"]);
    assert_eq!(cert.subject.extra_names, [(vec![2, 5, 4, 3], "v".to_owned())]);
    assert_eq!(cert.unknown_ext_key_usage, [[1, 2, 3]]);
    assert_eq!((cert.subject_key_id, cert.authority_key_id), (vec![0, 1], vec![2]));
    assert_eq!(cert.uris, ["spiffe://h/p"]);
    assert!(cert.name_constraints.critical);
    assert_eq!(cert.name_constraints.permitted.ip_ranges, [([10, 0, 0, 0].into(), vec![255, 0, 0, 0])]);
    assert_eq!(cert.name_constraints.excluded.uri_domains, ["u"]);
    assert_eq!(cert.extra_extensions[0].value, [0]);
    assert!(cert.extra_extensions[0].critical);
}

// manifest.md 2.9; S-2: no DER string in a manifest
#[test]
fn what_a_template_cannot_say_is_refused() {
    for (fields, start) in [
        (r#""URIs":["spiffe://h/p"]"#, "expected an object such as"),
        (r#""URIs":[{"User":{}}]"#, "User is not supported"),
        (r#""URIs":[{"RawPath":"/a"}]"#, "RawPath is not supported"),
        (r#""Subject":{"ExtraNames":[{"Value":1}]}"#, "expected a string"),
        (r#""PolicyIdentifiers":[[-1]]"#, "-1 is not an integer"),
        (
            r#""PermittedIPRanges":[{"IP":"10.0.0.0","Mask":"AA=="}]"#,
            "this range's Mask needs 4 bytes and has 1",
        ),
        (r#""PermittedIPRanges":[{"Mask":"AAAAAA=="}]"#, "an IP range needs IP and Mask"),
    ] {
        assert!(template_refusal(fields).starts_with(start), "{}", template_refusal(fields));
    }
    for value in [r#""MIIB""#, "1", "[]"] {
        let message = refusal(&format!(r#"{{"Secrets":{{"s":{{"Cert":{value}}}}}}}"#));
        assert!(message.starts_with("expected a certificate template"), "{message}");
    }
}

// manifest.md 2.8, deviations
#[test]
fn values_of_secrets_are_refused_in_a_manifest() {
    for field in ["Private", "Public", "Key", "pRivate"] {
        let message =
            refusal(&format!(r#"{{"Secrets":{{"s":{{"Type":"plain","{field}":"aHVudGVyMg=="}}}}}}"#));
        assert!(message.contains("must not contain values of secrets"), "{message}");
        assert!(!message.contains("aHVudGVyMg"), "{message}");
    }
}

// deviations, M-33
#[test]
fn packages_name_what_other_tees_measure_in_hex() {
    let (long, short) = ("aB".repeat(48), "0c".repeat(32));
    let manifest = parse(&format!(
        r#"{{"Packages":{{"t":{{"tdx":{{"mrtd":"{long}","RTMR1":"{long}","RTMR2":"","RTMR3":null,"MRConfigID":"{long}"}}}},
        "s":{{"SNP":{{"Measurement":"{long}","HostData":"{short}","GuestSVN":0,"VMPL":3,
        "TCB":{{"Bootloader":0,"Microcode":255}}}}}},"n":{{"TDX":null,"SNP":null}},"e":{{"TDX":{{}},"SNP":{{"TCB":null}}}}}}}}"#
    ));
    let tdx = manifest.packages["t"].tdx.as_deref().unwrap();
    assert_eq!(tdx.mr_td, Some([0xab; 48]));
    assert_eq!(tdx.rtmrs, [None, Some([0xab; 48]), None, None]);
    assert_eq!((tdx.mr_seam, tdx.mr_config_id), (None, Some([0xab; 48])));
    let snp = manifest.packages["s"].snp.as_deref().unwrap();
    assert_eq!((snp.measurement, snp.host_data), (Some([0xab; 48]), Some([0x0c; 32])));
    assert_eq!((snp.guest_svn, snp.vmpl, snp.id_key_digest), (Some(0), Some(3), None));
    assert_eq!((snp.tcb.boot_loader, snp.tcb.tee, snp.tcb.microcode), (Some(0), None, Some(255)));
    assert_eq!(manifest.packages["n"], Package::default());
    assert_eq!(manifest.packages["e"].tdx, Some(Box::default()));
    assert_eq!(manifest.packages["e"].snp, Some(Box::default()));
    assert!(manifest.warnings.is_empty());
}

// deviations, M-33
#[test]
fn measurements_of_another_length_are_refused_with_their_place() {
    let package = |fields: &str| refusal(&format!(r#"{{"Packages":{{"a":{{{fields}}}}}}}"#));
    let message = package(&format!(r#""TDX":{{"RTMR1":"{}"}}"#, "ab".repeat(47)));
    let expected = "expected 96 hex digits (48 bytes), found 94 (at /Packages/a/TDX/RTMR1, line 1, column";
    assert!(message.starts_with(expected), "{message}");
    let message = package(&format!(r#""SNP":{{"HostData":"{}"}}"#, "ab".repeat(48)));
    assert!(message.starts_with("expected 64 hex digits (32 bytes), found 96 (at /Packages/a/SNP/HostData"));
    for (fields, place) in [
        (r#""TDX":{"MRTD":"xy"}"#, "/Packages/a/TDX/MRTD"),
        (r#""TDX":{"MRTD":"abc"}"#, "/Packages/a/TDX/MRTD"),
        (r#""TDX":{"MRTD":1}"#, "/Packages/a/TDX/MRTD"),
        (r#""TDX":[]"#, "/Packages/a/TDX"),
        (r#""SNP":"x""#, "/Packages/a/SNP"),
        (r#""SNP":{"GuestSVN":4294967296}"#, "/Packages/a/SNP/GuestSVN"),
        (r#""SNP":{"VMPL":4}"#, "/Packages/a/SNP/VMPL"),
        (r#""SNP":{"TCB":{"SNP":256}}"#, "/Packages/a/SNP/TCB/SNP"),
    ] {
        let message = package(fields);
        assert!(message.contains(&format!("(at {place}, line 1")), "{message}");
    }
    let manifest = parse(r#"{"Packages":{"a":{"TDX":{"RTMR4":""},"SNP":{"TCB":{"Bootlader":1}}}}}"#);
    let hints: Vec<_> = manifest.warnings.iter().map(|found| found.hint.clone().unwrap()).collect();
    assert!(hints[0].starts_with("did you mean RTMR"), "{hints:?}");
    assert_eq!(hints[1], "did you mean Bootloader?");
}

// X-35
#[test]
fn a_section_of_policies_or_options_counts_only_when_it_has_entries() {
    assert!(parse(r#"{"config":{"UpdateThreshold":0}}"#).has_config);
    for without in ["{}", r#"{"Config":{}}"#, r#"{"Config":null}"#] {
        assert!(!parse(without).has_config, "{without}");
    }
    for without in ["{}", r#"{"Policies":{}}"#, r#"{"Policies":null}"#] {
        assert!(parse(without).policies.is_empty(), "{without}");
    }
}

#[test]
fn the_rest_of_a_manifest_is_read() {
    let manifest = parse(
        r#"{"Marbles":{"m":{"Package":"p","MaxActivations":3,"TLS":["t"],"DisableSecretBinding":true}},
        "Users":{"u":{"Certificate":"c","Roles":["r"]}},
        "Roles":{"r":{"ResourceType":"Secrets","ResourceNames":["s"],"Actions":["ReadSecret"]}},
        "TLS":{"t":{"Outgoing":[{"Port":"1","Addr":"a"}],"Incoming":[{"Port":"2","Cert":"s","DisableClientAuth":true}]}},
        "Config":{"SealMode":"x","FeatureGates":["g"],"UpdateThreshold":1,"RecoveryThreshold":2,"RotateRootSecret":true},
        "Secrets":{"s":{"Type":"symmetric-key","Size":128,"Shared":true,"UserDefined":true,"ValidFor":7}}}"#,
    );
    let marble = &manifest.marbles["m"];
    assert_eq!(
        (marble.package.as_str(), marble.max_activations, marble.disable_secret_binding),
        ("p", 3, true)
    );
    assert_eq!(manifest.users["u"].roles, ["r"]);
    assert_eq!(manifest.roles["r"].actions, ["ReadSecret"]);
    assert_eq!(manifest.tls["t"].outgoing[0].addr, "a");
    assert!(manifest.tls["t"].incoming[0].disable_client_auth);
    assert_eq!((manifest.config.update_threshold, manifest.config.recovery_threshold), (1, 2));
    assert!(manifest.config.rotate_root_secret);
    let secret = &manifest.secrets["s"];
    assert_eq!((secret.size, secret.shared, secret.user_defined, secret.valid_for), (128, true, true, 7));
}

#[test]
fn reading_does_not_slow_down_with_size() {
    let secrets: Vec<String> = (0..10_000)
        .map(|index| format!("\"s{index}\":{{\"Type\":\"symmetric-key\",\"Size\":256,\"Shared\":true}}"))
        .collect();
    let manifest = parse(&format!("{{\"Secrets\":{{{}}}}}", secrets.join(",\n")));
    assert_eq!(manifest.secrets.len(), 10_000);
    for index in 0..10_000 {
        let position = manifest.locate(&format!("/Secrets/s{index}/Size")).unwrap();
        assert_eq!(position.line, index + 1);
    }
}
