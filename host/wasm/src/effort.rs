//! How much work the code of a component is for the compiler, counted while it is read.
//!
//! What compiling a function takes grows with the square of the number of its basic blocks. Each branch makes some, and so do
//! instructions that look like none: a loop asks the clock, an indirect call checks its function, `memory.grow` its answer.
//! In an enclave, where no signal tells of a wrong address, each access of memory makes one, too.
//!
//! Instructions are told by their first byte: what a later version of the reader knows is counted by its prefix.

use wasmparser::{FunctionBody, Operator};

use crate::bounds::Taken;
use crate::footprint;
use crate::limits::{MAX_ACCESS_EFFORT, MAX_BLOCK_DEPTH, MAX_BRANCH_EFFORT, MAX_LOCAL_EFFORT};
use crate::loader::{LoadError, malformed};

/// What an instruction counts that makes several blocks, or a call that may end the guest.
const COSTLY: u64 = 4;

/// Of all functions so far.
#[derive(Default)]
pub(crate) struct Effort {
    branches: u64,
    accesses: u64,
    locals: u64,
    /// Of the most deeply nested function.
    depth: usize,
    /// Of all functions.
    bytes: u64,
    /// What the function takes that takes the most.
    largest: u64,
}

/// Of one function.
#[derive(Default)]
struct Counted {
    branches: u64,
    accesses: u64,
    /// What the instructions take in memory.
    instructions: u64,
    depth: usize,
    deepest: usize,
}

impl Effort {
    /// How far the limits are taken.
    pub(crate) fn taken(&self) -> [Taken; 4] {
        let Self { branches, accesses, locals, depth, .. } = *self;
        let effort = |what, found, limit| Taken { what, found, limit };
        [
            Taken::new("depth of blocks", depth, MAX_BLOCK_DEPTH),
            effort("squares of branches", branches, MAX_BRANCH_EFFORT),
            effort("squares of accesses of memory", accesses, MAX_ACCESS_EFFORT),
            effort("branches and accesses times locals", locals, MAX_LOCAL_EFFORT),
        ]
    }

    /// Bytes that compiling a component of so many takes, with so many initializers in all modules, and in the one that has the
    /// most.
    pub(crate) fn footprint(&self, component: u64, all: u64, most: u64) -> u64 {
        footprint::of_component(component, self.bytes, self.largest, all, most)
    }

    /// Reads one more function, which has so many locals.
    ///
    /// # Errors
    /// [`LoadError`] for the first limit that is exceeded.
    pub(crate) fn add(&mut self, body: &FunctionBody<'_>, locals: u32) -> Result<(), LoadError> {
        let Counted { branches, accesses, deepest, instructions, .. } = count(body)?;
        self.depth = self.depth.max(deepest);
        let (bytes, locals) = (body.range().len() as u64, u64::from(locals));
        self.bytes = self.bytes.saturating_add(bytes);
        let function = footprint::Function { bytes, locals, branches, accesses, instructions };
        self.largest = self.largest.max(footprint::of_function(function));
        let blocks = branches.saturating_add(accesses);
        for (sum, one, other, what, limit) in [
            (&mut self.branches, branches, branches, "branches", MAX_BRANCH_EFFORT),
            (&mut self.accesses, accesses, accesses, "accesses of memory", MAX_ACCESS_EFFORT),
            (
                &mut self.locals,
                blocks,
                locals,
                "locals with many branches or accesses of memory",
                MAX_LOCAL_EFFORT,
            ),
        ] {
            *sum = sum.saturating_add(one.saturating_mul(other));
            if *sum > limit {
                return Err(LoadError::TooMuchToCompile { what, limit });
            }
        }
        Ok(())
    }
}

fn count(body: &FunctionBody<'_>) -> Result<Counted, LoadError> {
    let (bytes, start) = (body.as_bytes(), body.range().start);
    let (mut operators, mut counted) = (body.get_operators_reader().map_err(malformed)?, Counted::default());
    while !operators.eof() {
        let at = operators.original_position().saturating_sub(start);
        counted.take(bytes.get(at..).unwrap_or_default());
        match operators.read().map_err(malformed)? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => counted.depth += 1,
            // To blocks that may all be others: each costs half as much as a branch of its own.
            Operator::BrTable { targets } => counted.branches += u64::from(targets.len().div_ceil(2)),
            Operator::End | Operator::Delegate { .. } => counted.depth = counted.depth.saturating_sub(1),
            _ => {}
        }
        counted.deepest = counted.deepest.max(counted.depth);
        if counted.depth > MAX_BLOCK_DEPTH {
            return Err(LoadError::BlocksTooDeep(MAX_BLOCK_DEPTH));
        }
    }
    Ok(counted)
}

