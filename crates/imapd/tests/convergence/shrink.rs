//! The shortest list of steps that still fails.

use postroad_testkit::TestStore;

use crate::{Failure, attempt};

/// What a failure comes to, for whoever reads it.
pub(crate) fn told(store: fn() -> TestStore, seed: u64, steps: Vec<u64>, failure: Failure) -> String {
    let (steps, failure) = shortest(store, seed, steps, failure);
    format!("seed {seed}: {}\nafter {} steps:\n  {}\n", failure.what, steps.len(), failure.trace.join("\n  "))
}

/// Leaves out stretches of steps, long ones first, as long as something fails.
fn shortest(store: fn() -> TestStore, seed: u64, mut steps: Vec<u64>, mut failure: Failure) -> (Vec<u64>, Failure) {
    let (mut length, mut tries) = (steps.len() / 2, 0);
    while length > 0 {
        let mut start = 0;
        while start < steps.len() && tries < TRIES_MAX {
            let end = (start + length).min(steps.len());
            let fewer: Vec<u64> = steps[..start].iter().chain(&steps[end..]).copied().collect();
            tries += 1;
            match attempt(store, seed, &fewer) {
                Err(found) => (steps, failure) = (fewer, found),
                Ok(()) => start = end,
            }
        }
        length /= 2;
    }
    (steps, failure)
}

/// Runs to find it.
const TRIES_MAX: usize = 400;
