//! Who does something, through what, and when: the journal's author.

use std::fmt;

use postroad_store::Timestamp;

/// The author of a change: goes into the journal row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// When, as the shell's clock says.
    pub now: Timestamp,
    /// Who.
    pub actor: Actor,
}

impl By {
    /// A change by `actor` at `now`.
    pub fn new(now: Timestamp, actor: Actor) -> By {
        By { now, actor }
    }
}

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A logged-in user: see [`crate::Authenticated::actor`].
    Login {
        /// The login name as given.
        login: String,
        /// Through which protocol.
        service: Service,
        /// The app password's name, when one was used.
        app: Option<String>,
    },
    /// Mail that came in.
    Delivery,
    /// The administrator, by command line or API.
    Admin,
    /// The server itself (retention, repair).
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Login { login, service, app: None } => write!(f, "login {login} {service}"),
            Actor::Login { login, service, app: Some(app) } => {
                write!(f, "login {login} {service} app {app}")
            }
            Actor::Delivery => f.write_str("delivery"),
            Actor::Admin => f.write_str("admin"),
            Actor::System => f.write_str("system"),
        }
    }
}

/// A protocol that a login is for; app passwords are limited to a set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Submission.
    Smtp,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// JMAP and the webmail.
    Jmap,
    /// ManageSieve.
    Sieve,
    /// The send API.
    Api,
}

impl Service {
    /// All of them, in the order of their bits.
    pub const ALL: [Service; 6] =
        [Service::Smtp, Service::Imap, Service::Pop3, Service::Jmap, Service::Sieve, Service::Api];

    /// Its name in settings, on the command line and in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Service::Smtp => "smtp",
            Service::Imap => "imap",
            Service::Pop3 => "pop3",
            Service::Jmap => "jmap",
            Service::Sieve => "sieve",
            Service::Api => "api",
        }
    }

    /// The inverse of [`Service::name`].
    pub fn from_name(name: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|service| service.name() == name)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
