//! Mail coming in: what the stages of an SMTP or LMTP session are answered, and the delivery.
//!
//! [`Inbound`] is the world of [`Session`]s of all three roles. Each stage gathers facts (one look into
//! the store at most), a pure function of [`policy`] turns them into a reply or an acceptance, and the end
//! of data becomes one transaction: every local recipient, the queue rows of the remote ones and the
//! story. Only its [`postroad_store::Receipt`] can make the `250`.
//!
//! What is never here: sockets, SMTP's grammar, the meaning of mail, SQL. No lock is held across an await.
//!
//! Standards: RFC 5321 (relay), RFC 6409 (submission), RFC 2033 (LMTP), RFC 4954 (authentication), RFC 3463
//! (enhanced codes), RFC 3461 and RFC 3464 (notices).

mod auth;
mod body;
mod burl;
pub mod checks;
mod delivery;
mod extensions;
mod finish;
mod gate;
mod header;
mod inbound;
mod notice;
pub mod outbound;
pub mod policy;
mod replies;
pub mod reports;
mod settings;
mod sign;
mod srs;
mod state;
mod story;

pub use checks::Checker;
pub use extensions::Extensions;
pub use gate::{
    Gate, GreylistMode, GreylistSettings, HushSettings, ListAction, ListKind, ListSettings, RateSettings, Scores,
};
pub use inbound::{Inbound, Session, session};
pub use settings::{ForeignFrom, FullMailbox, Settings};
pub use sign::{Identity, Signers, Signing};
pub use srs::Srs;
pub use state::State;
pub use story::{Scribe, Stories, scribe};
