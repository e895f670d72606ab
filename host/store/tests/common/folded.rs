//! State directories as text: `sealed_key` in hex, and of `state.redb` its length and every row of 32 bytes that is not zero;
//! `OFFSET ff x COUNT` stands for many equal bytes.
#![allow(dead_code, unreachable_pub, reason = "every test uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const ROW: usize = 32;

/// Makes a directory of what was written down.
pub fn unfold(source: &Path, target: &Path) {
    let text = |file: &str| fs::read_to_string(source.join(file)).unwrap();
    fs::create_dir_all(target).unwrap();
    fs::write(target.join("sealed_key"), hex::decode(text("sealed_key.hex").trim()).unwrap()).unwrap();
    let rows = text("state.redb.hex");
    let mut rows = rows.lines();
    let length: usize = rows.next().unwrap().strip_prefix("length ").unwrap().parse().unwrap();
    let mut state = vec![0; length];
    for row in rows {
        let (offset, bytes) = row.split_once(' ').unwrap();
        let offset = usize::from_str_radix(offset, 16).unwrap();
        let bytes = match bytes.split_once(" x ") {
            Some((byte, count)) => hex::decode(byte).unwrap().repeat(count.parse().unwrap()),
            None => hex::decode(bytes).unwrap(),
        };
        state[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    fs::write(target.join("state.redb"), state).unwrap();
}

/// The reverse of [`unfold`].
pub fn write_down(dir: &Path, target: &Path) {
    fs::create_dir_all(target).unwrap();
    let key = fs::read(dir.join("sealed_key")).unwrap();
    fs::write(target.join("sealed_key.hex"), hex::encode(key) + "\n").unwrap();
    let state = fs::read(dir.join("state.redb")).unwrap();
    let mut text = format!("length {}\n", state.len());
    let mut offset = 0;
    while offset < state.len() {
        let first = state[offset];
        let equal = state[offset..].iter().take_while(|byte| **byte == first).count() / ROW * ROW;
        let end = (offset + equal.max(ROW)).min(state.len());
        match (first, equal) {
            (0, ROW..) => {}
            (_, ROW..) => writeln!(text, "{offset:x} {first:02x} x {equal}").unwrap(),
            _ => writeln!(text, "{offset:x} {}", hex::encode(&state[offset..end])).unwrap(),
        }
        offset = end;
    }
    fs::write(target.join("state.redb.hex"), text).unwrap();
}
