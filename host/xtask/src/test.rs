//! `cargo xtask test`: formatting, lints, every test and doc test, and the coordinator's own also as it is released, closed
//! with one line of counts.
//!
//! A test that needs a system package which is not there reports itself in the file that `CARRARA_SKIPS` names, one
//! line `test<TAB>install command` each; such a test counts as skipped, and `--no-skips` makes it a failure.

use std::fs::{OpenOptions, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use carrara_wasm::Surroundings;

use crate::cargo::cargo;
use crate::sdk::SUITES;
use crate::{guests, hostile, policies, premain, python};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fail if a test is skipped because a system package is missing
    #[arg(long)]
    no_skips: bool,
    /// Only the black-box tests, all of them with the coordinator for enclaves in 512 MB of address space
    #[arg(long)]
    enclave: bool,
    /// The same with the coordinator for enclaves whose memory cannot be made executable, and the kernel sees to that
    #[arg(long, conflicts_with = "enclave")]
    interpreted: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Arguments {
    /// The coordinator that the black-box tests are for, if it is another one than usual.
    fn inside(&self) -> Option<&'static ForEnclaves> {
        match (self.enclave, self.interpreted) {
            (true, _) => Some(&ENCLAVE),
            (_, true) => Some(&INTERPRETED),
            _ => None,
        }
    }
}

/// How many tests did what.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Not asked for: other names than the filter's, and what an enclave's engine is too slow for.
    left_out: u64,
}

/// What builds of the tests' binaries have in common, so that everything is built once.
pub(crate) const FEATURES: &str = "carrara-coordinator/failpoints";

/// With the fuzz targets, which the tests run for a moment each, and the tool that trusts a root of the tests; no program for
/// anything else has what they switch on.
const TESTED: &str = "carrara-coordinator/failpoints,carrara-fuzz/targets,carrara-cli/testing";

/// The coordinator's own tests in a build as it is released, which cannot simulate. Of the whole workspace, so that all is
/// shared but what simulation and failpoints change; a test of a program does not replace the program.
const RELEASED: [&str; 6] =
    ["test", "--workspace", "--features", "carrara-fuzz/targets", "--bin", "carrara-coordinator"];

/// A coordinator for enclaves.
struct ForEnclaves {
    name: &'static str,
    /// Otherwise as it is tested.
    features: &'static str,
    /// Where it is kept.
    place: &'static str,
    /// How the tests find it.
    variable: &'static str,
    /// Whether its memory may become executable when it is the one that is tested.
    executable_memory: bool,
}

/// The address space of such a coordinator, in bytes: what examples/occlum gives it.
const ADDRESS_SPACE: &str = "536870912";

const ENCLAVE: ForEnclaves = ForEnclaves {
    name: "coordinator for enclaves",
    features: "carrara-coordinator/failpoints,carrara-coordinator/enclave,carrara-fuzz/targets,carrara-cli/testing",
    place: "target/enclave/carrara-coordinator",
    variable: "CARRARA_ENCLAVE_COORDINATOR",
    executable_memory: true,
};

const INTERPRETED: ForEnclaves = ForEnclaves {
    name: "coordinator for enclaves without executable memory",
    features: "carrara-coordinator/failpoints,carrara-coordinator/interpreted,carrara-fuzz/targets,carrara-cli/testing",
    place: "target/enclave/interpreted/carrara-coordinator",
    variable: "CARRARA_INTERPRETED_COORDINATOR",
    executable_memory: false,
};

/// Tests that start no coordinator: they ask policies in their own process. There the engine for enclaves answers, without limits.
const WITHOUT_COORDINATOR: [&str; 3] = ["hostile_policies", "policy_library", "sdk_contract"];

/// Tests of programs and scripts, which start the coordinator that lies beside them.
const STARTED_BY_OTHERS: [&str; 7] =
    ["bench_smoke", "examples", "flood", "hostile_components", "newcomer", "soak", "torture"];

/// What tests of coordinators in an enclave leave out: compiling CPython takes more than the address space (host/docs/enclave.md).
const LEFT_OUT: [&str; 1] = ["in_python"];

/// The `carrara-premain` of library OSes.
const STATIC_PREMAIN: &str = "target/premain/static/carrara-premain";

