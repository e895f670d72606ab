//! Faults of a real disk and real limits of the system under a running coordinator: what is refused, what goes on, and
//! that nothing is lost.
//!
//! Where a process may have mounts of its own, a full and a read-only disk are real; where not, the same is asserted with
//! injected errors.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Answer;
use carrara_tests::durable::{Base, NEW, OLD, Operation, is_unknown, write};
use carrara_tests::{run, succeed};

/// What is told of a full disk, in the words of the answer.
const FULL: &str = ": the disk is full; make room and send it again";

/// Whether this machine lets a process have mounts of its own.
fn may_mount() -> bool {
    let script = "mount -t tmpfs -o size=64k none /mnt && mount --bind /mnt /mnt";
    run(Command::new("unshare").args(["-Urm", "sh", "-c", script])).status.success()
}

/// It says that nothing was stored and by what kind of fault, and no more; where, and what to do, is in the log.
fn is_refused(answer: &Answer, coordinator: &Coordinator, told: &str, cause: &str, remedy: &str) {
    assert!(answer.status >= 400 && !is_unknown(answer), "{}", answer.body);
    assert!(answer.message().contains(&format!("could not be stored{told}")), "{}", answer.body);
    assert!(!answer.body.contains("os error") && !answer.body.contains('/'), "{}", answer.body);
    coordinator.wait_for_log(|line| line.contains(cause) && line.contains(remedy));
}

fn goes_on(coordinator: &Coordinator, value: &str) {
    let base = Base::shared();
    let answer = write(coordinator, &base.alice, value).send();
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, coordinator.log());
    assert_eq!(base.look(coordinator).note.as_deref(), Some(value));
}

/// A state on a disk of its own, with a shell beside it that changes the disk when told.
struct Disk {
    launch: Launch,
    /// Where the shell is told and answers; `None` where errors are injected.
    pipes: Option<[PathBuf; 2]>,
    /// While it is there, errors are injected.
    armed: PathBuf,
    /// What `save` makes.
    saved: PathBuf,
}

impl Disk {
    /// A copy of the usual state on a disk of so many bytes, or one whose `steps` fail with `error`.
    fn new(bytes: u64, at_start: &str, steps: &[&str], error: &str) -> Self {
        let launch = Launch::new();
        let data = launch.seal_dir();
        let [armed, ready, saved, words, answers] =
            ["armed", "ready", "saved", "words", "answers"].map(|name| data.with_file_name(name));
        if !may_mount() {
            Base::shared().prepare(Operation::Write, &data);
            if !at_start.is_empty() {
                fs::write(&armed, "always").unwrap();
            }
            let points: Vec<String> =
                steps.iter().map(|step| format!("{step}=return({error}@{})", armed.display())).collect();
            let launch = launch.environment("FAILPOINTS", &points.join(";"));
            return Self { launch, pipes: None, armed, saved: data };
        }
        Base::shared().prepare(Operation::Write, &ready);
        fs::create_dir(&data).unwrap();
        succeed(Command::new("mkfifo").arg(&words).arg(&answers));
        let script = format!(
            "cd '{folder}' && mount -t tmpfs -o mode=700,size={bytes} none data && cp -r ready/. data && \
             fill() {{ cat /dev/zero > data/filler; }} && \
             read_only() {{ mount --bind data data && mount -o remount,bind,ro data; }} && \
             {{ (while read -r word < words; do case $word in \
             fill) fill;; free) rm data/filler;; read-only) read_only;; writable) umount data;; \
             save) cp -r data saved;; *) exit;; esac; echo done > answers; done) >/dev/null 2>&1 & }} && \
             {{ {at_start}:; }} 2>/dev/null; exec \"$@\"",
            folder = data.parent().unwrap().display(),
        );
        let launch = launch.through(&["unshare", "-Urm", "sh", "-c", &script, "sh"]);
        Self { launch, pipes: Some([words, answers]), armed, saved }
    }

