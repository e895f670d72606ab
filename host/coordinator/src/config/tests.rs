//! Which source wins, and what is refused.

use super::*;

fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Config> {
    let line = CommandLine::try_parse_from([&["carrara-coordinator"], arguments].concat())?;
    let variables: std::collections::HashMap<_, _> = variables.iter().copied().collect();
    let build = Build::of(true, Path::new("/nonexistent/measured.toml"));
    Config::read(line, |name| variables.get(name).map(OsString::from), &build)
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("coordinator.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

// lifecycle.md section 1
#[test]
fn the_defaults_are_the_specified_ones() {
    let config = read(&[], &[]).unwrap();
    assert_eq!(config.mesh, ListenAddress::AllInterfaces(2001));
    assert_eq!(config.rest, ListenAddress::AllInterfaces(4433));
    assert_eq!(config.dns_names, ["localhost"]);
    assert_eq!(config.seal_dir, Path::new("marblerun-coordinator-data"));
    assert_eq!(config.connection_errors, Level::ERROR);
    assert_eq!(config.logging, Logging { format: LogFormat::Text, debug: false, development: false });
    assert!(config.metrics.is_none());
    assert!(!config.simulation && config.startup.is_none() && config.addresses_file.is_none());
}

#[test]
fn an_option_beats_its_variable_which_beats_the_file_which_beats_the_default() {
    let (_directory, path) = file("client-addr = \":1\"\nmesh-addr = \":1\"\ndns-names = \"file\"\n");
    let variables = [("EDG_COORDINATOR_CLIENT_ADDR", ":2"), ("EDG_COORDINATOR_MESH_ADDR", ":2")];
    let config = read(&["--config", &path, "--client-addr", ":3"], &variables).unwrap();
    assert_eq!(config.rest, ListenAddress::AllInterfaces(3));
    assert_eq!(config.mesh, ListenAddress::AllInterfaces(2));
    assert_eq!(config.dns_names, ["file"]);
}

#[test]
fn a_check_takes_the_coordinators_own_settings_and_no_others() {
    let task = |arguments: &[&str]| {
        let line = CommandLine::try_parse_from([&["carrara-coordinator"], arguments].concat())?;
        Ok::<_, clap::Error>(line.task())
    };
    let (serve, _) = task(&["--seal-dir", "a"]).unwrap();
    let (check, line) = task(&["check", "--seal-dir", "a", "--simulation"]).unwrap();
    assert_eq!((serve, check), (Task::Serve, Task::Check));
    let none = |_: &str| None;
    let config = Config::read(line, none, &Build::of(true, Path::new("/nonexistent/measured.toml"))).unwrap();
    assert_eq!((config.seal_dir.as_path(), config.simulation), (Path::new("a"), true));
    for refused in [&["check", "--client-addr", ":1"][..], &["--seal-dir", "a", "check"], &["verify"]] {
        assert!(task(refused).is_err(), "{refused:?}");
    }
}

// rest-api.md section 7
#[test]
fn metrics_are_served_where_they_are_wanted_and_nowhere_else() {
    let variable = [("EDG_COORDINATOR_PROMETHEUS_ADDR", ":9944")];
    assert_eq!(read(&[], &variable).unwrap().metrics, Some(ListenAddress::AllInterfaces(9944)));
    let option = ["--prometheus-addr", "127.0.0.1:1"];
    assert_eq!(
        read(&option, &variable).unwrap().metrics,
        Some(ListenAddress::Host("127.0.0.1:1".to_owned()))
    );
    assert!(read(&[], &[("EDG_COORDINATOR_PROMETHEUS_ADDR", "")]).unwrap().metrics.is_none());
    let error = format!("{:#}", read(&["--prometheus-addr", "9944"], &[]).unwrap_err());
    assert!(error.contains("prometheus-addr") && error.contains("HOST:PORT"), "{error}");
}

#[test]
fn a_switch_can_be_switched_off_by_a_stronger_source() {
    let variables = [("EDG_DEBUG_LOGGING", "1"), ("EDG_COORDINATOR_DEV_MODE", "1")];
    let config = read(&["--debug-logging=false"], &variables).unwrap();
    assert!(!config.logging.debug && config.logging.development);
    assert!(read(&["--debug-logging"], &[]).unwrap().logging.debug);
    assert!(!read(&[], &[("EDG_DEBUG_LOGGING", "0")]).unwrap().logging.debug);
}

// lifecycle.md section 1: empty value = unset
#[test]
fn an_empty_value_is_unset() {
    let (_directory, path) = file("mesh-addr = \":1\"\nstartup-manifest = \"\"\n");
    let variables = [("EDG_COORDINATOR_MESH_ADDR", ""), ("EDG_DEBUG_LOGGING", ""), ("EDG_STORE_BACKEND", "")];
    let config = read(&["--config", &path, "--dns-names", ""], &variables).unwrap();
    assert_eq!(config.mesh, ListenAddress::AllInterfaces(1));
    assert_eq!(config.dns_names, ["localhost"]);
    assert!(config.startup.is_none());
}

// L-12
#[test]
fn dns_names_are_split_at_commas_and_not_trimmed() {
    let config = read(&["--dns-names", "a, b,127.0.0.1"], &[]).unwrap();
    assert_eq!(config.dns_names, ["a", " b", "127.0.0.1"]);
}

#[test]
fn the_seal_directory_is_relative_to_the_host_s_working_directory() {
    let config = read(&[], &[("EDG_CWD", "/host")]).unwrap();
    assert_eq!(config.seal_dir, Path::new("/host/marblerun-coordinator-data"));
    let config = read(&["--seal-dir", "/data"], &[("EDG_CWD", "/host")]).unwrap();
    assert_eq!(config.seal_dir, Path::new("/data"));
}

#[test]
fn simulation_is_asked_for_by_an_option_or_the_variable_and_nothing_else() {
    assert!(read(&["--simulation"], &[]).unwrap().simulation);
    assert!(read(&[], &[("OE_SIMULATION", "1")]).unwrap().simulation);
    //
    assert!(!read(&["--dev-mode"], &[("EDG_COORDINATOR_DEV_MODE", "1")]).unwrap().simulation);
}

// in a build as it is released; `cargo xtask test` makes one for this test
#[cfg(not(feature = "simulation"))]
#[tokio::test]
async fn a_build_without_the_feature_starts_nothing_simulated_and_leaves_the_directory_alone() {
    let folder = tempfile::tempdir().unwrap();
    let seal_dir = folder.path().join("state");
    let seal_dir_text = seal_dir.to_str().unwrap();
    for (simulation, expected) in [("1", "this build cannot simulate a TEE"), ("0", "found")] {
        let variables = [("OE_SIMULATION", simulation)];
        let config = read(&["--seal-dir", seal_dir_text], &variables).unwrap();
        assert_eq!(config.simulation, simulation == "1");
        let refused = crate::wiring::start(&config).await.err().unwrap();
        assert!(format!("{refused:#}").contains(expected), "{refused:#}");
        assert!(!seal_dir.exists());
    }
}

#[test]
fn a_wrong_value_names_its_setting() {
    for (arguments, variables, named) in [
        (&["--client-addr", "x"][..], &[][..], "client-addr"),
        (&["--log-format", "xml"], &[], "log-format"),
        (&["--http-error-log-level", "loud"], &[], "http-error-log-level"),
        (&["--startup-recovery-file", "f"], &[], "startup-recovery-file"),
        (&["--startup-policies", "d"], &[], "startup-policies"),
        (&["--config", "/nonexistent.toml"], &[], "/nonexistent.toml"),
        (&[], &[("EDG_DEBUG_LOGGING", "yes")], "EDG_DEBUG_LOGGING"),
        (&[], &[("EDG_COORDINATOR_MESH_ADDR", "2001")], "mesh-addr"),
        (&[], &[("EDG_DISTRIBUTED_COORDINATOR", "1")], "EDG_DISTRIBUTED_COORDINATOR"),
    ] {
        let error = format!("{:#}", read(arguments, variables).unwrap_err());
        assert!(error.contains(named), "{error}");
    }
}

//
#[test]
fn limits_are_options_with_a_table_of_their_own_in_the_file() {
    let (_directory, path) =
        file("[limits]\nmax-connections = 100\nmax-requests = 100\nidle-seconds = 200\n");
    let variables = [("EDG_COORDINATOR_MAX_CONNECTIONS", "200"), ("EDG_COORDINATOR_MAX_REQUESTS", "200")];
    let limits = read(&["--config", &path, "--max-connections", "300"], &variables).unwrap().limits;
    assert_eq!((limits.connections, limits.requests), (300, 200));
    assert_eq!(limits.idle, std::time::Duration::from_secs(200));
    assert_eq!(read(&[], &[]).unwrap().limits, Limits::default());
}

#[test]
fn what_policies_may_use_has_a_table_of_its_own() {
    let (_directory, path) = file("[policies]\nadmission-ms = 3000\nadmission-mib = 32\n");
    let variables = [("EDG_COORDINATOR_ADMISSION_MIB", "48"), ("EDG_COORDINATOR_ADMISSION_MFUEL", "100")];
    let line = ["--config", &path, "--policy-calls", "7"];
    let engine = read(&line, &variables).unwrap().policies.engine;
    assert_eq!(engine.admission.deadline, std::time::Duration::from_secs(3));
    assert_eq!((engine.admission.memory, engine.admission.fuel, engine.calls), (48 << 20, 100_000_000, 7));
    assert_eq!(read(&[], &[]).unwrap().policies, PolicyLimits::default());
    let error = format!("{:#}", read(&["--rendering-mib", "15"], &[]).unwrap_err());
    assert!(
        error.contains("setting rendering-mib: 15 is out of range; write a number from 16 to 4096"),
        "{error}"
    );
}

#[test]
fn where_collateral_comes_from_has_a_table_of_its_own_and_no_default() {
    assert_eq!(read(&[], &[]).unwrap().collateral, CollateralSource::default());
    let (_directory, path) = file("[collateral]\npccs-url = \"https://file:1\"\npccs-ca = \"ca.pem\"\n");
    let variables =
        [("EDG_COORDINATOR_PCCS_URL", "https://variable:1"), ("EDG_COORDINATOR_COLLATERAL_BUNDLE", "v")];
    let config = read(&["--config", &path, "--collateral-bundle", "o"], &variables).unwrap();
    assert_eq!(config.collateral.pccs.unwrap().to_string(), "https://variable:1");
    assert_eq!(config.collateral.bundle.as_deref(), Some(Path::new("o")));
    // No file that the start writes may take their place.
    let read: Vec<_> = config.files_read.iter().map(|(name, _)| *name).collect();
    assert_eq!(read, ["pccs-ca", "collateral-bundle", "config"]);
    let error = format!("{:#}", super::tests::read(&["--pccs-url", "http://h:1"], &[]).unwrap_err());
    assert!(error.contains("pccs-url") && error.contains("https"), "{error}");
}

//
#[test]
fn a_limit_that_makes_no_sense_is_refused_with_its_range_or_the_one_that_it_contradicts() {
    for (arguments, variables, named) in [
        (
            &["--max-connections", "15"][..],
            &[][..],
            "max-connections: 15 is out of range; write a number from 16",
        ),
        (&["--max-manifest-mib", "65"], &[], "from 1 to 64"),
        (&["--request-seconds", "60"], &[], "lower body-seconds"),
        (&["--max-requests", "many"], &[], "max-requests"),
        (
            &[],
            &[("EDG_COORDINATOR_IDLE_SECONDS", "2m")],
            "EDG_COORDINATOR_IDLE_SECONDS is \"2m\"; write a number",
        ),
    ] {
        let error = format!("{:#}", read(arguments, variables).unwrap_err());
        assert!(error.contains(named), "{error}");
    }
    assert_eq!(read(&["--max-connections", "16"], &[]).unwrap().limits.connections, 16);
    let (_directory, path) = file("[limits]\nmax-connection = 100\n");
    let error = format!("{:#}", read(&["--config", &path], &[]).unwrap_err());
    assert!(error.contains("max-connection") && error.contains(&path), "{error}");
}

#[test]
fn an_unknown_key_or_option_is_refused() {
    let (_directory, path) = file("mesh-adr = \":1\"\n");
    let error = format!("{:#}", read(&["--config", &path], &[]).unwrap_err());
    assert!(error.contains("mesh-adr") && error.contains(&path), "{error}");
    assert!(read(&["--mesh-adr", ":1"], &[]).is_err());
}

/// The example with every setting uncommented.
fn example() -> String {
    let lines = include_str!("../../coordinator.toml").lines();
    let setting =
        |line: &str| line.contains(" = ") || ["[collateral]", "[limits]", "[policies]"].contains(&line);
    let settings = lines.filter_map(|line| line.strip_prefix("# ")).filter(|line| setting(line));
    settings.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_file_shows_every_setting_with_its_default() {
    let (_directory, path) = file(&example());
    let mut shown = read(&["--config", &path], &[]).unwrap();
    assert_eq!(std::mem::take(&mut shown.files_read), [("config", path.into())]);
    // It names the ordinary ones; those of a build for enclaves are in host/docs/enclave.md.
    if !cfg!(feature = "enclave") {
        assert_eq!(shown, read(&[], &[]).unwrap());
    }
    let settings: toml::Table = example().parse().unwrap();
    let command = <CommandLine as clap::CommandFactory>::command();
    let options = command.get_arguments().filter_map(clap::Arg::get_long).filter(|name| *name != "config");
    let mut options: Vec<_> = options.collect();
    options.sort_unstable();
    let tables = ["collateral", "limits", "policies"];
    let in_tables = tables.iter().flat_map(|table| settings[*table].as_table().unwrap().keys());
    let shown = settings.keys().chain(in_tables).map(String::as_str);
    let mut shown: Vec<_> = shown.filter(|name| !tables.contains(name)).collect();
    shown.sort_unstable();
    assert_eq!(shown, options);
}

#[test]
fn the_help_names_the_variable_of_every_option() {
    let command = <CommandLine as clap::CommandFactory>::command();
    for argument in command.get_arguments().filter(|argument| argument.get_id() != "config") {
        let help = argument.get_help().unwrap().to_string();
        assert!(help.contains("[EDG_") || help.contains("[OE_"), "{help}");
    }
}

impl Config {
    /// The defaults.
    pub(crate) fn for_tests() -> Self {
        read(&[], &[]).unwrap()
    }
}
