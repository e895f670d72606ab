//! The server: a coordinator in simulation with its sealed store on disk, in a process and a folder of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::rest::{self, Connection};
use super::tls::{Connector, Identity};

/// A start takes well below a second; only a hang reaches this. So does an end.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long to wait between two looks for the addresses: it adds half of that to a measured start.
const POLL: Duration = Duration::from_millis(1);

/// Where it writes its addresses, in its folder.
const ADDRESSES: &str = "addresses.json";

/// Where its log goes.
const LOG: &str = "log";

/// Where its state is.
pub(crate) const STATE: &str = "data";

/// Its binary and where its folder is made. The folder is on a disk and not in memory, so that fsync costs what it does.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) binary: PathBuf,
    /// A folder that exists.
    pub(crate) scratch: PathBuf,
    /// More options of the program.
    pub(crate) options: &'static [&'static str],
}

/// A running server. Dropping it ends the process and removes the folder.
pub(crate) struct Server {
    // Dropped first, so that the process has ended when its folder is removed.
    process: Process,
    rest: SocketAddr,
    mesh: SocketAddr,
    metrics: Option<SocketAddr>,
    folder: TempDir,
}

/// A process that ends with this value.
struct Process(Child);

impl Launch {
    /// Starts one with an empty state and waits until it listens.
    pub(crate) async fn start(&self) -> anyhow::Result<Server> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&self.scratch);
        self.start_in(folder.with_context(|| format!("making a folder in {}", self.scratch.display()))?).await
    }

    /// Starts one with the state that is in `folder`.
    pub(crate) async fn start_in(&self, folder: TempDir) -> anyhow::Result<Server> {
        let mut server = self.spawn_in(folder)?;
        server.listen().await?;
        Ok(server)
    }

    /// The same without waiting: it may not even have read its options.
    pub(crate) fn spawn_in(&self, folder: TempDir) -> anyhow::Result<Server> {
        remove(&folder.path().join(ADDRESSES))?;
        let log = File::create(folder.path().join(LOG)).context("making the log")?;
        let mut command = Command::new(&self.binary);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("EDG_") || name == "OE_SIMULATION") {
                command.env_remove(name);
            }
        }
        command.args(["--simulation", "--client-addr", "127.0.0.1:0", "--mesh-addr", "127.0.0.1:0"]);
        command.args(["--seal-dir", STATE, "--addresses-file", ADDRESSES]).args(self.options);
        let child = command.spawn().with_context(|| format!("starting {}", self.binary.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        // Owned from here on, so that whatever fails later ends it.
        Ok(Server { process: Process(child), rest: nowhere, mesh: nowhere, metrics: None, folder })
    }
}

impl Server {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Where Marbles connect.
    pub(crate) fn mesh(&self) -> SocketAddr {
        self.mesh
    }

    /// Connections to its REST port.
    pub(crate) fn rest(&self, identity: Option<&Identity>) -> anyhow::Result<Connector> {
        Connector::new(self.rest, rest::PROTOCOL, identity)
    }

    /// Asks for its state once.
    pub(crate) async fn ask_status(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.rest(None)?).await?;
        connection.send(Method::GET, rest::STATUS, Bytes::new()).await.map(drop)
    }

    /// Sets a manifest.
    pub(crate) async fn set_manifest(&self, manifest: &Value) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.rest(None)?).await?;
        let body = Bytes::from(manifest.to_string());
        connection.send(Method::POST, rest::MANIFEST, body).await.context("setting the manifest").map(drop)
    }

    /// Where it is asked for its metrics, with the option for that.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Ends it in order and gives its folder with its state.
    pub(crate) async fn end(mut self) -> anyhow::Result<TempDir> {
        let asked = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        ensure!(asked.context("running kill")?.success(), "the server could not be asked to end");
        let asked = Instant::now();
        while self.process.0.try_wait()?.is_none() {
            ensure!(asked.elapsed() < START_LIMIT, "the server did not end");
            tokio::time::sleep(POLL).await;
        }
        Ok(self.folder)
    }

    /// Ends it at once, wherever it is, and gives its folder. An error if it had ended by itself.
    pub(crate) fn kill(mut self) -> anyhow::Result<TempDir> {
        if let Some(status) = self.process.0.try_wait()? {
            bail!("the server ended with {status}: {}", self.log());
        }
        self.process.0.kill().context("killing the server")?;
        self.process.0.wait().context("waiting for the server's end")?;
        Ok(self.folder)
    }

    /// Waits until it listens.
    pub(crate) async fn listen(&mut self) -> anyhow::Result<()> {
        let file = self.folder.path().join(ADDRESSES);
        let started = Instant::now();
        while !file.exists() {
            if let Some(status) = self.process.0.try_wait()? {
                bail!("the server ended with {status}: {}", self.log());
            }
            ensure!(started.elapsed() < START_LIMIT, "the server did not start: {}", self.log());
            tokio::time::sleep(POLL).await;
        }
        let value: Value = serde_json::from_slice(&fs::read(&file)?).context("reading its addresses")?;
        (self.rest, self.mesh) = (address(&value, "rest")?, address(&value, "mesh")?);
        self.metrics = address(&value, "metrics").ok();
        Ok(())
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn address(value: &Value, name: &str) -> anyhow::Result<SocketAddr> {
    let text = value.get(name).and_then(Value::as_str).with_context(|| format!("no address of {name}"))?;
    text.parse().with_context(|| format!("{text:?} is no address"))
}
