//! What a commit costs: time and CPU of the whole process, for one caller and for sixteen, small and large states.
//!
//! `cargo bench -p carrara-store`. Without `--bench`, as tests run it, it does each once with few commits.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use carrara_core::ports::{Batch, Store};
use carrara_store::{Backend, Options, open};
use common::{Random, new_state, put, sealing};
use tempfile::TempDir;

/// Makes the batch of an index.
type Make = fn(usize) -> Batch;

/// What is committed.
const BATCHES: [(&str, Make); 3] =
    [("secret", secret), ("counter", counter), ("100 audit entries", audit_entries)];

/// What is stored before the measurement.
struct Size {
    records: usize,
    lines: usize,
}

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let commits = if full { 4000 } else { 32 };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!(
        "{:<24} {:>8} {:>9} {:>8} {:>12} {:>12}",
        "batch", "records", "lines", "callers", "wall us", "CPU us"
    );
    for (name, make) in BATCHES {
        for size in [Size { records: 10, lines: 10 }, Size { records: 10_000, lines: 10_000 }] {
            for callers in [1, 16] {
                let size = if full { &size } else { &Size { records: 10, lines: 10 } };
                let (wall, cpu) = runtime.block_on(measure(size, callers, commits, make));
                let each = |all: Duration| all.as_secs_f64() * 1e6 / commits as f64;
                let Size { records, lines } = size;
                println!(
                    "{name:<24} {records:>8} {lines:>9} {callers:>8} {:>12.1} {:>12.1}",
                    each(wall),
                    each(cpu)
                );
            }
        }
    }
}

/// As an upload of one secret: a record, a line of the log, an entry of the audit trail.
fn secret(index: usize) -> Batch {
    let mut batch = put(&format!("secret:{}", index % 10), &"s".repeat(200));
    batch.log_lines.push(format!("{{\"update\":\"Secret set\",\"user\":\"alice\",\"secret\":\"{index}\"}}"));
    batch
        .audit_lines
        .push(format!("{{\"user\":\"alice\",\"action\":\"WriteSecret\",\"resources\":[\"{index}\"]}}"));
    batch.depends.push(("manifest".to_owned(), None));
    batch
}

/// As a monotonic counter.
fn counter(index: usize) -> Batch {
    let mut batch = put(&format!("monotonicCounter:{}", index % 10), "8 bytes!");
    batch.depends.push(("manifest".to_owned(), None));
    batch
}

/// As a write-out of the audit trail after a hundred reads.
fn audit_entries(index: usize) -> Batch {
    let line = |entry| {
        format!("{{\"user\":\"alice\",\"action\":\"ReadSecret\",\"resources\":[\"{index}.{entry}\"]}}")
    };
    Batch { audit_lines: (0..100).map(line).collect(), ..Batch::default() }
}

async fn measure(size: &Size, callers: usize, commits: usize, make: Make) -> (Duration, Duration) {
    let folder = TempDir::new().unwrap();
    let backend = Backend::Redb { dir: folder.path().to_owned(), cache_bytes: 4 << 20 };
    let options = Options { backend, sealing: sealing(), entropy: Arc::new(Random) };
    let store = open(options).await.unwrap();
    let mut filled = Batch::default();
    for record in 0..size.records {
        filled.puts.extend(put(&format!("stored:{record}"), &"v".repeat(100)).puts);
    }
    filled.log_lines.extend((0..size.lines).map(|line| format!("line {line}: {}", "l".repeat(100))));
    store.create(new_state(), filled).await.unwrap();

    let (start, cpu) = (Instant::now(), process_cpu());
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let store: Arc<dyn Store> = Arc::clone(&store);
            tokio::spawn(async move {
                for index in (caller..commits).step_by(callers) {
                    store.commit(make(index)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (start.elapsed(), process_cpu() - cpu)
}

/// User and system time of the process, in the kernel's ticks of 10 ms.
fn process_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}
