//! Judges what sslyze found out about a port: a list of findings, each with a stable beginning.
//!
//! A report that lacks a scan is a finding, too: silence is no praise. What is allowed is named here; everything else is a
//! finding. Findings that the specification demands are excepted by the test, not here.

use serde_json::Value;

/// The options of a scan that the judge knows how to read.
pub const SCANS: [&str; 18] = [
    "--certinfo",
    "--sslv2",
    "--sslv3",
    "--tlsv1",
    "--tlsv1_1",
    "--tlsv1_2",
    "--tlsv1_3",
    "--compression",
    "--openssl_ccs",
    "--fallback",
    "--heartbleed",
    "--robot",
    "--reneg",
    "--resum",
    "--early_data",
    "--elliptic_curves",
    "--ems",
    "--mozilla_config=disable",
];

/// AEAD suites with forward secrecy: RFC 8446 section 9.1, RFC 5289, RFC 7905.
const SUITES: [&str; 6] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// The classical curves; sslyze does not know the hybrid ones.
const CURVES: [&str; 3] = ["X25519", "secp256r1", "secp384r1"];

/// What one scan has to say: scan, field, the value without a finding, the finding.
const ANSWERS: [(&str, &str, &str, &str); 11] = [
    ("tls_compression", "supports_compression", "false", "compression: CRIME"),
    ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", "false", "ccs: early ChangeCipherSpec"),
    ("tls_fallback_scsv", "supports_fallback_scsv", "true", "fallback: downgrades are not noticed"),
    ("heartbleed", "is_vulnerable_to_heartbleed", "false", "heartbleed"),
    ("robot", "robot_result", "\"NOT_VULNERABLE_RSA_NOT_SUPPORTED\"", "robot: RSA key transport"),
    (
        "session_renegotiation",
        "is_vulnerable_to_client_renegotiation_dos",
        "false",
        "renegotiation: by the client",
    ),
    ("session_renegotiation", "supports_secure_renegotiation", "true", "renegotiation: not marked as secure"),
    ("session_resumption", "session_id_resumption_result", "\"NOT_SUPPORTED\"", "resumption: by session id"),
    ("session_resumption", "tls_ticket_resumption_result", "\"NOT_SUPPORTED\"", "resumption: by ticket"),
    ("tls_1_3_early_data", "supports_early_data", "false", "early data"),
    ("tls_extended_master_secret", "supports_ems_extension", "true", "no extended master secret"),
];

/// Everything that an auditor would object to in the report of one port.
#[must_use]
pub fn findings(report: &Value) -> Vec<String> {
    let servers = report["server_scan_results"].as_array().map_or(&[][..], Vec::as_slice);
    let [server] = servers else { return vec![format!("scan: {} servers instead of one", servers.len())] };
    let results = &server["scan_result"];
    let mut findings = Vec::new();
    for (scan, field, wanted, finding) in ANSWERS {
        let value = completed(results, scan, &mut findings).map(|result| result[field].to_string());
        findings.extend(value.filter(|value| value != wanted).map(|value| format!("{finding} ({value})")));
    }
    for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        let suites = accepted(results, version, &mut findings);
        findings.extend((!suites.is_empty()).then(|| format!("protocol: {version} is spoken")));
    }
    for version in ["tls_1_2", "tls_1_3"] {
        let suites = accepted(results, version, &mut findings);
        findings.extend(suites.is_empty().then(|| format!("protocol: {version} is not spoken")));
        let weak = suites.iter().filter(|suite| !SUITES.contains(&suite.as_str()));
        findings.extend(weak.map(|suite| format!("cipher: {suite}")));
    }
    if let Some(curves) = completed(results, "elliptic_curves", &mut findings) {
        let names = curves["supported_curves"].as_array().into_iter().flatten().map(|curve| &curve["name"]);
        let others = names.filter(|name| !name.as_str().is_some_and(|name| CURVES.contains(&name)));
        findings.extend(others.map(|name| format!("curve: {name}")));
    }
    if let Some(info) = completed(results, "certificate_info", &mut findings) {
        certificates(info, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The result of a scan that took place.
fn completed<'report>(
    results: &'report Value,
    scan: &str,
    findings: &mut Vec<String>,
) -> Option<&'report Value> {
    let result = &results[scan];
    if result["status"] == "COMPLETED" && !result["result"].is_null() {
        return Some(&result["result"]);
    }
    findings.push(format!("scan: {scan} did not take place ({})", result["status"]));
    None
}

/// The names of the suites that a version of the protocol accepts.
fn accepted(results: &Value, version: &str, findings: &mut Vec<String>) -> Vec<String> {
    let Some(result) = completed(results, &format!("{version}_cipher_suites"), findings) else {
        return Vec::new();
    };
    let suites = result["accepted_cipher_suites"].as_array().into_iter().flatten();
    suites.map(|suite| suite["cipher_suite"]["name"].as_str().unwrap_or("?").to_owned()).collect()
}

/// Trust, life time, signature and key of each chain.
fn certificates(info: &Value, findings: &mut Vec<String>) {
    let chains = info["certificate_deployments"].as_array().map_or(&[][..], Vec::as_slice);
    findings.extend(chains.is_empty().then(|| "certificate: none".to_owned()));
    for chain in chains {
        let mut trust = chain["path_validation_results"].as_array().into_iter().flatten();
        if trust.any(|store| store["was_validation_successful"] != true) {
            findings.push("certificate: no public authority vouches for it".to_owned());
        }
        if chain["received_chain_has_valid_order"] != true {
            findings.push("certificate: the chain is out of order".to_owned());
        }
        for certificate in chain["received_certificate_chain"].as_array().into_iter().flatten() {
            findings.extend(certificate_findings(certificate));
        }
    }
}

fn certificate_findings(certificate: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    let year = |field: &str| {
        let text = certificate[field].as_str().unwrap_or_default();
        text.get(..4).and_then(|year| year.parse::<u32>().ok()).unwrap_or_default()
    };
    if year("not_valid_after").saturating_sub(year("not_valid_before")) > 1 {
        findings.push("certificate: valid for years".to_owned());
    }
    let hash = certificate["signature_hash_algorithm"]["name"].as_str().unwrap_or("none");
    if !["sha256", "sha384", "sha512"].contains(&hash) {
        findings.push(format!("certificate: signed with {hash}"));
    }
    let key = &certificate["public_key"];
    let curve = key["ec_curve_name"].as_str().unwrap_or("none");
    if !["secp256r1", "secp384r1"].contains(&curve) {
        findings.push(format!("certificate: key on the curve {curve}"));
    }
    findings
}
