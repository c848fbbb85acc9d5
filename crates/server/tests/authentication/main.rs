//! Mail from others, end to end: signed by opendkim and dkimpy, forged, sent on; handed in by swaks from the addresses of
//! others, read with curl and mutt; with a real name server that answers, and one that does not. On SQLite and on
//! PostgreSQL.

mod forged;
mod place;
mod signed;
mod silent;
