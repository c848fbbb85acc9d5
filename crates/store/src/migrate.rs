//! tmp

/// A step of an owner's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The crate that owns the tables.
    pub owner: &'static str,
    /// 1, 2, 3, ... without gaps.
    pub version: u32,
    /// Statements separated by `;`, with holes. Once released it never changes again: its text is checked.
    pub sql: &'static str,
}

/// The tables of this crate: blobs and the trace.
pub const MIGRATIONS: &[Migration] = &[];
