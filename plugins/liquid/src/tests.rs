//! What the language does with secrets that are made up.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use carrara_plugin_support::secrets::{AccessError, Part, Scope, SecretInfo, SecretReference, Secrets};
use carrara_types::decision::{Chunk, Target};

use crate::failure::INSPECTED;
use crate::render;

const BOTH: &[Part] = &[Part::Public, Part::Private];
const ALL: &[Part] = &[Part::Public, Part::Private, Part::Certificate];

/// A catalogue that counts what it is asked.
struct Fake {
    entries: Vec<(Scope, SecretInfo)>,
    names_asked: Cell<usize>,
    lookups: Cell<usize>,
}

impl Fake {
    fn new() -> Self {
        let mut fake = Self { entries: Vec::new(), names_asked: Cell::new(0), lookups: Cell::new(0) };
        for scope in [Scope::Current, Scope::Previous] {
            fake.add(scope, "k", "symmetric-key", BOTH);
            fake.add(scope, "my-key", "symmetric-key", BOTH);
            fake.add(scope, "c", "cert-ecdsa", ALL);
            fake.add(scope, "p", "plain", BOTH);
            fake.add(scope, "unset", "plain", &[]);
        }
        fake.add(Scope::Reserved, "RootCA", "cert-ecdsa", &[Part::Certificate]);
        fake.add(Scope::Reserved, "MarbleCert", "cert-ecdsa", ALL);
        fake
    }

    fn add(&mut self, scope: Scope, name: &str, kind: &str, parts: &[Part]) {
        let info = SecretInfo {
            name: name.into(),
            kind: kind.to_owned(),
            size: 128,
            shared: true,
            user_defined: false,
            valid_for: 365,
            parts: parts.to_vec(),
        };
        self.entries.push((scope, info));
    }

    fn entry(&self, scope: Scope, name: &str) -> Option<&SecretInfo> {
        self.entries.iter().find(|(known, info)| *known == scope && *info.name == *name).map(|(_, info)| info)
    }
}

impl Secrets for Fake {
    fn names(&self, scope: Scope) -> Vec<String> {
        self.names_asked.set(self.names_asked.get() + 1);
        self.entries
            .iter()
            .filter(|(known, _)| *known == scope)
            .map(|(_, info)| info.name.to_string())
            .collect()
    }

