//! `backup HOST -o FILE`: a sealed copy of the coordinator's state, verified before it gets its name.

use std::io::{BufReader, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use carrara_client::Address;
use clap::Args;
use serde_json::json;

use crate::archive;
use crate::args::{Globals, User};
use crate::commands::refusal::explain;
use crate::files::Place;
use crate::output::{Output, remark};
use crate::session::Session;

/// Most backups take less.
const PAUSE: Duration = Duration::from_secs(2);

/// Save a sealed copy of the coordinator's state while it runs
///
/// For users with the action Backup on a role of type Manifest. The copy is of one revision and holds no secret in the clear:
/// it takes the coordinator's TEE on the same machine, or the recovery keys, to open it. `carrara restore` puts it back.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: User,
    /// Where it is saved
    #[arg(short = 'o', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(globals: &Globals, command: &Backup, output: &mut Output) -> Result<()> {
    let path = command.file.as_path();
    if !command.force && std::fs::symlink_metadata(path).is_ok() {
        bail!("{} exists already; name another file, or overwrite it with --force", path.display());
    }
    let client = Session::new(globals, &command.host).user_client(&command.user)?;
    let mut place = Place::reserve(path)?;
    let mut progress = Progress::default();
    let sink = |piece: &[u8], length: Option<u64>| {
        progress.add(piece.len() as u64, length);
        place.file().write_all(piece)
    };
    let received = client.backup(sink).await;
    received.map_err(|error| explain(error, &format!("saving a backup to {}", path.display()), &client))?;
    let written =
        place.written().with_context(|| format!("reading back what was saved to {}", path.display()))?;
    let copy = archive::read(BufReader::new(written), |_| Ok(Box::new(std::io::sink())))
        .with_context(|| format!("the backup was not saved to {}", path.display()))?;
    place.keep(command.force)?;
    let (bytes, state) = (progress.received, hex::encode(copy.state_id));
    output.line(&format!(
        "Saved {bytes} bytes to {}: revision {} of the state {state}",
        path.display(),
        copy.revision
    ))?;
    output.result(&json!({ "file": path, "bytes": bytes, "revision": copy.revision, "state": state }))
}

/// Tells who watches a terminal how far a long backup is.
#[derive(Default)]
struct Progress {
    received: u64,
    told: Option<Instant>,
}

impl Progress {
    fn add(&mut self, bytes: u64, length: Option<u64>) {
        self.received += bytes;
        #[allow(clippy::disallowed_methods, reason = "shown to a person, and nothing else")]
        let told = self.told.get_or_insert_with(Instant::now);
        if told.elapsed() >= PAUSE && std::io::stderr().is_terminal() {
            self.told = None;
            let of = length.map(|length| format!(" of {}", length >> 20)).unwrap_or_default();
            remark(&format!("saving the backup: {}{of} MiB so far", self.received >> 20));
        }
    }
}
