//! What the administrator decides about incoming mail.

use std::time::Duration;

use postroad_net::Network;
use postroad_queue::Terms;
use postroad_trust::sending::Limits;

use crate::Extensions;

/// How mail is taken in. [`Settings::new`] fills in what is good for most.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name, for Message-IDs that we add and notices that we write.
    pub hostname: String,
    /// Who may speak LMTP, beside this machine itself.
    pub lmtp_clients: Vec<Network>,
    /// A message with more Received fields goes in circles (RFC 5321 §6.3: at least 100).
    pub received_limit: usize,
    /// Memory in bytes for all messages that arrive at the same time. Each costs 256 KB of it whatever its
    /// size, and 1 MB more when its header is unusually long.
    pub bodies_memory: usize,
    /// How long a body waits for its turn before it is refused with 452.
    pub bodies_wait: Duration,
    /// Unknown recipients in a session before it is closed: somebody is guessing addresses.
    pub unknown_limit: u32,
    /// Failed logins in a session before it is closed.
    pub logins_limit: u32,
    /// How long the answer to a failed login takes. Never on loopback.
    pub login_delay: Duration,
    /// How much accounts may send that have no limits of their own; nothing is without a limit.
    pub sending: Limits,
    /// What a mailbox that is full answers.
    pub full_mailbox: FullMailbox,
    /// What happens to a submitted message whose From the sender does not own. Who else is at a domain of ours, or at one beside
    /// it that its signature would vouch for, is never written as.
    pub foreign_from: ForeignFrom,
    /// Removes header fields of Exchange's own organisation that strangers put in
    /// (`X-MS-Exchange-Organization-*`): they are orders to an Exchange server behind us.
    pub header_firewall: bool,
    /// How long mail for others is tried, and when its sender hears that it takes long.
    pub terms: Terms,
    /// Extensions for neighbours, and how far the others go.
    pub extensions: Extensions,
    /// Leaves the login out of the Received line of submitted mail.
    pub hide_login: bool,
    /// Leaves the client's address out of the Received line of submitted mail.
    pub hide_client: bool,
}

/// What a mailbox that is full answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullMailbox {
    /// `452 4.2.2`: the sender tries again for days, and the owner may make room.
    TryLater,
    /// `552 5.2.2`: the sender hears at once.
    Refuse,
}

/// What happens to a submitted message whose From the sender does not own (RFC 6409 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignFrom {
    /// A Sender field with the owner's address is put beside it.
    AddSender,
    /// It is refused with `550 5.7.1`.
    Refuse,
}

impl Settings {
    /// Good values under a host name.
    pub fn new(hostname: impl Into<String>) -> Settings {
        Settings {
            hostname: hostname.into(),
            lmtp_clients: Vec::new(),
            received_limit: 100,
            bodies_memory: 256 * 1024 * 1024,
            bodies_wait: Duration::from_secs(10),
            unknown_limit: 20,
            logins_limit: 5,
            login_delay: Duration::from_secs(2),
            sending: Limits::default(),
            full_mailbox: FullMailbox::TryLater,
            foreign_from: ForeignFrom::AddSender,
            header_firewall: true,
            terms: Terms::default(),
            extensions: Extensions::default(),
            hide_login: false,
            hide_client: false,
        }
    }
}
