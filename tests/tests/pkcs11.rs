//! Users whose keys are on a token: the CLI with SoftHSM's PKCS#11 library, against a real coordinator.

use std::path::{Path, PathBuf};
use std::process::Command;

use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::skip::skip;
use carrara_tests::{binary, fail, manifests, succeed};
use serde_json::json;
use tempfile::TempDir;

/// Where distributions put the library.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
const INSTALL: &str = "apt-get install -y --no-install-recommends softhsm2 opensc";
const PIN: &str = "271828";

/// A token with keys, and their certificates in files.
struct Token {
    folder: TempDir,
    module: &'static str,
    configuration: PathBuf,
}

impl Token {
    /// An empty token; `None` where SoftHSM is not installed.
    fn new() -> Option<Self> {
        let module = MODULES.into_iter().find(|module| Path::new(module).exists())?;
        for tool in ["softhsm2-util", "pkcs11-tool"] {
            Command::new(tool).arg("--version").output().ok()?;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tokens")).unwrap();
        let configuration = folder.path().join("softhsm2.conf");
        let tokens = folder.path().join("tokens");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let token = Self { folder, module, configuration };
        token.util(&["--init-token", "--free", "--label", "users", "--pin", PIN, "--so-pin", PIN]);
        Some(token)
    }

    fn util(&self, arguments: &[&str]) {
        succeed(Command::new("softhsm2-util").args(arguments).env("SOFTHSM2_CONF", &self.configuration));
    }

    /// Makes a key and its certificate, puts the key on the token and forgets it. Gives the certificate's file.
    fn user(&self, name: &str, id: &str, key: &[&str]) -> PathBuf {
        let (certificate, private) = (self.path(&format!("{name}.crt")), self.path(&format!("{name}.key")));
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-x509", "-nodes", "-days", "1", "-subj", &format!("/CN={name}"), "-newkey"])
            .args(key);
        succeed(openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&private));
        let private = private.to_str().unwrap();
        self.util(&["--import", private, "--token", "users", "--pin", PIN, "--label", name, "--id", id]);
        std::fs::remove_file(private).unwrap();
        certificate
    }

    /// Puts a certificate on the token, too.
    fn import(&self, certificate: &Path, label: &str, id: &str) {
        let der = self.path("certificate.der");
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-outform", "DER", "-in"]).arg(certificate).arg("-out").arg(&der);
        succeed(&mut openssl);
        let mut tool = Command::new("pkcs11-tool");
        tool.args([
            "--module",
            self.module,
            "--token-label",
            "users",
            "--login",
            "--pin",
            PIN,
            "--type",
            "cert",
        ]);
        tool.args(["--label", label, "--id", id, "--write-object"]).arg(der);
        succeed(tool.env("SOFTHSM2_CONF", &self.configuration));
    }

    /// A configuration as MarbleRun's CLI takes it.
    fn config(&self, name: &str, fields: serde_json::Value) -> String {
        let path = self.path(name);
        std::fs::write(&path, fields.to_string()).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The CLI with home and working directory in the token's folder.
    fn carrara(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("carrara"));
        command.args(arguments).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env("SOFTHSM2_CONF", &self.configuration).env_remove("XDG_CONFIG_HOME");
        command.env_remove("CARRARA_PKCS11_PIN").stdin(std::process::Stdio::null());
        command
    }
}