impl Counted {
    /// The instruction that these bytes begin with.
    fn take(&mut self, code: &[u8]) {
        self.instructions = self.instructions.saturating_add(footprint::of_instruction(code));
        match code {
            // loop; calls by a table or a reference; memory.grow.
            [0x03 | 0x11 | 0x13..=0x15 | 0x40, ..] => self.branches += COSTLY,
            // Conversions that saturate make none; all else of the prefix works on whole memories and tables.
            [0xfc, 0x00..=0x07, ..] => {}
            [0xfc, ..] => self.branches += COSTLY,
            // block, if, else and what exceptions have; br, br_if, br_table, return; try_table; table.get; references that
            // may be null; garbage collection.
            [0x02 | 0x04..=0x0a | 0x0c..=0x0f | 0x18..=0x19 | 0x1f | 0x25 | 0xd4..=0xd6 | 0xfb, ..] => {
                self.branches += 1;
            }
            // table.set, loads and stores, divisions, vectors, atomic accesses.
            [0x26 | 0x28..=0x3e | 0x6d..=0x70 | 0x7f..=0x82 | 0xfd..=0xfe, ..] => self.accesses += 1,
            // Conversions that trap on both sides.
            [0xa8..=0xab | 0xae..=0xb1, ..] => self.accesses += 2,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Surface;

    /// A component of functions with this code, so many times in each.
    fn read(code: &str, times: &[u64]) -> Result<Surface, LoadError> {
        let repeated = |times: &u64| code.repeat(usize::try_from(*times).unwrap());
        let functions: String =
            times.iter().map(|times| format!("(func (param i32) {})", repeated(times))).collect();
        let module = format!(
            "(memory 1) (table 1 funcref) (type $t (func)) (elem declare func $f) (func $f) {functions}"
        );
        Surface::read(&wat::parse_str(format!("(component (core module {module}))")).unwrap())
    }

    /// How often something that counts `each` may be in one function.
    fn most(limit: u64, each: u64) -> u64 {
        limit.isqrt() / each
    }

    // P-22
    #[test]
    fn what_makes_branches_is_limited_whatever_it_looks_like() {
        for (code, each) in [
            ("local.get 0 if end ", 1),
            ("local.get 0 br_if 0 ", 1),
            ("block local.get 0 br_table 0 0 1 end ", 3),
            ("local.get 0 br_table 0 0 0 0 0 0 0 0 0 ", 5),
            ("block end ", 1),
            ("try_table end ", 1),
            ("local.get 0 table.get 0 drop ", 1),
            ("loop end ", COSTLY),
            ("local.get 0 call_indirect (type $t) ", COSTLY),
            ("ref.func $f call_ref $t ", COSTLY),
            ("local.get 0 memory.grow drop ", COSTLY),
            ("local.get 0 local.get 0 local.get 0 memory.copy ", COSTLY),
        ] {
            let most = most(MAX_BRANCH_EFFORT, each);
            assert!(read(code, &[most]).is_ok(), "{code}");
            let error = read(code, &[most + 1]).unwrap_err();
            assert!(matches!(error, LoadError::TooMuchToCompile { what: "branches", .. }), "{code}: {error}");
            assert!(error.to_string().contains(&MAX_BRANCH_EFFORT.to_string()), "{error}");
        }
    }

    // P-22
    #[test]
    fn what_an_enclave_checks_is_limited_everywhere() {
        for (code, each) in [
            ("local.get 0 local.get 0 i32.store ", 1),
            ("local.get 0 i64.load8_u drop ", 1),
            ("local.get 0 local.get 0 i32.div_u drop ", 1),
            ("local.get 0 v128.load drop ", 1),
            ("f32.const 1 i32.trunc_f32_u drop ", 2),
        ] {
            let most = most(MAX_ACCESS_EFFORT, each);
            assert!(read(code, &[most]).is_ok(), "{code}");
            let error = read(code, &[most + 1]).unwrap_err();
            let expected = "accesses of memory";
            assert!(
                matches!(error, LoadError::TooMuchToCompile { what, .. } if what == expected),
                "{code}: {error}"
            );
        }
    }

    // P-22
    #[test]
    fn locals_count_with_the_branches_that_they_live_across() {
        let read = |locals: u64, branches: u64| {
            let (locals, branches) = (usize::try_from(locals).unwrap(), usize::try_from(branches).unwrap());
            let code = format!("(local {}) {}", "i32 ".repeat(locals), "block end ".repeat(branches));
            Surface::read(&wat::parse_str(format!("(component (core module (func {code})))")).unwrap())
        };
        let branches = MAX_LOCAL_EFFORT / 2000;
        assert!(read(2000, branches).is_ok());
        assert!(read(1, branches * 2).is_ok());
        let error = read(2000, branches + 1).unwrap_err();
        assert!(error.to_string().contains("too many locals with many branches"), "{error}");
        let accesses = |accesses: u64| {
            let locals = "i32 ".repeat(2000);
            let code = "local.get 0 i32.load drop ".repeat(usize::try_from(accesses).unwrap());
            let module = format!("(memory 1) (func (local {locals}) {code})");
            Surface::read(&wat::parse_str(format!("(component (core module {module}))")).unwrap())
        };
        assert!(accesses(branches).is_ok(), "in an enclave each is a branch");
        assert!(accesses(branches + 1).unwrap_err().to_string().contains("or accesses of memory"));
    }

    // P-22
    #[test]
    fn the_squares_of_all_functions_are_added_and_not_their_branches() {
        let most = most(MAX_BRANCH_EFFORT, 1);
        let half = most / 2;
        assert!(
            read("local.get 0 br_if 0 ", &[half, half, half, half]).is_ok(),
            "twice as many branches as one may have"
        );
        assert!(read("local.get 0 br_if 0 ", &[half, half, half, half, half]).is_err());
    }

    // P-22
    #[test]
    fn straight_code_is_limited_by_its_bytes_alone() {
        for code in
            ["call $f ", "local.get 0 i32.popcnt local.set 0 ", "f32.const 1 i32.trunc_sat_f32_s drop "]
        {
            assert!(read(code, &[2 * most(MAX_ACCESS_EFFORT, 1)]).is_ok(), "{code}");
        }
    }
}
