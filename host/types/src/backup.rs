//! What a backup of the sealed state is: an uncompressed tar archive of four files, in this order. The coordinator writes
//! it, the command-line tool reads it; host/docs/backup.md describes it for everybody else.

/// The first file: see [`Description`].
pub const DESCRIPTION: &str = "BACKUP";
/// The wrapped data key.
pub const KEY: &str = "sealed_key";
/// The state, a whole redb file.
pub const STATE: &str = "state.redb";
/// The last file: the SHA-256 of each other one, as `sha256sum` writes and checks them. An archive without it was cut off.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// All files, in order.
pub const FILES: [&str; 4] = [DESCRIPTION, KEY, STATE, CHECKSUMS];

/// What no file but the state is longer than.
pub const SMALL_FILE_BYTES: u64 = 64 << 10;

/// The format's number. A higher one is refused.
const FORMAT: u32 = 1;

/// What a backup is of. It is clear and not authenticated: for people, and to refuse what a later version wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Chosen when the state was made.
    pub state_id: [u8; 16],
    /// The commit that the copy is of.
    pub revision: u64,
}

/// Why a description does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// Written by a later version.
    #[error(
        "this backup has a format that this version does not know; use the version that wrote it, or a newer one"
    )]
    Newer,
    /// None of ours.
    #[error("this is no backup of a coordinator, or it is damaged")]
    Malformed,
}

impl Description {
    /// Three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("carrara backup {FORMAT}\nstate {}\nrevision {}\n", hex::encode(self.state_id), self.revision)
    }

    /// Reads what [`Description::text`] writes.
    ///
    /// # Errors
    /// See [`DescriptionError`].
    pub fn read(text: &[u8]) -> Result<Self, DescriptionError> {
        let text = std::str::from_utf8(text).map_err(|_| DescriptionError::Malformed)?;
        let (first, rest) = text.split_once('\n').ok_or(DescriptionError::Malformed)?;
        let format = first.strip_prefix("carrara backup ").and_then(|format| format.parse::<u32>().ok());
        if format.ok_or(DescriptionError::Malformed)? > FORMAT {
            return Err(DescriptionError::Newer);
        }
        let mut lines = rest.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let read = field("state").and_then(|id| {
            let mut state_id = [0; 16];
            hex::decode_to_slice(id, &mut state_id).ok()?;
            Some(Self { state_id, revision: field("revision")?.parse().ok()? })
        });
        read.filter(|read| read.text() == text).ok_or(DescriptionError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A golden: backups that were made once are restored for ever.
    #[test]
    fn the_form_of_a_description_never_changes() {
        let description = Description { state_id: [0xab; 16], revision: 17 };
        let text = format!("carrara backup 1\nstate {}\nrevision 17\n", "ab".repeat(16));
        assert_eq!(description.text(), text);
        assert_eq!(Description::read(text.as_bytes()), Ok(description));
        assert_eq!(FILES, ["BACKUP", "sealed_key", "state.redb", "SHA256SUMS"]);
    }

    #[test]
    fn a_later_format_is_told_from_nonsense() {
        let later = b"carrara backup 2\nwhatever";
        assert_eq!(Description::read(later), Err(DescriptionError::Newer));
        let good = Description { state_id: [1; 16], revision: 2 }.text();
        for bad in
            ["", "carrara backup\n", "carrara backup x\n", &good[..good.len() - 1], &format!("{good}x")]
        {
            assert_eq!(Description::read(bad.as_bytes()), Err(DescriptionError::Malformed), "{bad:?}");
        }
        assert_eq!(Description::read(&[0xff, b'\n']), Err(DescriptionError::Malformed));
    }
}
