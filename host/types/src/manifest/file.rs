//! Files and environment variables of a Marble (M-11..M-16).

/// A file's or variable's content as the manifest declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Decoded per `encoding` (M-13); templates are evaluated on this.
    pub data: Vec<u8>,
    /// How the manifest wrote it.
    pub encoding: FileEncoding,
    /// Passed through unchanged (M-15).
    pub no_templates: bool,
    /// `Renderer`: the secret-rendering policy; `None` = `go-template`.
    pub renderer: Option<String>,
}

/// How the manifest writes `Data`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileEncoding {
    /// As it stands.
    #[default]
    String,
    /// Standard base64, padded.
    Base64,
    /// Hex.
    Hex,
}
