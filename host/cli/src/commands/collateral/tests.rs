//! Against a PCCS on a real socket that has Intel's own collateral of June 2025.

use carrara_attest::chain::snp::{SnpChain, SnpDated, SnpSettings};
use carrara_attest::collateral::mock::{Answer, MockPccs, samples};
use carrara_attest::framing::snp::SnpEvidence;
use carrara_attest::snp::SnpCollateral;
use clap::Parser;

use super::*;
use crate::args::{Arguments, Command};
use crate::output::Format;
use crate::output::tests::Kept;

const QUOTE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../attest/tests/fixtures/intel/sgx_quote");

fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(Globals, Fetch)> {
    let words = ["carrara", "collateral", "fetch"].into_iter().chain(words);
    let Arguments { globals, command } = Arguments::try_parse_from(words)?;
    let Command::Collateral(Collateral::Fetch(fetch)) = command else { panic!("{command:?}") };
    Ok((globals, *fetch))
}

/// A service with the samples, and where files go.
async fn service() -> (MockPccs, tempfile::TempDir) {
    let mock = MockPccs::start().await;
    mock.serve(&samples::sgx());
    mock.serve(&samples::tdx());
    (mock, tempfile::tempdir().unwrap())
}

/// Fetches from the service into the file `f`; what was printed.
async fn fetch(mock: &MockPccs, folder: &Path, line: &str, format: Format, now: i64) -> Result<String> {
    let url = mock.url().to_string();
    let file = folder.join("f").display().to_string();
    let words = ["--pccs-url", &url, "-o", &file].into_iter().chain(line.split_whitespace());
    let (globals, fetch) = parse(words)?;
    let kept = Kept::default();
    fetch.run(&globals, &Root::INTEL, now, &mut kept.output(format)).await?;
    Ok(kept.text())
}

fn shown(folder: &Path, format: Format, now: i64) -> Result<String> {
    let kept = Kept::default();
    show(&folder.join("f"), (&Root::INTEL, &SnpVerifier::default()), now, &mut kept.output(format))?;
    Ok(kept.text())
}

const SGX: &str = "--fmspc 00a067110000 --ca processor --tee sgx";

#[tokio::test]
async fn what_was_fetched_is_shown_with_its_platform_validity_and_number() {
    let (mock, folder) = service().await;
    let text = fetch(&mock, folder.path(), SGX, Format::Text, samples::NOW).await.unwrap();
    let piece = "SGX, FMSPC 00A067110000, processor CA\n\
                 \x20 issued      2025-06-19T10:56:11Z\n\
                 \x20 valid until 2025-07-19T10:01:18Z (29 days)\n\
                 \x20 TCB evaluation data number 17\n\
                 \x20 signed by Intel, and valid\n";
    assert_eq!(text, format!("{piece}Collateral written to {}\n", folder.path().join("f").display()));
    assert_eq!(shown(folder.path(), Format::Text, samples::NOW).unwrap(), piece);
    let bundle = Bundle::from_json(&std::fs::read(folder.path().join("f")).unwrap()).unwrap();
    assert_eq!(bundle.iter().collect::<Vec<_>>(), [&samples::sgx()]);
}

#[tokio::test]
async fn programs_get_one_value() {
    let (mock, folder) = service().await;
    let text = fetch(&mock, folder.path(), SGX, Format::Json, samples::NOW).await.unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        serde_json::from_str::<Value>(&shown(folder.path(), Format::Json, samples::NOW).unwrap()).unwrap()
    );
    let piece = &value["collateral"][0];
    assert_eq!(
        (&piece["tee"], &piece["ca"], &piece["fmspc"]),
        (&json!("sgx"), &json!("processor"), &json!("00A067110000"))
    );
    assert_eq!(
        (&piece["validUntil"], &piece["tcbEvaluationDataNumber"]),
        (&json!("2025-07-19T10:01:18Z"), &json!(17))
    );
    assert_eq!(piece["problem"], Value::Null);
}

