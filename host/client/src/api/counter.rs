//! Monotonic counters of Marbles.

use serde::Deserialize;
use serde_json::json;

use crate::error::ClientError;
use crate::transport::Client;

#[derive(Deserialize)]
struct CounterData {
    value: u64,
}

impl Client {
    /// Raises a counter of this Marble, whose certificate the client must present, and gives its value from before. A
    /// `value` that is not greater leaves the counter as it is.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without a Marble's certificate; [`ClientError::Api`] with 403 unless the manifest
    /// switches the feature `MonotonicCounter` on.
    pub async fn set_monotonic_counter(&self, name: &str, value: u64) -> Result<u64, ClientError> {
        let body = json!({ "name": name, "value": value });
        let data: CounterData =
            self.post_new("monotonic counters", "/api/v2/monotonic-counter", &body).await?;
        Ok(data.value)
    }
}
