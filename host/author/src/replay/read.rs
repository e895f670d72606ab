//! Reads recorded decisions: what the coordinator's endpoint answers, or a line for each, as `carrara policy decisions --json`
//! prints them.

use carrara_types::decision_record::DecisionRecord;
use serde_json::Value;

/// A text that holds no decisions.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// Not JSON. Names the line.
    #[error("line {line}: {reason}")]
    Json {
        /// From 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// JSON of another form.
    #[error(
        "there are no decisions in it: it must be a list of records, an object with `records`, or a record in each line"
    )]
    NoRecords,
    /// A record of another form, such as a later coordinator's.
    #[error("decision {number}: {reason}")]
    Record {
        /// From 1.
        number: usize,
        /// Names the field.
        reason: String,
    },
}

/// Reads a list of records, an object with `records` (or `data` that holds them), or a record in each line.
///
/// # Errors
/// [`RecordsError`] names the line or the record.
pub fn parse_records(text: &str) -> Result<Vec<DecisionRecord>, RecordsError> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value =
            value.map_err(|error| RecordsError::Json { line: error.line(), reason: error.to_string() })?;
        collect(value, &mut found)?;
    }
    let read = |(index, value): (usize, Value)| {
        serde_json::from_value(value)
            .map_err(|error| RecordsError::Record { number: index + 1, reason: error.to_string() })
    };
    found.into_iter().enumerate().map(read).collect()
}

fn collect(value: Value, found: &mut Vec<Value>) -> Result<(), RecordsError> {
    match value {
        Value::Array(records) => found.extend(records),
        Value::Object(mut members) => {
            if let Some(inner) = members.remove("records").or_else(|| members.remove("data")) {
                return collect(inner, found);
            }
            if !members.contains_key("sequence") {
                return Err(RecordsError::NoRecords);
            }
            found.push(Value::Object(members));
        }
        _ => return Err(RecordsError::NoRecords),
    }
    Ok(())
}
