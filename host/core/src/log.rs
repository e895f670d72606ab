//! The exact lines of the update log (R-60): one JSON object per line, `time` first, then `update`, then fields.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// Milliseconds, `Z`: the coordinator's clock is UTC.
const TIME: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The first manifest was set.
pub(crate) fn initial_manifest_set(now: OffsetDateTime) -> String {
    line(now, "Initial manifest set", &[])
}

/// A new manifest replaced a state that could not be opened (X-1).
pub(crate) fn previous_state_archived(now: OffsetDateTime, root_fingerprint: &str) -> String {
    line(now, "Previous state archived", &[("rootFingerprint", Value::from(root_fingerprint))])
}

/// R-60's form of a time.
pub(crate) fn time_text(now: OffsetDateTime) -> String {
    now.to_offset(time::UtcOffset::UTC).format(TIME).unwrap_or_default()
}

/// The longest line. Longer ones are refused with the change that they tell of, never shortened.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Whether the log can hold these lines.
///
/// # Errors
/// The text names the size and the limit.
pub(crate) fn check_lengths(lines: &[String]) -> Result<(), crate::error::Cause> {
    match lines.iter().map(String::len).max().filter(|longest| *longest > MAX_LINE_BYTES) {
        None => Ok(()),
        Some(longest) => Err(crate::error::Cause(format!(
            "a line of the update log would have {longest} bytes, more than the limit of {MAX_LINE_BYTES}; use shorter \
             names"
        ))),
    }
}

/// One package's version was raised (M-106).
pub(crate) fn security_version_increased(
    now: OffsetDateTime,
    user: &str,
    package: &str,
    version: u64,
) -> String {
    let fields = [
        ("user", Value::from(user)),
        ("package", Value::from(package)),
        ("new version", Value::from(version)),
    ];
    line(now, "SecurityVersion increased", &fields)
}

/// A user-defined secret was set (S-57).
pub(crate) fn secret_set(now: OffsetDateTime, user: &str, secret: &str, kind: &str) -> String {
    let fields = [("user", Value::from(user)), ("secret", Value::from(secret)), ("type", Value::from(kind))];
    line(now, "Secret set", &fields)
}

/// A full update that takes effect at once (L-52).
pub(crate) fn update_initiated(now: OffsetDateTime, user: &str, fingerprint: &str) -> String {
    let fields = [("user", Value::from(user)), ("manifestFingerprint", Value::from(fingerprint))];
    line(now, "Complete Manifest update initiated by user. No further acknowledgements required", &fields)
}

/// A full update that waits (L-51).
pub(crate) fn update_waiting(
    now: OffsetDateTime,
    user: &str,
    missing: usize,
    missing_users: &[String],
    fingerprint: &str,
) -> String {
    let update =
        "Complete Manifest update initiated by user. Waiting for acknowledgments to apply the update";
    line(now, update, &progress(user, missing, missing_users, fingerprint))
}

/// One more acknowledgement (L-53).
pub(crate) fn update_acknowledged(
    now: OffsetDateTime,
    user: &str,
    missing: usize,
    missing_users: &[String],
    fingerprint: &str,
) -> String {
    let update = "Complete Manifest update acknowledged by user";
    line(now, update, &progress(user, missing, missing_users, fingerprint))
}

/// A full update took effect (M-112).
pub(crate) fn manifest_updated(now: OffsetDateTime, fingerprint: &str) -> String {
    line(now, "Complete Manifest updated", &[("manifestFingerprint", Value::from(fingerprint))])
}

/// A pending update was cancelled (L-56).
pub(crate) fn update_cancelled(now: OffsetDateTime, user: &str, fingerprint: &str) -> String {
    let fields = [("user", Value::from(user)), ("manifestFingerprint", Value::from(fingerprint))];
    line(now, "Complete Manifest update cancelled by user", &fields)
}

/// An update could not take effect (L-55).
pub(crate) fn update_failed(now: OffsetDateTime, fingerprint: &str) -> String {
    let update = "Complete Manifest update cancelled due to error during apply";
    line(now, update, &[("manifestFingerprint", Value::from(fingerprint))])
}

fn progress<'a>(
    user: &str,
    missing: usize,
    missing_users: &[String],
    fingerprint: &str,
) -> [(&'a str, Value); 4] {
    [
        ("user", Value::from(user)),
        ("missingAcknowledgments", Value::from(missing)),
        ("missingUsers", Value::from(missing_users)),
        ("manifestFingerprint", Value::from(fingerprint)),
    ]
}

/// Builds a line; the fields keep their order.
fn line(now: OffsetDateTime, update: &str, fields: &[(&str, Value)]) -> String {
    let mut text = format!("{{\"time\":{},\"update\":{}", Value::from(time_text(now)), Value::from(update));
    for (name, value) in fields {
        text.push_str(&format!(",{}:{value}", Value::from(*name)));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    // X-64, R-60
    #[test]
    fn a_line_has_time_with_milliseconds_then_update_then_fields_in_order() {
        let now = datetime!(2025-03-04 05:06:07.008_9 UTC);
        assert_eq!(
            initial_manifest_set(now),
            r#"{"time":"2025-03-04T05:06:07.008Z","update":"Initial manifest set"}"#
        );
        assert_eq!(
            previous_state_archived(now, "ab"),
            r#"{"time":"2025-03-04T05:06:07.008Z","update":"Previous state archived","rootFingerprint":"ab"}"#
        );
    }
}
