//! Makes hostile components: mutated valid guests, random modules behind our worlds, random components, and components whose
//! bytes were changed at random. What it makes depends on the seed, the number and the guests it starts from, on nothing else.
//!
//! Nothing here judges them: `cargo xtask hostile` does.

mod guests;
mod mutants;
mod random;
mod smiths;

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use guests::Guests;
use random::Random;

/// What to make, and where.
#[derive(Parser)]
struct Arguments {
    /// What all of them are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many
    #[arg(long)]
    count: u64,
    /// The repository
    #[arg(long)]
    root: PathBuf,
    /// The folder that gets them, as NUMBER.KIND.wasm
    #[arg(long)]
    out: PathBuf,
}

/// How one is made. Of a hundred numbers in a row each kind has a fixed share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// wasm-mutate on a small guest.
    Mutant,
    /// wasm-mutate on a built-in policy, by its place in [`guests::BUILT_IN`]: the larger ones take longer to compile, and are fewer.
    BuiltIn(usize),
    /// A module of wasm-smith behind one of our worlds.
    Module,
    /// A component of wasm-smith, which has nothing to do with our worlds.
    Component,
    /// A small guest, some of whose bytes were changed.
    Bytes,
}

impl Kind {
    /// Neighbours are of different kinds, so that a small sample has them all.
    fn of(number: u64) -> Self {
        match number * 37 % 100 {
            0..44 => Self::Mutant,
            44..56 => Self::BuiltIn(0),
            56..59 => Self::BuiltIn(1),
            59..61 => Self::BuiltIn(2),
            61 => Self::BuiltIn(3),
            62..84 => Self::Module,
            84..92 => Self::Component,
            _ => Self::Bytes,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mutant => "mutant",
            Self::BuiltIn(index) => guests::BUILT_IN[index],
            Self::Module => "module",
            Self::Component => "component",
            Self::Bytes => "bytes",
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // What a tool cannot make is made otherwise; what it says about it helps nobody.
    std::panic::set_hook(Box::new(|_| {}));
    let guests = Guests::read(&arguments.root)?;
    fs::create_dir_all(&arguments.out).with_context(|| format!("creating {}", arguments.out.display()))?;
    for number in arguments.first..arguments.first + arguments.count {
        let kind = Kind::of(number);
        let file = arguments.out.join(format!("{number:06}.{}.wasm", kind.name()));
        let component = make(&guests, kind, Random::new(arguments.seed, number))
            .with_context(|| format!("making number {number} of seed {}", arguments.seed))?;
        fs::write(&file, component).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn make(guests: &Guests, kind: Kind, mut random: Random) -> anyhow::Result<Vec<u8>> {
    match kind {
        Kind::Mutant => {
            let guest = random.pick(&guests.small);
            // A few changes leave most of what it does; many leave little.
            let changes = 1 + random.below(16);
            mutants::mutant(guest, changes, &mut random)
        }
        Kind::BuiltIn(index) => {
            let changes = 1 + random.below(4);
            mutants::mutant(&guests.built_in[index], changes, &mut random)
        }
        Kind::Module => smiths::module(random.pick(&guests.worlds), &mut random),
        Kind::Component => smiths::component(&mut random),
        Kind::Bytes => Ok(mutants::bytes(random.pick(&guests.small), &mut random)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_share_of_any_hundred() {
        for first in [0, 1, 777] {
            let count = |kind: Kind| (first..first + 100).filter(|number| Kind::of(*number) == kind).count();
            assert_eq!(count(Kind::Mutant), 44);
            assert_eq!([0, 1, 2, 3].map(|index| count(Kind::BuiltIn(index))), [12, 3, 2, 1]);
            assert_eq!([Kind::Module, Kind::Component, Kind::Bytes].map(count), [22, 8, 8]);
        }
    }

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap().to_owned()
    }

    #[test]
    fn the_same_number_of_the_same_seed_is_the_same_component_and_others_differ() {
        let guests = Guests::small_ones(&root()).unwrap();
        for kind in [Kind::Mutant, Kind::Module, Kind::Component, Kind::Bytes] {
            let made = |seed, number| make(&guests, kind, Random::new(seed, number)).unwrap();
            for number in 0..20 {
                assert_eq!(made(1, number), made(1, number), "{kind:?} {number}");
            }
            let differ = (0..20).filter(|number| made(1, *number) != made(2, *number)).count();
            assert!(differ > 15, "{kind:?}: {differ}");
        }
    }

    #[test]
    fn a_mutant_is_a_component_with_another_module_and_often_still_valid() {
        let guests = Guests::small_ones(&root()).unwrap();
        let mut valid = 0;
        for number in 0..50 {
            let mutant = make(&guests, Kind::Mutant, Random::new(1, number)).unwrap();
            assert!(
                guests.small.iter().all(|guest| guest.component != mutant),
                "number {number} is unchanged"
            );
            valid += usize::from(wasmparser::Validator::new().validate_all(&mutant).is_ok());
        }
        assert!(valid > 20, "{valid}");
    }

    #[test]
    fn a_module_behind_a_world_is_a_valid_component() {
        let guests = Guests::small_ones(&root()).unwrap();
        for number in 0..20 {
            let component = make(&guests, Kind::Module, Random::new(1, number)).unwrap();
            let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
            validator.validate_all(&component).unwrap();
        }
    }
}
