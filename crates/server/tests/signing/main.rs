//! What makes others believe us, end to end: mail that left the real program, verified by dkimpy, opendkim and pyspf with
//! records from a real name server; on SQLite and on PostgreSQL.

#[path = "../outbound/talk.rs"]
#[allow(dead_code)]
mod talk;
#[path = "../outbound/town.rs"]
#[allow(dead_code)]
mod town;

mod converted;
mod forwarded;
mod keys;
mod submitted;
mod verdict;
