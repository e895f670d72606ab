//! The contract policy of the world `secret-rendering`: shows the template and what is known of every secret, then every
//! part in every encoding, or why not. The word `plain` refuses with a place and a hint.

use carrara_contract::{BROKE, Word, check, context, fail, hex, list, log_lines, text, word};
use carrara_policy::rendering::{
    AccessError, Chunk, Encoding, Part, RenderError, Scope, SecretInfo, Secrets, Target, Template,
};

fn render(template: &Template, secrets: &Secrets) -> Result<Vec<Chunk>, RenderError> {
    match word(&template.context).map_err(RenderError::policy_error)? {
        Word::Echo => Ok(echo(template, secrets)),
        Word::Plain => Err(RenderError::new("plain").at(3, 4).hint("hint")),
        Word::Log => {
            log_lines();
            Ok(vec![Chunk::Text(template.text.clone())])
        }
        Word::Fail => fail(),
        Word::Error => Err(RenderError::policy_error(BROKE)),
        _ => Ok(Vec::new()),
    }
}

fn echo(template: &Template, secrets: &Secrets) -> Vec<Chunk> {
    let target = match template.target {
        Target::File => "file",
        Target::Env => "env",
    };
    let (context, name) = (context(&template.context), text(&template.name));
    let mut chunks = vec![Chunk::from(format!("{context} {name} {target} {}", hex(&template.text)))];
    for (scope, shown) in
        [(Scope::Current, "current"), (Scope::Previous, "previous"), (Scope::Reserved, "reserved")]
    {
        chunks.push(Chunk::from(format!("\n{shown}")));
        for name in secrets.names(scope) {
            match secrets.lookup(scope, &name) {
                Ok(secret) => {
                    chunks.push(Chunk::from(format!(" {}", info(&secret.info()))));
                    for (part, encoding) in places() {
                        chunks.push(match secret.encode(part, encoding) {
                            Ok(fragment) => Chunk::Secret(fragment),
                            Err(error) => Chunk::from(refused(&error)),
                        });
                    }
                }
                Err(error) => chunks.push(Chunk::from(refused(&error))),
            }
        }
        let absent = secrets.lookup(scope, "absent").err();
        chunks.push(Chunk::from(absent.as_ref().map_or_else(|| "(there)".to_owned(), refused)));
    }
    chunks
}

fn places() -> impl Iterator<Item = (Part, Encoding)> {
    let encodings = [Encoding::Raw, Encoding::Hex, Encoding::Base64, Encoding::Pem, Encoding::Text];
    let parts = [Part::Whole, Part::Public, Part::Private, Part::Certificate];
    parts.into_iter().flat_map(move |part| encodings.map(|encoding| (part, encoding)))
}

fn info(info: &SecretInfo) -> String {
    let parts = list(&info.parts, |part| part.name().to_owned());
    let (shared, user_defined) = (info.shared, info.user_defined);
    let (name, kind) = (text(&info.name), text(&info.kind));
    format!("{name} {kind} {} {shared} {user_defined} {} {parts}", info.size, info.valid_for)
}

fn refused(error: &AccessError) -> String {
    let variant = match error {
        AccessError::NoSuchSecret => "no-such-secret",
        AccessError::NoSuchPart => "no-such-part",
        AccessError::Empty => "empty",
        AccessError::WrongKind(_) => "wrong-kind",
    };
    format!("({variant})")
}

carrara_policy::renderer!(render, check);
