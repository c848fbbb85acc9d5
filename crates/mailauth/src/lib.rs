//! Whether a message is from whom it says: SPF, DKIM, DMARC and ARC, and our own signatures.
//!
//! Each check is a machine that asks for DNS records ([`Machine`]) and never touches a socket or a clock: whoever runs it
//! answers from wherever records come from. What a verdict means for delivery is decided elsewhere.

pub mod arc;
mod ask;
pub mod body;
mod canonical;
pub mod dkim;
pub mod dmarc;
mod domain;
pub mod iprev;
pub mod key;
pub mod report;
pub mod results;
mod sha256;
pub mod spf;
mod tags;

pub use ask::{Failure, Machine, Question, Records, Step};
