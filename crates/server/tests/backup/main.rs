//! `postroad backup` and `postroad restore` as they are run: beside a running server, killed in between, on SQLite and
//! PostgreSQL and from one to the other.

mod killed;
mod program;
mod road;
