//! Why a template does not render.

/// An error in a template. `Display` is the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// From 1; 0 where the renderer does not know.
    pub line: u32,
    /// From 0; 0 where only the line is known.
    pub column: u32,
    /// `template: data: ...`, with the place where it is known.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
