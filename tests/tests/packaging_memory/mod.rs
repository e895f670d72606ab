//! The table of memory in examples/occlum/README.md, against what it is the sum of and what it must fit: the settings in enclave.toml, the
//! threads that the source starts, the program's size, and what Occlum and Gramine are told to give.
//!
//! What built-in policies use at work and the heap are measured, and taken as written.

use std::fs;
use std::path::Path;

use carrara_tests::constants::{constant, said_by_feature};
use carrara_tests::guests::files;
use carrara_tests::root;
use carrara_tests::skip::skip;
use serde::Deserialize;

use crate::packaging_elf::address_space;
use crate::packaging_occlum::mebibytes;
use crate::{all_needed, gramine, library, occlum, read};

/// Rust's stack of a thread for which nothing else is said, in MiB: `std::thread`, "Stack size". `RUST_MIN_STACK` changes it.
const STACK_MIB: u64 = 2;

/// Where the two runtimes are built, whose threads are numbers of the source.
const ANSWERING: &str = "host/coordinator/src/profile.rs";
const HANDSHAKING: &str = "host/server/src/aside.rs";

/// Where the thread with a stack of its own is started.
const COMPILING: &str = "host/wasm/src/compiler.rs";

/// Where other threads are started, and how many there are of each: of the clocks, one for the built-in policies and one for
/// those of manifests. `tests/tests/enclave.rs` counts them in a coordinator that runs.
const SINGLE: [(&str, u64); 3] =
    [("host/store/src/lib.rs", 1), ("host/wasm/src/clock.rs", 2), ("host/wasm/src/shadow.rs", 1)];

/// Bytes of compiled code for each byte of a component, in an enclave: Go's 6.6, JavaScript's 6.3, Rust's 5.5, Python's 2.7.
const CODE_OF_EACH: u64 = 7;

/// Where it is estimated what compiling takes.
const FOOTPRINT: &str = "host/wasm/src/footprint.rs";

/// Compiled components that are kept though no manifest names them.
const KEPT_UNUSED: u64 = 1;

/// What starts a thread.
const STARTS: [&str; 5] = [
    "thread::Builder::new()",
    "thread::spawn(",
    "thread::scope(",
    "new_multi_thread()",
    "new_current_thread()",
];

/// Of host/, what is no part of the coordinator.
const NOT_THE_COORDINATOR: [&str; 4] = ["author", "cli", "client", "xtask"];

/// Threads of Gramine's own beside the program's: IPC, Async, and a handshake for each new pipe ("Number of threads" in its
/// Documentation/manifest-syntax.rst).
const GRAMINES_THREADS: u64 = 3;

/// Gramine's own memory, generously: 64 MiB are its default for `loader.pal_internal_mem_size` (the same document).
const GRAMINES_MIB: u64 = 192;

/// The rows, in MiB, and what the table says that they are together.
fn table() -> (Vec<(String, u64)>, u64) {
    let mut rows = Vec::new();
    let readme = read("occlum/README.md");
    for line in readme.lines().skip_while(|line| *line != "## Memory").filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let Ok(number) = cells[1].trim_matches('*').parse() {
            rows.push((cells[0].to_owned(), number));
        }
    }
    let (last, together) = rows.pop().unwrap();
    assert_eq!(last, "**together**");
    (rows, together)
}

/// The one row that begins so.
fn row(begin: &str) -> (String, u64) {
    let mut rows = table().0;
    rows.retain(|(what, _)| what.starts_with(begin));
    assert_eq!(rows.len(), 1, "rows of {begin}");
    rows.remove(0)
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The threads inside an enclave that have an ordinary stack, so all but the main thread and the compiler.
struct Threads {
    workers: u64,
    /// Executed, and interpreted.
    blocking: [u64; 2],
    handshakes: u64,
    single: u64,
}

impl Threads {
    fn of_the_source() -> Self {
        let [interpreted, executed] =
            said_by_feature(&source(ANSWERING), "ENCLAVE_BLOCKING", "interpreted").unwrap();
        Self {
            workers: constant(ANSWERING, "ENCLAVE_WORKERS"),
            blocking: [executed, interpreted],
            handshakes: constant("host/server/src/limits.rs", "ENCLAVE_HANDSHAKES"),
            single: SINGLE.iter().map(|(_, count)| count).sum(),
        }
    }

    fn executed(&self) -> u64 {
        self.workers + self.blocking[0] + self.handshakes + self.single
    }

    fn interpreted(&self) -> u64 {
        self.executed() - self.blocking[0] + self.blocking[1]
    }
}

/// enclave.toml.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Enclave {
    limits: toml::Table,
    policies: toml::Table,
}

