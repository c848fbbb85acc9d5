//! The settings of mail that comes in by SMTP and LMTP.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct SmtpSettings {
    pub(crate) hide_sender: bool,
    pub(crate) auth_equals_line: bool,
    pub(crate) header_firewall: bool,
    pub(crate) full_mailbox: FullMailbox,
    pub(crate) foreign_from: ForeignFrom,
    pub(crate) lmtp_clients: Vec<String>,
    pub(crate) xclient: Vec<String>,
    pub(crate) xforward: Vec<String>,
    pub(crate) etrn_clients: Vec<String>,
    pub(crate) priority_clients: Vec<String>,
    pub(crate) priority_of_logins: i64,
    pub(crate) hold_days: u64,
    pub(crate) solicitations_refused: Vec<String>,
}

impl Default for SmtpSettings {
    fn default() -> Self {
        SmtpSettings {
            hide_sender: true,
            auth_equals_line: false,
            header_firewall: true,
            full_mailbox: FullMailbox::TryLater,
            foreign_from: ForeignFrom::AddSender,
            lmtp_clients: Vec::new(),
            xclient: Vec::new(),
            xforward: Vec::new(),
            etrn_clients: Vec::new(),
            priority_clients: Vec::new(),
            priority_of_logins: 4,
            hold_days: 30,
            solicitations_refused: Vec::new(),
        }
    }
}

/// What a mailbox that is full answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FullMailbox {
    /// The sender tries again for days.
    TryLater,
    /// The sender hears at once.
    Refuse,
}

/// What happens to a submitted message whose From the sender does not own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForeignFrom {
    /// A Sender field is put beside it.
    AddSender,
    /// It is refused.
    Refuse,
}
