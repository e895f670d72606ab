//! A JSON body as endpoints read it, held against another reader.

use std::collections::BTreeMap;

use carrara_server::fuzzing;
use serde_json::Value;

pub(super) fn run(input: &[u8]) {
    let ours = fuzzing::json_members(input);
    assert_eq!(ours, fuzzing::json_members(input));
    // A stream's first value counts; what follows is ignored.
    let theirs = serde_json::Deserializer::from_slice(input).into_iter::<Value>().next();
    let (Some(ours), Some(Ok(theirs))) = (&ours, &theirs) else {
        assert!(ours.is_none() || theirs.is_none_or(|read| read.is_err()), "only one of them reads it");
        return;
    };
    let empty = serde_json::Map::new();
    let theirs = match theirs {
        Value::Object(members) => members,
        Value::Null => &empty,
        other => panic!("{other} is no object"),
    };
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let lists: BTreeMap<&String, Option<Vec<u8>>> =
        theirs.iter().filter(|(_, value)| value.is_array()).map(|(name, value)| (name, list(value))).collect();
    for (name, bytes) in lists {
        assert_eq!(ours.get(name), Some(&bytes), "{name}");
    }
    for (name, text) in theirs.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
        if let Some(Some(bytes)) = ours.get(name) {
            assert!(bytes.len() <= text.len(), "{name}: base64 only gets shorter");
        }
    }
}

fn list(value: &Value) -> Option<Vec<u8>> {
    serde_json::from_value(value.clone()).ok()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":"AQID","b":[1,2,255],"c":null,"d":{"e":"AQ=="},"f":"A\u0051==\n"}"#,
        "{}",
        "null",
        " { } x",
        r#"{"a":1,"a":"AQ==","A":[256],"\u0061":[1.0],"":[],"x":"AQID\r\nBAUG"}"#,
        r#"{"a":[1,[2]],"b":"\"}{[","c":[1e2,-0,00]}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
