//! Nothing may look into a secret.

use super::file;
use crate::value::INSPECTED;

fn refuses(template: &str) {
    let answer = file(template);
    assert!(answer.ends_with(INSPECTED) && answer.starts_with("template: data:1:"), "{template}: {answer}");
}

// S-74
#[test]
fn a_template_that_would_print_a_whole_secret_or_nothing_is_refused() {
    for value in [
        ".Secrets.k",
        ".Secrets.k.Private",
        ".Secrets.c.Cert",
        ".Secrets.c.Cert.Raw",
        ".Secrets.nope",
        ".Secrets.nope.Cert",
        "index .Secrets \"nope\"",
        ".",
        ".Secrets",
        ".Previous",
        ".MarbleRun",
        ".MarbleRun.RootCA",
    ] {
        refuses(&format!("{{{{ {value} }}}}"));
        refuses(&format!("{{{{ print ({value}) }}}}"));
    }
    refuses("{{ define \"t\" }}{{ . }}{{ end }}{{ template \"t\" }}");
}

// S-74
#[test]
fn no_function_of_the_language_looks_into_a_secret() {
    for value in [".Secrets.k", ".Secrets.k.Public", ".Secrets.nope", "(raw .Secrets.k)"] {
        for call in [
            "len V",
            "slice V 0 1",
            "index V 0",
            "eq V V",
            "eq \"a\" V",
            "ne V \"a\"",
            "lt V 1",
            "le V 1",
            "gt V 1",
            "ge V 1",
            "html V",
            "js V",
            "urlquery V",
            "println V",
            "print \"a\" V",
            "print V V",
            "printf \"%x\" V",
            "printf \"%q\" V",
            "printf \"%d\" V",
            "printf \"%T\" V",
            "printf \"%5s\" V",
            "printf \"%.1s\" V",
            "printf \"%-v\" V",
            "printf \"a\" V",
            "printf \"%*d\" V 1",
            "printf V",
            "index .Secrets V",
        ] {
            // Go ranges over and indexes what is missing as if it were empty: there is nothing to look at.
            if value == ".Secrets.nope" && call == "index V 0" {
                continue;
            }
            refuses(&format!("{{{{ {} }}}}", call.replace('V', value)));
        }
    }
}

#[test]
fn a_part_or_an_encoded_secret_cannot_be_ranged_over() {
    for value in [".Secrets.k.Public", ".Secrets.k", "(hex .Secrets.k)", ".MarbleRun"] {
        refuses(&format!("{{{{ range {value} }}}}x{{{{ end }}}}"));
    }
    assert_eq!(file("{{ range .Secrets.nope }}x{{ else }}none{{ end }}"), "none");
}

#[test]
fn one_encoded_secret_may_be_printed_and_formatted_as_it_is() {
    for (template, expected) in [
        ("{{ print (raw .Secrets.k) }}", "‹k.Public.Raw›"),
        ("{{ printf \"%s\" (raw .Secrets.k) }}", "‹k.Public.Raw›"),
        ("{{ raw .Secrets.k | printf \"<%v>\" }}", "<‹k.Public.Raw›>"),
        ("{{ printf \"%s:%s@%d\" \"u\" (hex .Secrets.k) 7 }}", "u:‹k.Public.Hex›@7"),
        ("{{ printf \"%s\" (raw .Secrets.k) | print }}", "‹k.Public.Raw›"),
    ] {
        assert_eq!(file(template), expected, "{template}");
    }
}

#[test]
fn a_refusal_names_line_column_and_node() {
    assert_eq!(
        file("a\n  {{ .Secrets.k }}"),
        format!("template: data:2:5: executing \"data\" at <{{{{.Secrets.k}}}}>: {INSPECTED}")
    );
    assert_eq!(
        file("{{ len .Secrets.k }}"),
        format!("template: data:1:3: executing \"data\" at <len .Secrets.k>: error calling len: {INSPECTED}")
    );
}
