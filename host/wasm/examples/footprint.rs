//! Prints what compiling a component takes in memory, estimated and measured. One component for each run: peaks are those of the
//! whole process. For an enclave: `--features enclave`, and `MALLOC_ARENA_MAX=2` as there.

#![allow(clippy::print_stdout)] // its purpose

use std::time::Instant;

use carrara_wasm::{PolicySource, Surface, Trial};

/// The most memory that the process held so far, in KiB (proc(5), `VmHWM`).
fn peak() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: footprint COMPONENT.wasm")?;
    let component = std::fs::read(&path)?;
    let surface = Surface::read(&component)?;
    let world = *surface.some_world()?.first().ok_or("no world")?;
    let (bytes, before, began) = (component.len(), peak()?, Instant::now());
    let trial = Trial::load(PolicySource::new("footprint", world, component))?;
    let (took, grown) = (began.elapsed(), peak()? - before);
    println!(
        "{path}: {bytes} bytes, compiled in {:.1} s with {} MiB, estimated {} MiB",
        took.as_secs_f64(),
        grown >> 10,
        surface.footprint >> 20
    );
    drop(trial);
    Ok(())
}
