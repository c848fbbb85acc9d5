//! `postroad import` and `postroad export` as they are run: with a server and without, killed in between, on SQLite
//! and PostgreSQL.

mod killed;
mod maildir;
mod program;
mod road;
mod whole;
