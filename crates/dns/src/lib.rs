//! The resolver behind a trait of ours, and the fake for tests.
