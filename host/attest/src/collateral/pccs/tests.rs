//! Against a PCCS on a real socket.

use std::time::Duration;

use super::*;
use crate::collateral::mock::{Answer, MockPccs, samples};
use crate::collateral::{Collateral, Root};

/// What Intel's script for its PCCS makes: X.509 version 1, without names that count.
const CERTIFICATE: &[u8] = include_bytes!("../../../tests/fixtures/pccs/cert.pem");
const KEY: &[u8] = include_bytes!("../../../tests/fixtures/pccs/key.pem");

async fn with_samples() -> MockPccs {
    let mock = MockPccs::start().await;
    mock.serve(&samples::sgx());
    mock.serve(&samples::tdx());
    mock
}

fn asking(mock: &MockPccs) -> Pccs {
    Pccs::new(mock.url(), PccsTrust::nobody().unwrap())
}

#[tokio::test]
async fn what_intel_signed_arrives_byte_for_byte() {
    let mock = with_samples().await;
    for sample in [samples::sgx(), samples::tdx()] {
        let fetched = asking(&mock).fetch(sample.key()).await.unwrap();
        assert_eq!(&fetched, sample.parts());
        assert_eq!(Collateral::from_parts(fetched).unwrap().check(&Root::INTEL, samples::NOW), Ok(()));
    }
}

// Intel, API documentation, version 4
#[tokio::test]
async fn the_interface_is_asked_by_its_paths_and_nothing_else_is() {
    let mock = with_samples().await;
    asking(&mock).fetch(samples::tdx().key()).await.unwrap();
    let mut asked = mock.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
            "/sgx/certification/v4/rootcacrl",
            "/tdx/certification/v4/qe/identity?update=standard",
            "/tdx/certification/v4/tcb?fmspc=B0C06F000000&update=standard",
        ]
    );
}

#[tokio::test]
async fn a_platform_that_is_unknown_is_said_to_be() {
    let mock = MockPccs::start().await;
    let error = asking(&mock).fetch(samples::sgx().key()).await.unwrap_err();
    assert!(matches!(error, PccsError::Unknown { status: 404, .. }), "{error}");
    mock.serve(&samples::sgx());
    for status in [461, 462] {
        mock.answer(Answer::Status(status));
        let error = asking(&mock).fetch(samples::sgx().key()).await.unwrap_err();
        assert!(matches!(error, PccsError::Unknown { status: found, .. } if found == status), "{error}");
    }
}

#[tokio::test]
async fn whatever_is_no_collateral_is_refused() {
    let mock = with_samples().await;
    let key = samples::sgx().key();
    let refused = |answer: Answer, pccs: Pccs| {
        mock.answer(answer);
        async move { pccs.fetch(key).await.unwrap_err() }
    };
    for status in [204, 301, 302, 500, 503] {
        let error = refused(Answer::Status(status), asking(&mock)).await;
        assert!(matches!(error, PccsError::Status { status: found, .. } if found == status), "{error}");
    }
    for bytes in [&b""[..], b"{}", b"<html>", b"{\"tcbInfo\":{}}", &[0xff; 100]] {
        let error = refused(Answer::Bytes(bytes.to_vec()), asking(&mock)).await;
        assert!(matches!(error, PccsError::Malformed(_)), "{error}");
    }
    let error = refused(Answer::NoIssuers, asking(&mock)).await;
    assert!(error.to_string().contains("header that names its issuers"), "{error}");
    let error = refused(Answer::Close, asking(&mock)).await;
    assert!(matches!(error, PccsError::Http(_)), "{error}");
}