    /// Tells the shell; without one, arms or disarms what is injected.
    fn tell(&self, word: &str) {
        if let Some([words, answers]) = &self.pipes {
            fs::write(words, format!("{word}\n")).unwrap();
            assert_eq!(fs::read_to_string(answers).unwrap(), "done\n");
        } else if matches!(word, "fill" | "read-only") {
            fs::write(&self.armed, "always").unwrap();
        } else if word != "save" {
            fs::remove_file(&self.armed).unwrap();
        }
    }

    /// What a start finds on the disk, once nobody uses it any more.
    fn after(&self) -> Launch {
        let launch = Launch::new();
        carrara_tests::durable::copy(&self.saved, &launch.seal_dir());
        launch
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let Some([words, _]) = &self.pipes else { return };
        // Not waiting for a shell that is not there.
        let script = format!("echo end 1<> '{}'", words.display());
        let _ = Command::new("sh").args(["-c", &script]).status();
    }
}

/// Longer and longer notes, until one does not find room; at most some megabytes.
fn write_until_refused(coordinator: &Coordinator) -> Answer {
    let base = Base::shared();
    for round in 0..40_usize {
        let note = "x".repeat((1 << 14) + round * (1 << 13));
        let answer = write(coordinator, &base.alice, &note).send();
        if answer.status != 200 {
            return answer;
        }
    }
    panic!("everything found room:\n{}", coordinator.log());
}

//
#[test]
fn a_full_disk_refuses_writes_with_the_remedy_and_takes_them_when_there_is_room_again() {
    let disk = Disk::new(16 << 20, "", &["file.write", "file.length"], "enospc");
    let base = Base::shared();
    let mut coordinator = disk.launch.start();
    goes_on(&coordinator, "before");
    disk.tell("fill");
    let refused = write_until_refused(&coordinator);
    is_refused(&refused, &coordinator, FULL, "(os error 28)", "free space");
    // A second one, and one that needs a new file; reads go on.
    let before = base.look(&coordinator);
    let update = base.request(Operation::Update, &coordinator).send();
    is_refused(&update, &coordinator, FULL, "(os error 28)", "free space");
    assert_eq!(base.look(&coordinator), before);
    disk.tell("free");
    goes_on(&coordinator, "after");
    let update = base.request(Operation::Update, &coordinator).send();
    assert_eq!(update.status, 200, "{}", update.body);
    coordinator.kill();
    disk.tell("save");
    let coordinator = disk.after().start();
    let shown = base.look(&coordinator);
    assert_eq!((shown.code, shown.note.as_deref(), shown.root), (3, Some("after"), base.shown.root.clone()));
}

//
#[test]
fn a_start_on_a_full_disk_serves_or_says_what_to_do_and_harms_nothing() {
    let disk = Disk::new(16 << 20, "fill; ", &["directory.probe"], "enospc");
    let base = Base::shared();
    match disk.launch.try_start() {
        Ok(coordinator) => assert_eq!(base.look(&coordinator), base.shown),
        Err(log) => assert!(log.contains("(os error 28)") && log.contains("free space"), "{log}"),
    }
    disk.tell("save");
    fs::remove_file(disk.saved.join("filler")).ok();
    assert_eq!(base.look(&disk.after().start()), base.shown);
}

//
#[test]
fn a_disk_that_becomes_read_only_refuses_what_makes_files_and_takes_it_when_it_is_writable_again() {
    let disk = Disk::new(16 << 20, "", &["key.write", "file.write"], "erofs");
    let base = Base::shared();
    let coordinator = disk.launch.start();
    disk.tell("read-only");
    let update = base.request(Operation::Update, &coordinator).send();
    is_refused(
        &update,
        &coordinator,
        ": the disk is read-only; make it writable",
        "(os error 30)",
        "writable",
    );
    assert_eq!(base.look(&coordinator), base.shown);
    disk.tell("writable");
    goes_on(&coordinator, NEW);
    assert_eq!(base.request(Operation::Update, &coordinator).send().status, 200);
}

