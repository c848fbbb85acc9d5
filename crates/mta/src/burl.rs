//! BURL (RFC 4468): what users hand in by naming messages that they have here.
//!
//! The submission service and the mailboxes are one server, so nobody is asked over the network and no password for that is
//! kept: the URL is read, its right is checked, and the octets come out of the store, piece by piece.
//!
//! | the URL | who may |
//! |---|---|
//! | plain | its user: of own mailboxes, and of those that others let them read |
//! | `;URLAUTH=submit+user` with its token | this user (§3.3) |
//! | `;URLAUTH=authuser` or `anonymous` with its token | whoever has logged in |
//! | `;URLAUTH=user+user` | nobody here: it is for IMAP sessions (RFC 4467 §3) |
//!
//! What it never does: follow a URL to another server.

use postroad_imap::command::{Section, SectionText};
use postroad_imap::url::{Access, Server, Url, UrlAuth};
use postroad_mail::part::{self, Octets, Text, Wanted};
use postroad_mail::urlauth::{self, Right};
use postroad_smtp::{Reply, Verdict};
use postroad_store::{AccountId, ReadTx, Timestamp};

use crate::inbound::{Inbound, Session};
use crate::{replies, state};

/// Octets read at once.
const PIECE: u64 = 256 * 1024;

/// Why a URL was not followed.
enum Why {
    Refused(Reply),
    Mail(postroad_mail::Error),
}

impl From<postroad_mail::Error> for Why {
    fn from(error: postroad_mail::Error) -> Why {
        Why::Mail(error)
    }
}

impl From<postroad_store::Error> for Why {
    fn from(error: postroad_store::Error) -> Why {
        Why::Mail(error.into())
    }
}

impl Inbound {
    /// The octets of a URL from `offset` on.
    pub(crate) async fn burl(&self, session: &mut Session, url: String, offset: u64) -> Verdict {
        let Some(login) = state::login(session).cloned() else {
            return Verdict::Refuse(Reply::new(530, (5, 7, 0), "Log in first (AUTH)"));
        };
        let now = (self.clock)();
        let found = session.world.burl.take().filter(|_| offset > 0);
        if found.is_none()
            && let Some(story) = &mut session.world.story
        {
            // What authorises is not written down.
            story.note(now, "from a mailbox", without_right(&url));
        }
        let hostname = self.settings.hostname.clone();
        let look = self.store.read(move |tx| {
            let octets = match found {
                Some(octets) => octets,
                None => resolve(tx, &hostname, login.account, &url, now)?,
            };
            let piece = octets.read(tx, offset, PIECE)?;
            Ok::<_, Why>((octets, piece))
        });
        match look.await {
            Ok((octets, piece)) => {
                let size = octets.count();
                session.world.burl = Some(octets);
                Verdict::Octets { octets: piece, size }
            }
            Err(Why::Refused(reply)) => Verdict::Refuse(reply),
            Err(Why::Mail(error)) => {
                replies::log(&error, "following a URL");
                // RFC 4468 §6.
                Verdict::Refuse(Reply::new(451, (4, 4, 1), "The mailboxes are not available; try again later"))
            }
        }
    }
}

