//! The coordinator as it is built for enclaves, within the address space of one: it starts, activates, and asks policies.
//!
//! `cargo xtask test` builds it; `cargo xtask test --enclave` runs all black-box tests with it, `--interpreted` with the one that interprets. What only the hardware shows is in README.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use carrara_tests::coordinator::{self, Coordinator, Launch};
use carrara_tests::users::User;
use carrara_tests::{api, binary, manifests, marble, policies, root, skip, succeed};
use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What examples/occlum gives it, its stacks and its heap included.
const ADDRESS_SPACE: u64 = 512 << 20;

/// An authorizer that denies actions whose name is as long as this.
const DENIED: &str = "WriteSecret";

/// What is built for enclaves, and for those without executable memory.
const EXECUTED: &str = "CARRARA_ENCLAVE_COORDINATOR";
const INTERPRETED: &str = "CARRARA_INTERPRETED_COORDINATOR";

/// The signals that a build for enclaves handles: SIGINT and SIGTERM end it, SIGXFSZ says that a file may not grow, and Rust's library
/// tells stacks that are full from other faults (SIGBUS, SIGSEGV), which costs nothing where they never come.
const HANDLED: [u32; 5] = [2, 7, 11, 15, 25];

/// A policy of the library.
const LIBRARY: &str = "separation-of-duties";

/// The threads of a coordinator for enclaves, by the names that the kernel keeps, and how many of each there are at most: what
/// examples/occlum/README.md has stacks for. The runtime's are those that answer and those that block.
const THREADS: [(&str, usize); 7] = [
    ("carrara-coordin", 1),
    ("tokio-rt-worker", 4 + 24),
    ("handshakes", 4),
    ("store", 1),
    ("policy-clock", 2),
    ("policy-compiler", 1),
    ("policy-shadow", 1),
];

/// The coordinator for enclaves, or the test's end with a note of what is missing.
fn enclave_coordinator(test: &str, variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        skip::skip(test, "run the tests by `cargo xtask test`, which builds the coordinators for enclaves");
    }
    found
}

/// Whether the kernel can forbid executable memory.
fn executable_memory_can_be_forbidden(test: &str) -> bool {
    let can = coordinator::executable_memory_can_be_forbidden();
    if !can {
        skip::skip(test, "Linux 6.3 or newer, whose prctl knows PR_SET_MDWE");
    }
    can
}

