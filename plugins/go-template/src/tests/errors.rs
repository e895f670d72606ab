//! The texts of errors: cause, line and column as in Go (section 7).

use carrara_types::decision::Target;

use super::{Fake, check_all, file};
use crate::render;

// S-72
#[test]
fn a_name_with_a_dash_needs_index() {
    check_all(&[
        ("{{ raw .Secrets.my-key }}", "template: data:1: bad character U+002D '-'"),
        ("\n\n{{ raw .Secrets.my-key }}", "template: data:3: bad character U+002D '-'"),
    ]);
    assert!(file("{{ raw .Secrets.1st }}").starts_with("template: data:1: "));
}

// S-73
#[test]
fn a_missing_secret_does_not_exist() {
    check_all(&[
        (
            "{{ raw .Secrets.missing }}",
            "template: data:1:3: executing \"data\" at <raw .Secrets.missing>: error calling raw: secret does not exist",
        ),
        (
            "a\n b{{ pem .Secrets.missing.Cert }}",
            "template: data:2:5: executing \"data\" at <pem .Secrets.missing.Cert>: error calling pem: secret does not exist",
        ),
        (
            "{{ hex (index .Secrets \"missing\") }}",
            "template: data:1:3: executing \"data\" at <hex (index .Secrets \"missing\")>: error calling hex: secret does not exist",
        ),
        (
            "{{ .Secrets.missing | hex }}",
            "template: data:1:22: executing \"data\" at <hex>: error calling hex: secret does not exist",
        ),
        (
            "{{ hex nil }}",
            "template: data:1:3: executing \"data\" at <hex nil>: error calling hex: secret does not exist",
        ),
    ]);
}

// S-75
#[test]
fn an_unknown_field_cannot_be_evaluated() {
    check_all(&[
        (
            "{{ raw .secrets }}",
            "template: data:1:7: executing \"data\" at <.secrets>: can't evaluate field secrets in type Data",
        ),
        (
            "{{ raw .Secrets.k.private }}",
            "template: data:1:15: executing \"data\" at <.Secrets.k.private>: can't evaluate field private in type Secret",
        ),
        (
            "{{ raw .MarbleRun.Nope }}",
            "template: data:1:17: executing \"data\" at <.MarbleRun.Nope>: can't evaluate field Nope in type MarbleRun",
        ),
        (
            "{{ raw .Previous.k }}",
            "template: data:1:16: executing \"data\" at <.Previous.k>: can't evaluate field k in type Previous",
        ),
    ]);
    assert!(file("{{ .Secrets.k.Private.Raw }}").ends_with("can't evaluate field Raw in type PrivateKey"));
    assert!(file("{{ (raw .Secrets.k).x }}").ends_with("can't evaluate field x in type string"));
}

// S-76
#[test]
fn what_does_not_parse_is_refused_with_its_line() {
    check_all(&[
        ("{{ nope .Secrets.k }}", "template: data:1: function \"nope\" not defined"),
        ("a\n{{ raw .Secrets.k", "template: data:2: unclosed action"),
        ("{{ raw\n.Secrets.k", "template: data:2: unclosed action started at data:1"),
        ("{{}}", "template: data:1: missing value for command"),
        ("{{ if }}{{ end }}", "template: data:1: missing value for if"),
        ("{{ else }}", "template: data:1: unexpected {{else}}"),
        ("x{{ end }}", "template: data:1: unexpected {{end}}"),
        ("{{ if true }}", "template: data:1: unexpected EOF"),
        ("{{ if true }}{{ else }}{{ else }}{{ end }}", "template: data:1: expected end; found {{else}}"),
        ("{{ break }}", "template: data:1: {{break}} outside {{range}}"),
        ("{{ continue }}", "template: data:1: {{continue}} outside {{range}}"),
        (
            "{{ range 1 }}{{ define \"t\" }}{{ end }}{{ end }}",
            "template: data:1: unexpected <define> in command",
        ),
        ("{{ $x }}", "template: data:1: undefined variable \"$x\""),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "template: data:1: undefined variable \"$x\""),
        ("{{ (1 }}", "template: data:1: unclosed left paren"),
        ("{{ 1) }}", "template: data:1: unexpected right paren"),
        ("{{ \"a }}", "template: data:1: unterminated quoted string"),
        ("{{/* c }}", "template: data:1: unclosed comment"),
        ("{{ 1 | 2 }}", "template: data:1: non executable command in pipeline stage 2"),
        ("{{ 1a }}", "template: data:1: bad number syntax: \"1a\""),
        ("{{ 09 }}", "template: data:1: integer overflow: \"09\""),
        ("{{ $x, $y := 1 }}", "template: data:1: too many declarations in command"),
        ("{{ \"a\".b }}", "template: data:1: unexpected . after term \"\\\"a\\\"\""),
        ("{{ 1 , 2 }}", "template: data:1: unexpected \",\" in operand"),
        ("{{ template 1 }}", "template: data:1: unexpected \"1\" in template clause"),
        (
            "{{ define \"t\" }}a{{ end }}{{ define \"t\" }}b{{ end }}",
            "template: data:1: template: multiple definition of template \"t\"",
        ),
        ("{{ \"\\q\" }}", "template: data:1: invalid syntax"),
    ]);
}

