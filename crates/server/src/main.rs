//! The program `postroad`.

fn main() {}