#[tokio::test]
async fn a_quote_says_for_which_platform() {
    let (mock, folder) = service().await;
    let line = format!("--quote {QUOTE} --quote {QUOTE} --fmspc b0c06f000000 --ca platform --tee tdx");
    fetch(&mock, folder.path(), &line, Format::Text, samples::NOW).await.unwrap();
    assert_eq!(mock.fetches(), 2, "each platform once");
    let text = shown(folder.path(), Format::Text, samples::NOW).unwrap();
    assert!(text.contains("SGX, FMSPC 00A067110000") && text.contains("TDX, FMSPC B0C06F000000"), "{text}");
    let wrong = folder.path().join("no-quote");
    std::fs::write(&wrong, "no quote").unwrap();
    let line = format!("--quote {}", wrong.display());
    let error = fetch(&mock, folder.path(), &line, Format::Text, samples::NOW).await.unwrap_err();
    assert!(format!("{error:#}").contains("no-quote"), "{error:#}");
}

#[tokio::test]
async fn what_cannot_be_used_is_not_written_and_what_is_there_stays() {
    let (mock, folder) = service().await;
    std::fs::write(folder.path().join("f"), "old").unwrap();
    let until = samples::sgx().validity().until;
    let error = fetch(&mock, folder.path(), SGX, Format::Text, until).await.unwrap_err();
    assert!(format!("{error:#}").contains("it was valid until 2025-07-19T10:01:18Z"), "{error:#}");
    mock.answer(Answer::Status(500));
    let error = fetch(&mock, folder.path(), SGX, Format::Text, samples::NOW).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("00A067110000") && text.contains("http://localhost") && text.contains("500"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("f")).unwrap(), "old");
}

#[tokio::test]
async fn a_platform_is_named_whole_and_a_pccs_always() {
    let (mock, folder) = service().await;
    for line in
        ["", "--fmspc 00a067110000", "--fmspc 00a067110000 --ca processor", "--ca processor --tee sgx"]
    {
        assert!(fetch(&mock, folder.path(), line, Format::Text, samples::NOW).await.is_err(), "{line}");
    }
    for line in ["--fmspc 00a0 --ca processor --tee sgx", "--fmspc 00a067110000 --ca root --tee sgx"] {
        let error = fetch(&mock, folder.path(), line, Format::Text, samples::NOW).await.unwrap_err();
        assert!(error.to_string().contains("is not"), "{error}");
    }
    let (globals, fetch) = parse(["--quote", QUOTE]).unwrap();
    let error =
        fetch.run(&globals, &Root::INTEL, samples::NOW, &mut Kept::default().output(Format::Text)).await;
    assert!(error.unwrap_err().to_string().contains("--pccs-url"));
}

#[test]
fn what_expired_or_is_not_signed_by_the_root_is_shown_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mut bundle = Bundle::default();
    bundle.add(samples::sgx());
    std::fs::write(folder.path().join("f"), bundle.to_json()).unwrap();
    let text = shown(folder.path(), Format::Text, samples::sgx().validity().until).unwrap();
    assert!(
        text.contains("valid until 2025-07-19T10:01:18Z\n") && text.contains("CANNOT BE USED: it was valid"),
        "{text}"
    );
    let kept = Kept::default();
    let other = Root::of(b"other");
    let by = (&other, &SnpVerifier::default());
    show(&folder.path().join("f"), by, samples::NOW, &mut kept.output(Format::Text)).unwrap();
    assert!(kept.text().contains("does not end in the expected root"), "{}", kept.text());
    std::fs::write(folder.path().join("f"), "{}").unwrap();
    let error = format!("{:#}", shown(folder.path(), Format::Text, samples::NOW).unwrap_err());
    assert!(error.contains("carrara collateral fetch"), "{error}");
}

/// The bundle of an operator of SEV-SNP machines, with or without Intel's.
fn shown_with_snp(chain: &SnpChain, bundle: Bundle, format: Format) -> String {
    let folder = tempfile::tempdir().unwrap();
    let snp = SnpCollateral {
        certificates: chain.certificates().to_vec(),
        revocation_lists: vec![chain.revocation_list()],
    };
    std::fs::write(folder.path().join("f"), bundle.with_snp(snp).to_json()).unwrap();
    let (kept, verifier) = (Kept::default(), SnpVerifier::with_root(chain.root()));
    let by = (&Root::INTEL, &verifier);
    show(&folder.path().join("f"), by, 1_750_000_000, &mut kept.output(format)).unwrap();
    kept.text()
}

