//! About how much memory compiling a component takes, from what is counted while it is read: memory that runs out in the middle of
//! compiling ends the process, and in an enclave there is little of it.
//!
//! Measured with `VmPeak` of a process that compiles for an enclave (wasmtime 48), on functions of 300 KB to 1 MiB that hold one kind of
//! instruction: 0.95 to 1.5 times the address space, and 1.0 to 1.9 times the memory (`examples/footprint.rs`), that real components
//! take there. Elsewhere compiling takes less: accesses of memory cost nothing.

/// Where there is nothing to compile.
const LEAST: u64 = 4 << 20;

/// For each byte of the component: itself, what is joined of it, and what the engine keeps of its data.
const COMPONENT: u64 = 4;

/// For each byte of all functions: their compiled code, and what is kept of it until all are there.
const CODE: u64 = 56;

/// For each byte of the function that is being compiled.
const BYTE: u64 = 64;

/// For each block that a branch makes.
const BRANCH: u64 = 9 << 10;

/// For each access of memory, which makes two blocks in an enclave.
const ACCESS: u64 = 15 << 10;

/// For each local in each block.
const LOCAL: u64 = 7;

/// For each call of a function; others count as branches.
const CALL: u64 = 6 << 10;

/// For each counting of bits, for which there is no one instruction.
const BITS: u64 = 5 << 10;

/// For each arithmetic of floating point, after which NaNs are made the same.
const FLOAT: u64 = 6656;

/// For each other instruction that computes.
const OTHER: u64 = 1536;

/// For each initializer of a module, all of which are one function.
const INITIALIZER: u64 = 19 << 10;

/// For the code of each initializer of all modules.
const INITIALIZER_CODE: u64 = 512;

/// What a function is made of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Function {
    /// Of its body.
    pub(crate) bytes: u64,
    pub(crate) locals: u64,
    pub(crate) branches: u64,
    /// Of memory.
    pub(crate) accesses: u64,
    /// The sum of what its instructions take.
    pub(crate) instructions: u64,
}

/// Bytes that the instruction takes with which these bytes begin, if it is neither a branch nor an access of memory, which are counted
/// each on its own.
pub(crate) fn of_instruction(code: &[u8]) -> u64 {
    match code {
        // unreachable, nop, end, drop; locals; constants: names of values, no instructions.
        [0x00 | 0x01 | 0x0b | 0x1a | 0x20..=0x22 | 0x41..=0x44, ..] => 0,
        // call, return_call
        [0x10 | 0x12, ..] => CALL,
        // clz, ctz, popcnt
        [0x67..=0x69 | 0x79..=0x7b, ..] => BITS,
        // f32.abs to f64.copysign, f32.demote_f64, f64.promote_f32
        [0x8b..=0xa6 | 0xb6 | 0xbb, ..] => FLOAT,
        _ => OTHER,
    }
}

/// Bytes while one function is compiled.
pub(crate) fn of_function(function: Function) -> u64 {
    let Function { bytes, locals, branches, accesses, instructions } = function;
    let blocks = branches.saturating_add(accesses);
    [
        bytes.saturating_mul(BYTE),
        branches.saturating_mul(BRANCH),
        accesses.saturating_mul(ACCESS),
        blocks.saturating_mul(locals).saturating_mul(LOCAL),
        instructions,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// Bytes for a component of so many, with functions of so many `bytes` together, of which the largest takes `largest`, with so
/// many initializers in all modules, and in the one that has the most.
pub(crate) fn of_component(component: u64, bytes: u64, largest: u64, initializers: u64, most: u64) -> u64 {
    let code = bytes.saturating_mul(CODE).saturating_add(initializers.saturating_mul(INITIALIZER_CODE));
    let one = largest.max(most.saturating_mul(INITIALIZER));
    [LEAST, component.saturating_mul(COMPONENT), code, one].into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Surface;

    /// Of a component with these functions.
    fn footprint(functions: &str) -> u64 {
        let module = format!("(memory 1) (global $g (mut f64) (f64.const 0)) (func $f) {functions}");
        Surface::read(&wat::parse_str(format!("(component (core module {module}))")).unwrap())
            .unwrap()
            .footprint
    }

    // P-22
    #[test]
    fn each_kind_of_instruction_takes_what_was_measured() {
        let least = footprint("(func)");
        assert!((LEAST..LEAST + 4096).contains(&least), "{least}");
        for (code, each) in [
            ("call $f ", CALL),
            ("block end ", BRANCH),
            ("(drop (i32.load (i32.const 0))) ", ACCESS),
            ("(drop (i64.popcnt (i64.const 7))) ", BITS),
            ("(drop (i32.clz (i32.const 7))) ", BITS),
            ("(drop (f64.add (f64.const 1) (f64.const 2))) ", FLOAT),
            ("(drop (f64.promote_f32 (f32.const 1))) ", FLOAT),
            ("(drop (i32.mul (i32.const 1) (i32.const 2))) ", OTHER),
            ("(drop (i32.const 1)) nop ", 0),
        ] {
            let bytes = |times: usize| footprint(&format!("(func {})", code.repeat(times))) - least;
            let (expected, found) = (1000 * each, bytes(1000));
            // And for the bytes of the code themselves.
            let own = 1000 * 30 * (BYTE + CODE);
            assert!((expected..expected + own).contains(&found), "{code}: {found}, not {expected}");
        }
    }

    // P-22
    #[test]
    fn the_largest_function_counts_and_the_code_of_all() {
        let function = |calls: usize| format!("(func {})", "call $f ".repeat(calls));
        let one = footprint(&function(10_000));
        let two = footprint(&format!("{}{}", function(10_000), function(9_000)));
        assert!(two > one && two - one < 3 * 20_000 * CODE, "{one} {two}");
        let locals =
            footprint(&format!("(func (local {}) {})", "i32 ".repeat(1000), "block end ".repeat(1000)));
        let none = footprint(&format!("(func {})", "block end ".repeat(1000)));
        assert!((locals - none).abs_diff(1000 * 1000 * LOCAL) < 100_000, "{locals} {none}");
    }

    // P-22
    #[test]
    fn initializers_of_a_module_are_one_function() {
        let apart = |count: u64| {
            let data: String =
                (0..count).map(|at| format!("(data (i32.const {}) \"a\")", at * 5000)).collect();
            footprint(&data)
        };
        // A segment counts four; the function beside them takes less than they do.
        let (found, expected) = (apart(1000) - apart(900), 400 * (INITIALIZER + INITIALIZER_CODE));
        // And the bytes of the segments themselves.
        assert!((expected..expected + 100 * 10 * COMPONENT).contains(&found), "{found}, not {expected}");
        let calls = format!("(func {})", "call $f ".repeat(10_000));
        assert_eq!(footprint(&calls).max(apart(100)), footprint(&calls), "one after the other");
    }
}
