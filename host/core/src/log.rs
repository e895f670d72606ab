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

/// Builds a line; the fields keep their order.
fn line(now: OffsetDateTime, update: &str, fields: &[(&str, Value)]) -> String {
    let time = now.to_offset(time::UtcOffset::UTC).format(TIME).unwrap_or_default();
    let mut text = format!("{{\"time\":{},\"update\":{}", Value::from(time), Value::from(update));
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

    // R-60
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
