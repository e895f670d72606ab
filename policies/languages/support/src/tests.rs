//! Settings, their places, and the bound on nesting.

use super::*;

#[test]
fn a_place_counts_lines_and_characters_from_one() {
    let text = "añb\nc";
    assert_eq!(Place::of(text, 0), Place::START);
    assert_eq!(Place::of(text, 3), Place { line: 1, column: 3 });
    assert_eq!(Place::of(text, 5), Place { line: 2, column: 1 });
    assert_eq!(Place::of(text, 99), Place { line: 2, column: 2 }, "past the end is the end");
}

#[test]
fn settings_are_a_text_or_an_object_with_one() {
    assert_eq!(Settings::parse(r#""a\nb""#).unwrap().text("policy").unwrap(), "a\nb");
    let object = Settings::parse(r#"{"policy": "x", "data": {}}"#).unwrap();
    assert_eq!(object.text("policy").unwrap(), "x");
    assert!(object.only(&["policy", "data"]).is_ok());
    assert_eq!(object.only(&["policy"]).unwrap_err()[0].message, "unknown key: data");
    for (settings, message) in [
        ("null", "Settings are missing"),
        ("5", "Settings must be a text or an object"),
        ("[]", "Settings must be a text or an object"),
        ("{}", "policy is missing"),
        (r#"{"policy": 1}"#, "policy must be a text"),
        (r#"" \n""#, "the policy is empty"),
    ] {
        let error = Settings::parse(settings).and_then(|settings| settings.text("policy").map(drop));
        assert_eq!(error.unwrap_err().message, message, "{settings}");
    }
    let error = Settings::parse("{\n \"policy\" 1}").unwrap_err();
    assert_eq!(error.place.line, 2, "{error}");
}

#[test]
fn errors_of_an_object_name_the_member_that_their_place_counts_in() {
    let error = || SettingsError::at(Place { line: 2, column: 3 }, "no");
    let text = Settings::Text("x".to_owned());
    assert_eq!(text.locate("policy", error()).message, "no");
    let object = Settings::parse(r#"{"policy": "x"}"#).unwrap();
    assert_eq!(object.locate("policy", error()).message, "policy: no");
    assert_eq!(object.locate("policy", error()).place, Place { line: 2, column: 3 });
}

#[test]
fn text_may_be_nested_up_to_the_limit_and_no_deeper() {
    let nested = |depth: usize| "(".repeat(depth) + "1" + &")".repeat(depth);
    assert_eq!(check_nesting(&nested(MAX_NESTING)), Ok(()));
    let error = check_nesting(&nested(MAX_NESTING + 1)).unwrap_err();
    assert_eq!(error.place, Place::new(1, MAX_NESTING + 1));
    assert_eq!(check_nesting(&"()".repeat(1000)), Ok(()), "side by side is not nested");
    assert_eq!(check_nesting("!!!!a"), Ok(()));
    assert!(check_nesting(&("!".repeat(17) + "a")).is_err());
    assert!(
        check_nesting(&"startsWith(\"(\\\"(\") # ((".repeat(100)).is_ok(),
        "strings and comments do not nest"
    );
}
