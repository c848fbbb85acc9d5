//! What the world remembers about a session: it travels with the session and is dropped with it.

use postroad_mail::resolve::Target;
use postroad_mail::{Address, Authenticated};
use postroad_smtp::{Reply, Solicitation};
use postroad_store::AccountId;
use postroad_trust::policy::Policy;

use crate::body::Body;
use crate::checks::{Early, Filed};
use crate::extensions::Wanted;
use crate::gate::{Allowance, Guest};
use crate::story::{Stories, Story};

/// What the world remembers about a session.
#[derive(Debug)]
pub struct State {
    /// Who logged in last; STARTTLS makes the session forget it: see [`login`].
    pub(crate) logged_in: Option<Login>,
    /// The transaction under way.
    pub(crate) story: Option<Story>,
    /// As many as the session has accepted recipients, in the same order.
    pub(crate) recipients: Vec<Accepted>,
    /// What the sender may have of what they wished for.
    pub(crate) wanted: Wanted,
    /// The classes of solicitation that the header names (RFC 3865 §2.5).
    pub(crate) solicitation: Option<Solicitation>,
    /// Whether it was looked up who the sender of the transaction is.
    pub(crate) sender_seen: bool,
    /// What is asked about connection and envelope while the message comes.
    pub(crate) early: Option<Early>,
    /// The message under way.
    pub(crate) body: Option<Body>,
    /// Where the octets of the URL are that is being followed (RFC 4468).
    pub(crate) burl: Option<postroad_mail::part::Octets>,
    /// Unknown recipients so far.
    pub(crate) unknown: u32,
    /// Failed logins so far.
    pub(crate) failed_logins: u32,
    /// How much whoever logged in has sent, and may send: looked up with the first recipient.
    pub(crate) allowance: Option<Allowance>,
    /// That they were refused for it is written down once in a session.
    pub(crate) over_told: bool,
    /// What the gate knows of the client.
    pub(crate) guest: Guest,
    stories: Stories,
}

/// Proof of a login, as the policy needs it.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) account: AccountId,
    pub(crate) address: Address,
    pub(crate) name: String,
}

impl From<&Authenticated> for Login {
    fn from(login: &Authenticated) -> Login {
        Login { account: login.account(), address: login.address().clone(), name: login.login().to_owned() }
    }
}

/// A recipient that was answered 250, and where its mail goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Accounts here.
    pub(crate) targets: Vec<Target>,
    /// Addresses elsewhere.
    pub(crate) remote: Vec<Elsewhere>,
    /// The recipient as this server knows it; `None` for one elsewhere.
    pub(crate) name: Option<Address>,
    /// The message was here under this name before, and was sent on: it comes back for ever.
    pub(crate) in_circles: bool,
    /// What its domain wants done with mail that cannot be verified.
    pub(crate) policy: Policy,
    /// Where its copies go, as the checks have it.
    pub(crate) filed: Filed,
    /// There is no mailbox: it is where our DNS records want reports to go, and the server reads them by itself.
    pub(crate) reads_reports: bool,
}

/// An address elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// As it goes into RCPT TO.
    pub(crate) address: String,
    /// A-labels in lower case, or an address literal with its brackets.
    pub(crate) domain: String,
    /// The address of ours that led there, instead of the sender.
    pub(crate) via: Option<String>,
}

impl State {
    pub(crate) fn new(stories: Stories) -> State {
        State {
            logged_in: None,
            story: None,
            recipients: Vec::new(),
            wanted: Wanted::default(),
            solicitation: None,
            sender_seen: false,
            early: None,
            body: None,
            burl: None,
            unknown: 0,
            failed_logins: 0,
            allowance: None,
            over_told: false,
            guest: Guest::default(),
            stories,
        }
    }

    /// The transaction is over: nothing of it stays. A story that was not delivered is told.
    pub(crate) fn end_transaction(&mut self) {
        self.body = None;
        self.burl = None;
        self.early = None;
        self.guest.end_transaction();
        self.recipients.clear();
        self.sender_seen = false;
        self.allowance = None;
        self.wanted = Wanted::default();
        self.solicitation = None;
        if let Some(story) = self.story.take() {
            self.stories.tell(story);
        }
    }

    /// Notes a refusal in the story, if there is one.
    pub(crate) fn refused(&mut self, at: postroad_store::Timestamp, what: &str, reply: &Reply) {
        let kind = if reply.is_transient() { "deferred" } else { "refused" };
        if let Some(story) = &mut self.story {
            story.note(at, kind, format_args!("{what}: {reply}"));
        }
    }
}

/// Who is logged in now.
pub(crate) fn login(session: &crate::Session) -> Option<&Login> {
    session.identity()?;
    session.world.logged_in.as_ref()
}

impl Drop for State {
    // A connection that breaks drops its session in the middle of a transaction.
    fn drop(&mut self) {
        if let Some(story) = self.story.take() {
            self.stories.tell(story);
        }
    }
}