// S-77
#[test]
fn a_wrong_number_of_arguments_is_an_error() {
    check_all(&[
        (
            "{{ raw }}",
            "template: data:1:3: executing \"data\" at <raw>: wrong number of args for raw: want 1 got 0",
        ),
        (
            "{{ raw .Secrets.k .Secrets.c }}",
            "template: data:1:3: executing \"data\" at <raw>: wrong number of args for raw: want 1 got 2",
        ),
        (
            "{{ .Secrets.k | raw .Secrets.c }}",
            "template: data:1:16: executing \"data\" at <raw>: wrong number of args for raw: want 1 got 2",
        ),
        (
            "{{ index }}",
            "template: data:1:3: executing \"data\" at <index>: wrong number of args for index: want at least 1 got 0",
        ),
    ]);
}

#[test]
fn commands_that_are_no_commands_are_refused() {
    check_all(&[
        ("{{ nil }}", "template: data:1:3: executing \"data\" at <nil>: nil is not a command"),
        ("{{ 1 2 }}", "template: data:1:3: executing \"data\" at <1>: can't give argument to non-function 1"),
        (
            "{{ .Secrets.k 1 }}",
            "template: data:1:11: executing \"data\" at <.Secrets.k>: k is not a method but has arguments",
        ),
        (
            "{{ .Secrets.k.Type 1 }}",
            "template: data:1:11: executing \"data\" at <.Secrets.k.Type>: Type has arguments but cannot be invoked as function",
        ),
        (
            "{{ template \"t\" }}",
            "template: data:1:12: executing \"data\" at <{{template \"t\"}}>: template \"t\" not defined",
        ),
        (
            "{{ eq 1 \"a\" }}",
            "template: data:1:3: executing \"data\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison: int and string",
        ),
        (
            "{{ range \"abc\" }}{{ end }}",
            "template: data:1:9: executing \"data\" at <\"abc\">: range can't iterate over abc",
        ),
        (
            "{{ range $i, $j := 3 }}{{ end }}",
            "template: data:1:19: executing \"data\" at <3>: can't use 3 to iterate over more than one variable",
        ),
        (
            "{{ 9223372036854775808 }}",
            "template: data:1:3: executing \"data\" at <9223372036854775808>: 9223372036854775808 overflows int",
        ),
        ("{{ printf 3 }}", "template: data:1:10: executing \"data\" at <3>: expected string; found 3"),
    ]);
}

#[test]
fn an_error_in_a_defined_template_names_it() {
    assert_eq!(
        file("{{ define \"t\" }}\n{{ hex .x }}{{ end }}{{ template \"t\" \"s\" }}"),
        "template: data:2:7: executing \"t\" at <.x>: can't evaluate field x in type string"
    );
}

#[test]
fn the_failure_carries_line_and_column() {
    let failure = render(b"ab\n {{ raw .Secrets.missing }}", Target::File, &Fake::new()).unwrap_err();
    assert_eq!((failure.line, failure.column), (2, 4));
    let failure = render(b"ab\n\n {{ nope }}", Target::File, &Fake::new()).unwrap_err();
    assert_eq!((failure.line, failure.column), (3, 0));
}

#[test]
fn endless_recursion_and_deep_nesting_end_with_an_error() {
    let answer = file("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}");
    assert!(answer.ends_with("exceeded maximum template depth (100)"), "{answer}");
    let deep = format!("{}{}", "{{ if true }}".repeat(65), "{{ end }}".repeat(65));
    assert!(file(&deep).ends_with("nested more than 64 deep"));
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(65), ")".repeat(65));
    assert!(file(&parens).ends_with("nested more than 64 deep"));
    let fine = format!("{}x{}", "{{ if true }}".repeat(64), "{{ end }}".repeat(64));
    assert_eq!(file(&fine), "x");
}
