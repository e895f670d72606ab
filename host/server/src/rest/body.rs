//! Reads a request's body within its limits.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::{BodyStream, Call};
use crate::limits::DISCARD_BYTES;
use crate::problem::Failure;

/// A body in memory. While it lives it counts against the bytes that all bodies may use together.
pub(crate) struct Body {
    bytes: Vec<u8>,
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
        let mut body = Body { bytes: Vec::new(), _share: None };
        while let Some(part) = self.body.next().await {
            let part = part.map_err(|_| Failure::BodyBroken)?;
            if body.bytes.len() + part.len() > limit {
                discard(&mut self.body).await;
                return Err(Failure::BodyTooLarge(limit));
            }
            self.account(&mut body, &part)?;
            body.bytes.extend_from_slice(&part);
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
