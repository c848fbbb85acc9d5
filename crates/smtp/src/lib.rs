//! SMTP and LMTP: addresses, commands, replies, the server session, and the client session.
//!
//! Pure: no sockets, no clock, no DNS, no mail storage. The [`Session`] is a
//! [`postroad_protocol::Protocol`] whose job is a [`Stage`]; whoever performs a stage looks at the
//! session's envelope and answers with [`Session::verdict`]. The other side is [`client::Client`], a machine of
//! [`client::Step`]s for whoever has a connection to a next host.
//! Standards, both sides: RFC 5321, 6409 (submission), 2033 (LMTP), 1870 (SIZE), 6152 (8BITMIME), 3030 (CHUNKING,
//! BINARYMIME), 2920 (PIPELINING), 2034 and 3463 (enhanced codes), 3207 (STARTTLS), 4954 (AUTH), 3461 and 6533
//! (DSN), 6531 (SMTPUTF8), 9422 (LIMITS); as a client also 8689 (REQUIRETLS).

mod address;
pub mod client;
mod command;
mod data;
mod lines;
mod params;
mod received;
mod reply;
mod session;
mod settings;
mod stage;
mod xtext;

pub use address::{Address, AddressError, Host};
pub use command::{Command, Helo, HeloForm, parse as parse_command};
pub use data::{BodyFault, BodyMode, BodyReceiver};
pub use params::{BodyType, ForwardPath, MailFrom, Notify, Orcpt, RcptTo, Ret, parse_mail, parse_rcpt};
pub use received::{Received, with_protocol};
pub use reply::{Enhanced, Reply};
pub use session::{Counters, Session};
pub use settings::{BareNewlines, ClearAuth, Patience, Role, Settings};
pub use stage::{Abandoned, Identity, Stage, Verdict};
pub use xtext::{decode as decode_xtext, encode as encode_xtext};
