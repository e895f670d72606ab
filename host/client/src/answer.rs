//! The JSend envelope (rest-api.md section 2, C-11). The Content-Type says nothing about it (X-51).

use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{ApiError, ClientError};
use crate::transport::RawAnswer;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, alias = "Data")]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default, alias = "Status")]
    status: String,
    #[serde(default, alias = "Message")]
    message: String,
    #[serde(default, alias = "Data")]
    data: Option<Value>,
}

/// The `data` of a success, or the error that the answer is.
pub(crate) fn data<T: DeserializeOwned>(answer: &RawAnswer, what: &'static str) -> Result<T, ClientError> {
    let malformed = |source| ClientError::Malformed { what, source };
    match answer.code {
        StatusCode::OK => {
            let envelope: Envelope<'_> = serde_json::from_slice(&answer.body).map_err(malformed)?;
            let data = envelope.data.map_or("null", RawValue::get);
            serde_json::from_str(data).map_err(malformed)
        }
        code => Err(refusal(code, &answer.body)),
    }
}

/// The error that an answer with another code than 200 is.
pub(crate) fn refusal(code: StatusCode, body: &[u8]) -> ClientError {
    // Proxies and other servers answer in their own ways; the code says enough then.
    let failure = serde_json::from_slice(body).unwrap_or(Failure {
        status: code.canonical_reason().unwrap_or("error").to_owned(),
        message: String::new(),
        data: None,
    });
    if code == StatusCode::UNAUTHORIZED {
        return ClientError::Unauthorized(failure.message);
    }
    let data = failure.data.filter(|data| !data.is_null()).map(|data| data.to_string());
    ClientError::Api(ApiError { code, status: failure.status, message: failure.message, data })
}

/// A field whose name is matched whatever its case (C-13).
pub(crate) fn take_field(map: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = map.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    map.remove(&key).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn parse(code: u16, body: &str) -> Result<Value, ClientError> {
        let answer = RawAnswer {
            code: StatusCode::from_u16(code).unwrap(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        };
        data(&answer, "a test")
    }

    // C-11
    #[test]
    fn a_200_gives_its_data() {
        assert_eq!(parse(200, "{\"status\":\"success\",\"data\":{\"a\":1}}\n").unwrap()["a"], 1);
        assert_eq!(parse(200, r#"{"status":"success","data":null}"#).unwrap(), Value::Null);
        assert_eq!(parse(200, r#"{"status":"success"}"#).unwrap(), Value::Null);
    }

    // C-11
    #[test]
    fn a_401_gives_its_message() {
        let error = parse(401, r#"{"status":"error","data":null,"message":"who?"}"#).unwrap_err();
        assert!(matches!(&error, ClientError::Unauthorized(message) if message == "who?"), "{error:?}");
    }

    // C-11
    #[test]
    fn other_codes_give_code_status_message_and_data() {
        let error = parse(400, r#"{"status":"fail","data":{"x":"y"},"message":"bad"}"#).unwrap_err();
        let ClientError::Api(error) = error else { panic!("{error:?}") };
        assert_eq!(
            (error.code.as_u16(), error.status.as_str(), error.message.as_str()),
            (400, "fail", "bad")
        );
        assert_eq!(error.data.as_deref(), Some(r#"{"x":"y"}"#));
        assert_eq!(error.to_string(), "400 fail: bad");
    }

    #[test]
    fn an_error_that_is_no_envelope_is_told_by_its_code() {
        let ClientError::Api(error) = parse(502, "<html>").unwrap_err() else { panic!() };
        assert_eq!(error.to_string(), "502 Bad Gateway: the coordinator gave no reason");
    }

    #[test]
    fn a_200_that_is_no_envelope_is_an_error() {
        for body in ["", "<html>", "[]", r#"{"data":"#] {
            assert!(matches!(parse(200, body), Err(ClientError::Malformed { .. })), "{body}");
        }
    }
}
