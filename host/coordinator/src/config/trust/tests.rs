//! What only the measured image may say.

use std::ffi::OsString;

use clap::Parser as _;

use super::super::{CommandLine, Config};
use super::*;

const OWNER: &str = include_str!("../../../fixtures/owner.pem");

/// An image with these files beside the measured configuration.
struct Image(tempfile::TempDir);

impl Image {
    fn new(measured: Option<&str>) -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        image.write("owner.pem", OWNER);
        if let Some(text) = measured {
            image.write("measured.toml", text);
        }
        image
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, simulates: bool, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config> {
        let line = CommandLine::try_parse_from([&["carrara-coordinator"], arguments].concat())?;
        let variables: std::collections::HashMap<_, _> = variables.iter().copied().collect();
        let measured = self.path("measured.toml");
        Config::read(line, |name| variables.get(name).map(OsString::from), &Build::of(simulates, &measured))
    }

    fn refusal(&self, simulates: bool, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        format!("{:#}", self.read(simulates, arguments, variables).unwrap_err())
    }
}

fn owner() -> Option<OwnerCertificate> {
    Some(OwnerCertificate::from_pem(OWNER.as_bytes()).unwrap())
}

/// Arguments, and variables with their values.
type Way<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

// X-1; architecture, Trust
#[test]
fn without_simulation_the_host_cannot_say_who_the_owner_is() {
    let image = Image::new(None);
    let given = image.path("owner.pem");
    let given = given.to_str().unwrap();
    image.write("host.toml", &format!("owner-cert = {given:?}\n"));
    let file = image.path("host.toml");
    let file = file.to_str().unwrap();
    let ways: [Way<'_>; 3] = [
        (&["--owner-cert", given], &[]),
        (&[], &[("EDG_COORDINATOR_OWNER_CERT", given)]),
        (&["--config", file], &[]),
    ];
    for (arguments, variables) in ways {
        let text = image.refusal(false, arguments, variables);
        assert!(text.contains("owner-cert") && text.contains("measured.toml"), "{text}");
        assert_eq!(image.read(true, arguments, variables).unwrap().owner, owner());
    }
}

//
#[test]
fn the_measured_image_says_who_the_owner_is_in_every_build() {
    let image = Image::new(Some("owner-cert = \"owner.pem\"\n"));
    for simulates in [false, true] {
        assert_eq!(image.read(simulates, &[], &[]).unwrap().owner, owner());
    }
    for none in [None, Some(""), Some("owner-cert = \"\"\n")] {
        assert_eq!(Image::new(none).read(false, &[], &[]).unwrap().owner, None);
    }
    // An empty value is unset, and takes nothing away.
    assert_eq!(image.read(false, &["--owner-cert", ""], &[]).unwrap().owner, owner());
}

// of a trusted file Gramine proves what stands in it, and leaves to the host whether it is there
#[test]
fn under_gramine_the_host_cannot_hide_the_measured_configuration() {
    let owner_of = |image: &Image| {
        let measured = image.path("measured.toml");
        let build = Build { gramine: image.0.path(), ..Build::of(false, &measured) };
        build.owner(None)
    };
    let text = format!("{:#}", owner_of(&Image::new(None)).unwrap_err());
    assert!(text.contains("measured.toml") && text.contains("Gramine"), "{text}");
    assert_eq!(owner_of(&Image::new(Some(""))).unwrap(), None);
    assert_eq!(owner_of(&Image::new(Some("owner-cert = \"owner.pem\"\n"))).unwrap(), owner());
    let image = Image::new(Some("owner-cert = \"owner.pem\"\n"));
    std::fs::remove_file(image.path("owner.pem")).unwrap();
    assert!(owner_of(&image).is_err(), "nor the certificate");
}

#[test]
fn a_measured_configuration_that_is_wrong_ends_the_start_and_is_named() {
    for (measured, why) in [
        ("owner-cert = \"../owner.pem\"\n", "file beside it"),
        ("owner-cert = \"/etc/owner.pem\"\n", "file beside it"),
        ("owner-cert = \"missing.pem\"\n", "missing.pem"),
        ("owner-cert = 1\n", "measured.toml"),
        ("owner = \"owner.pem\"\n", "unknown field"),
        ("owner-cert = \"measured.toml\"\n", "one PEM block CERTIFICATE"),
    ] {
        let text = Image::new(Some(measured)).refusal(false, &[], &[]);
        assert!(
            text.contains(why) && (text.contains("owner-cert") || text.contains("measured.toml")),
            "{text}"
        );
    }
    let image = Image::new(None);
    std::fs::create_dir(image.path("measured.toml")).unwrap();
    assert!(image.refusal(false, &[], &[]).contains("measured.toml"));
}

// The build decides, and nothing at run time.
#[test]
fn this_build_lets_the_host_say_only_if_it_can_simulate() {
    let image = Image::new(None);
    let given = image.path("owner.pem");
    let this = Build::this();
    assert_eq!(this.measured, Path::new("/etc/carrara/measured.toml"));
    assert_eq!(this.gramine, Path::new("/dev/attestation"));
    assert_eq!(this.owner(Some(&given)).is_ok(), cfg!(feature = "simulation"));
}