/// Runs everything; an error if anything failed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    guests::make(&guests::workspace(), &guests::PLUGINS, &Surroundings::ALL)?;
    policies::run(&policies::Arguments::default())?;
    let root = guests::workspace();
    let mut counts = Counts::default();
    if arguments.filter.is_none() && arguments.inside().is_none() {
        let clippy = ["clippy", "--workspace", "--all-targets", "--features", TESTED, "--", "-D", "warnings"];
        counts.check("formatting", cargo(&root).args(["fmt", "--all", "--", "--check"]))?;
        counts.check("lints", cargo(&root).args(clippy))?;
        check_languages(&root, &mut counts)?;
        check_maker(&root, &mut counts)?;
    }
    // Before the others: their program takes the place of what the tests start for a moment.
    let mut built = true;
    for coordinator in [&ENCLAVE, &INTERPRETED] {
        built &= coordinator.make(&root, &mut counts)?;
    }
    // With the tests: cargo joins the features of all that it builds at once, and would else build dependencies twice.
    let build = ["build", "--workspace", "--all-targets", "--features", TESTED];
    let programs = counts.check("binaries", cargo(&root).args(build))?;
    make_static_premain(&root, &mut counts);
    let skips = root.join("target/skipped-tests");
    let _ = std::fs::remove_file(&skips);
    if arguments.filter.is_none() && arguments.inside().is_none() {
        run_suites(&root, &skips, &mut counts)?;
    }
    if let Some(inside) = arguments.inside() {
        ensure!(programs && built, "without its programs nothing can be tested");
        run_inside(inside, &root, arguments, &skips, &mut counts)?;
    } else if programs {
        counts.check("coordinator without simulation", cargo(&root).args(RELEASED))?;
        println!("== tests");
        run_one(tests(&root, TESTED, &skips)?, arguments, &[], &mut counts)?;
    }
    report_skips(&skips, &mut counts)?;
    println!("\n{}", counts.told());
    if counts.failed > 0 {
        bail!("{} failed; see above", counts.failed);
    }
    if arguments.no_skips && counts.skipped > 0 {
        bail!("{} skipped, but --no-skips was given; install what is named above", counts.skipped);
    }
    Ok(())
}

impl Counts {
    /// Runs a step that passes or fails as a whole, and says which.
    fn check(&mut self, name: &str, command: &mut Command) -> anyhow::Result<bool> {
        println!("== {name}");
        let status = command.status().with_context(|| format!("starting cargo for {name}"))?;
        if status.success() {
            self.passed += 1;
        } else {
            println!("== {name}: FAILED");
            self.failed += 1;
        }
        Ok(status.success())
    }

    fn told(&self) -> String {
        let Self { passed, failed, skipped, left_out } = self;
        let rest = if *left_out > 0 { format!(", {left_out} not asked for") } else { String::new() };
        format!("{passed} passed, {failed} failed, {skipped} skipped{rest}")
    }

    /// Adds the numbers of a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; ...`.
    fn add_result_line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                "filtered" => self.left_out += number,
                _ => {}
            }
        }
    }
}

/// Formatting, lints and native tests of the policy languages, which are a workspace of their own.
fn check_languages(root: &Path, counts: &mut Counts) -> anyhow::Result<()> {
    let checks: [(&str, &[&str]); 3] = [
        ("formatting of the policy languages", &["fmt", "--all", "--", "--check"]),
        (
            "lints of the policy languages",
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        ),
        ("tests of the policy languages", &["test", "--workspace", "--quiet", "--no-fail-fast"]),
    ];
    for (name, arguments) in checks {
        counts.check(name, &mut policies::languages(root, arguments))?;
    }
    Ok(())
}

/// The same of what makes hostile components, which is one, too.
fn check_maker(root: &Path, counts: &mut Counts) -> anyhow::Result<()> {
    let checks: [(&str, &[&str]); 3] = [
        ("formatting of the hostile components' maker", &["fmt", "--", "--check"]),
        (
            "lints of the hostile components' maker",
            &["clippy", "--locked", "--all-targets", "--", "-D", "warnings"],
        ),
        ("tests of the hostile components' maker", &["test", "--locked", "--quiet"]),
    ];
    for (name, arguments) in checks {
        counts.check(name, &mut hostile::of_maker(root, arguments))?;
    }
    Ok(())
}

/// Builds the static program. Without the tools for it its tests say what is missing.
fn make_static_premain(root: &Path, counts: &mut Counts) {
    let _ = std::fs::remove_file(root.join(STATIC_PREMAIN));
    if premain::missing().is_some() {
        return;
    }
    println!("== static carrara-premain");
    match premain::run(&premain::Arguments::default()) {
        Ok(()) => counts.passed += 1,
        Err(error) => {
            println!("== static carrara-premain: FAILED: {error:#}");
            counts.failed += 1;
        }
    }
}

