//! The built-in renderer `go-template`: Go's text/template over secrets that it never sees.
//!
//! A template says where a secret goes and how it is written; the result is text and places, and the host puts the
//! bytes in after this has ended. So nothing here can print, compare or measure a secret, and whatever would is refused
//! with a text that says what to use. The language and the texts of errors are Go's.
//!
//! [`render`] is plain Rust, tested natively; the glue to `wit/` is compiled for WebAssembly only.

mod ast;
mod exec;
mod failure;
mod functions;
#[cfg(target_arch = "wasm32")]
mod guest;
mod lex;
mod parse;
mod print;
mod text;
mod value;

pub use carrara_plugin_support::Failure;

use carrara_plugin_support::secrets::Secrets;
use carrara_types::decision::{Chunk, Target};

/// Renders one template. Data without `{{` is returned as it is, and no secret is asked for.
pub fn render(text: &[u8], target: Target, secrets: &dyn Secrets) -> Result<Vec<Chunk>, Failure> {
    if !text.windows(2).any(|pair| matches!(pair, b"{{")) {
        return Ok(if text.is_empty() { Vec::new() } else { vec![Chunk::Text(text.to_vec())] });
    }
    let function = match target {
        Target::File => functions::file_function,
        Target::Env => functions::env_function,
    };
    let trees = parse::parse(text, function)?;
    exec::execute(text, &trees, secrets)
}

#[cfg(test)]
mod tests;
