//! Query strings.

use carrara_server::fuzzing::query_values;

pub(super) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (values, number) = query_values(text, "s");
    assert!(values.len() <= text.matches('s').count() + text.matches('%').count());
    assert!(values.iter().map(String::len).sum::<usize>() <= 3 * text.len());
    if let Some(number) = number {
        assert!(values[0].trim_start_matches('0').len() <= 20, "{number}");
    }
    // What a careful client writes is what is read.
    let encoded: String = input.iter().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(query_values(&format!("x=1&s={encoded}&y"), "s").0, [text]);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = ["s=a&s=b", "s=a+b%20c%2B%26%c3%a9", "s=1&s=x;y&s", "S=a&%73=7", "s=%f&s=%zz&s=%ff", "s=18446744073709551616"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