impl ForEnclaves {
    /// Builds it and keeps it where the one for everything else does not replace it.
    fn make(&self, root: &Path, counts: &mut Counts) -> anyhow::Result<bool> {
        let mut command = cargo(root);
        command.args(["build", "--workspace", "--features", self.features, "--bin", "carrara-coordinator"]);
        // With a test, so that cargo joins the same features as for all of them.
        if !counts.check(self.name, command.args(["--test", "enclave"]))? {
            return Ok(false);
        }
        let place = root.join(self.place);
        let folder = place.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        // A program that runs cannot be written to.
        let _ = std::fs::remove_file(&place);
        let built = root.join("target/debug/carrara-coordinator");
        std::fs::copy(built, &place).with_context(|| format!("writing {}", place.display()))?;
        Ok(true)
    }

    /// How the tests start all coordinators.
    fn surroundings(&self) -> Vec<(&'static str, &'static str)> {
        let forbidden = ("CARRARA_NO_EXECUTABLE_MEMORY", "1");
        let mut all = vec![("CARRARA_LIMIT_AS", ADDRESS_SPACE)];
        all.extend((!self.executable_memory).then_some(forbidden));
        all
    }

    /// A folder with all programs of the tests, and in the ordinary coordinator's place a script that becomes this one in its
    /// surroundings.
    fn beside_the_others(&self, root: &Path) -> anyhow::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir_in(root.join("target")).context("making a folder below target")?;
        for entry in std::fs::read_dir(root.join("target/debug")).context("reading target/debug")? {
            let path = entry.context("reading target/debug")?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                symlink(&path, folder.path().join(name)).context("linking a program")?;
            }
        }
        let script = folder.path().join("carrara-coordinator");
        // The name is the link's, and what it links to must stay.
        std::fs::remove_file(&script).context("removing a link")?;
        std::fs::write(&script, self.script(root)).context("writing a script")?;
        std::fs::set_permissions(&script, Permissions::from_mode(0o755)).context("writing a script")?;
        Ok(folder)
    }

    fn script(&self, root: &Path) -> String {
        let forbidding = root.join("tests/src/without_executable_memory.py");
        let forbidding = format!("python3 '{}' ", forbidding.display());
        let forbidding = if self.executable_memory { "" } else { &forbidding };
        let program = root.join(self.place);
        format!("#!/bin/sh\nexec prlimit --as={ADDRESS_SPACE} {forbidding}'{}' \"$@\"\n", program.display())
    }
}

