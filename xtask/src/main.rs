//! The project's own chores: `cargo xtask test`, `tidy`, `ci`.

fn main() {}
