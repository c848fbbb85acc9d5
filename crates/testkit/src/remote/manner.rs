//! How a remote server behaves: plain data.

use crate::certificates::Pair;

/// How a remote server behaves in a connection. The default takes everything, without TLS.
#[derive(Debug, Clone)]
pub struct Manner {
    /// The greeting without CRLF.
    pub greeting: String,
    /// Lines of its answer to EHLO. STARTTLS and AUTH are added where they are to be had.
    pub offers: Vec<String>,
    /// What it does in a phase instead of what is usual; the first row of a phase counts.
    pub deeds: Vec<(Phase, Deed)>,
    /// How it answers RCPT TO: addresses, or `@domain`, with replies. Those not named are taken.
    pub recipients: Vec<(String, String)>,
    /// What it offers STARTTLS with.
    pub certificate: Option<Pair>,
    /// User and password without which it takes nothing.
    pub login: Option<(String, String)>,
}

/// A phase of the dialogue, named by what was heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The connection is there.
    Connect,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The first line after 354, or a chunk that is not the last.
    Body,
    /// The end of the message.
    End,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// What is done instead of the usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Exactly these bytes are the answer.
    Say(Vec<u8>),
    /// Exactly these bytes, and the connection is closed.
    SayAndClose(Vec<u8>),
    /// The connection is closed without a word.
    Close,
    /// Nothing more is said. What comes is swallowed, until the other side goes.
    Stall,
    /// Lines of a reply that never ends.
    Babble,
    /// At [`Phase::End`]: the message is taken, and the connection is closed before the answer.
    TakeAndClose,
    /// At [`Phase::End`]: the message is taken, and nothing more is said.
    TakeAndStall,
    /// At [`Phase::StartTls`]: behind the `220` come these bytes, still in the clear.
    Inject(Vec<u8>),
    /// At [`Phase::StartTls`]: `220`, and then no TLS but a line of text.
    BreakTls,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            greeting: "220 remote.test ESMTP a fake for tests".into(),
            offers: ["PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN"]
                .map(str::to_owned)
                .into(),
            deeds: Vec::new(),
            recipients: Vec::new(),
            certificate: None,
            login: None,
        }
    }
}

impl Manner {
    /// Takes everything but does this in this phase.
    pub fn of(phase: Phase, deed: Deed) -> Manner {
        Manner::default().and(phase, deed)
    }

    /// Answers so in this phase.
    pub fn saying(phase: Phase, reply: &str) -> Manner {
        Manner::of(phase, Deed::Say(format!("{reply}\r\n").into()))
    }

    /// And does this in that phase.
    #[must_use]
    pub fn and(mut self, phase: Phase, deed: Deed) -> Manner {
        self.deeds.push((phase, deed));
        self
    }

    /// Answers RCPT TO with this address, or `@domain`, so.
    #[must_use]
    pub fn refusing(mut self, recipient: &str, reply: &str) -> Manner {
        self.recipients.push((recipient.to_owned(), reply.to_owned()));
        self
    }

    /// Offers only these.
    #[must_use]
    pub fn offering(mut self, offers: &[&str]) -> Manner {
        self.offers = offers.iter().map(|offer| (*offer).to_owned()).collect();
        self
    }

    /// Offers STARTTLS with this.
    #[must_use]
    pub fn secured(mut self, certificate: &Pair) -> Manner {
        self.certificate = Some(certificate.clone());
        self
    }

    /// Takes nothing without this login.
    #[must_use]
    pub fn locked(mut self, user: &str, password: &str) -> Manner {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    pub(super) fn deed(&self, phase: Phase) -> Option<&Deed> {
        self.deeds.iter().find(|(at, _)| *at == phase).map(|(_, deed)| deed)
    }

    /// The reply to RCPT TO, when it is not the usual.
    pub(super) fn refusal(&self, recipient: &str) -> Option<&str> {
        let at = recipient.rfind('@').unwrap_or(0);
        let named = |name: &str| name.eq_ignore_ascii_case(recipient) || name.eq_ignore_ascii_case(&recipient[at..]);
        self.recipients.iter().find(|(name, _)| named(name)).map(|(_, reply)| reply.as_str())
    }
}
