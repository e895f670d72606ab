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

/// Its binary and where its folder is made. The folder is on a disk and not in memory, so that fsync costs what it does.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) binary: PathBuf,
    /// A folder that exists.
    pub(crate) scratch: PathBuf,
}

/// A running server. Dropping it ends the process and removes the folder.
pub(crate) struct Server {
    // Dropped first, so that the process has ended when its folder is removed.
    process: Process,
    rest: SocketAddr,
    mesh: SocketAddr,
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
        let addresses = folder.path().join("addresses.json");
        let log = File::create(folder.path().join("log")).context("making the log")?;
        let mut command = Command::new(&self.binary);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("EDG_") || name == "OE_SIMULATION") {
                command.env_remove(name);
            }
        }
        command.args(["--simulation", "--client-addr", "127.0.0.1:0", "--mesh-addr", "127.0.0.1:0"]);
        command.args(["--seal-dir", "data", "--addresses-file", "addresses.json"]);
        let child = command.spawn().with_context(|| format!("starting {}", self.binary.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        // Owned from here on, so that whatever fails below ends it.
        let mut server = Server { process: Process(child), rest: nowhere, mesh: nowhere, folder };
        server.wait_for(&addresses).await?;
        let value: Value = serde_json::from_slice(&fs::read(&addresses)?).context("reading its addresses")?;
        (server.rest, server.mesh) = (address(&value, "rest")?, address(&value, "mesh")?);
        Ok(server)
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

    /// Ends it in order and gives its folder with its state.
    pub(crate) async fn end(mut self) -> anyhow::Result<TempDir> {
        let asked = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        ensure!(asked.context("running kill")?.success(), "the server could not be asked to end");
        let asked = Instant::now();
        while self.process.0.try_wait()?.is_none() {
            ensure!(asked.elapsed() < START_LIMIT, "the server did not end");
            tokio::time::sleep(POLL).await;
        }
        fs::remove_file(self.folder.path().join("addresses.json")).context("removing its addresses")?;
        Ok(self.folder)
    }

    async fn wait_for(&mut self, file: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        while !file.exists() {
            if let Some(status) = self.process.0.try_wait()? {
                bail!("the server ended with {status}: {}", self.log());
            }
            ensure!(started.elapsed() < START_LIMIT, "the server did not start: {}", self.log());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn address(value: &Value, name: &str) -> anyhow::Result<SocketAddr> {
    let text = value.get(name).and_then(Value::as_str).with_context(|| format!("no address of {name}"))?;
    text.parse().with_context(|| format!("{text:?} is no address"))
}
