//! Reads a request's body within its limits.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{BodyStream, Call};
use crate::limits::DISCARD_BYTES;
use crate::problem::Failure;

/// A body in memory, wiped afterwards, since it may hold secrets. While it lives it counts against the bytes that all bodies
/// may use together.
pub(crate) struct Body {
    bytes: Zeroizing<Vec<u8>>,
    _share: Option<OwnedSemaphorePermit>,
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
        let (time, api) = (self.api.body_read, Arc::clone(&self.api));
        let _upload = api.uploads.try_acquire().map_err(|_| Failure::BodiesFull)?;
        timeout(time, self.collect(limit)).await.map_err(|_| Failure::BodySlow)?
    }

    async fn collect(&mut self, limit: usize) -> Result<Body, Failure> {
        let mut body = Body { bytes: Zeroizing::default(), _share: None };
        while let Some(part) = self.body.next().await {
            let part = part.map_err(|_| Failure::BodyBroken)?;
            if body.bytes.len() + part.len() > limit {
                discard(&mut self.body).await;
                return Err(Failure::BodyTooLarge(limit));
            }
            self.account(&mut body, &part)?;
            append(&mut body.bytes, &part);
        }
        Ok(body)
    }

    /// Takes the part's share, rounded up to KiB over the whole body.
    fn account(&self, body: &mut Body, part: &Bytes) -> Result<(), Failure> {
        let (before, after) =
            (body.bytes.len().div_ceil(1024), (body.bytes.len() + part.len()).div_ceil(1024));
        let more = u32::try_from(after - before).map_err(|_| Failure::BodiesFull)?;
        if more == 0 {
            return Ok(());
        }
        let taken = Arc::clone(&self.api.bodies).try_acquire_many_owned(more);
        let taken = taken.map_err(|_| Failure::BodiesFull)?;
        match &mut body._share {
            Some(share) => share.merge(taken),
            none => *none = Some(taken),
        }
        Ok(())
    }
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
