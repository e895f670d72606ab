//! The packaging in examples/: everything about it that can be checked without a TEE and without Occlum's and Gramine's tools, whose places
//! stand-ins take where a script must be run to its end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use carrara_tests::skip::skip;
use carrara_tests::{binary, root};

mod packaging_docker;
mod packaging_elf;
mod packaging_gramine;
mod packaging_memory;
mod packaging_occlum;

use packaging_elf::{loader, needed};
use packaging_occlum::{Bom, OcclumJson};

/// What Gramine's runtime folder has: its C library in parts.
const GRAMINE_RUNTIME: [&str; 6] =
    ["ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"];

/// Variables that a host must not set for an enclave: they decide whom it trusts, or what it writes where.
const NOT_THE_HOSTS: [&str; 7] = [
    "OE_SIMULATION",
    "EDG_COORDINATOR_OWNER_CERT",
    "EDG_COORDINATOR_SEAL_DIR",
    "EDG_STARTUP_MANIFEST",
    "EDG_STARTUP_RECOVERY_FILE",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
];

fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(example(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn occlum() -> OcclumJson {
    serde_json::from_str(&read("occlum/Occlum.json")).unwrap()
}

fn bom() -> Bom {
    serde_saphyr::from_str(&read("occlum/bom.yaml")).unwrap()
}

/// Gramine's template as gramine-manifest renders it; the expressions are the few that it documents.
fn gramine() -> toml::Table {
    let rendered = read("gramine/carrara-coordinator.manifest.template")
        .replace("{{ gramine.libos }}", "/usr/lib/x86_64-linux-gnu/gramine/libsysdb.so")
        .replace("{{ gramine.runtimedir() }}", "/usr/lib/x86_64-linux-gnu/gramine/runtime/glibc")
        .replace("{{ arch_libdir }}", "/lib/x86_64-linux-gnu");
    assert!(!rendered.contains("{{") && !rendered.contains("{%"), "an expression that nobody renders");
    rendered.parse().unwrap()
}

fn texts(value: &toml::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn help() -> String {
    let output = Command::new(binary("carrara-coordinator")).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_occlum_enclave_is_one_for_production() {
    let occlum = occlum();
    assert!(
        !occlum.metadata.debuggable && occlum.metadata.version_number > 0 && occlum.metadata.product_id > 0
    );
    assert_eq!(occlum.metadata.disable_log, Some(true), "whatever the host asks of Occlum's own log");
    assert_eq!(occlum.entry_points, ["/bin/carrara-coordinator"]);
    let image = &occlum.mount[0].options.as_ref().unwrap().layers.as_ref().unwrap()[0];
    let measured = image.options.as_ref().unwrap().mac.as_deref();
    assert_eq!((image.type_.as_str(), measured), ("sefs", Some("")), "the image is measured");
    let hosts: Vec<_> = occlum.mount.iter().filter(|mount| mount.type_ == "hostfs").collect();
    assert_eq!(hosts.len(), 1);
    let state = occlum.env.default.iter().find_map(|set| set.strip_prefix("EDG_COORDINATOR_SEAL_DIR="));
    assert!(state.unwrap().starts_with(&hosts[0].target), "the state is where the host keeps it");
}

#[test]
fn the_host_sets_the_same_few_variables_in_both_and_none_that_decides_about_trust() {
    let occlum: BTreeSet<String> = occlum().env.untrusted.into_iter().collect();
    let gramine = gramine();
    let environment = gramine["loader"]["env"].as_table().unwrap();
    let passed = |value: &toml::Value| value.get("passthrough").and_then(toml::Value::as_bool) == Some(true);
    let passed: BTreeSet<String> =
        environment.iter().filter(|(_, value)| passed(value)).map(|(name, _)| name.clone()).collect();
    assert_eq!(occlum, passed);
    let help = help();
    for name in &occlum {
        assert!(!NOT_THE_HOSTS.contains(&name.as_str()), "{name}");
        assert!(help.contains(&format!("[{name};")), "{name} is no variable of the coordinator");
    }
}

#[test]
fn every_file_of_the_occlum_image_is_staged_by_the_build_or_comes_with_the_named_image() {
    let script = read("occlum/build");
    for (_, file) in bom().files() {
        match file.strip_prefix("../stage/") {
            Some(staged) => {
                let staged = format!("\"$stage/{}", staged.trim_end_matches('/'));
                assert!(script.contains(&staged), "{file} is not made by build");
            }
            None => assert!(
                file.starts_with("/opt/occlum/glibc/lib/") || file == "/lib/x86_64-linux-gnu/libgcc_s.so.1",
                "{file} comes from nowhere"
            ),
        }
    }
    assert_eq!(bom().includes, ["base.yaml"], "which occlum/occlum has in /opt/occlum/etc/template");
    for file in ["measured.toml", "owner.pem", "coordinator.toml"] {
        assert!(script.contains(&format!("$stage/carrara/{file}")), "{file}");
    }
}

/// A shared library of this machine.
fn library(name: &str) -> Option<Vec<u8>> {
    let folders = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"];
    folders.iter().find_map(|folder| fs::read(Path::new(folder).join(name)).ok())
}

/// What a program needs, with what that needs, as far as this machine has it.
fn all_needed(program: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = needed(program);
    while let Some(name) = open.pop() {
        let library = library(&name);
        if found.insert(name) {
            open.extend(library.iter().flat_map(|library| needed(library)));
        }
    }
    found
}

#[test]
fn every_shared_library_of_the_coordinator_is_in_both_images() {
    // The one for enclaves, where it was built: its features are what the images' program has.
    let program = std::env::var_os("CARRARA_ENCLAVE_COORDINATOR")
        .map_or_else(|| binary("carrara-coordinator"), PathBuf::from);
    let program = fs::read(program).unwrap();
    let loader = loader(&program);
    assert_eq!(loader, "/lib64/ld-linux-x86-64.so.2");
    let needed = all_needed(&program);
    for name in ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"] {
        assert!(needed.contains(name), "{name} is not among {needed:?}");
    }
    let files = bom().files();
    let occlum = |target: &str, name: &str| {
        let named = |file: &str| Path::new(file).file_name().unwrap() == name;
        files.iter().any(|(place, file)| place == target && named(file))
    };
    assert!(occlum("/lib64", "ld-linux-x86-64.so.2"), "the loader, where the program says that it is");
    let gramine = gramine();
    let mounts = gramine["fs"]["mounts"].as_array().unwrap();
    let runtime = mounts.iter().find(|mount| mount["path"].as_str() == Some("/lib")).unwrap();
    assert!(runtime["uri"].as_str().unwrap().ends_with("/gramine/runtime/glibc"), "{runtime}");
    let searched = gramine["loader"]["env"]["LD_LIBRARY_PATH"].as_str().unwrap();
    assert_eq!(searched, "/lib:/lib/x86_64-linux-gnu", "where Gramine looks for the loader, too");
    for name in needed.iter().map(String::as_str).filter(|name| !loader.ends_with(name)) {
        assert!(occlum("/opt/occlum/glibc/lib", name), "examples/occlum/bom.yaml lacks {name}");
        let mounted = |mount: &toml::Value| mount["path"].as_str().unwrap().ends_with(&format!("/{name}"));
        assert!(
            GRAMINE_RUNTIME.contains(&name) || mounts.iter().any(mounted),
            "Gramine's manifest lacks {name}"
        );
    }
}

#[test]
fn the_gramine_enclave_is_one_for_production() {
    let gramine = gramine();
    let sgx = gramine["sgx"].as_table().unwrap();
    assert_eq!(sgx["debug"].as_bool(), Some(false));
    assert_eq!(sgx["remote_attestation"].as_str(), Some("dcap"));
    let version = (sgx["isvprodid"].as_integer(), sgx["isvsvn"].as_integer());
    let metadata = occlum().metadata;
    assert_eq!(version, (Some(metadata.product_id.into()), Some(metadata.version_number.into())));
    let text = gramine.to_string();
    for insecure in ["insecure__", "file_check_policy", "use_cmdline_argv", "use_host_env", "encrypted"] {
        assert!(!text.contains(insecure), "{insecure}");
    }
    assert_eq!(texts(&sgx["allowed_files"]), ["file:state/"]);
    assert_eq!(gramine["libos"]["entrypoint"].as_str(), Some("/bin/carrara-coordinator"));
    assert_eq!(texts(&gramine["loader"]["argv"])[0], "/bin/carrara-coordinator");
}

#[test]
fn what_gramine_mounts_of_the_host_is_trusted_but_for_the_state() {
    let gramine = gramine();
    let sgx = gramine["sgx"].as_table().unwrap();
    let known: Vec<&str> = [texts(&sgx["trusted_files"]), texts(&sgx["allowed_files"])].concat();
    let script = read("gramine/build");
    for mount in gramine["fs"]["mounts"].as_array().unwrap() {
        let Some(uri) = mount.get("uri").and_then(toml::Value::as_str) else { continue };
        assert!(known.contains(&uri) || known.contains(&format!("{uri}/").as_str()), "{uri} is not measured");
        let file = uri.strip_prefix("file:").unwrap();
        assert!(
            file.starts_with('/') || script.contains(&format!("$instance/{file}")),
            "{file} is not made by build"
        );
    }
}

/// A coordinator that cannot bind: an error of the addresses means that its settings were taken.
fn settings_are_taken(file: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("carrara-coordinator"));
    command.args(["--simulation", "--client-addr", "192.0.2.1:1", "--mesh-addr", "192.0.2.1:1", "--config"]);
    let output = command.arg(file).arg("--seal-dir").arg(folder.path().join("state")).output().unwrap();
    assert!(said(&output).contains("binding the addresses"), "{}: {}", file.display(), said(&output));
}

#[test]
fn the_settings_files_are_taken() {
    settings_are_taken(&example("enclave.toml"));
    settings_are_taken(&example("systemd/coordinator.toml"));
    // And with what is commented out, but for the file that is on the machine only.
    let text = read("systemd/coordinator.toml");
    let lines = text.lines().filter_map(|line| line.strip_prefix("# "));
    let lines = lines.filter(|line| line.starts_with('[') || line.contains(" = "));
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("pccs-ca")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, lines.join("\n")).unwrap();
    settings_are_taken(&settings);
}

const SCRIPTS: [&str; 6] =
    ["check-release", "occlum/build", "occlum/run", "gramine/build", "gramine/run", "systemd/install"];

#[test]
fn the_scripts_are_programs_that_a_posix_shell_reads() {
    for script in SCRIPTS {
        let mode = fs::metadata(example(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
        assert!(read(script).starts_with("#!/bin/sh\n"));
        let output = Command::new("sh").arg("-n").arg(example(script)).output().unwrap();
        assert!(output.status.success(), "{script}: {}", said(&output));
    }
}

#[test]
fn every_option_with_which_the_coordinator_is_started_exists() {
    let help = help();
    let mut found = 0;
    for file in [
        "check-release",
        "occlum/run",
        "gramine/carrara-coordinator.manifest.template",
        "systemd/carrara-coordinator.service",
    ] {
        let text = read(file).replace("\\\n", " ");
        let starts = |line: &&str| {
            !line.starts_with('#')
                && ["occlum run", "\"$binary\" --", "loader.argv", "ExecStart="]
                    .iter()
                    .any(|word| line.contains(word))
        };
        for option in text.lines().filter(starts).flat_map(|line| line.split([' ', '"', ','])) {
            if option.starts_with("--") && option.len() > 2 {
                assert!(
                    help.contains(&format!("{option} ")) || help.contains(&format!("{option}[")),
                    "{file}: {option}"
                );
                found += 1;
            }
        }
    }
    assert!(found >= 7, "only {found} options were found");
}

/// A program that says something and ends; stands in for one that is not here.
fn stand_in(folder: &Path, name: &str, script: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A stand-in for a coordinator for release.
fn release(folder: &Path) -> PathBuf {
    stand_in(
        folder,
        "release",
        "echo 'Error: this build cannot simulate a TEE and no TEE was found' >&2; exit 1",
    )
}

fn script(name: &str, tools: &Path) -> Command {
    let mut command = Command::new(example(name));
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", tools.display())).current_dir(tools).env_remove("DESTDIR");
    command
}

// X-3
#[test]
fn what_can_simulate_is_never_signed_or_installed() {
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path();
    let check = |program: &Path| script("check-release", tools).arg(program).output().unwrap();
    assert!(check(&release(tools)).status.success());
    let development = binary("carrara-coordinator");
    for other in [
        development.clone(),
        stand_in(tools, "silent", "exit 0"),
        stand_in(tools, "broken", "exit 1"),
        stand_in(tools, "lies", "echo 'this build cannot simulate'; exit 0"),
        tools.join("none"),
    ] {
        let output = check(&other);
        assert_eq!(output.status.code(), Some(1), "{}: {}", other.display(), said(&output));
    }
    fs::write(tools.join("key.pem"), "key").unwrap();
    for build in ["occlum/build", "gramine/build"] {
        let arguments = ["--key", "key.pem", "--no-owner", "--instance", "instance", "--binary"];
        let output = script(build, tools).args(arguments).arg(&development).output().unwrap();
        assert!(
            !output.status.success() && said(&output).contains("did not refuse to simulate"),
            "{}",
            said(&output)
        );
        assert!(!tools.join("instance").exists() && !tools.join("stage").exists());
        let arguments = ["--key", "key.pem", "--owner", "none.crt", "--instance", "instance", "--binary"];
        let output = script(build, tools).args(arguments).arg(release(tools)).output().unwrap();
        assert!(said(&output).contains("there is no certificate none.crt"), "{}", said(&output));
        assert!(!output.status.success() && !tools.join("instance").exists());
    }
    let image = tools.join("image");
    let output =
        script("systemd/install", tools).env("DESTDIR", &image).arg("--binary").arg(&development).output();
    assert!(!output.unwrap().status.success() && !image.exists());
}

// X-1
#[test]
fn the_gramine_build_signs_the_owners_certificate_with_the_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path();
    stand_in(tools, "gramine-manifest", "shift; cp \"$1\" \"$2\"");
    stand_in(tools, "gramine-sgx-sign", "echo \"$@\" >signed");
    let binary = release(tools);
    fs::write(tools.join("key.pem"), "key").unwrap();
    fs::write(tools.join("owner.crt"), "certificate").unwrap();
    let build = |instance: &str, owner: &[&str]| {
        let mut command = script("gramine/build", tools);
        command
            .args(["--key", "key.pem", "--instance"])
            .arg(tools.join(instance))
            .arg("--binary")
            .arg(&binary);
        command.args(owner).output().unwrap()
    };
    assert_eq!(build("unsaid", &[]).status.code(), Some(2), "whether there is an owner must be said");
    let output = build("owned", &["--owner", "owner.crt"]);
    assert!(output.status.success(), "{}", said(&output));
    let file = |path: &str| fs::read_to_string(tools.join(path)).unwrap();
    assert_eq!(file("owned/carrara/measured.toml"), "owner-cert = \"owner.pem\"\n");
    assert_eq!(file("owned/carrara/owner.pem"), "certificate");
    assert_eq!(file("owned/carrara/coordinator.toml"), read("enclave.toml"));
    assert!(
        file("owned/signed")
            .contains("--manifest carrara-coordinator.manifest --output carrara-coordinator.manifest.sgx")
    );
    assert!(build("open", &["--no-owner"]).status.success());
    assert_eq!(file("open/carrara/measured.toml"), "", "that there is none is measured, too");
    assert!(!build("open", &["--no-owner"]).status.success(), "an instance is never built over");
}

// X-1
#[test]
fn the_occlum_build_signs_the_owners_certificate_with_the_coordinator() {
    if !Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skip(
            "the_occlum_build_signs_the_owners_certificate_with_the_coordinator",
            "apt-get install jq",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path();
    let template = r#"{"mount": [{"target": "/"}, {"target": "/host"}, {"target": "/proc", "type": "procfs"}, {"target": "/dev", "type": "devfs"}]}"#;
    let new = format!(
        "[ $1 = new ] && mkdir \"$2\" && mkdir \"$2/image\" && echo '{template}' >\"$2/Occlum.json\""
    );
    stand_in(tools, "occlum", &format!("{new}\n[ $1 != build ] || echo \"$@\" >signed"));
    stand_in(tools, "copy_bom", "cp -r ../stage image/stage");
    fs::write(tools.join("key.pem"), "key").unwrap();
    fs::write(tools.join("owner.crt"), "certificate").unwrap();
    let mut command = script("occlum/build", tools);
    command.args(["--key", "key.pem", "--owner", "owner.crt", "--instance"]).arg(tools.join("instance"));
    release(tools);
    let output = command.args(["--binary", "release"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for (_, copied) in bom().files().iter().filter(|(_, file)| file.starts_with("../")) {
        assert!(tools.join("instance").join(copied).exists(), "{copied} is in the list and was not made");
    }
    let file = |path: &str| fs::read_to_string(tools.join("instance").join(path)).unwrap();
    assert_eq!(file("image/stage/carrara/measured.toml"), "owner-cert = \"owner.pem\"\n");
    assert_eq!(file("image/stage/carrara/owner.pem"), "certificate");
    assert!(file("signed").starts_with("build --sign-key /"));
    let made: OcclumJson = serde_json::from_str(&file("Occlum.json")).unwrap();
    let targets: Vec<&str> = made.mount.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/", "/state", "/proc", "/dev"]);
    assert_eq!(fs::metadata(tools.join("instance/state")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_service_is_installed_once_and_the_administrators_settings_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let tools = folder.path();
    let (image, binary) = (tools.join("image"), release(tools));
    fs::write(tools.join("owner.crt"), "certificate").unwrap();
    let install = |more: &[&str]| {
        let mut command = script("systemd/install", tools);
        command.env("DESTDIR", &image).args(["--owner", "owner.crt", "--binary"]).arg(&binary).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    assert!(install(&["--dry-run"]).contains("installs: /usr/local/bin/carrara-coordinator"));
    assert!(!image.exists(), "a dry run writes nothing");
    install(&[]);
    let file = |path: &str| fs::read_to_string(image.join(path)).unwrap();
    assert_eq!(file("etc/carrara/measured.toml"), "owner-cert = \"owner.pem\"\n");
    assert_eq!(file("etc/carrara/owner.pem"), "certificate");
    let unit = "etc/systemd/system/carrara-coordinator.service";
    assert_eq!(file(unit), read("systemd/carrara-coordinator.service"));
    fs::write(image.join("etc/carrara/coordinator.toml"), "# mine\n").unwrap();
    fs::write(image.join(unit), "# changed\n").unwrap();
    let again = install(&[]);
    assert!(
        again.contains("is there: /usr/local/bin")
            && again.contains("is kept: /etc/carrara/coordinator.toml"),
        "{again}"
    );
    assert_eq!(file("etc/carrara/coordinator.toml"), "# mine\n");
    assert_eq!(file(unit), read("systemd/carrara-coordinator.service"));
    assert!(!install(&[]).contains("installs:"), "nothing is left to do");
}

#[test]
fn only_root_installs_into_the_system() {
    let folder = tempfile::tempdir().unwrap();
    stand_in(folder.path(), "id", "echo 1000");
    let output = script("systemd/install", folder.path())
        .arg("--binary")
        .arg(release(folder.path()))
        .output()
        .unwrap();
    assert!(!output.status.success() && said(&output).contains("needs root"), "{}", said(&output));
}

#[test]
fn systemd_accepts_the_unit_and_calls_it_safe() {
    if !Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success())
    {
        return skip("systemd_accepts_the_unit_and_calls_it_safe", "apt-get install systemd");
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("carrara-coordinator.service");
    let text = read("systemd/carrara-coordinator.service");
    assert!(
        text.contains("ExecStart=/usr/local/bin/carrara-coordinator --config /etc/carrara/coordinator.toml")
    );
    // It verifies that the program is there.
    let program = release(folder.path());
    let text = text
        .replace("ExecStart=/usr/local/bin/carrara-coordinator", &format!("ExecStart={}", program.display()));
    fs::write(&unit, text).unwrap();
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let complaints = said(&verify);
    let complaints: Vec<&str> =
        complaints.lines().filter(|line| line.contains("carrara-coordinator")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=25", "--no-pager"]).arg(&unit);
    let output = security.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

// The coordinator is built in the same way; twice its many minutes is for the command itself (README.md).
#[test]
fn the_same_sources_make_the_same_policy_in_another_folder() {
    let mut measure = Command::new(binary("xtask"));
    let output = measure.args(["measure", "--twice", "--json", "--guests", "rbac"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let measured: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> =
        measured["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["guests/rbac.wasm", "guests/rbac.enclave.cwasm"]);
    assert_eq!(measured["twice"], true);
    assert!(
        measured["files"].as_array().unwrap().iter().all(|file| file["sha256"].as_str().unwrap().len() == 64)
    );
}
