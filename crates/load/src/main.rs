//! A load generator for mail servers.

fn main() {}
