//! The built-in renderers as they are embedded, through the engine: where secrets go, what is refused, and what a
//! hostile template can cost.

#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use std::sync::Arc;

use carrara_core::ports::{Policies, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    Chunk, Encoding, Part, RenderError, Scope, SecretInfo, SecretReference, Target, Template,
};
use carrara_wasm::PolicyHost;
use common::{context, template};

const KEY: &[Part] = &[Part::Public, Part::Private];
const ALL: &[Part] = &[Part::Public, Part::Private, Part::Certificate];
const INSPECTED: &str = "secret values cannot be inspected; use hex, base64, pem, raw or string";

/// Secrets of each kind, and as many more as wanted.
struct Catalog {
    more: usize,
}

impl Catalog {
    fn info(name: &str, kind: &str, parts: &[Part]) -> SecretInfo {
        SecretInfo {
            name: name.into(),
            kind: kind.to_owned(),
            size: 128,
            shared: true,
            user_defined: false,
            valid_for: 0,
            parts: parts.to_vec(),
        }
    }
}

impl SecretCatalog for Catalog {
    fn names(&self, scope: Scope) -> Vec<String> {
        if scope == Scope::Reserved {
            return vec!["MarbleCert".to_owned(), "RootCA".to_owned()];
        }
        let more = (0..self.more).map(|index| format!("s{index:05}"));
        ["c", "k", "p"].into_iter().map(str::to_owned).chain(more).collect()
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        let is_more = || {
            name.strip_prefix('s')
                .and_then(|digits| digits.parse::<usize>().ok())
                .is_some_and(|at| at < self.more)
        };
        match (scope, name) {
            (Scope::Reserved, "RootCA") => Some(Self::info(name, "cert-ecdsa", &[Part::Certificate])),
            (Scope::Reserved, "MarbleCert") | (Scope::Current | Scope::Previous, "c") => {
                Some(Self::info(name, "cert-ecdsa", ALL))
            }
            (Scope::Current | Scope::Previous, "k") => Some(Self::info(name, "symmetric-key", KEY)),
            (Scope::Current | Scope::Previous, "p") => Some(Self::info(name, "plain", KEY)),
            (Scope::Current, _) if is_more() => Some(Self::info(name, "plain", KEY)),
            _ => None,
        }
    }
}

fn catalog(more: usize) -> Arc<dyn SecretCatalog> {
    Arc::new(Catalog { more })
}

fn env(text: &str) -> Template {
    Template { name: "VARIABLE".to_owned(), target: Target::Env, text: text.as_bytes().to_vec() }
}

async fn render(renderer: &str, templates: Vec<Template>) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
    let host = PolicyHost::builtin().unwrap();
    host.render(renderer, context(1), templates, catalog(0)).await
}

async fn refused(renderer: &str, template: Template) -> RenderError {
    match render(renderer, vec![template]).await.unwrap_err() {
        RenderFailure::Template(error) => error,
        other => panic!("{other:?}"),
    }
}

fn secret(scope: Scope, name: &str, part: Part, encoding: Encoding) -> Chunk {
    Chunk::Secret(SecretReference { scope, name: name.into(), part, encoding })
}

/// Templates of files, each of which is one secret: in Go's language, in Liquid, and what both place.
fn places() -> Vec<(&'static str, &'static str, Chunk)> {
    use Encoding::{Base64, Hex, Pem, Raw};
    use Part::{Certificate, Private, Public};
    use Scope::{Current, Previous, Reserved};
    vec![
        ("{{ raw .Secrets.k }}", "{{ Secrets.k | raw }}", secret(Current, "k", Public, Raw)),
        ("{{ hex .Secrets.k.Private }}", "{{ Secrets.k.Private | hex }}", secret(Current, "k", Private, Hex)),
        ("{{ base64 .Secrets.p }}", "{{ Secrets.p | base64 }}", secret(Current, "p", Public, Base64)),
        ("{{ pem .Secrets.c.Cert }}", "{{ Secrets.c.Cert | pem }}", secret(Current, "c", Certificate, Pem)),
        ("{{ pem .Secrets.c.Public }}", "{{ Secrets.c.Public | pem }}", secret(Current, "c", Public, Pem)),
        ("{{ pem .Secrets.c.Private }}", "{{ Secrets.c.Private | pem }}", secret(Current, "c", Private, Pem)),
        ("{{ raw .Secrets.c.Cert }}", "{{ Secrets.c.Cert | raw }}", secret(Current, "c", Certificate, Raw)),
        (
            "{{ hex .Previous.Secrets.k }}",
            "{{ Previous.Secrets.k | hex }}",
            secret(Previous, "k", Public, Hex),
        ),
        (
            "{{ pem .MarbleRun.RootCA.Cert }}",
            "{{ MarbleRun.RootCA.Cert | pem }}",
            secret(Reserved, "RootCA", Certificate, Pem),
        ),
        (
            "{{ pem .MarbleRun.MarbleCert.Private }}",
            "{{ MarbleRun.MarbleCert.Private | pem }}",
            secret(Reserved, "MarbleCert", Private, Pem),
        ),
    ]
}

