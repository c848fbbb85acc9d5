//! What tests stand on: real databases, transcripts, a fake clock, the real program as a child.
//!
//! A dev-dependency only. Nothing here sleeps, binds a fixed port or skips: what a test needs and the
//! machine lacks is a failure that names the line to run.
//!
//! - [`stores`]: the same test on the in-memory store, SQLite and a real PostgreSQL.
//! - [`postgres`]: that PostgreSQL, started once per test process from Debian's packages.
//! - [`transcript`]: `C:`/`S:` files replayed against a session in process, or against a server over TCP.
//! - [`process`]: the program as users run it, with ports of its own, killed when the test ends.
//! - [`clock`]: time that moves when the test says so.
//! - [`dns_server`]: a real name server that knows what the test says and nothing else; [`unbound`]: a resolver that validates.
//! - [`dns_wire`]: a name server of ours, for what no real one would load or do.
//! - [`postfix`]: a real mail server as the other side; [`sink`]: one that swallows or refuses everything.
//! - [`dovecot`]: a real server of IMAP and POP3 as the other side.
//! - [`remote`]: a fake that says so: an SMTP server that misbehaves as the test wants, and counts.
//! - [`evidence`]: signing in by any mechanism, for services; [`hostile`]: messages made to hurt.
//! - [`capabilities`]: a table of what is told where.
//! - [`pages`]: somebody at a provider's pages by curl, and a provider whose tokens end at once.
//! - [`chromium`]: a real browser; [`authenticator`]: what holds a passkey, honest or not.
//! - [`thunderbird`]: a real mail program with windows.
//! - [`certificates`]: an authority of the test's own; [`pebble`]: a real one that speaks ACME.

pub mod authenticator;
pub mod capabilities;
pub mod certificates;
pub mod chromium;
pub mod clock;
pub mod dns_server;
pub mod dns_wire;
pub mod dovecot;
pub mod evidence;
pub mod hostile;
mod janitor;
pub mod pages;
pub mod pebble;
pub mod policy_host;
pub mod ports;
pub mod postfix;
pub mod postgres;
pub mod process;
pub mod remote;
pub mod run;
pub mod sink;
pub mod stores;
pub mod thunderbird;
pub mod transcript;
pub mod unbound;

pub use authenticator::Authenticator;
pub use capabilities::Capabilities;
pub use chromium::{Chromium, Scripts};
pub use clock::Clock;
pub use dns_server::{DnsServer, Zone};
pub use dns_wire::{DnsWire, WireZone};
pub use dovecot::Dovecot;
pub use pages::Hasty;
pub use pebble::Pebble;
pub use policy_host::{PolicyHost, Put};
pub use ports::{PortOffset, SharedPort};
pub use postfix::Postfix;
pub use process::Process;
pub use remote::Remote;
pub use run::{Lines, Ran, StopAtEnd, ended, eventually, in_time, lines, output, output_of, run, run_in};
pub use sink::Sink;
pub use stores::{TestStore, each_store, stores};
pub use thunderbird::Thunderbird;
pub use unbound::Unbound;

use std::future::Future;

/// Runs a future to its end on the calling thread: for tests of the async shell that want to stay
/// ordinary functions.
pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime on one thread needs only memory and an epoll descriptor")
        .block_on(future)
}
