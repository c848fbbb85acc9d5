//! Whether an address has a name that leads back to it: forward-confirmed reverse DNS.
//!
//! Standards: RFC 8601 §2.7.3 and §3.

use std::fmt;
use std::net::IpAddr;

use crate::{Failure, Machine, Records, Step};

/// RFC 8601 §2.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Result {
    /// A name of the address leads back to it.
    Pass,
    /// There are names, and none leads back.
    Fail,
    /// The DNS did not answer: ask again later.
    TempError,
    /// The address has no name.
    PermError,
}

impl Result {
    /// The word of RFC 8601 §2.7.3.
    pub fn as_str(self) -> &'static str {
        match self {
            Result::Pass => "pass",
            Result::Fail => "fail",
            Result::TempError => "temperror",
            Result::PermError => "permerror",
        }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: Result,
    /// The address that was asked about.
    pub ip: IpAddr,
    /// The name that leads back, if one does; else the first that the address claims.
    pub name: Option<String>,
    /// Why, one line.
    pub why: String,
}

/// A check under way.
#[derive(Debug)]
pub struct Check {}

impl Check {
    /// Begins a check of an address.
    pub fn new(_ip: IpAddr) -> Check {
        unimplemented!()
    }
}

impl Machine for Check {
    type Verdict = Verdict;

    fn step(&mut self) -> Step<Verdict> {
        unimplemented!()
    }

    fn answer(&mut self, _answer: std::result::Result<Records, Failure>) {
        unimplemented!()
    }
}