#[tokio::test]
async fn every_encoding_and_part_is_placed() {
    let go = places().iter().map(|(go, _, _)| template(go)).collect();
    let liquid = places().iter().map(|(_, liquid, _)| template(liquid)).collect();
    let expected: Vec<_> = places().into_iter().map(|(_, _, place)| vec![place]).collect();
    assert_eq!(render("go-template", go).await.unwrap(), expected);
    assert_eq!(render("liquid", liquid).await.unwrap(), expected);
}

// S-63
#[tokio::test]
async fn string_is_for_variables_and_raw_is_for_files() {
    let text = vec![vec![secret(Scope::Current, "p", Part::Whole, Encoding::Text)]];
    assert_eq!(render("go-template", vec![env("{{ string .Secrets.p }}")]).await.unwrap(), text);
    assert_eq!(render("liquid", vec![env("{{ Secrets.p | string }}")]).await.unwrap(), text);
    let unknown = refused("go-template", env("{{ raw .Secrets.p }}")).await;
    assert_eq!(unknown.message, "template: data:1: function \"raw\" not defined");
    let unknown = refused("go-template", template("{{ string .Secrets.p }}")).await;
    assert_eq!(unknown.message, "template: data:1: function \"string\" not defined");
    let unknown = refused("liquid", env("{{ Secrets.p | raw }}")).await;
    assert_eq!(unknown.message, "template: data: Unknown filter (requested filter raw)");
    let only_plain =
        "only secrets of type plain are allowed to use string encoding for environment variables";
    for (renderer, text) in
        [("go-template", "{{ string .Secrets.k }}"), ("liquid", "{{ Secrets.k | string }}")]
    {
        let error = refused(renderer, env(text)).await;
        assert!(error.message.ends_with(only_plain), "{}", error.message);
    }
}

// S-73, S-76
#[tokio::test]
async fn an_unknown_function_and_a_missing_secret_are_named_with_their_place() {
    let error = refused("go-template", template("\n{{ nope .Secrets.k }}")).await;
    assert_eq!((error.line, error.message.as_str()), (2, "template: data:2: function \"nope\" not defined"));
    let error = refused("go-template", template("a\n {{ hex .Secrets.gone }}")).await;
    let text = "template: data:2:4: executing \"data\" at <hex .Secrets.gone>: error calling hex: secret does not exist";
    assert_eq!((error.line, error.column, error.message.as_str()), (2, 4, text));
    let error = refused("liquid", template("a\n {{ Secrets.gone | hex }}")).await;
    assert_eq!((error.line, error.column), (2, 1));
    assert_eq!(error.message, "template: data:2:1: secret does not exist: gone");
    let error = refused("liquid", template("\n{{ Secrets.k | nope }}")).await;
    assert_eq!(error.message, "template: data: Unknown filter (requested filter nope)");
}

// S-74
#[tokio::test]
async fn nothing_looks_into_a_secret() {
    for text in [
        "{{ .Secrets.k }}",
        "{{ .Secrets.k.Private }}",
        "{{ .Secrets.gone }}",
        "{{ len .Secrets.k.Private }}",
        "{{ slice (hex .Secrets.k) 0 1 }}",
        "{{ eq (hex .Secrets.k) \"00\" }}",
        "{{ printf \"%x\" .Secrets.k }}",
        "{{ html (raw .Secrets.k) }}",
        "{{ range .Secrets.k.Private }}{{ end }}",
    ] {
        let error = refused("go-template", template(text)).await;
        assert!(error.message.ends_with(INSPECTED), "{text}: {}", error.message);
    }
    for text in
        ["{{ Secrets.k }}", "{{ Secrets.k | size }}", "{{ Secrets.k | hex | slice: 0 }}", "{{ Secrets }}"]
    {
        let error = refused("liquid", template(text)).await;
        assert!(error.message.ends_with(INSPECTED), "{text}: {}", error.message);
    }
}

#[tokio::test]
async fn bytes_that_are_not_unicode_pass_unchanged() {
    for (renderer, tag) in [("go-template", "{{ raw .Secrets.k }}"), ("liquid", "{{ Secrets.k | raw }}")] {
        let text = [&b"\xff\x00"[..], tag.as_bytes(), b"\xfe"].concat();
        let templates = vec![
            Template { text, ..template("") },
            Template { text: b"\xff} }}\x00".to_vec(), ..template("") },
        ];
        let chunks = render(renderer, templates).await.unwrap();
        let place = secret(Scope::Current, "k", Part::Public, Encoding::Raw);
        let around = [Chunk::Text(b"\xff\x00".to_vec()), place, Chunk::Text(b"\xfe".to_vec())];
        assert_eq!(chunks, vec![around.to_vec(), vec![Chunk::Text(b"\xff} }}\x00".to_vec())]], "{renderer}");
    }
}

