//! Tickets of a real realm: MIT's KDC on loopback, curl, gsasl and mbsync with what kinit got, and a client that does
//! everything wrong.

mod attacks;
mod clients;
mod principals;
#[path = "../clients/program.rs"]
#[allow(dead_code, reason = "servers of other tests")]
mod program;
mod realm;
mod starting;
