//! Where secrets go: section 5's table, and what a Marble's reserved names give.

use super::{check_all, env, file};

// S-71: the forms that manifests use.
#[test]
fn every_function_writes_what_the_table_says() {
    check_all(&[
        ("{{ raw .Secrets.k }}", "‹k.Public.Raw›"),
        ("{{raw .Secrets.k}}", "‹k.Public.Raw›"),
        ("{{ hex .Secrets.k }}", "‹k.Public.Hex›"),
        ("{{ base64 .Secrets.k.Private }}", "‹k.Private.Base64›"),
        ("{{ hex .Secrets.c }}", "‹c.Public.Hex›"),
        ("{{ raw .Secrets.c.Cert }}", "‹c.Certificate.Raw›"),
        ("{{ hex .Secrets.c.Cert.Raw }}", "‹c.Certificate.Hex›"),
        ("{{ pem .Secrets.c.Cert }}", "‹c.Certificate.Pem›"),
        ("{{ pem .Secrets.c.Public }}", "‹c.Public.Pem›"),
        ("{{ pem .Secrets.c.Private }}", "‹c.Private.Pem›"),
        ("{{ raw .Previous.Secrets.k }}", "‹previous.k.Public.Raw›"),
        ("{{ pem .MarbleRun.RootCA.Cert }}", "‹reserved.RootCA.Certificate.Pem›"),
        ("{{ pem .MarbleRun.MarbleCert.Private }}", "‹reserved.MarbleCert.Private.Pem›"),
        ("{{ pem .MarbleRun.CoordinatorRoot.Cert }}", "‹reserved.CoordinatorRoot.Certificate.Pem›"),
        (
            "{{ pem .MarbleRun.CoordinatorIntermediate.Cert }}",
            "‹reserved.CoordinatorIntermediate.Certificate.Pem›",
        ),
    ]);
}

//
#[test]
fn pem_takes_a_bare_certificate_as_its_certificate_but_refuses_keys() {
    assert_eq!(file("{{ pem .Secrets.c }}"), "‹c.Certificate.Pem›");
    assert_eq!(file("{{ pem .MarbleRun.RootCA }}"), "‹reserved.RootCA.Certificate.Pem›");
    for template in ["{{ pem .Secrets.k }}", "{{ pem .Secrets.p }}", "{{ pem .Secrets.c.Cert.Raw }}"] {
        let cause = "error calling pem: invalid secret type for pem encoding";
        assert!(file(template).ends_with(cause), "{template}");
    }
}

// S-63
#[test]
fn string_is_for_environment_variables_and_bare_plain_secrets() {
    assert_eq!(env("{{ string .Secrets.p }}"), "‹p.Whole.Text›");
    for template in ["{{ string .Secrets.k }}", "{{ string .Secrets.p.Private }}", "{{ string \"a\" }}"] {
        let cause = "error calling string: only secrets of type plain are allowed to use string encoding for \
                     environment variables";
        assert!(env(template).ends_with(cause), "{template}");
    }
    assert!(env("{{ string .Secrets.nope }}").ends_with("error calling string: secret does not exist"));
}

#[test]
fn raw_is_not_known_in_environment_variables_and_string_not_in_files() {
    assert_eq!(env("{{ raw .Secrets.p }}"), "template: data:1: function \"raw\" not defined");
    assert_eq!(file("\n{{ string .Secrets.p }}"), "template: data:2: function \"string\" not defined");
    assert_eq!(env("{{ hex .Secrets.p }}{{ base64 .Secrets.p }}"), "‹p.Public.Hex›‹p.Public.Base64›");
}

// S-65
#[test]
fn a_part_that_is_not_set_is_an_empty_value() {
    for template in [
        "{{ pem .Secrets.k.Cert }}",
        "{{ pem .MarbleRun.RootCA.Private }}",
        "{{ pem .MarbleRun.CoordinatorRoot.Public }}",
        "{{ pem .Secrets.unset.Private }}",
    ] {
        assert!(
            file(template).ends_with("error calling pem: tried to parse secret with empty value"),
            "{template}"
        );
    }
    assert!(file("{{ hex .MarbleRun.RootCA }}").ends_with("tried to parse secret with empty value"));
    assert!(env("{{ string .Secrets.unset }}").ends_with("tried to parse secret with empty value"));
}