#[test]
fn the_rows_of_the_settings_are_what_the_settings_say() {
    let enclave: Enclave = toml::from_str(&read("enclave.toml")).unwrap();
    let of = |table: &toml::Table, name: &str| u64::try_from(table[name].as_integer().unwrap()).unwrap();
    let limit = |name| of(&enclave.limits, name);
    let policies = of(&enclave.policies, "policy-calls-mib") + of(&enclave.policies, "uploads-mib");
    assert_eq!(row("connections").1, 2 * limit("max-connections") * 60 / 1024);
    assert_eq!(row("bodies and answers").1, 2 * (limit("max-bodies-mib") + limit("max-answers-mib")));
    assert_eq!(row("the policies of manifests").1, policies);
    let (compiling, named) = (of(&enclave.policies, "compiling-mib"), of(&enclave.policies, "policies-mib"));
    assert_eq!(row("compiling one of them").1, compiling);
    // One that is used no more is as large as what could be compiled in that memory.
    let unused = compiling * CODE_OF_EACH / constant(FOOTPRINT, "CODE");
    assert_eq!(KEPT_UNUSED, said_by_feature(&source(COMPILING), "KEPT", "enclave").unwrap()[0]);
    let (what, compiled) = row("what is compiled");
    let told = format!(
        "what is compiled: {CODE_OF_EACH} for each of `policies-mib` ({named}), in force and proposed, and one of {unused} that is used no more"
    );
    assert_eq!((what, compiled), (told, 2 * CODE_OF_EACH * named + KEPT_UNUSED * unused));
}

#[test]
fn the_row_of_stacks_is_what_the_threads_of_the_source_have() {
    let threads = Threads::of_the_source();
    let own = constant(COMPILING, "STACK_BYTES") >> 20;
    let main = mebibytes(&occlum().process.default_stack_size);
    assert_eq!(own, main, "the row names one size for both");
    let (what, stacks) = row("stacks");
    let others = threads.executed();
    let told = format!(
        "stacks: {main} each of the main thread and the compiler of policies, and {others} of {STACK_MIB}"
    );
    assert_eq!((what, stacks), (told, main + own + others * STACK_MIB));
    let gramine = gramine();
    assert_eq!(gramine["sys"]["stack"]["size"].as_str(), Some(format!("{main}M").as_str()));
    let [executed, interpreted] = threads.blocking;
    let told = format!(
        "Threads: {} that answer, at most {executed} that block ({interpreted} where policies are interpreted), at most {} for handshakes,",
        threads.workers, threads.handshakes
    );
    assert!(fs::read_to_string(root().join("host/docs/enclave.md")).unwrap().contains(&told), "{told}");
}

#[test]
fn every_place_that_starts_threads_is_counted() {
    let mut found = Vec::new();
    for part in fs::read_dir(root().join("host")).unwrap() {
        let sources = part.unwrap().path().join("src");
        let name = sources.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        if sources.is_dir() && !NOT_THE_COORDINATOR.contains(&name.as_str()) {
            found.extend(files(&sources).iter().flat_map(|file| starts(file)));
        }
    }
    let mut known = vec![ANSWERING, HANDSHAKING, COMPILING];
    known.extend(SINGLE.map(|(file, _)| file));
    found.sort();
    known.sort_unstable();
    assert_eq!(found, known);
}

