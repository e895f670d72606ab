//! Dies and fails at every step of host/docs/crash-safety.md, in every operation that reaches it, and looks at what is
//! there afterwards.
//!
//! A step that an operation does not reach is a failure: the table would not be true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::Answer;
use carrara_tests::durable::{Base, NEW, OLD, Operation, copy, is_unknown, write};
use carrara_tests::root;

/// A row of the table.
struct Row {
    step: String,
    reached_by: Vec<String>,
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(root().join("host/docs/crash-safety.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let words = cells[2].split(", ").map(str::to_owned).collect();
        assert!(cells.len() == 6 && cells.iter().skip(1).take(4).all(|cell| !cell.is_empty()), "{line}");
        Row { step: cells[1].trim_matches('`').to_owned(), reached_by: words }
    });
    rows.collect()
}

/// The steps that the table says this operation reaches.
fn steps_of(word: &str) -> Vec<String> {
    let rows = table();
    let rows = rows.into_iter().filter(|row| row.reached_by.iter().any(|reached| reached == word));
    rows.map(|row| row.step).collect()
}

#[test]
fn the_table_and_the_code_name_the_same_steps() {
    let rows = table();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.step.as_str()).collect();
    assert_eq!(listed.len(), rows.len(), "a step is listed twice");
    let mut named = BTreeSet::new();
    let folder = root().join("host/store/src");
    let files = names(&folder).into_iter().map(|name| folder.join(name));
    let below = names(&folder.join("redb")).into_iter().map(|name| folder.join("redb").join(name));
    let sources: Vec<String> = files
        .chain(below)
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for text in &sources {
        for call in ["step::reach(\"", ".reached(\""] {
            named.extend(text.split(call).skip(1).map(|rest| rest.split('"').next().unwrap()));
        }
    }
    assert_eq!(named, listed, "left: the code, right: host/docs/crash-safety.md");
    let known = ["start", "finish", "trim", "a failed write"];
    for word in rows.iter().flat_map(|row| &row.reached_by) {
        assert!(known.contains(&word.as_str()) || Operation::named(word).is_some(), "{word}");
    }
}

/// One step, to be reached by one operation.
struct Point {
    launch: Launch,
    /// While it is there, the step does what it is told; a number in it lets that many passes go by.
    armed: PathBuf,
}

impl Point {
    fn new(step: &str, word: &str) -> Self {
        let launch = Launch::new();
        let armed = launch.seal_dir().with_file_name("armed");
        let points = format!("{step}=return({word}@{})", armed.display());
        Self { launch: launch.environment("FAILPOINTS", &points), armed }
    }

    fn arm(&self, passes: u32) {
        fs::write(&self.armed, passes.to_string()).unwrap();
    }

    /// Whether it did what it was told, in a process that is alive or not.
    fn was_reached(&self) -> bool {
        fs::read_to_string(&self.armed).unwrap() == "reached"
    }

    fn disarm(&self) {
        fs::remove_file(&self.armed).unwrap();
    }
}

/// Steps of redb's file are reached more than once: of a transaction these passes are tried, elsewhere the first.
fn passes(step: &str, operation: Option<Operation>) -> std::ops::Range<u32> {
    let several =
        operation.is_some_and(|operation| matches!(operation, Operation::Write | Operation::Update));
    if step.starts_with("file.") && several { 0..3 } else { 0..1 }
}

/// After a restart: the state is the one before or after, as was answered, and the operation can be repeated.
fn check_after_restart(launch: &Launch, operation: Operation, answered: Option<bool>, what: &str) {
    let base = Base::shared();
    let plain = launch.start();
    let shown = base.look(&plain);
    let done = base.is_done(operation, &shown);
    assert!(
        answered.is_none_or(|answered| answered == done),
        "{what}: answered {answered:?}, found {shown:?}"
    );
    if !done {
        let again = base.request(operation, &plain).send();
        assert_eq!(again.status, 200, "{what}: {}", again.body);
        assert!(base.is_done(operation, &base.look(&plain)), "{what}");
    } else if operation == Operation::Withdraw {
        assert_eq!(base.request(Operation::Set, &plain).send().status, 200, "{what}");
    }
    goes_on(&plain, what);
    let leftovers: Vec<String> =
        names(&launch.seal_dir()).into_iter().filter(|name| name.ends_with(".new")).collect();
    assert!(leftovers.is_empty(), "{what}: {leftovers:?}");
}

