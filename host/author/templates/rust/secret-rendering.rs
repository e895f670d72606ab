//! Asked for each templated file and environment variable: where do secrets go?

use carrara_policy::rendering::{Chunk, Encoding, Part, RenderError, Scope, Secrets, Template};

/// `${NAME}` is the secret NAME in base64.
fn render(template: &Template, secrets: &Secrets) -> Result<Vec<Chunk>, RenderError> {
    let text = std::str::from_utf8(&template.text).map_err(|_| RenderError::new("the template is no UTF-8"))?;
    let mut chunks = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let place = text.len() - rest.len() + before.len();
        let at = |message: String| RenderError::new(message).at(line(text, place), 0);
        let (name, after) = after.split_once('}').ok_or_else(|| at("${ without }".to_owned()))?;
        let secret = secrets.lookup(Scope::Current, name).map_err(|error| at(format!("{name}: {error}")))?;
        // edit here: how a secret is written
        let encoded = secret.encode(Part::Whole, Encoding::Base64).map_err(|error| at(format!("{name}: {error}")))?;
        chunks.extend([Chunk::from(before), Chunk::Secret(encoded)]);
        rest = after;
    }
    chunks.push(Chunk::from(rest));
    Ok(chunks)
}

/// The line of a place in a text, from 1.
fn line(text: &str, place: usize) -> u32 {
    let breaks = text.bytes().take(place).filter(|byte| *byte == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
}

carrara_policy::renderer!(render);

#[cfg(test)]
mod tests {
    use carrara_policy::testing::{plain_secret, shown};

    use super::*;

    #[test]
    fn a_secret_goes_where_its_name_stands() {
        let secrets = Secrets::of([plain_secret("token")]);
        let chunks = render(&Template::file("/etc/app", "key=${token}\n"), &secrets).unwrap();
        assert_eq!(shown(&chunks), "key=<secret:token:whole:base64>\n");
        assert_eq!(render(&Template::file("/etc/app", "\n${x}"), &secrets).unwrap_err().line, 2);
    }
}
