//! What makes others believe us, and what we know of them.
//!
//! One module and one owner of migrations for each kind of thing: signing keys, certificates, policies of domains and of
//! other hosts, results that reports tell of, and what is remembered about clients. Synchronous functions over a transaction.

pub mod bans;
pub mod certificates;
pub mod dmarc_results;
pub mod failures;
pub mod greylist;
pub mod keys;
pub mod policy;
pub mod reports;
pub mod sending;
pub mod srs;
pub mod sts;
pub mod tls_posts;
pub mod tls_results;

use postroad_store::Migration;

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    bans::MIGRATION,
    keys::MIGRATION,
    Migration { owner: "certificates", version: 1, sql: certificates::V1 },
    srs::MIGRATION,
    Migration { owner: "policy", version: 1, sql: policy::V1 },
    sts::V1,
    tls_results::V1,
    dmarc_results::V1,
    reports::V1,
    failures::V1,
    tls_posts::V1,
    greylist::MIGRATION,
    sending::MIGRATION,
];
