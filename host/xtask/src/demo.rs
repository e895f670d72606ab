//! `cargo xtask demo`: the main job, in simulation, on real processes, sockets and files.
//!
//! Everything happens in `target/quickstart`. Each step runs the commands that a user would type and checks what they
//! say; a step that does not behave ends the demo with an error. Ends every process that it started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{cargo, guests, test};

/// A start takes well below a second; only a hang reaches this.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long to wait between two looks for a file.
const POLL: Duration = Duration::from_millis(20);

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the coordinator and the site running and print how to talk to them
    #[arg(long)]
    keep: bool,
}

/// Where the demo works and what it knows.
struct Stage {
    folder: PathBuf,
    binaries: PathBuf,
    rest: String,
    mesh: String,
}

/// Runs the demo.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = guests::workspace();
    build(&root)?;
    let folder = root.join("target/quickstart");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("emptying {}", folder.display()));
        }
        _ => fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?,
    }
    let mut stage =
        Stage { folder, binaries: root.join("target/debug"), rest: String::new(), mesh: String::new() };
    let mut processes = Processes(Vec::new());
    play(&mut stage, &root, &mut processes)?;
    if arguments.keep {
        tell_how_to_talk(&stage, &processes);
        processes.0.clear();
    } else {
        println!("\nDone. Everything that was started has ended; the files are in target/quickstart.");
    }
    Ok(())
}

/// The whole story.
fn play(stage: &mut Stage, root: &Path, processes: &mut Processes) -> anyhow::Result<()> {
    step("A coordinator starts in simulation, with the sealed store in target/quickstart/data.");
    start_coordinator(stage, processes)?;
    said(&stage.carrara(&["--insecure", "status", &stage.rest])?);

    step(
        "Alice and Bob get keys, and the manifest is set: two Marble types, four secrets, two users, two roles.",
    );
    stage.carrara(&["keygen", "user", "alice"])?;
    stage.carrara(&["keygen", "user", "bob"])?;
    write_manifest(stage, root)?;
    said(&stage.carrara(&["--insecure", "manifest", "set", "manifest.json", &stage.rest])?);
    said(&stage.carrara(&["--insecure", "status", &stage.rest])?);

    step("The site activates: its configuration file holds a secret that a WebAssembly renderer placed.");
    start_site(stage, processes)?;
    let config = fs::read_to_string(stage.folder.join("site/site.conf"))
        .context("reading the site's configuration")?;
    said(&config);

    step(
        "A visitor activates and fetches the site's page over mutual TLS, with the certificates of their activations.",
    );
    let page = stage.visit()?;
    ensure!(page.status.success(), "the visitor failed: {}", text(&page.stderr));
    said(&text(&page.stdout));

    step("A stranger with a certificate of its own is refused by the site.");
    let stranger = stage.command("quickstart-visitor").args(["--stranger", "site.address"]).output()?;
    said(&refused("the stranger", &stranger)?);

    step("Alice reads the same secret; it is in the page.");
    let file = "site_token.json";
    let read =
        ["--insecure", "secret", "get", "site_token", &stage.rest, "-c", "alice.crt", "-k", "alice.key"];
    said(&stage.carrara(&[&read[..], &["-o", file]].concat())?);
    check_secret(stage, file, &config)?;

    step("Bob may not: his role is about packages. The policy `rbac` says so.");
    let bob = ["--insecure", "secret", "get", "site_token", &stage.rest, "-c", "bob.crt", "-k", "bob.key"];
    said(&refused("Bob", &stage.command("carrara").args(bob).output()?)?);

    step("A second visitor is the last that MaxActivations allows; the third is refused.");
    ensure!(stage.visit()?.status.success(), "the second visitor failed");
    said(&refused("the third visitor", &stage.visit()?)?);

    step("The coordinator is killed with -9 and started again: it finds everything in its sealed store.");
    restart_coordinator(stage, processes)?;
    said(&stage.carrara(&["--insecure", "status", &stage.rest])?);
    said(&refused("the third visitor, again", &stage.visit()?)?);
    said(&stage.carrara(&["--insecure", "manifest", "log", &stage.rest])?);
    Ok(())
}

fn build(root: &Path) -> anyhow::Result<()> {
    guests::run(&guests::Arguments::default())?;
    println!("building the binaries (the first time takes some minutes) ...");
    cargo::build(root, &["--workspace", "--bins", "--features", test::FEATURES])
}

fn start_coordinator(stage: &mut Stage, processes: &mut Processes) -> anyhow::Result<()> {
    let addresses = stage.folder.join("addresses.json");
    let log = fs::File::create(stage.folder.join("coordinator.log")).context("making the log")?;
    let mut command = stage.command("carrara-coordinator");
    command.args(["--simulation", "--seal-dir", "data", "--addresses-file", "addresses.json"]);
    command.args(["--client-addr", "127.0.0.1:0", "--mesh-addr", "127.0.0.1:0"]);
    let child =
        command.stdout(Stdio::null()).stderr(log).stdin(Stdio::null()).spawn().context("starting it")?;
    processes.0.push(child);
    wait_for(&addresses, processes)?;
    let value: Value = serde_json::from_slice(&fs::read(&addresses)?).context("reading the addresses")?;
    let address = |name: &str| {
        value.get(name).and_then(Value::as_str).map(str::to_owned).context("the addresses are incomplete")
    };
    (stage.rest, stage.mesh) = (address("rest")?, address("mesh")?);
    fs::write(stage.folder.join("rest"), &stage.rest).context("writing the address")
}

