//! HTTP/2 by hand (RFC 9113, RFC 7541): what no well-behaved library sends.

/// The client's preface, and settings that leave everything as it is.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The client's preface, and a window of 0 for each stream: no answer's body may be sent.
pub(super) const PREFACE_NO_WINDOW: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

/// A request's method.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Get,
    Post,
}

/// A request's head, with or without a body after it.
pub(super) fn head(stream: u32, method: Method, path: &str, body_follows: bool) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap_or(u8::MAX).min(126);
    let mut block = vec![if matches!(method, Method::Get) { 0x82 } else { 0x83 }, 0x87];
    // `:path` and `:authority`, not indexed.
    block.extend([0x04, length]);
    block.extend(path.as_bytes().iter().take(usize::from(length)));
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    // `content-type`, for gRPC.
    block.extend([0x0f, 0x10, 16]);
    block.extend(b"application/grpc");
    let flags = if body_follows { 0x04 } else { 0x05 };
    frame(0x01, flags, stream, &block)
}

/// Some bytes of a body, not the last ones.
pub(super) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0x00, 0x00, stream, bytes)
}

/// The request is cancelled.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(0x03, 0x00, stream, &8_u32.to_be_bytes())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_kind_flags_and_stream_before_its_payload() {
        assert_eq!(reset(3), [0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8]);
        assert_eq!(data(1, b"ab"), [0, 0, 2, 0, 0, 0, 0, 0, 1, b'a', b'b']);
        let head = head(1, Method::Get, "/status", false);
        assert_eq!(head[..9], [0, 0, head.len() as u8 - 9, 1, 5, 0, 0, 0, 1]);
        assert!(head.windows(7).any(|part| part == b"/status"));
    }
}
