//! SMTP and LMTP: addresses, commands, replies, the server session, and the client session.
//!
//! Pure: no sockets, no clock, no DNS, no mail storage. The [`Session`] is a
//! [`postroad_protocol::Protocol`] whose job is a [`Stage`]; whoever performs a stage looks at the
//! session's envelope and answers with [`Session::verdict`]. The other side is [`client::Client`], a machine of
//! [`client::Step`]s for whoever has a connection to a next host.
//! Standards, both sides: RFC 5321, 6409 (submission), 2033 (LMTP), 1870 (SIZE), 6152 (8BITMIME), 3030 (CHUNKING,
//! BINARYMIME), 2920 (PIPELINING), 2034 and 3463 (enhanced codes), 3207 (STARTTLS), 4954 (AUTH), 3461 and 6533
//! (DSN), 6531 (SMTPUTF8), 9422 (LIMITS), 2852 (DELIVERBY), 6710 (MT-PRIORITY), 7293 (RRVS), 3865 (NO-SOLICITING), 8689
//! (REQUIRETLS); as a server also 4865 (FUTURERELEASE), 1985 (ETRN), and Postfix's XCLIENT and XFORWARD.

mod address;
mod claim;
pub mod client;
mod command;
mod data;
mod date_time;
mod etrn;
mod lines;
mod offer;
mod params;
mod received;
mod reply;
mod session;
mod settings;
mod stage;
mod wishes;
mod xtext;

pub use address::{Address, AddressError, Host};
pub use claim::{Claim, Claimed, Forwarded};
pub use command::{Command, Helo, HeloForm, parse as parse_command};
pub use data::{BodyFault, BodyMode, BodyReceiver};
pub use date_time::{format_date_time, parse_date_time};
pub use etrn::Etrn;
pub use offer::{FutureRelease, Offer, Soliciting};
pub use params::{BodyType, ForwardPath, MailFrom, Notify, Orcpt, RcptTo, Ret, parse_mail, parse_rcpt};
pub use received::{Received, with_protocol};
pub use reply::{Enhanced, Reply};
pub use session::{Counters, Hush, Session};
pub use settings::{BareNewlines, ClearAuth, Patience, Role, Settings};
pub use stage::{Abandoned, Abuse, Identity, Rejection, Stage, Verdict};
pub use wishes::{ByMode, DeliverBy, Hold, Priority, Solicitation, ValidSince, WithoutRrvs};
pub use xtext::{decode as decode_xtext, encode as encode_xtext};
