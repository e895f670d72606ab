//! Against a PCCS on a real socket that has Intel's own collateral of June 2025.

use carrara_attest::collateral::mock::{Answer, MockPccs, samples};
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
    show(&folder.join("f"), &Root::INTEL, now, &mut kept.output(format))?;
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
    show(&folder.path().join("f"), &other, samples::NOW, &mut kept.output(Format::Text)).unwrap();
    assert!(kept.text().contains("does not end in the expected root"), "{}", kept.text());
    std::fs::write(folder.path().join("f"), "{}").unwrap();
    let error = format!("{:#}", shown(folder.path(), Format::Text, samples::NOW).unwrap_err());
    assert!(error.contains("carrara collateral fetch"), "{error}");
}