#[tokio::test]
async fn ten_thousand_secrets_do_not_make_a_small_template_dear() {
    let host = PolicyHost::builtin().unwrap();
    let place = secret(Scope::Current, "s09999", Part::Public, Encoding::Hex);
    for (renderer, text) in
        [("go-template", "{{ hex .Secrets.s09999 }}"), ("liquid", "{{ Secrets.s09999 | hex }}")]
    {
        let chunks = host.render(renderer, context(1), vec![template(text)], catalog(10_000)).await.unwrap();
        assert_eq!(chunks, vec![vec![place.clone()]], "{renderer}");
    }
    // A template that asks for all of them gets all their names.
    let all = template("{{ range $n, $s := .Secrets }}{{ $n }};{{ end }}");
    let chunks = host.render("go-template", context(1), vec![all], catalog(3_000)).await.unwrap();
    let Chunk::Text(text) = &chunks[0][0] else { panic!("{chunks:?}") };
    assert_eq!(text.split(|byte| *byte == b';').count(), 3_004);
}

#[tokio::test]
async fn a_template_that_never_ends_denies_itself_alone() {
    let host = Arc::new(PolicyHost::builtin().unwrap());
    for (renderer, endless, fine) in [
        (
            "go-template",
            "{{ range 1000000 }}{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}{{ end }}",
            "{{ hex .Secrets.k }}",
        ),
        (
            "liquid",
            "{% for a in (1..100000) %}{% for b in (1..100000) %}{% endfor %}{% endfor %}",
            "{{ Secrets.k | hex }}",
        ),
    ] {
        let slow = host.render(renderer, context(1), vec![template(endless)], catalog(0));
        let quick = host.render(renderer, context(1), vec![template(fine)], catalog(0));
        let (slow, quick) = tokio::join!(slow, quick);
        let RenderFailure::Policy(failure) = slow.unwrap_err() else {
            panic!("{renderer}: a template's error")
        };
        assert_eq!(failure.policy, renderer);
        assert_eq!(failure.to_string(), format!("policy \"{renderer}\" could not decide"));
        assert!(failure.reason.contains("out of fuel"), "{}", failure.reason);
        let place = secret(Scope::Current, "k", Part::Public, Encoding::Hex);
        assert_eq!(quick.unwrap(), vec![vec![place]], "{renderer}");
    }
}

#[tokio::test]
async fn recursion_and_deep_nesting_end_in_words_and_not_in_a_trap() {
    let deep =
        |open: &str, close: &str, depth: usize| format!("{}x{}", open.repeat(depth), close.repeat(depth));
    let itself =
        "{{ define \"t\" }}{{ if true }}{{ template \"t\" . }}{{ end }}{{ end }}{{ template \"t\" . }}";
    let error = refused("go-template", template(itself)).await;
    assert!(error.message.ends_with("exceeded maximum template depth (100)"), "{}", error.message);
    for (renderer, open, close) in [
        ("go-template", "{{ if true }}", "{{ end }}"),
        ("go-template", "{{ with 1 }}{{ else with 1 }}", "{{ end }}"),
        ("liquid", "{% if true %}", "{% endif %}"),
        ("liquid", "{% for i in (1..1) %}", "{% endfor %}"),
    ] {
        let error = refused(renderer, template(&deep(open, close, 20_000))).await;
        assert!(error.message.contains("nested more than 64 deep"), "{renderer}: {}", error.message);
    }
    let go = template(&deep("{{ if true }}", "{{ end }}", 64));
    assert_eq!(render("go-template", vec![go]).await.unwrap(), vec![vec![Chunk::Text(b"x".to_vec())]]);
    for (open, close) in [("{% if true %}", "{% endif %}"), ("{% for i in (1..1) %}", "{% endfor %}")] {
        let liquid = template(&deep(open, close, 64));
        assert_eq!(render("liquid", vec![liquid]).await.unwrap(), vec![vec![Chunk::Text(b"x".to_vec())]]);
    }
    let conditions = format!("{{% if true{} %}}x{{% endif %}}", " and true".repeat(64));
    assert_eq!(render("liquid", vec![template(&conditions)]).await.unwrap()[0], [Chunk::Text(b"x".to_vec())]);
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(64), ")".repeat(64));
    assert_eq!(
        render("go-template", vec![template(&parens)]).await.unwrap()[0],
        [Chunk::Text(b"1".to_vec())]
    );
    let index = format!("{{{{ {}'x'{} }}}}", "Secrets[".repeat(65), "]".repeat(65));
    assert!(refused("liquid", template(&index)).await.message.contains("nested more than 64 deep"));
}