/// The file once for each thread or pool that it starts outside of its tests.
fn starts(file: &Path) -> Vec<String> {
    let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
    if !name.ends_with(".rs") || name.ends_with("tests.rs") {
        return Vec::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let count = STARTS.iter().map(|start| code.matches(start).count()).sum();
    vec![name.to_owned(); count]
}

#[test]
fn the_sum_fits_into_what_occlum_and_gramine_give() {
    let (rows, together) = table();
    assert_eq!(rows.iter().map(|(_, number)| number).sum::<u64>(), together, "the table's sum");
    let threads = Threads::of_the_source();
    let interpreted = together + (threads.interpreted() - threads.executed()) * STACK_MIB;
    let occlum = occlum();
    let space = mebibytes(&occlum.resource_limits.user_space_size);
    assert!(together <= space && interpreted <= space, "{together} or {interpreted} MiB of {space}");
    let process = &occlum.process;
    assert!(mebibytes(&process.default_heap_size) + mebibytes(&process.default_mmap_size) <= space);
    // And the main thread and the compiler.
    let all = threads.interpreted() + 2;
    assert!(all <= occlum.resource_limits.max_num_of_threads.into(), "{all} threads");
    let gramine = gramine();
    let size = mebibytes(&gramine["sgx"]["enclave_size"].as_str().unwrap().replace('G', "GB"));
    assert!(size >= interpreted + GRAMINES_MIB && size.is_power_of_two(), "{size} MiB");
    let most = gramine["sgx"]["max_threads"].as_integer().unwrap();
    assert!(all + GRAMINES_THREADS <= most.try_into().unwrap(), "{all} threads of {most}");
}

#[test]
fn nothing_in_the_environment_makes_more_threads_or_larger_stacks() {
    let workers = constant(ANSWERING, "ENCLAVE_WORKERS").to_string();
    let arenas = constant("host/coordinator/src/returning.rs", "ARENAS").to_string();
    let environment = occlum().env;
    let gramine = gramine();
    for (name, value) in [("TOKIO_WORKER_THREADS", workers), ("MALLOC_ARENA_MAX", arenas)] {
        assert!(environment.default.contains(&format!("{name}={value}")), "{name}");
        assert_eq!(gramine["loader"]["env"][name].as_str(), Some(value.as_str()), "{name}");
        assert!(!environment.untrusted.iter().any(|untrusted| untrusted == name), "{name} is the host's");
    }
    let stack = "RUST_MIN_STACK";
    assert!(environment.default.iter().chain(&environment.untrusted).all(|set| !set.starts_with(stack)));
    assert!(gramine["loader"]["env"].get(stack).is_none());
}

#[test]
fn the_program_fits_into_its_row() {
    let test = "the_program_fits_into_its_row";
    let Some(program) = std::env::var_os("CARRARA_ENCLAVE_COORDINATOR") else {
        return skip(test, "run the tests by `cargo xtask test`, which builds the coordinators for enclaves");
    };
    let program = fs::read(program).unwrap();
    let libraries: u64 =
        all_needed(&program).iter().filter_map(|name| library(name)).map(|it| address_space(&it)).sum();
    assert!(libraries > 1 << 20, "the C library alone has more");
    let (_, told) = row("program, libraries and built-in policies");
    // What tests build is larger than what is released. The size of that is what host/docs/enclave.md measured.
    let measured = fs::read_to_string(root().join("host/docs/enclave.md")).unwrap();
    let line = measured.lines().find(|line| line.starts_with("| the program, stripped |")).unwrap();
    let released: u64 = line.split('|').nth(3).unwrap().trim().strip_suffix(" MB").unwrap().parse().unwrap();
    let released = released * 1_000_000 + libraries;
    assert!(released <= told << 20, "{released} bytes in {told} MiB");
    // But even in its place what tests build must fit, so that code cannot grow beyond the enclave unseen.
    let tested = (address_space(&program) + libraries).div_ceil(1 << 20);
    let space = mebibytes(&occlum().resource_limits.user_space_size);
    let together = table().1 - told + tested;
    assert!(together <= space, "with a program of {tested} MiB {together} of {space}");
    println!(
        "the coordinator for enclaves as it is tested, with its libraries: {tested} MiB of address space"
    );
}