fn resolve(tx: &ReadTx, hostname: &str, account: AccountId, text: &str, now: Timestamp) -> Result<Octets, Why> {
    let unresolved = |why: &str| Why::Refused(Reply::new(554, (5, 6, 6), format!("IMAP URL resolution failed: {why}")));
    let url = Url::parse(text).map_err(|error| unresolved(&error.to_string()))?;
    let Some(Server { user, host }) = &url.server else { return Err(unresolved("it is a relative URL")) };
    if !urlauth::is_here(tx, hostname, host)? {
        let text = "URL resolution requires trust relationship: the URL is of another server";
        return Err(Why::Refused(Reply::new(554, (5, 7, 8), text)));
    }
    let owner = match user {
        Some(user) => urlauth::account_of(tx, user)?,
        None => Some(account),
    };
    let place = match (&url.mailbox, owner) {
        (Some(named), Some(owner)) => urlauth::place(tx, owner, &named.name, named.uidvalidity)?,
        (_, _) => None,
    };
    let allowed = match &url.auth {
        None => owner == Some(account),
        Some(auth) => {
            let who = match &auth.access {
                Access::Anonymous | Access::AuthUser => true,
                // RFC 4468 §3.3: the user of the URL is who is logged in here.
                Access::Submit(user) => urlauth::account_of(tx, user)? == Some(account),
                Access::User(_) => false,
            };
            urlauth::holds(tx, now, place, &right(text, auth))? && who
        }
    };
    if !allowed {
        return Err(Why::Refused(Reply::new(554, (5, 7, 0), "IMAP URL authorization failed")));
    }
    let place = place.ok_or_else(|| unresolved("there is no such mailbox"))?;
    let entry = part::message(tx, place.owner, place.mailbox, url.uid)?
        .ok_or_else(|| unresolved("there is no such message"))?;
    part::octets(tx, &entry, &wanted(&url))?.ok_or_else(|| unresolved("the message has no such part"))
}

/// A URL as it may be written down: without what authorises, in whatever case it says so.
fn without_right(url: &str) -> &str {
    url.to_ascii_uppercase().find(";URLAUTH").map_or(url, |at| &url[..at])
}

/// What gives a right in a URL.
fn right<'a>(text: &'a str, auth: &'a UrlAuth) -> Right<'a> {
    let (mechanism, token) = auth.token.as_ref().map_or(("", ""), |(mechanism, token)| (mechanism, token));
    Right { rump: text.get(..auth.rump).unwrap_or_default(), mechanism, token, expires: auth.expires }
}

