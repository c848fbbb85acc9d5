//! The numbers themselves: atomics, so that counting waits for nobody.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{CounterFn, GaugeFn, HistogramFn};

/// A counter.
#[derive(Debug, Default)]
pub(super) struct Whole(AtomicU64);

impl Whole {
    pub(super) fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CounterFn for Whole {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

/// A gauge or a sum: a float in the bits of an integer.
#[derive(Debug, Default)]
pub(super) struct Float(AtomicU64);

impl Float {
    fn change(&self, value: f64) {
        // Never fails: the closure always answers.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| Some((f64::from_bits(bits) + value).to_bits()));
    }

    pub(super) fn now(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl GaugeFn for Float {
    fn increment(&self, value: f64) {
        self.change(value);
    }

    fn decrement(&self, value: f64) {
        self.change(-value);
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// A histogram with fixed bounds.
#[derive(Debug)]
pub(super) struct Buckets {
    bounds: &'static [f64],
    /// One for each bound, not cumulative, and one for what is larger.
    counts: Vec<AtomicU64>,
    sum: Float,
}

impl Buckets {
    /// The bounds go by the unit, which is the last word of the name.
    pub(super) fn of(name: &str) -> Buckets {
        let bounds = if name.ends_with("_seconds") {
            SECONDS
        } else if name.ends_with("_bytes") {
            BYTES
        } else {
            COUNTS
        };
        Buckets { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: Float::default() }
    }

    /// Upper bounds with how many values are no larger, then the sum and the count of all.
    pub(super) fn now(&self) -> (Vec<(f64, u64)>, f64, u64) {
        let mut below = 0;
        let mut each = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let mut bounds = Vec::with_capacity(self.bounds.len());
        for (bound, count) in self.bounds.iter().zip(each.by_ref()) {
            below += count;
            bounds.push((*bound, below));
        }
        (bounds, self.sum.now(), below + each.next().unwrap_or(0))
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum.change(value);
    }
}

const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const BYTES: &[f64] = &[1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6, 64e6, 256e6];

const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
