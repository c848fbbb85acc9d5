//! Mail that leaves, end to end: the real program, a real name server, a real Postfix as the next hop, and a fake that
//! misbehaves; on SQLite and on PostgreSQL.

mod delivery;
mod forwards;
mod hosts;
mod loops;
mod neighbours;
mod notices;
mod orders;
mod routes;
mod secured;
mod talk;
mod town;
mod trouble;
mod words;