//
#[tokio::test]
async fn an_answer_is_as_long_as_allowed_and_no_longer() {
    let mock = with_samples().await;
    let sgx = samples::sgx();
    let longest = format!("{{\"tcbInfo\":{},\"signature\":\"\"}}", sgx.parts().tcb_info).len() + 128;
    assert!(asking(&mock).with_answer_bytes(longest).fetch(sgx.key()).await.is_ok());
    let error = asking(&mock).with_answer_bytes(longest - 1).fetch(sgx.key()).await.unwrap_err();
    assert!(matches!(error, PccsError::TooLarge { limit, .. } if limit == longest - 1), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_the_error_says_so() {
    let mock = MockPccs::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    drop((mock, listener));
    let pccs = Pccs::new(url.parse().unwrap(), PccsTrust::nobody().unwrap());
    let error = pccs.fetch(samples::sgx().key()).await.unwrap_err();
    assert!(matches!(error, PccsError::Connect(_)), "{error}");
}

/// A service behind TLS that has the samples.
async fn behind_tls(certificate: &[u8], key: &[u8]) -> MockPccs {
    let mock = MockPccs::start_tls(certificate, key).await;
    mock.serve(&samples::sgx());
    mock
}

async fn fetch(mock: &MockPccs, trust: PccsTrust) -> Result<QuoteCollateralV3, PccsError> {
    Pccs::new(mock.url(), trust).fetch(samples::sgx().key()).await
}

#[tokio::test]
async fn a_certificate_of_the_file_is_accepted_whatever_its_form_and_no_other_is() {
    let mock = behind_tls(CERTIFICATE, KEY).await;
    assert!(fetch(&mock, PccsTrust::pem(CERTIFICATE).unwrap()).await.is_ok());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for trust in [PccsTrust::pem(other.cert.pem().as_bytes()).unwrap(), PccsTrust::nobody().unwrap()] {
        let error = fetch(&mock, trust).await.unwrap_err();
        assert!(matches!(error, PccsError::Tls(_)), "{error}");
    }
}

#[tokio::test]
async fn a_ca_of_the_file_vouches_for_the_right_name_only() {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    for (name, accepted) in [("localhost", true), ("pccs.example.org", false)] {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
        let mock = behind_tls(leaf.as_bytes(), key.serialize_pem().as_bytes()).await;
        let fetched = fetch(&mock, PccsTrust::pem(ca_pem.as_bytes()).unwrap()).await;
        assert_eq!(fetched.is_ok(), accepted, "{name}");
    }
}

#[test]
fn issuers_are_unescaped_and_a_plus_stays_one() {
    assert_eq!(unescaped(b"a%2Bb+c%0A%2f"), Some(b"a+b+c\n/".to_vec()));
    for wrong in ["%", "%2", "%zz", "x%2"] {
        assert_eq!(unescaped(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn a_revocation_list_is_der_or_hex_or_pem() {
    let der = &samples::sgx().parts().pck_crl.clone();
    let pem = pem::encode(&pem::Pem::new("X509 CRL", der.clone()));
    let hex = hex::encode(der) + "\n";
    for form in [&der[..], hex.as_bytes(), pem.as_bytes()] {
        assert_eq!(crl(form, "list").unwrap(), *der);
    }
    for wrong in [&b""[..], b"zz", &[0xff, 0], b"-----BEGIN X509 CRL-----"] {
        // An empty list is read as one, and refused as a revocation list.
        assert!(crl(wrong, "list").map_or(true, |bytes| bytes.is_empty()));
    }
}

// a PCCS that does not answer ends in time, and says how long it was waited for
#[tokio::test]
async fn who_neither_shakes_hands_nor_answers_is_not_waited_for() {
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let pccs = Pccs::new(silent, PccsTrust::nobody().unwrap());
    let pccs = pccs.with_times(Times { connect: short, answer: long });
    let error = pccs.fetch(samples::sgx().key()).await.unwrap_err();
    assert_eq!(error, PccsError::Connect("nobody answered within 20ms".to_owned()));

    let mock = MockPccs::start().await;
    mock.answer(Answer::Wait);
    let pccs = asking(&mock).with_times(Times { connect: long, answer: short });
    let error = pccs.fetch(samples::sgx().key()).await.unwrap_err();
    assert_eq!(error, PccsError::Http("there was no answer within 20ms".to_owned()));
}
