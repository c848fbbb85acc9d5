//! The tables of mail.

use postroad_store::Migration;

/// The tables of this crate, in order.
pub const MIGRATIONS: &[Migration] = &[];