/// The names of the tests of `tests/`, as cargo finds them: `NAME.rs`, and folders with a `main.rs`.
fn black_box_tests(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join("tests/tests")).context("reading tests/tests")? {
        let path = entry.context("reading tests/tests")?.path();
        if path.extension().is_some_and(|ending| ending == "rs") || path.join("main.rs").is_file() {
            names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// The SDKs' own tests, each as one.
fn run_suites(root: &Path, skips: &Path, counts: &mut Counts) -> anyhow::Result<()> {
    for suite in SUITES {
        if let Some(mut command) = suite.command(root) {
            counts.check(suite.name, &mut command)?;
            continue;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(skips).context("noting a skip")?;
        writeln!(file, "{}\t{}", suite.name, suite.install).context("noting a skip")?;
        // As a test that skips itself.
        counts.passed += 1;
    }
    Ok(())
}

/// The black-box tests with a coordinator for enclaves, and those without one in its engine.
fn run_inside(
    inside: &ForEnclaves,
    root: &Path,
    arguments: &Arguments,
    skips: &Path,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let all = black_box_tests(root)?;
    let (alone, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|name| WITHOUT_COORDINATOR.contains(&name.as_str()));
    let (by_others, by_tests): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|name| STARTED_BY_OTHERS.contains(&name.as_str()));
    println!("== tests with the {}", inside.name);
    let mut limited = tests(root, TESTED, skips)?;
    limited.env("CARRARA_COORDINATOR", root.join(inside.place)).envs(inside.surroundings());
    limited.args(by_tests.iter().flat_map(|name| ["--test", name]));
    run_one(limited, arguments, &[], counts)?;
    println!(
        "== tests of programs that start it, but for those whose name contains one of {}",
        LEFT_OUT.join(", ")
    );
    let folder = inside.beside_the_others(root)?;
    let mut limited = tests(root, TESTED, skips)?;
    limited.env("CARRARA_BIN_DIR", folder.path());
    limited.args(by_others.iter().flat_map(|name| ["--test", name]));
    run_one(limited, arguments, &LEFT_OUT, counts)?;
    println!("== tests in its engine and its own");
    let mut unlimited = tests(root, inside.features, skips)?;
    unlimited.args(["--bin", "carrara-coordinator"]).args(alone.iter().flat_map(|name| ["--test", name]));
    run_one(unlimited, arguments, &[], counts)
}

/// `cargo test` of the workspace with these features, and what the tests ask of their environment.
fn tests(root: &Path, features: &str, skips: &Path) -> anyhow::Result<Command> {
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--no-fail-fast", "--features", features]);
    command.env("CARRARA_SKIPS", skips).env("CARRARA_BIN_DIR", root.join("target/debug"));
    for built in [&ENCLAVE, &INTERPRETED] {
        if root.join(built.place).exists() {
            command.env(built.variable, root.join(built.place));
        }
    }
    if root.join(STATIC_PREMAIN).exists() {
        command.env("CARRARA_STATIC_PREMAIN", root.join(STATIC_PREMAIN));
    }
    if let Some(python) = python::environment(root)? {
        command.env("CARRARA_PYTHON", python);
    }
    Ok(command)
}

/// Runs them without those whose names contain one of `without`, and counts their results.
fn run_one(
    mut command: Command,
    arguments: &Arguments,
    without: &[&str],
    counts: &mut Counts,
) -> anyhow::Result<()> {
    if let Some(filter) = &arguments.filter {
        command.arg(filter);
    }
    command.arg("--").args(without.iter().flat_map(|name| ["--skip", name]));
    let failed = counts.failed;
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let output = child.stdout.take().context("reading cargo test's output")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("reading cargo test's output")?;
        counts.add_result_line(&line);
        println!("{line}");
    }
    // A test binary that does not compile or crashes has no result line.
    if !child.wait().context("waiting for cargo test")?.success() && counts.failed == failed {
        counts.failed += 1;
    }
    Ok(())
}

fn report_skips(skips: &Path, counts: &mut Counts) -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(skips) else { return Ok(()) };
    println!("\nskipped, because something is not installed:");
    for line in text.lines() {
        let (test, install) = line.split_once('\t').unwrap_or((line, "(no command named)"));
        println!("  {test}: {install}");
        counts.skipped += 1;
        counts.passed = counts.passed.saturating_sub(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up_and_other_lines_are_not() {
        let mut counts = Counts::default();
        counts.add_result_line(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        counts.add_result_line(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.0s",
        );
        counts.add_result_line("99 passed");
        assert_eq!(counts.told(), "15 passed, 2 failed, 1 skipped, 4 not asked for");
        assert_eq!(Counts { passed: 1, ..Counts::default() }.told(), "1 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_test_is_a_file_or_a_folder_with_a_main_and_nothing_else() {
        let root = tempfile::TempDir::new().unwrap();
        let tests = root.path().join("tests/tests");
        for folder in ["library", "shared"] {
            std::fs::create_dir_all(tests.join(folder)).unwrap();
        }
        for file in ["update.rs", "library/main.rs", "library/table.rs", "shared/mod.rs", "list.in"] {
            std::fs::write(tests.join(file), "").unwrap();
        }
        assert_eq!(black_box_tests(root.path()).unwrap(), ["library", "update"]);
    }

    #[test]
    fn who_starts_the_coordinator_is_said_of_every_test_that_runs_a_program_which_does() {
        let root = guests::workspace();
        let names = black_box_tests(&root).unwrap();
        for name in ["enclave", "custom_policies"].iter().chain(&WITHOUT_COORDINATOR) {
            assert!(names.iter().any(|found| found == name), "{name}");
        }
        let source = |name: &String| root.join("tests/tests").join(format!("{name}.rs"));
        let tells_where = |name: &&String| {
            // Such a program is told where the others are.
            std::fs::read_to_string(source(name)).is_ok_and(|text| text.contains("\"CARRARA_BIN_DIR\""))
        };
        let found: Vec<&String> = names.iter().filter(tells_where).collect();
        assert_eq!(found, STARTED_BY_OTHERS.iter().collect::<Vec<_>>());
        assert!(!names.iter().any(|name| name.starts_with("packaging_")), "{names:?}");
    }
}