//
#[test]
fn a_read_only_directory_ends_the_start_with_the_remedy_and_harms_nothing() {
    let disk = Disk::new(16 << 20, "read_only; ", &["directory.probe"], "erofs");
    let log = disk.launch.try_start().unwrap_err();
    assert!(log.contains("(os error 30)") && log.contains("mount its file system writable"), "{log}");
    assert!(log.contains(&disk.launch.seal_dir().display().to_string()), "{log}");
    disk.tell("save");
    assert_eq!(Base::shared().look(&disk.after().start()), Base::shared().shown);
}

// the signal that comes with it must not end the process
#[test]
fn a_limit_of_file_sizes_refuses_writes_with_the_remedy_and_the_coordinator_survives() {
    let launch = Launch::new();
    let base = Base::shared();
    base.prepare(Operation::Write, &launch.seal_dir());
    let size = fs::metadata(launch.seal_dir().join("state.redb")).unwrap().len();
    let mut coordinator = launch.start();
    let id = coordinator.id().to_string();
    let limit =
        |bytes: &str| succeed(Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]));
    limit(&size.to_string());
    let refused = write_until_refused(&coordinator);
    let told = ": a file has reached the limit of file sizes (ulimit -f)";
    is_refused(&refused, &coordinator, told, "(os error 27)", "ulimit -f");
    let before = base.look(&coordinator);
    assert_eq!((before.code, &before.root), (3, &base.shown.root));
    limit("unlimited");
    goes_on(&coordinator, "after");
    coordinator.kill();
    assert_eq!(base.look(&launch.start()).note.as_deref(), Some("after"));
}

//
#[test]
fn with_few_open_files_nothing_is_lost_and_all_comes_through_afterwards() {
    let launch = Launch::new().through(&["prlimit", "--nofile=64:64"]);
    let base = Base::shared();
    base.prepare(Operation::Write, &launch.seal_dir());
    let mut coordinator = launch.start();
    let others: Vec<TcpStream> = (0..100).map_while(|_| TcpStream::connect(coordinator.rest).ok()).collect();
    assert_eq!(others.len(), 100, "they wait in the system's queue at least");
    // It may have to wait; whatever it is answered is true.
    let answer = write(&coordinator, &base.alice, NEW).option("--max-time").option("2").attempt();
    drop(others);
    let shown = base.look(&coordinator);
    if let Some(answer) = answer {
        let told = format!("{}\n{}", answer.body, coordinator.log());
        assert_eq!((answer.status, shown.note.as_deref()), (200, Some(NEW)), "{told}");
    }
    goes_on(&coordinator, "after");
    coordinator.kill();
    assert_eq!(base.look(&launch.start()).note.as_deref(), Some("after"));
}

// what is written to a removed file is lost, so that nothing is
#[test]
fn a_directory_that_is_moved_away_or_replaced_takes_no_writes_until_it_is_back() {
    let launch = Launch::new();
    let base = Base::shared();
    base.prepare(Operation::Write, &launch.seal_dir());
    let mut coordinator = launch.start();
    let (data, aside) = (launch.seal_dir(), launch.seal_dir().with_file_name("aside"));
    fs::rename(&data, &aside).unwrap();
    let refused = write(&coordinator, &base.alice, NEW).send();
    let told = ": the state directory or a file of it is gone; put it back";
    is_refused(&refused, &coordinator, told, "(os error 2)", "put it back");
    assert_eq!(base.look(&coordinator).note.as_deref(), Some(OLD), "reads go on");
    // Another state at its place is not written to either.
    base.prepare(Operation::Write, &data);
    let refused = write(&coordinator, &base.alice, NEW).send();
    is_refused(
        &refused,
        &coordinator,
        "; see the coordinator's log",
        "was replaced while the coordinator runs",
        "put the file that was there back",
    );
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&aside, &data).unwrap();
    goes_on(&coordinator, NEW);
    coordinator.kill();
    assert_eq!(base.look(&launch.start()).note.as_deref(), Some(NEW));
}
