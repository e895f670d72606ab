//! Reads a request's body within its limits.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use zeroize::Zeroizing;

use super::{BodyStream, Call};
use crate::limits::DISCARD_BYTES;
use crate::places::Full;
use crate::problem::Failure;
use crate::uploads::{Broken, Upload};

/// A body in memory, wiped afterwards, since it may hold secrets. While it lives it counts against the bytes that all bodies
/// may use together.
pub(crate) struct Body {
    bytes: Zeroizing<Vec<u8>>,
    _upload: Upload,
}

impl Body {
    /// The bytes, for what is no secret. They count as long as this value lives.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Call {
    /// Reads the body.
    pub(crate) async fn body(&mut self, limit: usize) -> Result<Body, Failure> {
        let api = Arc::clone(&self.api);
        let upload = api.uploads.begin(self.peer.address.ip()).map_err(|Full| Failure::BodiesFull)?;
        let bytes = api.uploads.read(&upload, collect(&mut self.body, &upload, limit)).await;
        let bytes = bytes.map_err(|broken| match broken {
            Broken::Slow => Failure::BodySlow,
            Broken::MadeRoom => Failure::BodiesFull,
        })??;
        upload.is_read(bytes.len());
        Ok(Body { bytes, _upload: upload })
    }
}

async fn collect(
    body: &mut BodyStream,
    upload: &Upload,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| Failure::BodyBroken)?;
        let length = bytes.len() + part.len();
        if length > limit {
            discard(body).await;
            return Err(Failure::BodyTooLarge(limit));
        }
        upload.grows_to(length).map_err(|Full| Failure::BodiesFull)?;
        append(&mut bytes, &part);
    }
    Ok(bytes)
}

/// Grows the buffer by hand: one that grows by itself leaves its old bytes behind.
fn append(bytes: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    let length = bytes.len() + part.len();
    if length > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.max(bytes.capacity() * 2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(part);
}

/// Throws away what is left, up to a limit. A server that closes while the client still sends resets the connection, and
/// the client never reads why.
pub(crate) async fn discard(body: &mut BodyStream) {
    let mut left = DISCARD_BYTES;
    while let Ok(Some(part)) = body.try_next().await {
        match left.checked_sub(part.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_into_new_ones_and_keeps_its_bytes() {
        let mut bytes = Zeroizing::new(Vec::new());
        let expected: Vec<u8> = (0..=255).collect();
        for part in expected.chunks(7) {
            let (address, fits) = (bytes.as_ptr(), bytes.capacity() - bytes.len() >= part.len());
            append(&mut bytes, part);
            assert_eq!(fits, address == bytes.as_ptr());
        }
        assert_eq!(*bytes, expected);
    }
}