/// Writes are taken and read back.
fn goes_on(coordinator: &Coordinator, what: &str) {
    let base = Base::shared();
    let answer = write(coordinator, &base.alice, "later").send();
    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    assert_eq!(base.look(coordinator).note.as_deref(), Some("later"), "{what}");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Ends the process at the step.
fn die_at(step: &str, operation: Operation) {
    for passes in passes(step, Some(operation)) {
        let what = format!("killed at {step} ({passes} before) in {operation:?}");
        let point = Point::new(step, "abort");
        Base::shared().prepare(operation, &point.launch.seal_dir());
        let mut coordinator = point.launch.start();
        point.arm(passes);
        let answer = Base::shared().request(operation, &coordinator).attempt();
        if !point.was_reached() {
            assert!(passes > 0, "{what}: not reached: {answer:?}");
            return;
        }
        // After its answer, too: by what the coordinator does besides.
        coordinator.wait_for_end();
        point.disarm();
        let acknowledged = answer.filter(|answer| answer.status == 200).map(|_| true);
        check_after_restart(&point.launch, operation, acknowledged, &what);
    }
}

/// What an answer says of an operation; `None` if it says that nobody knows.
fn told(answer: &Answer, what: &str) -> Option<bool> {
    if is_unknown(answer) {
        return None;
    }
    assert!(answer.status == 200 || answer.status >= 400, "{what}: {}", answer.body);
    Some(answer.status == 200)
}

/// Makes the step fail and goes on.
fn fail_at(step: &str, operation: Operation, error: &str) {
    for passes in passes(step, Some(operation)) {
        let what = format!("{error} at {step} ({passes} before) in {operation:?}");
        let point = Point::new(step, error);
        let base = Base::shared();
        base.prepare(operation, &point.launch.seal_dir());
        let mut coordinator = point.launch.start();
        point.arm(passes);
        let answer = base.request(operation, &coordinator).attempt();
        let answer = answer.unwrap_or_else(|| panic!("{what}: no answer:\n{}", coordinator.log()));
        if !point.was_reached() {
            assert!(passes > 0, "{what}: not reached: {answer:?}");
            return;
        }
        let told = told(&answer, &what);
        // Reads go on, and show what was told.
        let shown = base.look(&coordinator);
        let seen = base.is_done(operation, &shown);
        assert!(told.is_none_or(|told| told == seen), "{what}: {}: {shown:?}", answer.body);
        coordinator.wait_for_log(|line| line.contains("(os error "));
        point.disarm();
        // No restart is needed.
        let mut done = seen;
        if Base::code_before(operation) == 3 || seen {
            goes_on(&coordinator, &what);
        } else {
            let again = base.request(operation, &coordinator).send();
            assert!(again.status == 200 || told.is_none(), "{what}: {}\n{}", again.body, coordinator.log());
            assert!(base.is_done(operation, &base.look(&coordinator)), "{what}");
            goes_on(&coordinator, &what);
            done = true;
        }
        coordinator.kill();
        let coordinator = point.launch.start();
        let after = base.look(&coordinator);
        if operation == Operation::Withdraw && done {
            assert_eq!(after.code, 2, "{what}");
            continue;
        }
        assert_eq!((after.code, after.note.as_deref()), (3, Some("later")), "{what}");
        assert!(after.log.len() > usize::from(done), "{what}");
    }
}

fn die_at_every_step(word: &str) {
    let operation = Operation::named(word).unwrap();
    for step in steps_of(word) {
        die_at(&step, operation);
    }
}

fn fail_at_every_step(word: &str) {
    let operation = Operation::named(word).unwrap();
    for (index, step) in steps_of(word).iter().enumerate() {
        fail_at(step, operation, if index % 2 == 0 { "enospc" } else { "eio" });
    }
}

// X-25, L-30: every one of these, for each operation
#[test]
fn a_write_that_is_killed_at_any_step_is_there_or_not_and_nothing_else_changes() {
    die_at_every_step("write");
}

// X-25
#[test]
fn a_write_that_fails_at_any_step_is_answered_by_what_is_stored() {
    fail_at_every_step("write");
}

// X-25, L-61
#[test]
fn an_update_with_other_recovery_keys_that_is_killed_at_any_step_took_place_or_did_not() {
    die_at_every_step("update");
}

// X-25, L-61
#[test]
fn an_update_with_other_recovery_keys_that_fails_at_any_step_is_answered_by_what_is_stored() {
    fail_at_every_step("update");
}

// X-25, L-30
#[test]
fn a_first_manifest_that_is_killed_at_any_step_is_set_or_not() {
    die_at_every_step("set");
}

// X-25, L-30
#[test]
fn a_first_manifest_that_fails_at_any_step_is_answered_by_what_is_stored() {
    fail_at_every_step("set");
}

// X-1, X-25, L-33
#[test]
fn a_reset_that_is_killed_at_any_step_leaves_the_old_state_or_the_new_one() {
    die_at_every_step("reset");
}

// X-1, X-25, L-33
#[test]
fn a_reset_that_fails_at_any_step_is_answered_by_what_is_stored() {
    fail_at_every_step("reset");
}

// X-25, L-49a
#[test]
fn a_recovery_that_is_killed_at_any_step_leaves_the_state_locked_or_open() {
    die_at_every_step("recover");
}

// X-25, L-49a
#[test]
fn a_recovery_that_fails_at_any_step_is_answered_by_what_is_stored_and_can_be_repeated() {
    fail_at_every_step("recover");
}

// X-34, L-35
#[test]
fn a_withdrawal_that_is_killed_at_any_step_leaves_the_state_or_none() {
    die_at_every_step("withdraw");
}

// X-34, L-35
#[test]
fn a_withdrawal_that_fails_at_any_step_is_answered_by_what_is_stored() {
    fail_at_every_step("withdraw");
}

/// The directory that a start has something to do with.
fn interrupted(word: &str, directory: &Path) {
    let (step, operation) = match word {
        "finish" => ("create.key-renamed", Operation::Set),
        "trim" => ("rekey.state-written", Operation::Update),
        _ => {
            Base::shared().prepare(Operation::Write, directory);
            return;
        }
    };
    let point = Point::new(step, "abort");
    Base::shared().prepare(operation, &point.launch.seal_dir());
    let mut coordinator = point.launch.start();
    point.arm(0);
    let _ = Base::shared().request(operation, &coordinator).attempt();
    coordinator.wait_for_end();
    copy(&point.launch.seal_dir(), directory);
}

/// Starts that die or fail at every step, and the start after them.
fn start_at_every_step(word: &str) {
    let ready = tempfile::tempdir().unwrap();
    interrupted(word, ready.path());
    for step in steps_of(word) {
        for error in ["abort", "enospc", "eio"] {
            for passes in passes(&step, None) {
                let what = format!("{error} at {step} ({passes} before) in a {word}");
                let point = Point::new(&step, error);
                copy(ready.path(), &point.launch.seal_dir());
                point.arm(passes);
                let started = point.launch.try_start();
                if !point.was_reached() {
                    assert!(passes > 0, "{what}: not reached");
                    break;
                }
                match started {
                    Ok(coordinator) => coordinator.wait_for_log(|line| line.contains("(os error ")),
                    Err(log) if error == "abort" => assert!(!log.contains("panicked"), "{what}: {log}"),
                    Err(log) => {
                        let named = log.contains("(os error ") && log.contains("data");
                        assert!(named && !log.contains("panicked"), "{what}: {log}");
                        assert!(
                            !log.contains("damaged"),
                            "a failing disk is not a damaged file: {what}: {log}"
                        );
                    }
                }
                point.disarm();
                let coordinator = point.launch.start();
                let shown = Base::shared().look(&coordinator);
                assert_eq!((shown.code, shown.note.as_deref() == Some(OLD)), (3, word != "finish"), "{what}");
                goes_on(&coordinator, &what);
            }
        }
    }
}

// X-25, L-15
#[test]
fn a_start_that_dies_or_fails_at_any_step_changes_nothing_and_says_why() {
    start_at_every_step("start");
}

// X-25, L-30
#[test]
fn a_start_that_dies_or_fails_while_it_finishes_a_new_state_is_finished_by_the_next() {
    start_at_every_step("finish");
}

// X-25, L-61
#[test]
fn a_start_that_dies_or_fails_while_it_removes_an_old_key_is_finished_by_the_next() {
    start_at_every_step("trim");
}

// X-25
// The disk fails at once and stays so: nobody knows, reads go on, and no restart is needed when it is good again.
#[test]
fn while_the_disk_stays_broken_nobody_knows_and_reads_go_on() {
    for step in steps_of("a failed write") {
        let launch = Launch::new();
        let armed = launch.seal_dir().with_file_name("armed");
        let act = format!("return(eio@{})", armed.display());
        let launch = launch.environment("FAILPOINTS", &format!("file.sync={act};{step}={act}"));
        let base = Base::shared();
        base.prepare(Operation::Update, &launch.seal_dir());
        let coordinator = launch.start();
        for operation in [Operation::Update, Operation::Write] {
            fs::write(&armed, "always").unwrap();
            let answer = base.request(operation, &coordinator).send();
            assert!(answer.status >= 400, "{}", answer.body);
            if operation == Operation::Update {
                assert!(is_unknown(&answer), "{}", answer.body);
                // Whoever gets this error must not lose them.
                assert!(answer.message().contains(r#"{"RecoverySecrets":{"two":""#), "{}", answer.body);
            } else {
                // It was not tried.
                assert!(answer.message().contains("could not be stored"), "{}", answer.body);
            }
            assert_eq!(base.look(&coordinator), base.shown);
        }
        fs::remove_file(&armed).unwrap();
        assert_eq!(write(&coordinator, &base.alice, NEW).send().status, 200);
        let shown = base.look(&coordinator);
        assert_eq!((shown.code, shown.note.as_deref()), (3, Some(NEW)));
        drop(coordinator);
        assert_eq!(base.look(&launch.start()), shown);
    }
}