#[test]
fn what_is_no_secret_is_an_invalid_secret_type() {
    for template in [
        "{{ hex \"text\" }}",
        "{{ raw 3 }}",
        "{{ pem true }}",
        "{{ base64 .Secrets }}",
        "{{ hex .MarbleRun }}",
        "{{ hex (raw .Secrets.k) }}",
    ] {
        assert!(file(template).ends_with(": invalid secret type"), "{template}: {}", file(template));
    }
}

// S-71
#[test]
fn secrets_are_reached_by_pipelines_index_variables_and_blocks() {
    check_all(&[
        ("{{ .Secrets.k | raw }}", "‹k.Public.Raw›"),
        ("{{ raw (index .Secrets \"my-key\") }}", "‹my-key.Public.Raw›"),
        ("{{ (index .Secrets \"my-key\").Private | hex }}", "‹my-key.Private.Hex›"),
        ("{{ raw $.Secrets.k }}", "‹k.Public.Raw›"),
        ("{{ $s := .Secrets.k }}{{ $s.Public | hex }}", "‹k.Public.Hex›"),
        (
            "{{ with .Secrets.c }}{{ pem .Cert }}{{ pem $.Secrets.c.Private }}{{ end }}",
            "‹c.Certificate.Pem›‹c.Private.Pem›",
        ),
        ("{{ with $s := .Secrets.k }}{{ hex $s }}{{ end }}", "‹k.Public.Hex›"),
        ("{{ define \"t\" }}[{{ hex . }}]{{ end }}{{ template \"t\" .Secrets.k }}", "[‹k.Public.Hex›]"),
        ("{{ block \"t\" .Secrets.k }}{{ hex . }}{{ end }}", "‹k.Public.Hex›"),
        ("{{ (.Secrets).k | hex }}", "‹k.Public.Hex›"),
        ("{{ $x := raw .Secrets.k }}{{ $x }}{{ $x }}", "‹k.Public.Raw›‹k.Public.Raw›"),
        ("{{ or .Secrets.nope .Secrets.k | hex }}", "‹k.Public.Hex›"),
    ]);
}

// S-71
#[test]
fn a_range_over_all_secrets_is_sorted_by_name() {
    let all = "{{ range $n, $s := .Secrets }}{{ $n }} {{ end }}";
    assert_eq!(file(all), "_schlüssel c k my-key p unset ");
    let types = "{{ range .Secrets }}{{ .Type }},{{ end }}";
    assert_eq!(file(types), "plain,cert-ecdsa,symmetric-key,symmetric-key,plain,plain,");
}

#[test]
fn what_is_declared_about_a_secret_can_be_printed_and_compared() {
    check_all(&[
        (
            "{{ with .Secrets.k }}{{ .Type }} {{ .Size }} {{ .Shared }} {{ .UserDefined }} {{ .ValidFor }}{{ end }}",
            "symmetric-key 128 true false 365",
        ),
        ("{{ if eq .Secrets.c.Type \"cert-ecdsa\" }}c{{ else }}k{{ end }}", "c"),
        ("{{ if gt .Secrets.k.Size 64 }}long{{ end }}", "long"),
    ]);
}

#[test]
fn a_secret_is_true_when_it_exists_and_a_part_when_it_is_set() {
    check_all(&[
        ("{{ if .Secrets.k }}y{{ else }}n{{ end }}", "y"),
        ("{{ if .Secrets.unset }}y{{ else }}n{{ end }}", "y"),
        ("{{ if .Secrets.nope }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .Secrets.k.Private }}y{{ else }}n{{ end }}", "y"),
        ("{{ if .Secrets.unset.Private }}y{{ else }}n{{ end }}", "n"),
        ("{{ if .Secrets.k.Cert }}y{{ else }}n{{ end }}", "n"),
        ("{{ if not .Secrets.nope.Cert }}y{{ end }}", "y"),
        ("{{ if and .Secrets.k .Secrets.c }}y{{ end }}", "y"),
        ("{{ if .Secrets }}y{{ end }}", "y"),
    ]);
}

// S-72
#[test]
fn names_may_have_underscores_and_unicode_letters() {
    assert_eq!(file("{{ hex .Secrets._schlüssel }}"), "‹_schlüssel.Public.Hex›");
}