    fn find(&self, scope: Scope, name: &str) -> Option<Arc<str>> {
        self.lookups.set(self.lookups.get() + 1);
        self.entry(scope, name).map(|info| Arc::clone(&info.name))
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<Rc<SecretInfo>> {
        self.lookups.set(self.lookups.get() + 1);
        self.entry(scope, name).cloned().map(Rc::new)
    }

    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError> {
        let info = self.entry(reference.scope, &reference.name).ok_or(AccessError::NoSuchSecret)?;
        let part = if reference.part == Part::Whole { Part::Public } else { reference.part };
        if info.parts.contains(&part) { Ok(()) } else { Err(AccessError::Empty) }
    }
}

/// The result with places written as `‹scope.name.part.encoding›`, or the error's text.
fn show(template: &str, target: Target) -> String {
    let chunks = match render(template.as_bytes(), target, &Fake::new()) {
        Ok(chunks) => chunks,
        Err(failure) => return failure.message,
    };
    let show_chunk = |chunk| match chunk {
        Chunk::Text(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Chunk::Secret(place) => {
            let scope = match place.scope {
                Scope::Current => "",
                Scope::Previous => "previous.",
                Scope::Reserved => "reserved.",
            };
            format!("‹{scope}{}.{:?}.{:?}›", place.name, place.part, place.encoding)
        }
    };
    chunks.into_iter().map(show_chunk).collect()
}

fn file(template: &str) -> String {
    show(template, Target::File)
}

fn env(template: &str) -> String {
    show(template, Target::Env)
}

fn check_all(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(file(template), *expected, "{template}");
    }
}

#[test]
fn every_filter_writes_what_it_says() {
    check_all(&[
        ("{{ Secrets.k | raw }}", "‹k.Public.Raw›"),
        ("a{{ Secrets.k.Private | hex }}b", "a‹k.Private.Hex›b"),
        ("{{ Secrets[\"my-key\"].Private | base64 }}", "‹my-key.Private.Base64›"),
        ("{{ Secrets.c | pem }}{{ Secrets.c.Cert | pem }}", "‹c.Certificate.Pem›‹c.Certificate.Pem›"),
        ("{{ Secrets.c | hex }}", "‹c.Public.Hex›"),
        ("{{ MarbleRun.MarbleCert.Cert | pem }}", "‹reserved.MarbleCert.Certificate.Pem›"),
        ("{{ MarbleRun.RootCA | pem }}", "‹reserved.RootCA.Certificate.Pem›"),
        ("{{ Previous.Secrets.k | raw }}", "‹previous.k.Public.Raw›"),
    ]);
    assert_eq!(env("{{ Secrets.p | string }}"), "‹p.Whole.Text›");
}

// S-63
#[test]
fn raw_is_for_files_and_string_for_environment_variables() {
    assert!(env("{{ Secrets.p | raw }}").contains("Unknown filter"), "{}", env("{{ Secrets.p | raw }}"));
    assert!(file("{{ Secrets.p | string }}").contains("Unknown filter"));
    for template in ["{{ Secrets.k | string }}", "{{ Secrets.p.Private | string }}"] {
        let answer = env(template);
        let cause = "error calling string: only secrets of type plain are allowed to use string encoding for \
                     environment variables";
        assert!(answer.ends_with(cause), "{template}: {answer}");
    }
}

// S-65, S-73
#[test]
fn missing_and_unset_secrets_are_refused() {
    check_all(&[
        ("{{ Secrets.nope | hex }}", "template: data:1:0: secret does not exist: nope"),
        ("{{ Secrets.nope.Cert | hex }}", "template: data:1:0: secret does not exist: nope"),
        ("{{ Secrets.nope }}", "template: data:1:0: secret does not exist: nope"),
        (
            "{{ Secrets.k.Cert | pem }}",
            "template: data:1:0: error calling pem: tried to parse secret with empty value",
        ),
        ("{{ Secrets.unset | hex }}", "template: data: tried to parse secret with empty value: unset"),
        (
            "{{ Secrets.k | pem }}",
            "template: data:1:0: error calling pem: invalid secret type for pem encoding",
        ),
        ("{{ 'text' | hex }}", "template: data:1:0: error calling hex: invalid secret type"),
        ("{{ Secrets | hex }}", "template: data:1:0: error calling hex: invalid secret type"),
        ("{{ Secrets.k | hex | hex }}", "template: data:1:0: error calling hex: invalid secret type"),
    ]);
    assert!(file("{{ Secrets.k.private | hex }}").contains("private"));
}

// S-74
#[test]
fn a_template_that_would_print_a_secret_is_refused() {
    for value in [
        "Secrets.k",
        "Secrets.k.Private",
        "Secrets.c.Cert",
        "Secrets",
        "Previous",
        "MarbleRun",
        "MarbleRun.RootCA",
        "Secrets.k.size",
        "Secrets.k.Private.size",
    ] {
        let answer = file(&format!("a{{{{ {value} }}}}b"));
        assert!(answer.ends_with(INSPECTED), "{value}: {answer}");
        let assigned = file(&format!("{{% assign x = {value} %}}{{{{ x }}}}"));
        assert!(assigned.ends_with(INSPECTED), "{value}: {assigned}");
    }
}

#[test]
fn no_standard_filter_is_given_a_secret() {
    for value in ["Secrets.k", "Secrets.k.Private", "Secrets", "fragment", "captured"] {
        for filter in [
            "size",
            "upcase",
            "append: 'x'",
            "slice: 0, 2",
            "replace: 'a', 'b'",
            "split: ''",
            "first",
            "map: 'x'",
            "join",
            "url_encode",
            "escape",
            "default: 'x'",
            "date: '%Y'",
            "truncate: 1",
            "plus: 1",
            "where: 'a', 'b'",
        ] {
            let set = "{% assign fragment = Secrets.k | hex %}{% capture captured %}a{{ Secrets.k | hex }}{% endcapture %}";
            let answer = file(&format!("{set}{{{{ {value} | {filter} }}}}"));
            assert!(answer.ends_with(INSPECTED), "{value} | {filter}: {answer}");
            let argument = file(&format!("{set}{{{{ 'x' | append: {value} }}}}"));
            assert!(argument.ends_with(INSPECTED), "append: {value}: {argument}");
        }
    }
}

#[test]
fn the_language_works_around_secrets() {
    check_all(&[
        ("{% if Secrets.k %}y{% else %}n{% endif %}", "y"),
        ("{% if Secrets.nope %}y{% else %}n{% endif %}", "n"),
        ("{% if Secrets.k.Private %}y{% else %}n{% endif %}", "y"),
        ("{% if Secrets.k.Cert %}y{% else %}n{% endif %}", "n"),
        ("{% assign s = Secrets.k %}{{ s | hex }}{{ s.Private | hex }}", "‹k.Public.Hex›‹k.Private.Hex›"),
        (
            "{% capture x %}a{{ Secrets.k | hex }}b{% endcapture %}{{ x }}{{ x }}",
            "a‹k.Public.Hex›ba‹k.Public.Hex›b",
        ),
        ("{% for s in Secrets %}{{ s[0] }} {% endfor %}", "c k my-key p unset "),
        (
            "{{ Secrets.k.Type }} {{ Secrets.k.Size }} {{ Secrets.k.Shared }} {{ Secrets.k.ValidFor }}",
            "symmetric-key 128 true 365",
        ),
        ("{{ 'a' | upcase | append: 'b' }} {{ Secrets.k.Type | size }}", "Ab 13"),
        ("{{- 1 -}} x {%- if true -%} y {%- endif %}", "1xy"),
        (
            "{% raw %}{{ Secrets.k }}{% endraw %}{% comment %}{{ Secrets.k }}{% endcomment %}",
            "{{ Secrets.k }}",
        ),
        ("{{ '2016-06-13 02:30:00 +0300' | date: '%Y' }}", "2016"),
    ]);
}

#[test]
fn what_does_not_parse_is_reported_with_line_and_column() {
    let failure = render(b"ab\n {{ Secrets.k | }}", Target::File, &Fake::new()).unwrap_err();
    assert_eq!(failure.line, 2);
    assert!(failure.column > 0);
    assert!(failure.message.starts_with("template: data:2:"), "{failure}");
    assert!(!failure.message.contains('\n'));
}

#[test]
fn errors_hold_no_marks() {
    for template in [
        "{% for c in Secrets.k.Private.x %}{% endfor %}",
        "{{ Secrets[Secrets.k.size] }}",
        "{% cycle Secrets.k: 1 %}",
    ] {
        let answer = file(template);
        assert!(answer.chars().all(|c| u32::from(c) < 0xF_0000), "{template}: {answer}");
    }
}

#[test]
fn the_date_filter_cannot_tell_the_time() {
    for input in ["now", "Today "] {
        let answer = file(&format!("{{{{ '{input}' | date: '%Y' }}}}"));
        assert!(answer.ends_with("the current time is not known to templates"), "{answer}");
    }
}

#[test]
fn marks_that_nobody_made_are_refused() {
    let forged = "{{ '%F3%B0%80%80' | url_decode }}";
    assert!(file(forged).ends_with("reserved for secrets"), "{}", file(forged));
    assert!(file(&format!("{forged}sw-6b{forged}")).ends_with(INSPECTED));
}

#[test]
fn ten_thousand_secrets_cost_nothing_unless_a_template_loops_over_them() {
    let mut fake = Fake::new();
    for index in 0..10_000 {
        fake.add(Scope::Current, &format!("s{index}"), "plain", BOTH);
    }
    let text = b"{{ Secrets.s5 | raw }}{{ Secrets.s5.Private | hex }}{{ Secrets['s6'] | raw }}";
    render(text, Target::File, &fake).unwrap();
    assert_eq!((fake.names_asked.get(), fake.lookups.get()), (0, 2));
}

#[test]
fn text_without_braces_is_returned_unchanged_and_asks_for_nothing() {
    let fake = Fake::new();
    let text = b"a\xff\x00 } }} { b %}".to_vec();
    assert_eq!(render(&text, Target::File, &fake).unwrap(), [Chunk::Text(text.clone())]);
    assert_eq!(render(b"", Target::File, &fake).unwrap(), []);
    assert_eq!((fake.names_asked.get(), fake.lookups.get()), (0, 0));
}

#[test]
fn bytes_that_are_not_utf8_pass_a_template_unchanged() {
    let chunks = render(b"\xff\x00{{ 'a' | upcase }}\xfe", Target::File, &Fake::new()).unwrap();
    assert_eq!(chunks, [Chunk::Text(b"\xff\x00A\xfe".to_vec())]);
}

#[test]
fn what_fails_while_rendering_is_reported_with_line_and_column() {
    check_all(&[
        ("a\n b{{ Secrets.nope | hex }}", "template: data:2:2: secret does not exist: nope"),
        (
            "{% if true %}\n{% for i in (1..2) %}\n{% case i %} {% when 1 %}x{% when 2 %}\n{{ 'a' | hex }}{% endcase %}{% endfor %}{% endif %}",
            "template: data:4:0: error calling hex: invalid secret type",
        ),
        (
            "{% raw %}{{ x }}{% endraw %}\n{% comment %}{% if %}{% endcomment %}{{ 1 | pem }}",
            "template: data:2:37: error calling pem: invalid secret type",
        ),
    ]);
    let failure = render(b"\xff\xff{{ 1 | hex }}", Target::File, &Fake::new()).unwrap_err();
    assert_eq!((failure.line, failure.column), (1, 2));
}

#[test]
fn deep_nesting_is_refused_in_words() {
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}x{}", open.repeat(depth), close.repeat(depth));
    let too_deep = "template: data: blocks, branches or indexes nested more than 64 deep";
    for (open, close) in [
        ("{% if true %}", "{% endif %}"),
        ("{%- unless false -%}", "{%- endunless -%}"),
        ("{% for i in (1..1) %}", "{% endfor %}"),
    ] {
        assert_eq!(file(&nested(open, close, 64)), "x", "{open}");
        assert_eq!(file(&nested(open, close, 65)), too_deep, "{open}");
        assert_eq!(file(&nested(open, close, 5000)), too_deep, "{open}");
        // One after the other is not nested.
        assert_eq!(file(&nested(open, close, 1).repeat(100)), "x".repeat(100), "{open}");
    }
    let branches =
        |count: usize| format!("{{% if false %}}{}y{{% endif %}}", "{% elsif true %}".repeat(count));
    assert_eq!(file(&branches(63)), "");
    assert_eq!(file(&branches(64)), too_deep);
    let index = |depth: usize| format!("{{{{ {}'x'{} }}}}", "Secrets[".repeat(depth), "]".repeat(depth));
    assert_eq!(file(&index(65)), too_deep);
    assert_ne!(file(&index(64)), too_deep);
    let conditions = |count: usize| format!("{{% if true{} %}}y{{% endif %}}", " and true".repeat(count));
    assert_eq!(file(&conditions(64)), "y");
    assert_eq!(file(&conditions(65)), too_deep);
    assert_eq!(file(&format!("{{% raw %}}{}{{% endraw %}}", "{% if %}".repeat(100))), "{% if %}".repeat(100));
}

