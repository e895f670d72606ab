//! The file that says which coordinator a client accepts.

use carrara_client::AttestationPolicy;

pub(super) fn run(input: &[u8]) {
    let read = |input| AttestationPolicy::from_json(input).map(|policy| format!("{policy:?}"));
    if let Ok(policy) = read(input) {
        assert_eq!(policy, read(input).expect("read once"));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"SecurityVersion":1,"ProductID":3,"SignerID":"cd","UniqueID":"","Debug":false,"AcceptedTCBStatuses":["UpToDate"],"AcceptedAdvisories":[]}"#,
        r#"{"securityversion":18446744073709551615,"productid":null,"SIGNERID":"\u0041"}"#,
        "{}",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
