//! A coordinator process: started on free ports in a folder of its own, ended with the test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::{binary, secrets};

/// Longer than any start on a busy machine; only a hang reaches it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The coordinator that is tested, where it is not the one beside the other programs.
const PROGRAM: &str = "CARRARA_COORDINATOR";

/// How many bytes of address space it gets; as many as it likes unless this is set.
const ADDRESS_SPACE: &str = "CARRARA_LIMIT_AS";

/// That it gets no executable memory but what is mapped so from a file.
const NOT_EXECUTABLE: &str = "CARRARA_NO_EXECUTABLE_MEMORY";

/// The command that starts a program so; `cargo xtask test --interpreted` uses the script, too.
fn without_executable_memory() -> [String; 2] {
    let script = crate::root().join("tests/src/without_executable_memory.py");
    ["python3".to_owned(), script.display().to_string()]
}

/// What to start.
#[derive(Debug)]
pub struct Launch {
    folder: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    simulation: bool,
    wrapper: Vec<String>,
    executable_memory: bool,
    program: PathBuf,
    address_space: Option<String>,
}

impl Default for Launch {
    fn default() -> Self {
        Self::new()
    }
}

impl Launch {
    /// A coordinator in simulation in an empty folder, on free ports.
    ///
    /// # Panics
    /// If no folder can be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = Arc::new(TempDir::new().expect("making a temporary folder"));
        Self {
            folder,
            arguments: Vec::new(),
            environment: Vec::new(),
            simulation: true,
            wrapper: Vec::new(),
            executable_memory: std::env::var_os(NOT_EXECUTABLE).is_none(),
            program: std::env::var_os(PROGRAM).map_or_else(|| binary("carrara-coordinator"), PathBuf::from),
            address_space: std::env::var(ADDRESS_SPACE).ok(),
        }
    }

    /// Adds a command line argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it by a command that becomes it, such as `prlimit --nofile=64`.
    #[must_use]
    pub fn through(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Another coordinator than the one beside the test's other programs, with so many bytes of address space, which may be executable.
    #[must_use]
    pub fn enclave(mut self, program: &Path, address_space: u64) -> Self {
        self.program = program.to_owned();
        self.executable_memory = true;
        self.address_space = Some(address_space.to_string());
        self
    }

    /// Where the kernel lets no memory become executable; [`executable_memory_can_be_forbidden`] says whether it can do so.
    #[must_use]
    pub fn without_executable_memory(mut self) -> Self {
        self.executable_memory = false;
        self
    }

    /// Leaves `--simulation` out.
    #[must_use]
    pub fn without_simulation(mut self) -> Self {
        self.simulation = false;
        self
    }

    /// The seal directory.
    #[must_use]
    pub fn seal_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// With its log, if it ends or does not listen in time.
    #[must_use]
    pub fn start(&self) -> Coordinator {
        self.try_start().unwrap_or_else(|log| panic!("the coordinator did not start:\n{log}"))
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Its log, if it ends instead.
    ///
    /// # Panics
    /// If it neither listens nor ends in time.
    pub fn try_start(&self) -> Result<Coordinator, String> {
        let addresses = self.folder.path().join("addresses.json");
        let _ = std::fs::remove_file(&addresses);
        let mut child = self.command().stderr(Stdio::piped()).spawn().expect("starting the coordinator");
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("its standard error is a pipe");
        let (lines, reader) = collect(stderr, Arc::clone(&log));
        while !addresses.exists() {
            if let Err(silence) = lines.recv_timeout(START_LIMIT) {
                let _ = child.kill();
                let _ = child.wait();
                let log = log.lock().expect("the log is readable").join("\n");
                assert!(silence == RecvTimeoutError::Disconnected, "the coordinator hangs:\n{log}");
                return Err(log);
            }
        }
        let text = std::fs::read_to_string(&addresses).expect("reading the addresses");
        let value: serde_json::Value = serde_json::from_str(&text).expect("the addresses are JSON");
        let address = |name: &str| loopback(value[name].as_str().expect("an address is a string"));
        Ok(Coordinator {
            rest: address("rest"),
            mesh: address("mesh"),
            child,
            log,
            lines: Mutex::new(lines),
            reader: Some(reader),
            folder: Arc::clone(&self.folder),
        })
    }

    /// Starts it and waits until it ends by itself: for starts that must be refused.
    ///
    /// # Panics
    /// If it cannot be started, or goes on.
    #[must_use]
    pub fn start_and_end(&self) -> Output {
        let mut child = self.command().stderr(Stdio::piped()).spawn().expect("starting the coordinator");
        let mut log = child.stderr.take().expect("the log");
        let (ended, end) = channel();
        std::thread::spawn(move || {
            let mut stderr = Vec::new();
            // The log ends with the process.
            let read = log.read_to_end(&mut stderr);
            let _ = ended.send(read.map(|_| stderr));
        });
        let Ok(stderr) = end.recv_timeout(START_LIMIT) else {
            child.kill().expect("ending the coordinator");
            panic!("the coordinator serves, but was expected to end");
        };
        let status = child.wait().expect("the coordinator's end");
        let stderr = stderr.expect("reading the log");
        secrets::assert_untold("the coordinator's log", &String::from_utf8_lossy(&stderr));
        Output { status, stdout: Vec::new(), stderr }
    }

    fn command(&self) -> Command {
        let limit =
            self.address_space.iter().flat_map(|bytes| ["prlimit".to_owned(), format!("--as={bytes}")]);
        let not_executable = without_executable_memory().into_iter().filter(|_| !self.executable_memory);
        // Last, because a wrapper may need what it forbids.
        let mut words = limit.chain(self.wrapper.iter().cloned()).chain(not_executable);
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command
            .env("EDG_COORDINATOR_CLIENT_ADDR", "127.0.0.1:0")
            .env("EDG_COORDINATOR_MESH_ADDR", "127.0.0.1:0");
        command.env("EDG_COORDINATOR_SEAL_DIR", self.seal_dir());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--addresses-file").arg(self.folder.path().join("addresses.json"));
        if self.simulation {
            command.arg("--simulation");
        }
        command.args(&self.arguments);
        command
    }
}

/// Whether this system can start one [without executable memory](Launch::without_executable_memory).
///
/// # Panics
/// If there is no python3.
#[must_use]
pub fn executable_memory_can_be_forbidden() -> bool {
    let [python, script] = without_executable_memory();
    crate::run(Command::new(python).args([&script, "/bin/true"])).status.success()
}

/// A running coordinator.
#[derive(Debug)]
pub struct Coordinator {
    /// The REST address.
    pub rest: SocketAddr,
    /// The Marbles' address.
    pub mesh: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// One message per line of the log.
    lines: Mutex<Receiver<()>>,
    /// Ends with the log.
    reader: Option<JoinHandle<()>>,
    folder: Arc<TempDir>,
}

impl Coordinator {
    /// A new one in an empty folder.
    #[must_use]
    pub fn start() -> Self {
        Launch::new().start()
    }

    /// A place for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `https://HOST:PORT/path` of the REST port.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.rest)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    ///
    /// # Panics
    /// If the thread that reads the log has panicked.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("the log is readable").join("\n")
    }

    /// Waits until its log holds a line that `wanted` accepts.
    ///
    /// # Panics
    /// With the log, if no such line comes.
    pub fn wait_for_log(&self, wanted: impl Fn(&str) -> bool) {
        while !self.log().lines().any(&wanted) {
            let line = self.lines.lock().expect("the log is readable").recv_timeout(START_LIMIT);
            assert!(line.is_ok(), "no such line in the log:\n{}", self.log());
        }
    }

    /// Ends it at once, as a power loss of the process would.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("killing the coordinator");
        self.child.wait().expect("waiting for the coordinator");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it goes on.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let lines = self.lines.get_mut().expect("the log is readable");
        // The log ends with the process.
        loop {
            match lines.recv_timeout(START_LIMIT) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the coordinator goes on"),
            }
        }
        self.child.wait().expect("the coordinator's end")
    }

    /// Asks it to end and waits for it.
    ///
    /// # Panics
    /// If it cannot be asked.
    pub fn terminate(&mut self) -> ExitStatus {
        crate::succeed(Command::new("kill").args(["-TERM", &self.id().to_string()]));
        self.child.wait().expect("waiting for the coordinator")
    }
}

impl Drop for Coordinator {
    /// Its whole log tells no secret that this test's process used so far.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(JoinHandle::join);
        secrets::assert_untold("the coordinator's log", &self.log());
    }
}

/// Variables of the machine that would change what is tested.
fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("EDG_") || name == "OE_SIMULATION")
}

/// Where a client on this machine reaches a listener.
fn loopback(address: &str) -> SocketAddr {
    let mut address: SocketAddr = address.parse().expect("an address is IP:PORT");
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Keeps every line and tells of each.
fn collect(
    stderr: impl std::io::Read + Send + 'static,
    log: Arc<Mutex<Vec<String>>>,
) -> (Receiver<()>, JoinHandle<()>) {
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            log.lock().expect("the log is writable").push(line);
            let _ = sender.send(());
        }
    });
    (receiver, reader)
}
