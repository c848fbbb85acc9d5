//! Backups on real databases: there and back, under load, incremental, damaged, one account, hostile folders.
#![allow(clippy::unwrap_used, missing_docs)]

mod account;
mod damage;
mod fuzz;
mod hostile;
mod labels;
mod logins;
mod passkeys;
mod roundtrip;
mod trust;
mod under_load;
mod world;
