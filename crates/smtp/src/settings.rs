//! What a listener's sessions may do and how much of it.

use std::time::Duration;

use postroad_sasl::Mechanism;

/// Which of the three services a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Mail from other servers (RFC 5321), port 25.
    Relay,
    /// Mail handed in by its authors (RFC 6409), ports 587 and 465.
    Submission,
    /// Delivery from a neighbouring server (RFC 2033): one reply per recipient.
    Lmtp,
}

/// When AUTH is possible without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearAuth {
    /// Never (RFC 4954 §4).
    Never,
    /// From this machine only, where a trial runs.
    Loopback,
    /// From everywhere: passwords may be read on the way.
    Always,
}

/// What becomes of a message with a bare CR or LF. Neither ever ends data or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareNewlines {
    /// The message is read to its true end and refused with `550 5.6.11`.
    Refuse,
    /// The message is kept byte for byte. Whoever passes it on must not let it out like this.
    Keep,
}

/// How long the loop waits for the client: at least 5 minutes (RFC 5321 §4.5.3.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// For the next command before the client has greeted.
    pub greeting: Duration,
    /// For the next command.
    pub command: Duration,
    /// For the next piece of data.
    pub data: Duration,
}

/// Settings of a listener; shared by its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which service.
    pub role: Role,
    /// Our name in the greeting, the EHLO reply and Received lines (A-labels).
    pub hostname: String,
    /// Largest message in octets, as received; announced with SIZE (RFC 1870).
    pub size_limit: u64,
    /// Recipients per transaction, at least 100 (RFC 5321 §4.5.3.1.8); announced as `RCPTMAX`.
    pub recipients_limit: usize,
    /// Transactions per connection; announced as `MAILMAX`.
    pub transactions_limit: u32,
    /// Commands per connection.
    pub commands_limit: u32,
    /// Commands per connection that were refused for their form or order, then `421 4.7.0`.
    pub errors_limit: u32,
    /// Longest line of text in octets without CRLF. RFC 5321 §4.5.3.1.6 asks for 998; real mail has more.
    pub text_line_limit: usize,
    /// Whether the loop can start TLS.
    pub starttls: bool,
    /// `MAIL` only after TLS, for closed circles: RFC 3207 §4 forbids it to a public port 25.
    pub require_tls: bool,
    /// The mechanisms offered, in this order; empty offers no AUTH.
    pub mechanisms: Vec<&'static Mechanism>,
    /// When mechanisms that want privacy may be used without TLS.
    pub clear_auth: ClearAuth,
    /// `MAIL` only after AUTH (RFC 6409 §4.3).
    pub require_auth: bool,
    /// A second `AUTH=PLAIN LOGIN` line in the EHLO reply, for Outlook Express and its time.
    pub auth_equals_line: bool,
    /// What becomes of bare CR and LF in message text.
    pub bare_newlines: BareNewlines,
    /// Time limits.
    pub patience: Patience,
}

impl Settings {
    /// Sound settings for a role under a host name.
    pub fn new(role: Role, hostname: impl Into<String>) -> Settings {
        let submission = role == Role::Submission;
        let mechanisms = if submission { postroad_sasl::standard() } else { vec![] };
        Settings {
            role,
            hostname: hostname.into(),
            size_limit: 100 * 1024 * 1024,
            recipients_limit: 1_000,
            transactions_limit: 1_000,
            commands_limit: 50_000,
            errors_limit: 20,
            text_line_limit: 64 * 1024,
            starttls: role != Role::Lmtp,
            require_tls: false,
            mechanisms,
            clear_auth: ClearAuth::Never,
            require_auth: submission,
            auth_equals_line: false,
            bare_newlines: BareNewlines::Refuse,
            patience: Patience {
                greeting: Duration::from_secs(300),
                command: Duration::from_secs(300),
                data: Duration::from_secs(300),
            },
        }
    }
}
