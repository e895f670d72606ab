//! Which limits go together, and what is said of those that do not.

use super::*;

fn with(name: &str, value: u64) -> Result<Limits, LimitError> {
    let mut limits = Limits::default();
    limits.set(name, value)?;
    Ok(limits)
}

#[test]
fn the_defaults_go_together() {
    let limits = Limits::default();
    limits.check().unwrap();
    assert!(limits.idle < limits.age);
}

// X-17
#[test]
fn each_option_takes_its_range_and_nothing_beyond_it() {
    for option in &OPTIONS {
        let (least, most) =
            (with(option.name, option.least).unwrap(), with(option.name, option.most).unwrap());
        assert_ne!(least, most, "{} changes nothing", option.name);
        for value in [option.least - 1, option.most + 1] {
            let error = with(option.name, value).unwrap_err().to_string();
            let range = format!("from {} to {}", option.least, option.most);
            assert!(error.contains(option.name) && error.contains(&range), "{error}");
        }
    }
    assert_eq!(with("max-everything", 1), Err(LimitError::Unknown("max-everything".to_owned())));
}

#[test]
fn limits_that_contradict_each_other_are_refused_with_both_names() {
    for (name, value, named) in [
        ("request-seconds", 60, "body-seconds"),
        ("idle-seconds", 120, "request-seconds"),
        ("max-bodies-mib", 42, "max-manifest-mib allows"),
        ("max-secrets-mib", 64, ""),
    ] {
        let checked = with(name, value).unwrap().check();
        if named.is_empty() {
            assert_eq!(checked, Ok(()), "twice 64 are just 128");
        } else {
            let error = checked.unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(named), "{error}");
        }
    }
    for (name, value) in [("request-seconds", 61), ("idle-seconds", 121), ("max-bodies-mib", 43)] {
        with(name, value).unwrap().check().unwrap();
    }
}

#[test]
fn slow_bodies_cannot_take_all_requests() {
    for requests in [8, 512, 8192] {
        let limits = Limits { requests, ..Limits::default() };
        assert!(limits.bodies_bytes / limits.body_at_least() * 2 <= requests);
    }
}

#[test]
fn a_manifest_of_the_greatest_size_fits_into_its_json() {
    let limits = Limits::default();
    let base64 = limits.manifest_bytes.div_ceil(3) * 4;
    assert!(base64 + r#"{"manifest":""}"#.len() <= limits.manifest_json_bytes());
}

#[test]
fn the_longest_bodies_fit_twice_whatever_is_configured() {
    for bodies in [4 << 20, 43 << 20, 128 << 20, 16 << 30] {
        let limits = Limits { bodies_bytes: bodies, ..Limits::default() };
        assert!(limits.policy_bytes() * 2 <= bodies && limits.policy_bytes() <= POLICY_BYTES);
        let longest = limits.manifest_with_policies_bytes();
        assert!(longest >= limits.manifest_json_bytes());
        assert!(longest * 2 <= bodies || longest == limits.manifest_json_bytes(), "{bodies}");
    }
    let limits = Limits::default();
    assert_eq!(limits.manifest_with_policies_bytes(), limits.manifest_json_bytes() + POLICIES_ALONG_BYTES);
}
