//! `postroad import`, `export`, `migrate`, `mirror` and `collect` as they are run: with a server and without, killed in
//! between, on SQLite and PostgreSQL.

mod elsewhere;
mod killed;
mod maildir;
mod program;
mod road;
mod whole;
