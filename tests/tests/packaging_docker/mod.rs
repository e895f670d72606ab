//! The Dockerfiles: which images they are made from, what they get, and what they call.

use std::process::Command;

use crate::{read, said, script};

const EXAMPLES: [&str; 2] = ["occlum", "gramine"];

/// By its digest, or with a tag of three numbers, which nobody moves.
fn is_exact(image: &str) -> bool {
    let digest = image
        .split_once("@sha256:")
        .is_some_and(|(_, digest)| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let tag = image.split('@').next().unwrap().rsplit_once(':').map_or("", |(_, tag)| tag);
    let version: Vec<&str> = tag.split('-').next().unwrap().split('.').collect();
    digest || (version.len() == 3 && version.iter().all(|part| part.parse::<u32>().is_ok()))
}

#[test]
fn an_image_without_a_version_is_not_exact() {
    assert!(is_exact("occlum/occlum:0.31.0-ubuntu20.04"));
    assert!(is_exact(&format!("a/b:1.9@sha256:{}", "0f".repeat(32))));
    for image in ["ubuntu", "ubuntu:24.04", "ubuntu:latest", "a/b:1.9-noble", "a/b@sha256:00"] {
        assert!(!is_exact(image), "{image}");
    }
}

#[test]
fn the_images_are_made_from_exact_ones_without_anything_else_from_the_network() {
    for example in EXAMPLES {
        let text = read(&format!("{example}/Dockerfile"));
        let mut stages: Vec<&str> = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("FROM ")) {
            let words: Vec<&str> = line.split(' ').collect();
            assert!(stages.contains(&words[0]) || is_exact(words[0]), "{example}: {line}");
            stages.extend(words.get(2));
        }
        assert!(stages.contains(&"signed"), "which its head says must not be cached");
        // What a distribution gives differs from day to day.
        for moving in ["apt-get", "curl", "wget", "ADD http"] {
            assert!(!text.contains(moving), "{example}: {moving}");
        }
        assert!(read(&format!("{example}/README.md")).contains("--no-cache-filter signed"));
    }
    let image = read("occlum/Dockerfile");
    let image = image.lines().find_map(|line| line.strip_prefix("FROM ")?.strip_suffix(" AS tools")).unwrap();
    for file in ["occlum/README.md", "occlum/bom.yaml", "occlum/build"] {
        assert!(read(file).contains(image), "{file} names another image than {image}");
    }
}

#[test]
fn the_images_call_scripts_with_options_that_they_have_and_keep_nothing_of_the_key() {
    for example in EXAMPLES {
        let text = read(&format!("{example}/Dockerfile"));
        let folder = tempfile::tempdir().unwrap();
        let help = script(&format!("{example}/build"), folder.path()).arg("--help").output().unwrap();
        let code: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        for option in ["--key", "--owner", "--no-owner", "--instance"] {
            assert!(
                code.contains(option) && said(&help).contains(&format!("  {option} ")),
                "{example}: {option}"
            );
        }
        // A secret that is not given is no owner only where that was said.
        assert!(code.contains("id=signing-key,required=true") && code.contains("ARG OWNER=required"));
        let last = text.rsplit_once("\nFROM ").unwrap().1;
        let copied: Vec<&str> = last.lines().filter(|line| line.starts_with("COPY ")).collect();
        assert_eq!(
            copied,
            [
                "COPY --from=signed /carrara/instance /carrara/instance".to_owned(),
                format!("COPY --from=signed /carrara/examples/{example}/run /carrara/run")
            ]
        );
        assert!(
            last.contains("ENTRYPOINT [\"/carrara/run\"]")
                && last.contains("ENV CARRARA_INSTANCE=/carrara/instance")
        );
    }
}

#[test]
fn docker_gets_all_sources_and_no_keys() {
    let list = read("occlum/Dockerfile.dockerignore");
    assert_eq!(list, read("gramine/Dockerfile.dockerignore"));
    let rules: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(rules[0], "*", "nothing but what is named");
    let let_in: Vec<&str> = rules.iter().filter_map(|rule| rule.strip_prefix('!')).collect();
    assert!(let_in.iter().all(|name| !name.contains(['*', '/'])), "{let_in:?}");
    let workspace = std::fs::read_to_string(carrara_tests::root().join("Cargo.toml")).unwrap();
    let workspace: toml::Table = workspace.parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap().iter();
    let members = members.map(|member| member.as_str().unwrap().split('/').next().unwrap());
    for name in members.chain(["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo", "wit"]) {
        assert!(let_in.contains(&name), "{name} is not sent to docker");
    }
    for key in ["examples/**/*.pem", "examples/**/*.key", "**/target"] {
        assert!(rules.contains(&key), "{key}");
    }
}

#[test]
fn nothing_of_the_repository_is_lost_on_the_way_to_docker() {
    let mut git = Command::new("git");
    git.current_dir(carrara_tests::root())
        .args(["ls-files", "--", "host", "plugins", "policies", "sdk", "tests", "wit", "examples"]);
    let output = git.output().unwrap();
    for file in String::from_utf8(output.stdout).unwrap().lines() {
        let lost = file.split('/').any(|part| ["target", "node_modules", "__pycache__"].contains(&part));
        let example = file.strip_prefix("examples/").is_some_and(|file| {
            [".crt", ".key", ".pem"].iter().any(|ending| file.ends_with(ending))
                || file.split('/').any(|part| ["instance", "stage", "state"].contains(&part))
        });
        assert!(!lost && !example, "{file} is part of the sources and is left out");
    }
}
