//! Every target on its seeds, its regressions and mutations of them; the long form is `cargo xtask fuzz`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use carrara_fuzz::mutate::{Random, mutated};
use carrara_fuzz::{TARGETS, Target, seeds};

/// A single input may not take longer, even without optimisation on a busy machine.
const INPUT_LIMIT: Duration = Duration::from_secs(20);

/// Runs an input; if it fails, says which one it was and how to keep it.
fn run(target: &Target, input: &[u8]) {
    let began = Instant::now();
    let told = Telltale { target: target.name, input };
    (target.run)(input);
    std::mem::forget(told);
    let took = began.elapsed();
    assert!(took < INPUT_LIMIT, "{}: {took:?} for {}", target.name, hex::encode(input));
}

struct Telltale<'a> {
    target: &'a str,
    input: &'a [u8],
}

impl Drop for Telltale<'_> {
    fn drop(&mut self) {
        let name = self.target;
        eprintln!(
            "target {name} failed on the input below; keep it as tests/fuzz/regressions/{name}/<what it is>.hex\n{}",
            hex::encode(self.input)
        );
    }
}

fn smoke(target: &Target) {
    let inputs = seeds::of(target);
    assert!(!inputs.is_empty(), "{} has no seeds", target.name);
    run(target, b"");
    inputs.iter().for_each(|input| run(target, input));
    let mut random = Random::new(target.name.len() as u64);
    for _ in 0..target.mutations {
        let input = random.choose(&inputs).cloned().unwrap_or_default();
        run(target, &mutated(&input, &inputs, &mut random));
    }
}

/// One test per target, so that they run side by side and one failure hides no other.
macro_rules! smoke_tests {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            smoke(carrara_fuzz::find(stringify!($name)).expect("the target is in the list"));
        })*

        #[test]
        fn every_target_has_its_smoke_test() {
            let listed: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(listed, BTreeSet::from([$(stringify!($name)),*]));
        }
    };
}

smoke_tests! {
    activation backup cli_address cli_attestation cli_chain cli_checkpoint cli_identity cli_manifest_file
    cli_recovery_key cli_recovery_secret cli_secret_uploads cli_token component csr evidence first_manifest
    go_template json_body key_file liquid manifest query recovery_data recovery_key recovery_shares rest
    rest_recovery sealed_record secret_uploads state_head state_mark state_values user_certificate
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    for kind in ["seeds", "regressions"] {
        for entry in std::fs::read_dir(seeds::home().join(kind)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            assert!(
                !entry.path().is_dir() || carrara_fuzz::find(&name).is_some(),
                "{kind}/{name} is of no target"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_mutations() {
    let inputs = [b"{\"a\":1}".to_vec(), b"b".to_vec()];
    let all = |seed| {
        let mut random = Random::new(seed);
        (0..100).map(|_| mutated(&inputs[0], &inputs, &mut random)).collect::<Vec<_>>()
    };
    assert_eq!(all(1), all(1));
    assert_ne!(all(1), all(2));
}