/// Written here and not taken from the policies' library, so that nothing but the coordinator must be built for this test.
fn authorizer() -> Vec<u8> {
    let length = DENIED.len();
    let text = format!(
        r#"(module
        (memory (export "memory") 4)
        (global $free (mut i32) (i32.const 65536))
        (data (i32.const 512) "read only")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
          (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
          (global.set $free (i32.add (local.get $at) (local.get 3)))
          (local.get $at))
        (func (export "carrara:policy/configuration@1.0.0#check") (param i32 i32) (result i32) (i32.const 1024))
        ;; The length of the action's name is at 60 of the question.
        (func (export "carrara:policy/role-authorizer@1.0.0#authorize") (param $asked i32) (result i32)
          (if (result i32) (i32.eq (i32.load offset=60 (local.get $asked)) (i32.const {length}))
            (then
              (i32.store (i32.const 3072) (i32.const 1))
              (i32.store (i32.const 3076) (i32.const 512)) (i32.store (i32.const 3080) (i32.const 9))
              (i32.store (i32.const 3084) (i32.const 512)) (i32.store (i32.const 3088) (i32.const 9))
              (i32.const 3072))
            (else (i32.const 2048)))))"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("role-authorization")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// Alice, who may read and write; a Marble with a file of each language of templates.
fn manifest(alice: &User, policy: &[u8], folder: &Path) -> Value {
    let mut manifest = manifests::with_updaters(&[("alice", alice)], 1, 0);
    manifest["Secrets"] = json!({
        "key": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "note": { "Type": "plain", "UserDefined": true },
    });
    manifests::grant(&mut manifest, "alice", "reader", "Secrets", &["key"], &["ReadSecret"]);
    manifests::grant(&mut manifest, "alice", "writer", "Secrets", &["note"], &["WriteSecret"]);
    let file = |name: &str| folder.join(name).display().to_string();
    manifest["Marbles"]["svc"]["Parameters"] = json!({
        "Argv": marble::identity_writer(),
        "Files": {
            file("go"): "key {{ base64 .Secrets.key }}",
            file("liquid"): { "Data": "{% for n in (1..3) %}{{ n }}{% endfor %}", "Renderer": "liquid" },
        },
    });
    manifest["Policies"] =
        json!({ "readonly": { "World": "role-authorization", "Component": policies::digest(policy) } });
    manifest
}

/// Most of the address space that it had so far, in bytes; the kernel's own count.
fn peak(coordinator: &Coordinator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", coordinator.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The threads that it has now: each name, and how many there are of it.
fn threads(coordinator: &Coordinator) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{}/task", coordinator.id())).unwrap() {
        // It may have ended meanwhile.
        if let Ok(name) = std::fs::read_to_string(thread.unwrap().path().join("comm")) {
            *found.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    found
}

/// The numbers of the signals that it handles, but for those of the C library itself; bit 0 of the kernel's mask is signal 1
/// (proc_pid_status(5), signal(7)).
fn handled(coordinator: &Coordinator) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", coordinator.id())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    (1..32).filter(|signal| mask & (1 << (signal - 1)) != 0).collect()
}

/// Sets a manifest with the component in a file of the folder.
fn set(coordinator: &Coordinator, folder: &Path, manifest: &Value, policy: &str) {
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let mut set = Command::new(binary("carrara"));
    set.current_dir(folder).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
    set.args(["--insecure", "manifest", "set", "--policy", policy, "manifest.json"]);
    succeed(set.arg(coordinator.rest.to_string()));
}

/// Sets a manifest with a policy of its own, activates, reads, and is denied by that policy; twice, with a restart between.
fn lives_twice(launch: &Launch, told: &str) {
    let mut coordinator = launch.start();
    coordinator.wait_for_log(|line| line.contains(told));
    let folder = tempfile::tempdir().unwrap();
    let alice = User::new(folder.path(), "alice");
    let policy = authorizer();
    std::fs::write(folder.path().join("readonly"), &policy).unwrap();
    let manifest = manifest(&alice, &policy, folder.path());
    set(&coordinator, folder.path(), &manifest, "readonly");
    for life in 0..2 {
        let _identity = marble::activate(&coordinator, folder.path(), "svc");
        let rendered = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(rendered("go").len() > "key ".len(), "life {life}");
        assert_eq!(rendered("liquid"), "123", "life {life}");
        let _read = api::secret(&coordinator, &alice, "key");
        let note = json!({ "note": { "Key": "bm90ZQ==" } });
        let refused = api::upload(&coordinator, api::Version::V2, &alice, &note);
        assert_ne!(refused.status, 200, "life {life}");
        assert!(refused.message().contains("readonly: read only"), "{}", refused.body);
        // After policies were asked: no handler of SIGILL or SIGFPE ends them, and no timer's signal.
        assert_eq!(handled(&coordinator), HANDLED, "life {life}");
        let peak = peak(&coordinator);
        assert!(peak <= ADDRESS_SPACE, "the limit is none: {peak}");
        println!("address space of the coordinator: {} MiB", peak >> 20);
        assert!(coordinator.terminate().success());
        coordinator = launch.start();
    }
}

// cli.md section 1; the enclave's memory: architecture, Trust
#[test]
fn in_512_mb_of_address_space_it_activates_and_asks_built_in_and_other_policies() {
    let Some(program) = enclave_coordinator("enclave", EXECUTED) else { return };
    lives_twice(&Launch::new().enclave(&program, ADDRESS_SPACE), "policies are executed");
}

// cli.md section 1; the enclave's memory: architecture, Trust. The policy is as `cargo xtask policies` builds it, with the serialisation and the
// allocator that policies in Rust have.
#[test]
fn in_512_mb_of_address_space_a_policy_in_rust_permits_and_refuses() {
    let Some(program) = enclave_coordinator("rust", EXECUTED) else { return };
    let built = root().join(format!("target/policies/{LIBRARY}.wasm"));
    let policy = std::fs::read(&built)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask policies`", built.display()));
    let coordinator = Launch::new().enclave(&program, ADDRESS_SPACE).start();
    let folder = tempfile::tempdir().unwrap();
    let alice = User::new(folder.path(), "alice");
    std::fs::write(folder.path().join(LIBRARY), &policy).unwrap();
    let mut manifest = manifest(&alice, &policy, folder.path());
    manifest["Policies"] = json!({ LIBRARY: {
        "World": "role-authorization",
        "Component": policies::digest(&policy),
        "Settings": { "pairs": [["ReadSecret", "WriteSecret"]] },
    } });
    set(&coordinator, folder.path(), &manifest, LIBRARY);
    let _read = api::secret(&coordinator, &alice, "key");
    let note = json!({ "note": { "Key": "bm90ZQ==" } });
    let refused = api::upload(&coordinator, api::Version::V2, &alice, &note);
    let reason = format!("{LIBRARY}: whoever may ReadSecret may not WriteSecret");
    assert_eq!(refused.status, 500, "{}", refused.body);
    assert!(refused.message().contains(&reason), "{}", refused.body);
    let peak = peak(&coordinator);
    assert!(peak <= ADDRESS_SPACE, "the limit is none: {peak}");
    println!("address space of the coordinator with a policy in Rust: {} MiB", peak >> 20);
    let threads = threads(&coordinator);
    for (name, count) in &threads {
        let most = THREADS.iter().find(|(known, _)| known == name).map(|(_, most)| *most);
        assert!(most.is_some_and(|most| *count <= most), "{name}: {threads:?}");
    }
    assert_eq!((threads["store"], threads["policy-clock"]), (1, 2), "{threads:?}");
}

// cli.md section 1; architecture, Trust: a system that makes no memory executable
#[test]
fn where_no_memory_becomes_executable_it_interprets_policies() {
    let Some(program) = enclave_coordinator("interpreted", INTERPRETED) else { return };
    if !executable_memory_can_be_forbidden("interpreted") {
        return;
    }
    let launch = Launch::new().enclave(&program, ADDRESS_SPACE);
    lives_twice(&launch.without_executable_memory(), "policies are interpreted");
}

// cli.md section 1: a start that fails says what to do
#[test]
fn where_no_memory_becomes_executable_other_builds_name_the_one_that_interprets() {
    let Some(program) = enclave_coordinator("executed", EXECUTED) else { return };
    if !executable_memory_can_be_forbidden("executed") {
        return;
    }
    let launch = Launch::new().enclave(&program, ADDRESS_SPACE);
    let log = launch.without_executable_memory().try_start().unwrap_err();
    assert!(log.contains("memory cannot be made executable"), "{log}");
    assert!(log.contains("--features interpreted"), "{log}");
}
