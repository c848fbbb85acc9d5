//! How a check asks for DNS records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a check wants to know. Names are in ASCII (A-labels), without the final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// TXT records.
    Txt(String),
    /// Mail exchangers.
    Mx(String),
    /// IPv4 addresses.
    Ipv4(String),
    /// IPv6 addresses.
    Ipv6(String),
    /// The names of an address.
    Ptr(IpAddr),
}

/// The answer to a [`Question`] of the same kind: at least one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Each record's strings, joined without a separator (RFC 7208 §3.3).
    Txt(Vec<Vec<u8>>),
    /// Preference and host.
    Mx(Vec<(u16, String)>),
    /// IPv4 addresses.
    Ipv4(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    Ipv6(Vec<Ipv6Addr>),
    /// Names, lower case, without the final dot.
    Ptr(Vec<String>),
}

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// The name has no records of that type.
    NoData,
    /// What was asked for cannot be a name: it was never asked.
    BadName,
    /// No answer now, with the reason for traces: the verdict may be another one later.
    Temporary(String),
}

/// What a machine wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// Answers to all of these, each by one call of [`Machine::answer`] in the order of the questions. Never empty.
    Ask(Vec<Question>),
    /// The verdict.
    Done(T),
}

/// A check under way: call [`Machine::step`] until it is done.
pub trait Machine {
    /// The verdict.
    type Verdict;

    /// What it wants next. The number of steps and of questions is bounded by a named limit of each check.
    fn step(&mut self) -> Step<Self::Verdict>;

    /// The answer to the next of the questions of the last step.
    fn answer(&mut self, answer: Result<Records, Failure>);
}