/// A coordinator whose secret `k` these users may read.
fn coordinator(token: &Token, users: &[(&str, &Path)]) -> Coordinator {
    let secrets = json!({ "k": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
    let mut manifest = manifests::with_reader("nobody", "", &["k"], secrets);
    manifest["Users"] = json!({});
    for (name, certificate) in users {
        let certificate = std::fs::read_to_string(certificate).unwrap();
        manifest["Users"][name] = json!({ "Certificate": certificate, "Roles": ["reader"] });
    }
    std::fs::write(token.path("manifest.json"), manifest.to_string()).unwrap();
    let coordinator = Launch::new().start();
    succeed(&mut token.carrara(&["manifest", "set", "manifest.json", &host(&coordinator), "-i"]));
    coordinator
}

fn host(coordinator: &Coordinator) -> String {
    coordinator.url("").trim_start_matches("https://").to_owned()
}

// cli.md section 3, "U": the key never leaves the token
#[test]
fn a_user_whose_key_is_on_a_token_reads_a_secret() {
    let Some(token) = Token::new() else {
        return skip("a_user_whose_key_is_on_a_token_reads_a_secret", INSTALL);
    };
    let p256 = token.user("alice", "0a01", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let p384 = token.user("bob", "0b02", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let rsa = token.user("carol", "0c03", &["rsa:2048"]);
    token.import(&p384, "bob's", "0b02");
    let coordinator = coordinator(&token, &[("alice", &p256), ("bob", &p384), ("carol", &rsa)]);
    let host = host(&coordinator);
    let full = token.config("token.json", json!({ "Path": token.module, "TokenLabel": "users", "Pin": PIN }));
    let get = |more: &[&str]| {
        let line = ["secret", "get", "k", &host, "--pkcs11-config", &full];
        token.carrara(&[&line, more].concat())
    };

    // By label and by id, with the certificate in a file and on the token; each kind of key.
    let read = [
        &["-c", "alice.crt", "--pkcs11-key-label", "alice"][..],
        &["-c", "alice.crt", "--pkcs11-key-id", "0a01"],
        &["--pkcs11-cert-label", "bob's", "--pkcs11-key-label", "bob"],
        &["--pkcs11-cert-id", "0b02", "--pkcs11-key-id", "0B:02"],
        &["-c", "carol.crt", "--pkcs11-key-label", "carol", "--pkcs11-key-id", "0c03"],
    ];
    for flags in read {
        let text = succeed(&mut get(flags));
        assert!(text.contains("symmetric-key"), "{flags:?}: {text}");
    }

    let refused = [
        (&["-c", "alice.crt", "--pkcs11-key-label", "bob"][..], "does not belong to the certificate"),
        (&["-c", "carol.crt", "--pkcs11-key-label", "bob"], "does not belong to the certificate"),
        (
            &["-c", "alice.crt", "--pkcs11-key-label", "nobody"],
            "there is no private key with the label \"nobody\"",
        ),
        (&["-c", "alice.crt"], "name the private key on the token"),
        (&["--pkcs11-cert-label", "nobody", "--pkcs11-key-label", "bob"], "there is no certificate"),
    ];
    for (flags, expected) in refused {
        let error = fail(&mut get(flags));
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
}

#[test]
fn the_pin_may_come_from_the_environment_and_is_never_shown() {
    let Some(token) = Token::new() else {
        return skip("the_pin_may_come_from_the_environment_and_is_never_shown", INSTALL);
    };
    let certificate = token.user("alice", "01", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let coordinator = coordinator(&token, &[("alice", &certificate)]);
    let host = host(&coordinator);
    let get = |config: &str| {
        let user = ["-c", "alice.crt", "--pkcs11-key-id", "01", "--pkcs11-config", config];
        token.carrara(&[&["secret", "get", "k", &host, "-vv"], &user[..]].concat())
    };
    let bare = token.config("bare.json", json!({ "Path": token.module, "TokenLabel": "users" }));
    succeed(get(&bare).env("CARRARA_PKCS11_PIN", PIN));
    let error = fail(&mut get(&bare));
    assert!(error.contains("CARRARA_PKCS11_PIN"), "{error}");
    let error = fail(get(&bare).env("CARRARA_PKCS11_PIN", "999999"));
    assert!(error.contains("refuses the PIN") && !error.contains("999999"), "{error}");

    let wrong =
        token.config("wrong.json", json!({ "Path": token.module, "TokenLabel": "other", "Pin": PIN }));
    let error = fail(&mut get(&wrong));
    assert!(error.contains("no token with the label \"other\"") && error.contains("\"users\""), "{error}");
    assert!(!error.contains(PIN), "{error}");

    let open = token.config("open.json", json!({ "Path": token.module, "TokenLabel": "users", "Pin": PIN }));
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let output = carrara_tests::run(&mut get(&open));
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && warnings.contains("others may read it"), "{warnings}");
    assert!(!warnings.contains(PIN), "{warnings}");
    // By this id the request is found in the coordinator's log.
    let (_, id) = warnings.split_once(", request ").unwrap();
    let id = id.lines().next().unwrap();
    coordinator.wait_for_log(|log| log.contains(id));
}

// cli.md `recover`, `recover-with-signature`; L-44: decrypting and signing on the token
#[test]
fn a_holder_whose_recovery_key_is_on_a_token_recovers() {
    let Some(token) = Token::new() else {
        return skip("a_holder_whose_recovery_key_is_on_a_token_recovers", INSTALL);
    };
    let mut manifest = manifests::minimal();
    for name in ["vault", "safe"] {
        let certificate = token.user(name, if name == "vault" { "01" } else { "02" }, &["rsa:2048"]);
        let mut openssl = Command::new("openssl");
        let key = succeed(openssl.args(["x509", "-noout", "-pubkey", "-in"]).arg(certificate));
        manifest["RecoveryKeys"][name] = json!(key);
    }
    std::fs::write(token.path("manifest.json"), manifest.to_string()).unwrap();
    let launch = Launch::new();
    let mut before = launch.start();
    let set = ["manifest", "set", "manifest.json", &host(&before), "-i", "-r", "recovery.json"];
    succeed(&mut token.carrara(&set));
    before.kill();
    std::fs::remove_file(launch.seal_dir().join("sealed_key")).unwrap();

    let coordinator = launch.start();
    let host = host(&coordinator);
    let config =
        token.config("token.json", json!({ "Path": token.module, "TokenLabel": "users", "Pin": PIN }));
    let run = |line: &[&str], label: &str| {
        let key = ["--insecure", "--pkcs11-config", &config, "--pkcs11-key-label", label];
        token.carrara(&[line, &key].concat())
    };
    let error = fail(&mut run(&["recover", "recovery.json", &host], "nobody"));
    assert!(error.contains("there is no private key with the label \"nobody\""), "{error}");
    std::fs::write(token.path("foreign"), [1; 256]).unwrap();
    let error = fail(&mut run(&["recover", "foreign", &host], "vault"));
    assert!(error.contains("not encrypted for this recovery key"), "{error}");
    let said = succeed(&mut run(&["recover", "recovery.json", &host], "vault"));
    assert!(said.contains("Remaining secrets: 1"), "{said}");

    let step = |name, file| ["recover-with-signature", name, "recovery.json", "-o", file];
    succeed(&mut token.carrara(&[
        "recover-with-signature",
        "public-key",
        &host,
        "-i",
        "-o",
        "coordinator.pub",
    ]));
    succeed(&mut run(&step("sign-secret", "signature"), "safe"));
    let encrypt =
        [&step("encrypt-secret", "sent")[..], &["--coordinator-pub-key", "coordinator.pub"]].concat();
    succeed(&mut run(&encrypt, "safe"));
    let send = ["recover-with-signature", "sent", &host, "-s", "signature", "-i"];
    let said = succeed(&mut token.carrara(&send));
    assert!(said.starts_with("Recovery successful."), "{said}");
}
