//! A coordinator that answers from a table, and the program as users run it.

// Each test binary uses a part of it.
#![allow(dead_code)]

pub mod stage;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::{Signature, SigningKey};
use p384::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};

/// By method and path (with query, but what an update's caller makes sure of): status and body. What is not there is a 405.
pub type Answers = HashMap<&'static str, (u16, String)>;

/// A coordinator on a free port; ends with the test.
pub struct FakeCoordinator {
    pub address: SocketAddr,
    pub chain_pem: String,
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Answers>>,
    root: Vec<u8>,
    key: Vec<u8>,
}

impl FakeCoordinator {
    pub fn start(answers: impl FnOnce(&str) -> Answers) -> Self {
        let new_key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let ca = |name: &str| {
            let mut params =
                CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
            params
        };
        let key = new_key();
        let pkcs8 = key.serialize_der();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.clone()));
        let root = CertifiedIssuer::self_signed(ca("root"), key).unwrap();
        let chain_pem = ca("intermediate").signed_by(&new_key(), &root).unwrap().pem() + &root.pem();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![root.der().clone()], der)
            .unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut answers = answers(&chain_pem);
        let quote = serde_json::json!({ "data": { "cert": chain_pem, "quote": null } });
        answers.entry("GET /api/v2/quote").or_insert((200, quote.to_string()));
        let answers = Arc::new(Mutex::new(answers));
        let (config, seen, table) = (Arc::new(config), Arc::clone(&asked), Arc::clone(&answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that refuses the certificate ends the handshake: not this test's error.
                let _ = answer(stream, &config, &table, &seen);
            }
        });
        Self { address, chain_pem, asked, answers, root: root.der().to_vec(), key: pkcs8 }
    }

    /// Answers otherwise from now on.
    pub fn set(&self, call: &str, answer: (u16, String)) {
        self.answers.lock().unwrap().insert(call.to_owned().leak(), answer);
    }

    /// A signed checkpoint (host/docs/checkpoint.md) over these lines.
    pub fn checkpoint(&self, lines: &[&str], revision: u64) -> String {
        let origin = format!("carrara/{}", hex::encode(Sha256::digest(&self.root)));
        let root = BASE64_STANDARD.encode(carrara_client::checkpoint::root_of(lines));
        let text = format!("{origin}\n{}\n{root}\nrevision {revision}\n", lines.len());
        let key = SigningKey::from_pkcs8_der(&self.key).unwrap();
        let signature: Signature = key.sign_prehash(&Sha256::digest(&text)).unwrap();
        let id = Sha256::digest(key.verifying_key().to_public_key_der().unwrap());
        let signature = BASE64_STANDARD.encode([&id[..4], signature.to_der().as_bytes()].concat());
        format!("{text}\n\u{2014} {origin} {signature}\n")
    }

    /// Methods and targets, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    answers: &Mutex<Answers>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase().to_string() + &String::from_utf8_lossy(&head);
    let length =
        head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let line = head.split("\r\n\r\n").nth(1).unwrap().split(" HTTP/").next().unwrap().to_owned();
    let default = (405, r#"{"status":"error","data":null}"#.to_owned());
    let (code, body) = answers.lock().unwrap().get(unguarded(&line)).cloned().unwrap_or(default);
    asked.lock().unwrap().push(line);
    write!(stream, "HTTP/1.1 {code} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Without what the caller of an update makes sure of, which depends on the manifest in force.
pub fn unguarded(line: &str) -> &str {
    let is_guard = |query: &str| query.starts_with("lockout=") || query.starts_with("base=");
    line.split_once('?').filter(|(_, query)| is_guard(query)).map_or(line, |(call, _)| call)
}

/// Runs the program with `folder` as working directory and home.
pub fn carrara(folder: &Path, arguments: &[&str]) -> Run {
    run(Command::new(env!("CARGO_BIN_EXE_carrara")), folder, arguments)
}

/// The same of a program that is prepared otherwise.
pub fn run(mut program: Command, folder: &Path, arguments: &[&str]) -> Run {
    program.args(arguments).current_dir(folder).env_remove("XDG_CONFIG_HOME").env("HOME", folder);
    Run(program.output().unwrap())
}

/// What a run gave.
pub struct Run(Output);

impl Run {
    /// Stdout of a success.
    #[track_caller]
    pub fn text(&self) -> String {
        assert!(self.0.status.success(), "{}", String::from_utf8_lossy(&self.0.stderr));
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// Stdout of a success, as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Stderr, whatever became of the run.
    pub fn complaints(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// Stdout, whatever became of the run.
    pub fn said(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// Stderr of a failure.
    #[track_caller]
    pub fn error(&self) -> String {
        self.error_with(1)
    }

    /// Stderr of a failure with this exit code.
    #[track_caller]
    pub fn error_with(&self, code: i32) -> String {
        assert_eq!(self.0.status.code(), Some(code), "{}", self.complaints());
        let text = String::from_utf8(self.0.stderr.clone()).unwrap();
        assert!(text.lines().any(|line| line.starts_with("Error: ")), "{text}");
        text
    }
}
