//! What bodies are read as, and what is refused.

use super::*;

fn fields(body: &str) -> Fields<'_> {
    Fields::read(body.as_bytes()).map_err(|error| panic!("{body}: {error}")).unwrap()
}

fn refusal(body: &[u8]) -> BodyError {
    Fields::read(body).map(|_| ()).unwrap_err()
}

fn bytes(body: &str) -> Option<Vec<u8>> {
    fields(body).bytes("manifest").unwrap().map(|bytes| bytes.to_vec())
}

// R-24
#[test]
fn an_empty_body_is_go_s_eof() {
    for body in ["", "  \n"] {
        assert_eq!(refusal(body.as_bytes()).to_string(), "EOF");
    }
}

// R-24
#[test]
fn the_first_value_is_read_names_ignore_case_and_the_last_one_counts() {
    let body =
        r#" { "x" : [1,{"manifest":"AAA="}] , "manifest":"AA==","MANI\u0046EST": "AQ==" , "y":{}} trailing"#;
    assert_eq!(bytes(body).unwrap(), [1]);
    assert_eq!(bytes(r#"{"manifest":"AQ==","Manifest":null}"#), None);
}

// R-24
#[test]
fn a_missing_or_null_field_is_none_and_an_empty_one_is_empty() {
    for body in ["{}", "null", " {\n} ", r#"{"manifest":null}"#, r#"{"manifests":"AA=="}"#] {
        assert_eq!(bytes(body), None, "{body}");
    }
    assert_eq!(bytes(r#"{"manifest":""}"#), Some(Vec::new()));
    assert_eq!(bytes(r#"{"manifest":[]}"#), Some(Vec::new()));
}

// M-9
#[test]
fn bytes_are_base64_or_a_list_of_integers() {
    for body in [
        r#"{"manifest":"AQL/"}"#,
        r#"{"manifest":"AQL\/"}"#,
        r#"{"manifest":"\u0041Q\r\nL\u002f\n"}"#,
        r#"{"manifest":[1,2,255]}"#,
        "{\"manifest\":[ 1 ,2\n,\t255 ]}",
    ] {
        assert_eq!(bytes(body).unwrap(), [1, 2, 255], "{body}");
    }
    // Go ignores the bits that no byte needs.
    assert_eq!(bytes(r#"{"manifest":"AR=="}"#).unwrap(), [1]);
}

#[test]
fn what_is_no_object_is_refused() {
    for body in ["{", "{\"a\"", "[1,", "\"a"] {
        assert_eq!(refusal(body.as_bytes()).to_string(), "unexpected end of JSON input", "{body}");
    }
    let bodies: [&[u8]; 9] = [
        b"[]",
        b"1",
        b"\"a\"",
        b"{\"manifest\"}",
        b"\xef\xbb\xbf{}",
        b"{,}",
        b"{\"a\":1,}",
        b"{\"\xff\":1}",
        b"{\"a\":\"\n\"}",
    ];
    for body in bodies {
        assert!(matches!(refusal(body), BodyError::Syntax(_)), "{}", String::from_utf8_lossy(body));
    }
    let lone_surrogate = fields(r#"{"\ud800":1}"#);
    assert!(matches!(lone_surrogate.field("a").map(|_| ()), Err(BodyError::Syntax(_))));
}

// R-24, M-9
#[test]
fn a_field_of_another_type_is_refused_by_its_name() {
    for value in
        [r#""A""#, "1", r#""AQ""#, r#""-_==""#, "{}", "true", "[256]", "[-1]", "[1.0]", "[[1]]", r#""A\tQ=""#]
    {
        let body = format!("{{\"manifest\":{value}}}");
        let error = fields(&body).bytes("manifest").unwrap_err();
        assert_eq!(error, BodyError::Field { field: "manifest", expected: BYTES }, "{value}");
    }
    for value in ["-1", "1.0", "1e3", "\"1\"", "18446744073709551616", "{}", "[1]"] {
        let body = format!("{{\"value\":{value}}}");
        assert!(matches!(fields(&body).number("value"), Err(BodyError::Field { field: "value", .. })));
    }
    assert_eq!(fields(r#"{"value":18446744073709551615}"#).number("value"), Ok(Some(u64::MAX)));
    assert!(fields(r#"{"name":1}"#).text("name").is_err());
    assert_eq!(fields(r#"{"name":"a\"}b"}"#).text("name").unwrap().unwrap(), "a\"}b");
}

#[test]
fn brackets_and_quotes_inside_strings_end_nothing() {
    let fields = fields(r#"{"a":"}\"]\\","b":[["]"],{"c":"}"}],"d\"":{"e":[]},"f":-1.5e3}"#);
    let members: Vec<(String, &str)> = fields
        .members()
        .map(|member| member.map(|(name, value)| (name.into_owned(), value.0)).unwrap())
        .collect();
    let expected =
        [("a", r#""}\"]\\""#), ("b", r#"[["]"],{"c":"}"}]"#), ("d\"", r#"{"e":[]}"#), ("f", "-1.5e3")];
    assert_eq!(members, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let open = format!("{{\"x\":{}", "[".repeat(1 << 20));
    assert_eq!(refusal(open.as_bytes()), BodyError::Truncated);
    let closed = format!("{open}{},\"manifest\":\"AQ==\"}}", "]".repeat(1 << 20));
    assert_eq!(bytes(&closed).unwrap(), [1]);
}

#[test]
fn no_error_repeats_a_value() {
    for body in [r#"{"manifest":"hunter2!"}"#, r#"{"value":"hunter2"}"#, r#"{"manifest":["hunter2"]}"#] {
        let fields = fields(body);
        for text in [
            fields.bytes("manifest").map(|_| String::new()).unwrap_or_else(|error| error.to_string()),
            fields.number("value").map(|_| String::new()).unwrap_or_else(|error| error.to_string()),
        ] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
    assert!(!refusal(br#"{"manifest":"hunter2" "a"}"#).to_string().contains("hunter2"));
}

proptest::proptest! {
    /// What a JSON library reads, is read alike.
    #[test]
    fn members_are_those_of_serde_json(map: std::collections::BTreeMap<String, Vec<Option<String>>>) {
        let text = serde_json::to_string_pretty(&map).unwrap();
        let read: std::collections::BTreeMap<String, serde_json::Value> = fields(&text)
            .members()
            .map(|member| member.map(|(name, value)| (name.into_owned(), serde_json::from_str(value.0).unwrap())))
            .collect::<Result<_, _>>()
            .unwrap();
        let expected = serde_json::to_value(&map).unwrap();
        proptest::prop_assert_eq!(serde_json::to_value(read).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        if let Ok(fields) = Fields::read(&body) {
            for member in fields.members() {
                let _ = member.map(|(_, value)| value.bytes().is_some());
            }
        }
    }
}

#[test]
fn a_list_of_bytes_is_read_in_order_and_is_not_longer_than_it_may_be() {
    let read = |text: &str, limit| {
        let fields = Fields::read(text.as_bytes()).unwrap();
        let list = fields.list_of_bytes("policies", limit)?;
        Ok::<_, BodyError>(list.iter().map(|bytes| bytes.to_vec()).collect::<Vec<_>>())
    };
    let two = r#"{"policies": [ "AQ==" , "AgM=" ]}"#;
    assert_eq!(read(two, 2).unwrap(), [vec![1], vec![2, 3]]);
    assert_eq!(read(two, 1), Err(BodyError::TooMany { field: "policies", limit: 1 }));
    for text in ["{}", r#"{"policies":null}"#, r#"{"policies":[]}"#] {
        assert!(read(text, 0).unwrap().is_empty(), "{text}");
    }
    for wrong in [r#""AQ==""#, "[1]", r#"["*"]"#, "{}", r#"["AQ==",null]"#] {
        let error = read(&format!("{{\"policies\":{wrong}}}"), 9).unwrap_err();
        assert!(matches!(error, BodyError::Field { field: "policies", .. }), "{wrong}: {error}");
    }
}