#[test]
fn a_bundle_for_sev_snp_alone_is_shown_part_by_part() {
    let chain = SnpChain::new(&SnpSettings::default());
    let text = shown_with_snp(&chain, Bundle::default(), Format::Text);
    let dates = "  valid from  2024-06-15T15:06:40Z\n\x20 valid until 2026-06-15T15:06:40Z (365 days)\n\
                 \x20 signed by AMD, and valid\n";
    let expected = format!(
        "SEV-SNP, Milan, ASK or ASVK\n{dates}SEV-SNP, Milan, VCEK of chip {}\n  \
         TCB         boot loader 4, TEE 1, SNP 22, microcode 211, FMC 0\n{dates}SEV-SNP, Milan, revocation list\n  \
         revokes     1\n{dates}",
        "c1".repeat(64)
    );
    assert_eq!(text, expected);
    let value: Value =
        serde_json::from_str(&shown_with_snp(&chain, Bundle::default(), Format::Json)).unwrap();
    assert_eq!(value["collateral"], json!([]));
    let [ask, vcek, list] = &value["snp"].as_array().unwrap()[..] else { panic!("{value}") };
    assert_eq!((&ask["kind"], &ask["chipId"]), (&json!("authority"), &Value::Null));
    assert_eq!((&vcek["generation"], &vcek["tcb"]["SNP"]), (&json!("Milan"), &json!(22)));
    assert_eq!((&list["kind"], &list["revoked"]), (&json!("revocation-list"), &json!(1)));
    assert_eq!((&list["validUntil"], &list["problem"]), (&json!("2026-06-15T15:06:40Z"), &Value::Null));
}

#[test]
fn what_is_wrong_for_sev_snp_is_shown_beside_what_is_right_for_intel() {
    let expired = SnpSettings { expired: Some(SnpDated::RevocationList), ..SnpSettings::default() };
    let mut bundle = Bundle::default();
    bundle.add(samples::sgx());
    let text = shown_with_snp(&SnpChain::new(&expired), bundle, Format::Text);
    assert!(text.starts_with("SGX, FMSPC 00A067110000"), "{text}");
    assert!(
        text.contains("revocation list\n") && text.contains("CANNOT BE USED: a revocation list"),
        "{text}"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), Bundle::default().to_json()).unwrap();
    let text = shown(folder.path(), Format::Text, samples::NOW).unwrap();
    assert_eq!(text, "There is no collateral in it\n");
}

#[tokio::test]
async fn for_sev_snp_nothing_is_fetched_and_what_has_to_be_added_is_told() {
    let (mock, folder) = service().await;
    let chain = SnpChain::new(&SnpSettings::default());
    let file = folder.path().join("evidence");
    let line = format!("--quote {}", file.display());
    let report = chain.report(|_| ());
    let bare = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
    std::fs::write(&file, bare).unwrap();
    let error = fetch(&mock, folder.path(), &line, Format::Text, samples::NOW).await.unwrap_err().to_string();
    assert!(error.contains("nothing is fetched") && error.contains("nobody else is asked"), "{error}");
    assert!(error.contains(&format!(
        "VCEK, which AMD's key distribution service has for chip id {}",
        "c1".repeat(64)
    )));
    assert!(error.contains("collateral.md") && error.contains("`carrara collateral show`"), "{error}");
    std::fs::write(&file, chain.evidence(&[0; 64])).unwrap();
    let error = fetch(&mock, folder.path(), &line, Format::Text, samples::NOW).await.unwrap_err().to_string();
    assert!(error.contains("brings its certificates along"), "{error}");
    let vlek = SnpChain::new(&SnpSettings { vlek: true, ..SnpSettings::default() });
    let report = vlek.report(|_| ());
    let bare = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
    std::fs::write(&file, bare).unwrap();
    let error = fetch(&mock, folder.path(), &line, Format::Text, samples::NOW).await.unwrap_err().to_string();
    assert!(error.contains("VLEK") && error.contains("ASVK"), "{error}");
    assert!(mock.asked().is_empty() && !folder.path().join("f").exists());
}
