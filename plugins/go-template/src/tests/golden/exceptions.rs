//! Where the language differs from Go's, each with its reason. The decision record `0004-own-go-template-engine.md` lists
//! the same.

use crate::value::INSPECTED;

/// A difference.
pub(super) struct Exception {
    /// Why it is there.
    pub(super) reason: &'static str,
    /// Whether the difference between Go's answer and ours is this one.
    pub(super) applies: fn(template: &str, go: &str, ours: &str) -> bool,
}

/// Why the answers differ; nothing where they do not or no exception is listed.
pub(super) fn reason(template: &str, go: &str, ours: &str) -> Option<&'static str> {
    let found = EXCEPTIONS.iter().find(|exception| go != ours && (exception.applies)(template, go, ours));
    found.map(|exception| exception.reason)
}

pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "secrets, what leads to them and what is missing cannot be inspected (S-74): Go prints their bytes, \
                 `<no value>` or another error",
        applies: |template, _, ours| ours.ends_with(INSPECTED) && names_secrets_or_nothing(template),
    },
    Exception {
        reason: "a bare certificate secret is its certificate for `pem`, as users write it",
        applies: |template, go, _| {
            template == "{{pem .Secrets.c}}" && go.ends_with("invalid secret type for pem encoding")
        },
    },
    Exception {
        reason: "a certificate that is not set is false: in Go a struct is always true",
        applies: |template, _, _| template == "{{if .Secrets.k.Cert}}y{{else}}n{{end}}",
    },
    Exception {
        reason: "`index` gives nothing for a secret that does not exist (S-73): Go gives an empty secret",
        applies: |template, _, ours| {
            template.contains("(index .Secrets \"")
                && (ours.ends_with("secret does not exist") || ours.ends_with("index of untyped nil"))
        },
    },
    Exception {
        reason: "templates nest 100 deep and not 100000: a guest's stack is small",
        applies: |_, go, ours| go.replace("depth (100000)", "depth (100)") == ours,
    },
    Exception {
        reason: "there are no complex numbers",
        applies: |template, go, ours| {
            template.ends_with("i}}") && go.ends_with("i)") && ours.contains("bad number syntax")
        },
    },
    Exception {
        reason: "there is no `call`: no data is a function",
        applies: |template, _, ours| {
            template.contains("call") && ours == "template: data:1: function \"call\" not defined"
        },
    },
    Exception {
        reason: "`%b`, `%x` and `%X` do not take floats",
        applies: |template, _, ours| template.contains("printf") && ours.contains("(float64="),
    },
    Exception {
        reason: "sizes and the bytes of a string are of type int: Go names uint and uint8",
        applies: |_, go, ours| go.replace("uint8", "int").replace("uint", "int") == ours,
    },
    Exception {
        reason: "Go's text for the length of nil is that of a failed reflection",
        applies: |template, go, _| template == "{{len nil}}" && go.contains("zero Value"),
    },
];

/// Whether a template has data or nil in it; plain literals are never refused.
fn names_secrets_or_nothing(template: &str) -> bool {
    template.contains('.') || template.contains("nil")
}
