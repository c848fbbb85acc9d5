//! The shell's edge: listeners, TLS, the PROXY protocol, limits, time-outs, graceful stop, and *the*
//! connection loop, written once for all line protocols over [`postroad_protocol::Protocol`].
//!
//! It never knows mail, storage or a protocol's words: a session without sockets is fed bytes and drained of
//! steps, a [`World`] performs its jobs.
//!
//! Standards: RFC 8446 and RFC 5246 (TLS, through rustls), RFC 6066 §3 (SNI), RFC 8737 (TLS-ALPN-01), RFC 3207 §6 (what was read in
//! clear is dropped), the PROXY protocol 1 and 2, systemd's socket activation and notification.

mod bans;
mod binding;
mod certificates;
mod challenge;
mod clients;
mod compression;
mod connection;
mod cuts;
mod error;
mod facts;
mod limits;
mod listener;
mod network;
mod notify;
pub mod proxy;
mod self_made;
mod serve;
mod stop;
mod stream;
mod systemd;
mod tls;
mod wire;
mod world;

pub use bans::{BanSettings, Bans, Listed, MAX_LISTED, Offence, Told, WELCOME};
pub use binding::{bindings, end_point, fingerprint_of_pem};
pub use certificates::{CertificateFiles, Certificates, Kept};
pub use challenge::Challenges;
pub use clients::ClientAuthorities;
pub use connection::{Ending, Times, run};
pub use cuts::Cuts;
pub use error::Error;
pub use facts::CertificateFacts;
pub use limits::{LimitSettings, Limits, Place, Refusal};
pub use listener::{Bound, Listener, TlsMode, bind};
pub use network::Network;
pub use notify::{ready, stopping, watchdog};
pub use self_made::{SELF_MADE_CHAIN, SELF_MADE_KEY, self_made};
pub use serve::{Arrival, Connection, ConnectionId, Door, accept, serve};
pub use stop::Stop;
pub use stream::Stream;
pub use systemd::Inherited;
pub use tls::Tls;
pub use world::{Fatal, World};
