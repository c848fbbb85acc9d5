//! Random inputs for tests: the same in every run, so that a red run is red again for whoever looks.
//!
//! [`check!`] is bolero's macro with a seed: input `n` of a test comes from a seed and `n` alone, not from the system's
//! randomness. Two variables ask for more:
//!
//! - `POSTROAD_FUZZ_SEED=N`: other inputs; a failure prints the seed that repeats it.
//! - `POSTROAD_FUZZ_TIMES=N`: N times as many inputs.
//!
//! Under a fuzzer that builds with `--cfg fuzzing` (`cargo bolero`) the macro is bolero's own.
//!
//! What it never does: run outside of tests.

use std::fmt::Debug;

use bolero_engine::{Engine, Failure, Test, driver, input, panic, rng};
use rand_core::SeedableRng;

#[doc(hidden)]
pub use bolero;

/// `check!(2_000).with_type::<Vec<u8>>().for_each(|octets| ..)`: so many inputs of a type.
#[macro_export]
macro_rules! check {
    ($inputs:expr) => {{
        #[cfg(fuzzing)]
        let target = $crate::bolero::check!().with_iterations($inputs);
        #[cfg(not(fuzzing))]
        let target = $crate::bolero::TestTarget::new($crate::Seeded::new($inputs));
        target
    }};
}

/// Runs a test with inputs made from a seed.
#[derive(Debug, Clone, Copy)]
pub struct Seeded {
    inputs: u64,
    seed: u64,
}

impl Seeded {
    /// So many inputs, or as the variables say.
    pub fn new(inputs: u64) -> Seeded {
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let times = number("POSTROAD_FUZZ_TIMES").unwrap_or(1);
        Seeded { inputs: inputs.saturating_mul(times), seed: number("POSTROAD_FUZZ_SEED").unwrap_or(0) }
    }

    /// The generator of an input. Its seed is spread over all bits first: of neighbouring numbers it would make
    /// inputs that hardly differ.
    fn random(self, input: u64) -> rng::Recommended {
        rng::Recommended::seed_from_u64(self.seed.wrapping_mul(INPUTS_APART).wrapping_add(input))
    }
}

/// More than any test has inputs, so that seeds share none; odd, so that all seeds differ.
const INPUTS_APART: u64 = 1 << 40 | 1;

impl<T: Test> Engine<T> for Seeded
where
    T::Value: Debug,
{
    type Output = ();

    fn run(self, mut test: T, options: driver::Options) {
        panic::set_hook();
        panic::forward_panic(false);
        let (mut buffer, mut cache) = (Vec::new(), driver::cache::Cache::default());
        for number in 0..self.inputs {
            let random = || driver::Rng::new(self.random(number), &options);
            buffer.clear();
            let run = test.test(&mut input::cache::Driver::new(random(), &mut cache, &mut buffer));
            let Err(error) = run else { continue };
            buffer.clear();
            let value = test.generate_value(&mut input::cache::Driver::new(random(), &mut cache, &mut buffer));
            panic::forward_panic(true);
            let failure = Failure { seed: Some(number.into()), error, input: value };
            panic!("input {number} of POSTROAD_FUZZ_SEED={}: {failure:#}", self.seed);
        }
        panic::forward_panic(true);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let seen = RefCell::new(Vec::new());
        let seen_here = AssertUnwindSafe(&seen);
        bolero::TestTarget::new(super::Seeded { inputs: 50, seed })
            .with_type::<Vec<u8>>()
            .for_each(move |octets: &Vec<u8>| seen_here.borrow_mut().push(octets.clone()));
        seen.into_inner()
    }

    #[test]
    fn the_same_inputs_come_again_and_others_with_another_seed() {
        let first = inputs(0);
        assert_eq!(first.len(), 50);
        assert!(first.iter().any(|octets| !octets.is_empty()));
        assert_eq!(first, inputs(0));
        assert_ne!(first, inputs(1));
        let lengths: BTreeSet<usize> = first.iter().map(Vec::len).collect();
        let octets: BTreeSet<u8> = first.into_iter().flatten().collect();
        assert!(lengths.len() > 20 && octets.len() > 200, "{lengths:?} {octets:?}");
    }

    #[test]
    fn a_failure_names_its_input() {
        let failed = catch_unwind(|| {
            bolero::TestTarget::new(super::Seeded { inputs: 500, seed: 7 })
                .with_type::<u8>()
                .for_each(|octet: &u8| assert!(*octet < 200, "too high"));
        });
        let words = *failed.expect_err("some are higher").downcast::<String>().expect("a text");
        assert!(words.contains("POSTROAD_FUZZ_SEED=7") && words.contains("too high"), "{words}");
    }
}