/// The coordinator is the first process; the site goes on beside it.
fn restart_coordinator(stage: &mut Stage, processes: &mut Processes) -> anyhow::Result<()> {
    drop(Processes(processes.0.drain(..1).collect()));
    fs::remove_file(stage.folder.join("addresses.json")).context("removing the old addresses")?;
    start_coordinator(stage, processes)
}

/// Fills the users' certificates into the example's manifest.
fn write_manifest(stage: &Stage, root: &Path) -> anyhow::Result<()> {
    let path = root.join("examples/quickstart/manifest.json");
    let mut manifest = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    for file in ["alice.crt", "bob.crt"] {
        let pem = fs::read_to_string(stage.folder.join(file)).with_context(|| format!("reading {file}"))?;
        manifest = manifest.replace(&format!("\"@{file}@\""), &Value::from(pem).to_string());
    }
    fs::write(stage.folder.join("manifest.json"), manifest).context("writing the manifest")
}

fn start_site(stage: &Stage, processes: &mut Processes) -> anyhow::Result<()> {
    for name in ["quickstart-site", "quickstart-visitor"] {
        fs::copy(stage.binaries.join(name), stage.folder.join(name))
            .with_context(|| format!("copying {name}"))?;
    }
    let address = stage.folder.join("site.address");
    let mut command = stage.premain("site")?;
    command.env("QUICKSTART_ADDRESS_FILE", &address);
    let log = fs::File::create(stage.folder.join("site.log")).context("making the site's log")?;
    processes.0.push(command.stderr(log).spawn().context("starting the site")?);
    wait_for(&address, processes)
}

/// The secret that Alice read must be the one in the page.
fn check_secret(stage: &Stage, file: &str, config: &str) -> anyhow::Result<()> {
    let read: Value =
        serde_json::from_slice(&fs::read(stage.folder.join(file))?).context("reading Alice's secret")?;
    let private = read
        .pointer("/site_token/Private")
        .and_then(Value::as_str)
        .context("Alice's answer holds no secret")?;
    let mut decode = Command::new("openssl");
    decode.args(["base64", "-d", "-A"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let bytes = pipe(&mut decode, private.as_bytes())?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(config.contains(&hex), "Alice's secret is not the one in the page");
    println!("    the page's token is Alice's secret");
    Ok(())
}

fn pipe(command: &mut Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    use std::io::Write as _;
    let mut child = command.spawn().context("starting openssl")?;
    child.stdin.take().context("no standard input")?.write_all(input)?;
    Ok(child.wait_with_output()?.stdout)
}

impl Stage {
    fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(self.binaries.join(binary));
        command
            .current_dir(&self.folder)
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("EDG_") || name == "OE_SIMULATION" || name == "RUST_BACKTRACE" {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs the command-line tool, which must succeed, and gives what it printed.
    fn carrara(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command("carrara").args(arguments).output().context("starting carrara")?;
        ensure!(
            output.status.success(),
            "`carrara {}` failed: {}",
            arguments.join(" "),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// `carrara-premain` for a Marble type, in a folder of that name.
    fn premain(&self, marble_type: &str) -> anyhow::Result<Command> {
        let folder = self.folder.join(marble_type);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut command = self.command("carrara-premain");
        command
            .current_dir(folder)
            .env("EDG_MARBLE_COORDINATOR_ADDR", &self.mesh)
            .env("EDG_MARBLE_TYPE", marble_type);
        Ok(command)
    }

    fn visit(&self) -> anyhow::Result<Output> {
        self.premain("visitor")?.output().context("starting the visitor")
    }
}

/// Children that are killed (with SIGKILL) and waited for when this is dropped.
struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until a process has written the file.
fn wait_for(file: &Path, processes: &mut Processes) -> anyhow::Result<()> {
    let started = Instant::now();
    while !file.exists() {
        if let Some(child) = processes.0.last_mut()
            && let Some(status) = child.try_wait()?
        {
            bail!("it ended with {status}; see the logs in target/quickstart");
        }
        ensure!(started.elapsed() < START_LIMIT, "it did not start; see the logs in target/quickstart");
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// What a refused command said.
fn refused(who: &str, output: &Output) -> anyhow::Result<String> {
    ensure!(!output.status.success(), "{who} was not refused");
    let said = text(&output.stderr);
    // The line that ends it; what comes before is the log of a normal start.
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

fn step(title: &str) {
    println!("\n* {title}");
}

fn said(text: &str) {
    for line in text.lines().filter(|line| !line.is_empty()) {
        println!("    {line}");
    }
}

fn tell_how_to_talk(stage: &Stage, processes: &Processes) {
    let ids: Vec<String> = processes.0.iter().map(|child| child.id().to_string()).collect();
    println!(
        "\nThe coordinator (REST {}, Marbles {}) and the site go on. In target/quickstart:",
        stage.rest, stage.mesh
    );
    println!("    ../debug/carrara --insecure status $(cat rest)");
    println!("    ../debug/carrara --insecure manifest get $(cat rest)");
    println!("    ../debug/carrara --insecure secret get site_token $(cat rest) -c alice.crt -k alice.key");
    println!("    curl --insecure https://$(cat rest)/api/v2/status");
    println!("To end them: kill {}", ids.join(" "));
}