/// What of the message a URL means.
fn wanted(url: &Url) -> Wanted {
    let range = url.range.map(|range| (range.offset, range.length));
    let Some(Section { part, text }) = &url.section else {
        return Wanted { path: Vec::new(), text: Text::Content, range };
    };
    let text = match text {
        None => Text::Content,
        Some(SectionText::Header) => Text::Header,
        Some(SectionText::HeaderFields(names)) => Text::Fields(names.clone()),
        Some(SectionText::HeaderFieldsNot(names)) => Text::FieldsNot(names.clone()),
        Some(SectionText::Text) => Text::Text,
        Some(SectionText::Mime) => Text::Mime,
    };
    Wanted { path: part.clone(), text, range }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::accounts::{self, NewAccount};
    use postroad_mail::deliver::{self, Filing};
    use postroad_mail::{Actor, Address, By, Domain, Intake, MailboxId, domains};
    use postroad_store::Locks;
    use postroad_testkit::TestStore;

    const NOW: Timestamp = Timestamp(1_795_316_400_000_000);

    /// `alice@example.test` with a message, and `bob@example.test`; the token of a URL of alice's INBOX.
    fn store() -> (TestStore, [AccountId; 2]) {
        let test = TestStore::memory(&[postroad_mail::MIGRATIONS]);
        let mut intake = Intake::new(test.store.upload(), postroad_message::Limits::default());
        intake.feed(b"Subject: war\r\n\r\nand peace\r\n").expect("it is taken");
        let arrival = intake.finish(Vec::new()).expect("it is stored");
        let made = test.store.write_blocking(Locks::named(accounts::DIRECTORY_LOCK), move |tx| {
            let by = By::new(NOW, Actor::Admin);
            domains::create(tx, &by, &Domain::parse("example.test").expect("a domain"))?;
            let mut make = |name: &str| {
                let address = Address::parse(&format!("{name}@example.test")).expect("an address");
                let display_name = String::new();
                let new = NewAccount { address, display_name, password: None, quota_bytes: 0, quota_messages: 0 };
                accounts::create(tx, &by, &new)
            };
            let people = [make("alice")?, make("bob")?];
            deliver::append(tx, &by, people[0], MailboxId::INBOX, &arrival, &Filing::default())?;
            Ok::<_, postroad_mail::Error>(people)
        });
        let people = made.expect("it commits").value;
        (test, people)
    }

    #[test]
    fn no_token_is_written_down() {
        for url in [
            "imap://a@b/INBOX/;UID=1;URLAUTH=anonymous:internal:0",
            "imap://a@b/INBOX/;UID=1;UrlAuth=anonymous:internal:0",
        ] {
            assert_eq!(without_right(url), "imap://a@b/INBOX/;UID=1");
        }
        assert_eq!(without_right("imap://a@b/INBOX/;UID=1"), "imap://a@b/INBOX/;UID=1");
    }

    #[test]
    fn who_may_follow_which_url() {
        let (test, [alice, bob]) = store();
        let look = move |tx: &mut postroad_store::WriteTx| {
            let inbox = urlauth::Place { user: alice, owner: alice, mailbox: MailboxId::INBOX };
            let key = urlauth::key_or_new(tx, NOW, inbox)?;
            let signed = |rump: &str| format!("{rump}:internal:{}", key.sign(rump));
            let base = "imap://alice@example.test/INBOX/;UID=1";
            let (all, text) = ("Subject: war\r\n\r\nand peace\r\n", "and peace\r\n");
            let rows = [
                (alice, base.to_owned(), all),
                (alice, "imap://mx.test/INBOX/;UID=1/;SECTION=TEXT".to_owned(), text),
                (alice, format!("{base}/;PARTIAL=9.3"), "war"),
                (bob, base.to_owned(), "554 5.7.0"),
                (bob, signed(&format!("{base};URLAUTH=submit+bob")), all),
                (bob, signed(&format!("{base}/;SECTION=TEXT;URLAUTH=submit+bob@example.test")), text),
                (alice, signed(&format!("{base};URLAUTH=submit+bob")), "554 5.7.0"),
                (bob, signed(&format!("{base};URLAUTH=user+bob")), "554 5.7.0"),
                (bob, signed(&format!("{base};URLAUTH=authuser")), all),
                (bob, signed(&format!("{base};URLAUTH=anonymous")), all),
                (bob, signed(&format!("{base};EXPIRE=2026-11-22T02:59:59Z;URLAUTH=anonymous")), "554 5.7.0"),
                (bob, signed(&format!("{base};EXPIRE=2026-11-22T03:00:01Z;URLAUTH=anonymous")), all),
                (bob, format!("{base};URLAUTH=anonymous:internal:{}", "0".repeat(66)), "554 5.7.0"),
                (bob, format!("{base};URLAUTH=anonymous"), "554 5.7.0"),
                (alice, "imap://alice@example.test/INBOX/;UID=2".to_owned(), "554 5.6.6"),
                (alice, "imap://alice@example.test/INBOX;UIDVALIDITY=1/;UID=1".to_owned(), "554 5.6.6"),
                (alice, "imap://alice@example.test/Nowhere/;UID=1".to_owned(), "554 5.6.6"),
                (alice, format!("{base}/;SECTION=7"), "554 5.6.6"),
                (alice, "/INBOX/;UID=1".to_owned(), "554 5.6.6"),
                (alice, "imap://alice@example.test/INBOX".to_owned(), "554 5.6.6"),
                (alice, "imap://alice@far.example/INBOX/;UID=1".to_owned(), "554 5.7.8"),
            ];
            for (who, url, expected) in rows {
                let found = match resolve(tx, "mx.test", who, &url, NOW) {
                    Ok(octets) => String::from_utf8(octets.read(tx, 0, PIECE)?).expect("ASCII"),
                    Err(Why::Refused(reply)) => reply.to_string().chars().take(9).collect(),
                    Err(Why::Mail(error)) => return Err(error),
                };
                assert_eq!(found, expected, "{url}");
            }
            Ok::<_, postroad_mail::Error>(())
        };
        test.store.write_blocking(Locks::account(alice), look).expect("it commits");
    }
}
