//! Looks for bytes in the memory of another process, as its owner could on a machine without a TEE.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// How often each needle occurs in the writable memory of a process that lets itself be read.
///
/// # Panics
/// If the memory cannot be read.
#[must_use]
pub fn occurrences(process: u32, needles: &[&[u8]]) -> Vec<usize> {
    let memory = File::open(format!("/proc/{process}/mem")).expect("opening the process's memory");
    let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or_default();
    let mut counts = vec![0; needles.len()];
    let mut buffer = vec![0; CHUNK + longest];
    for (start, end) in regions(process) {
        let mut at = start;
        while at < end {
            let wanted = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            // A region may be gone by now.
            let Ok(read) = memory.read_at(&mut buffer[..wanted], at) else { break };
            if read == 0 {
                break;
            }
            for (needle, count) in needles.iter().zip(&mut counts) {
                // What begins after the chunk is found in the next one.
                let found = memmem::find_iter(&buffer[..read], needle);
                *count += found.filter(|place| *place < CHUNK).count();
            }
            at += CHUNK as u64;
        }
    }
    counts
}

/// Writable regions of which something is in memory.
fn regions(process: u32) -> Vec<(u64, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).expect("reading the memory's map");
    let mut regions = Vec::new();
    let mut region = None;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some((start, end)) = first.split_once('-') {
            let number = |text| u64::from_str_radix(text, 16).ok();
            region = number(start).zip(number(end)).filter(|_| second.starts_with("rw"));
        } else if matches!(first, "Rss:" | "Swap:") && second != "0" {
            regions.extend(region.take());
        }
    }
    regions
}