// The engine's own comment panics on these.
#[test]
fn half_a_block_in_a_comment_is_a_comment_and_a_comment_without_end_is_an_error() {
    check_all(&[
        ("a{% comment %}{% if x %}{% endcomment %}b", "ab"),
        ("a{% comment %}{% endif %}{% else %}{% for %}{% endcomment %}b", "ab"),
        ("{% comment %}{% comment %}x{% endcomment %}y{% endcomment %}z", "z"),
        ("{% comment %}{% raw %}{% endcomment %}{% endraw %}{% endcomment %}z", "z"),
    ]);
    for template in ["{% comment %}{% raw %}{% endcomment %}", "{% comment %}{% if x %}", "{% comment %}"] {
        let failure = render(template.as_bytes(), Target::File, &Fake::new()).unwrap_err();
        assert!(failure.message.contains("Unclosed block"), "{template}: {failure}");
    }
}

// The engine panics on all of these.
#[test]
fn mistakes_after_letters_beyond_ascii_and_values_of_several_lines_are_reported_with_their_place() {
    for (template, line, column) in [
        ("{{ '\u{e4}' }}{{ '}}", 1, 10),
        ("a\n{{ 'a\n{{ ' }}{{ '}}", 3, 8),
        ("{% raw %}{{ 'a\n{{ ' }}{% endraw %}{{ '}}", 2, 20),
    ] {
        let failure = render(template.as_bytes(), Target::File, &Fake::new()).unwrap_err();
        assert_eq!((failure.line, failure.column), (line, column + 2), "{template}: {failure}");
        assert!(failure.message.starts_with(&format!("template: data:{line}:{}: ", column + 2)), "{failure}");
    }
    assert!(render(b"{{'\x90'}}{{'}}", Target::File, &Fake::new()).is_err());
    assert_eq!(file("\u{e4}{{ 'a\n\u{e4}' | upcase }}"), "\u{e4}A\n\u{c4}");
}

// The engine panics on what no 64 bits hold.
#[test]
fn a_number_that_is_too_large_is_refused() {
    assert_eq!(file("{{ 9223372036854775807 }}"), "9223372036854775807");
    let refused = "template: data: a number is too large: 9223372036854775808";
    assert_eq!(file("{{ 9223372036854775808 }}"), refused);
    assert_eq!(file("{% if x == 9223372036854775808 %}{% endif %}"), refused);
    assert_eq!(file("{% raw %}{{ 9223372036854775808 }}{% endraw %}"), "{{ 9223372036854775808 }}");
}
