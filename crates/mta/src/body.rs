//! The message as it streams in: never whole in memory, its header reviewed and edited when it ends.

use std::fmt;

use postroad_mail::{Address, Domain, Fed, Intake, addresses, domains};
use postroad_mailauth::body::Hashers;
use postroad_mailauth::report::letter;
use postroad_message::Limits;
use postroad_message::date::DateTime;
use postroad_smtp::{Reply, Role};
use postroad_store::{ReadTx, Timestamp};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::checks::{self, Signatures};
use crate::extensions;
use crate::header::{self, Author, Edits, Review};
use crate::inbound::{Inbound, Session};
use crate::settings::ForeignFrom;
use crate::sign::{Answers, Plan};
use crate::state::{self, Accepted, Login};
use crate::{Settings, replies};

/// A message under way.
pub(crate) struct Body {
    pub(crate) intake: Intake,
    /// The header has ended, was found good and is edited.
    pub(crate) reviewed: bool,
    /// The hashes that signatures need, those of others and our own.
    pub(crate) hashers: Hashers,
    /// What is to be looked at, for mail from others.
    pub(crate) signatures: Option<Signatures>,
    /// Who signs it, or seals it.
    pub(crate) signing: Plan,
    /// The beginning of the body, where somebody may be told what stands in it.
    pub(crate) copy: Option<Vec<u8>>,
    /// Its share of the memory for bodies.
    pub(crate) place: OwnedSemaphorePermit,
    /// The share covers a header of so many bytes.
    header_covered: usize,
}

/// Memory for bodies is given out in pieces of so many bytes.
pub(crate) const UNIT: usize = 64 * 1024;
/// What an ordinary message may hold: header, what is inline, the parser.
const SHARE: u32 = 4;
/// A header longer than this costs more.
const LONG_HEADER: usize = UNIT;
/// And so much each time that it has grown by as many bytes, up to the longest that is taken.
const HEADER_STEP: usize = 1024 * 1024;

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("reviewed", &self.reviewed).finish_non_exhaustive()
    }
}

impl Inbound {
    /// Takes a piece of the message. After an error the rest of it is swallowed by the session.
    pub(crate) async fn take_piece(&self, session: &mut Session, piece: &[u8]) -> Result<(), Reply> {
        let result = self.feed(session, piece).await;
        if result.is_err() {
            // The memory, the file and the place are free while the rest is being swallowed.
            session.world.body = None;
        }
        result
    }

    async fn feed(&self, session: &mut Session, piece: &[u8]) -> Result<(), Reply> {
        let body = self.body(session).await?;
        if body.reviewed {
            body.hashers.update(piece);
            keep(&mut body.copy, piece);
        }
        let fed = body.intake.feed(piece).map_err(|error| {
            replies::log(&error, "taking a message");
            replies::mail_failed(&error, self.settings.full_mailbox)
        })?;
        while body.intake.header().len() > body.header_covered {
            let more = self.share((HEADER_STEP / UNIT) as u32).await?;
            body.place.merge(more);
            body.header_covered += HEADER_STEP;
        }
        match fed {
            Fed::More => Ok(()),
            Fed::HeaderEnded => {
                self.review(session).await?;
                if let Some(body) = &mut session.world.body {
                    body.hashers.update(body.intake.waiting());
                    keep(&mut body.copy, body.intake.waiting());
                }
                Ok(())
            }
        }
    }

    /// The body under way; the first piece waits for a place.
    pub(crate) async fn body<'a>(&self, session: &'a mut Session) -> Result<&'a mut Body, Reply> {
        if session.world.body.is_none() {
            let place = self.share(SHARE).await?;
            let intake = Intake::new(self.store.upload(), Limits::default());
            session.world.body = Some(Body {
                intake,
                reviewed: false,
                hashers: Hashers::new(),
                signatures: None,
                signing: Plan::Nothing,
                copy: None,
                place,
                header_covered: LONG_HEADER,
            });
        }
        Ok(session.world.body.as_mut().expect("it is there or was just made"))
    }

    async fn share(&self, units: u32) -> Result<OwnedSemaphorePermit, Reply> {
        let place = timeout(self.settings.bodies_wait, self.bodies.clone().acquire_many_owned(units)).await;
        let Ok(Ok(place)) = place else {
            tracing::warn!(
                memory = self.settings.bodies_memory,
                "a message was refused for now: as many are arriving as there is memory for in the settings"
            );
            return Err(replies::too_many_bodies());
        };
        Ok(place)
    }

    /// Looks at the header that has just ended, and edits it.
    pub(crate) async fn review(&self, session: &mut Session) -> Result<(), Reply> {
        let (now, role) = ((self.clock)(), session.role());
        let login = state::login(session).cloned();
        let Some(body) = session.world.body.as_mut() else { return Ok(()) };
        body.reviewed = true;
        let review = header::review(body.intake.header());
        let asked = extensions::asked_in(body.intake.header());
        if let (Some(story), Some(id)) = (&mut session.world.story, &review.message_id) {
            story.key(id);
        }
        check_start(&review)?;
        let is_report = || session.world.body.as_ref().is_some_and(|body| letter::may_be(body.intake.header()));
        if session.world.recipients.iter().any(|recipient| recipient.reads_reports) && !is_report() {
            return Err(replies::only_reports());
        }
        self.check_header(session, &review);
        if self.checker.tells_bodies()
            && checks::concern(session)
            && let Some(body) = &mut session.world.body
        {
            body.copy = Some(Vec::new());
        }
        check_loop(&review, &self.settings)?;
        check_return(&review, &mut session.world.recipients)?;
        for recipient in session.world.recipients.iter().filter(|recipient| recipient.in_circles) {
            let name = recipient.name.as_ref().map(ToString::to_string).unwrap_or_default();
            if let Some(story) = &mut session.world.story {
                story.note(now, "refused", format_args!("{name}: {}", replies::in_circles()));
            }
        }
        self.grant_asked(session, asked).await?;
        let mut answers = None;
        let mut edits = match &login {
            None => received_edits(role, &self.settings),
            Some(login) => {
                check_authors(&review)?;
                let owned = self.owned(login, &review).await?;
                let Owned { from, sender, resent, ours: _ } = owned;
                answers = Some(Answers { login, from, sender, resent });
                let id = session.world.story.as_ref().map(|story| story.id().to_string()).unwrap_or_default();
                submitted_edits(&review, owned, login, &id, now, &self.settings)?
            }
        };
        // RFC 6758 §3.3: what goes on says what we made of it, or nothing.
        edits.remove.push(extensions::PRIORITY_FIELD);
        if let Some(block) = session.world.body.as_mut().and_then(|body| body.intake.header_mut()) {
            header::edit(block, &edits);
        }
        self.plan_signature(session, &review, answers).await
    }

    /// Whether the login owns From and Sender. Without a look into the store for the common case, in which
    /// From is the account's own address.
    async fn owned(&self, login: &Login, review: &Review) -> Result<Owned, Reply> {
        let from = addresses_of(&review.from);
        let sender = addresses_of(&review.sender);
        let resent = addresses_of(&review.resent_from);
        if from.as_deref() == Some(std::slice::from_ref(&login.address)) && review.sender_fields == 0 {
            return Ok(Owned { from: true, sender: true, resent: false, ours: false });
        }
        let account = login.account;
        let authors = domains_of(review);
        let home = login.address.domain().clone();
        let (foreign, own) = (authors.clone(), home.clone());
        let look = self.store.read(move |tx| {
            let all = |list: Option<Vec<Address>>| -> Result<bool, postroad_mail::Error> {
                let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(false) };
                for address in &list {
                    if !addresses::may_send_as(tx, account, address)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            let mut ours = false;
            for domain in &authors {
                ours = ours || is_near(domain, home.as_str()) || is_at_or_below_ours(tx, domain)?;
            }
            Ok(Owned { from: all(from)?, sender: all(sender)?, resent: all(resent)?, ours })
        });
        let owned = look.await.map_err(|error: postroad_mail::Error| {
            replies::log(&error, "looking up the sender's addresses");
            replies::mail_failed(&error, self.settings.full_mailbox)
        })?;
        let is_foreign = !owned.from && !owned.ours;
        let ours = owned.ours || is_foreign && self.passes_for(&foreign, &own).await?;
        Ok(Owned { ours, ..owned })
    }

    /// Whether DMARC would pass for one of these authors because our domain sends and signs: sisters below an organisation that is
    /// not here, by relaxed alignment (RFC 9989 §4.4).
    async fn passes_for(&self, authors: &[Domain], home: &Domain) -> Result<bool, Reply> {
        let shared = |author: &Domain| {
            let (one, other) = (author.as_str().rsplit('.'), home.as_str().rsplit('.'));
            one.zip(other).take_while(|(one, other)| one == other).count()
        };
        for author in authors.iter().filter(|author| shared(author) > 0).take(SISTERS) {
            match self.checker.passes_for(author.as_str(), home.as_str()).await {
                Some(true) => return Ok(true),
                Some(false) => {}
                // Below one top-level domain alone hardly anybody is related.
                None if shared(author) == 1 => {}
                None => return Err(replies::unknown_organization(author.as_str())),
            }
        }
        Ok(false)
    }
}

/// Puts what is still wanted of a piece of the body aside.
fn keep(copy: &mut Option<Vec<u8>>, piece: &[u8]) {
    if let Some(copy) = copy {
        let room = checks::BODY_MAX.saturating_sub(copy.len());
        copy.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// What of the header belongs to the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owned {
    from: bool,
    sender: bool,
    resent: bool,
    /// An address in From is at or near a domain of ours: our signature and our addresses would vouch for it.
    ours: bool,
}

/// The domains in From, as far as they are any.
fn domains_of(review: &Review) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::new();
    for author in &review.from {
        if let Ok(domain) = Domain::parse(&author.domain)
            && !domains.contains(&domain)
        {
            domains.push(domain);
        }
    }
    domains
}

/// Whether one is the other or below it: by relaxed alignment (RFC 9989 §4.4) the signature of one is good for the other.
fn is_near(domain: &Domain, home: &str) -> bool {
    let below =
        |name: &str, above: &str| name == above || name.strip_suffix(above).is_some_and(|front| front.ends_with('.'));
    below(domain.as_str(), home) || below(home, domain.as_str())
}

/// Whether it or a name above it is a domain of ours.
fn is_at_or_below_ours(tx: &ReadTx, domain: &Domain) -> Result<bool, postroad_mail::Error> {
    let mut name = domain.as_str();
    for _ in 0..LEVELS {
        let Ok(here) = Domain::parse(name) else { break };
        if domains::ours(tx, &here)?.is_some() {
            return Ok(true);
        }
        match name.split_once('.') {
            Some((_, above)) => name = above,
            None => break,
        }
    }
    Ok(false)
}

/// Domains of authors that the DNS is asked about.
const SISTERS: usize = 4;
/// Names above a name of an author that are looked up.
const LEVELS: usize = 8;

/// `None` when one of them is no address of ours to own, or there are more than are looked at.
fn addresses_of(authors: &[Author]) -> Option<Vec<Address>> {
    if authors.len() > header::MAX_AUTHORS {
        return None;
    }
    authors.iter().map(|author| Address::new(&author.local, &author.domain).ok()).collect()
}

/// What would read as the end of our own Received field (RFC 5322 §2.2.3) would be our word for what is not.
fn check_start(review: &Review) -> Result<(), Reply> {
    match review.continues {
        true => Err(Reply::new(
            554,
            (5, 6, 0),
            "This message cannot be taken: its first line begins with white space, as if it went on with a line before.",
        )),
        false => Ok(()),
    }
}

fn check_loop(review: &Review, settings: &Settings) -> Result<(), Reply> {
    match review.received > settings.received_limit {
        true => Err(Reply::new(
            554,
            (5, 4, 6),
            format!("This message has passed {} servers already; it goes in circles.", review.received),
        )),
        false => Ok(()),
    }
}

/// Marks recipients whose mail was here before and was sent on, as its Delivered-To says; when there is no other, the
/// message is refused. A recipient whose mail stays here never is one, whatever the header says: there it ends.
fn check_return(review: &Review, recipients: &mut [Accepted]) -> Result<(), Reply> {
    let seen: Vec<Address> = review.delivered_to.iter().filter_map(|text| Address::parse(text).ok()).collect();
    for recipient in recipients.iter_mut().filter(|recipient| !recipient.remote.is_empty()) {
        recipient.in_circles = recipient.name.as_ref().is_some_and(|name| {
            seen.iter().any(|address| address.domain() == name.domain() && address.key() == name.key())
        });
    }
    match !recipients.is_empty() && recipients.iter().all(|recipient| recipient.in_circles) {
        true => Err(replies::in_circles()),
        false => Ok(()),
    }
}

/// RFC 5322 §3.6: exactly one From; two of them show one reader one author and another reader another.
fn check_authors(review: &Review) -> Result<(), Reply> {
    let why = match (review.from_fields, review.from.len()) {
        (0, _) => "it has no From field",
        (1, 0) => "its From field has no address",
        (1, _) => return Ok(()),
        (_, _) => "it has more than one From field",
    };
    Err(Reply::new(554, (5, 6, 0), format!("This message cannot be sent: {why}.")))
}

/// Mail from other servers.
fn received_edits(role: Role, settings: &Settings) -> Edits {
    let strangers = role == Role::Relay && settings.header_firewall;
    Edits {
        remove: vec![header::RETURN_PATH],
        remove_prefix: if strangers { header::FIREWALL.to_vec() } else { Vec::new() },
        // Who hands over by LMTP stands behind the same gate, and may well be called like us.
        remove_results_by: if role == Role::Lmtp { String::new() } else { settings.hostname.clone() },
        add: Vec::new(),
    }
}

/// Mail from its author (RFC 6409 §8).
fn submitted_edits(
    review: &Review,
    owned: Owned,
    login: &Login,
    trace: &str,
    now: Timestamp,
    settings: &Settings,
) -> Result<Edits, Reply> {
    let mut edits =
        Edits { remove: vec![header::RETURN_PATH], remove_results_by: settings.hostname.clone(), ..Edits::default() };
    edits.remove.extend(header::HIDDEN);
    // What an Exchange says among its own servers stays there; our signature comes after this.
    if settings.header_firewall {
        edits.remove_prefix.extend(header::FIREWALL);
    }
    if !review.has_date {
        edits.add.push(format!("Date: {}\r\n", DateTime::utc(now.0).format()));
    }
    if !review.has_message_id {
        edits.add.push(format!("Message-ID: <{trace}@{}>\r\n", settings.hostname));
    }
    // Who sends another's message on says so in Resent-From; the author stays who it was.
    let answers_for_it = owned.from || owned.resent || (review.sender_fields == 1 && owned.sender);
    // What is nobody's of ours may be sent on, and is shown as somebody else's. But a stranger's reader takes our signature for
    // the word of whoever has that address here; and what can be read in several ways is whoever's it likes.
    if !owned.from && (owned.ours || review.from_is_odd) {
        return Err(not_theirs(login));
    }
    if !answers_for_it {
        match settings.foreign_from {
            ForeignFrom::AddSender => {
                edits.remove.push("Sender");
                edits.add.push(format!("Sender: {}\r\n", login.address));
            }
            ForeignFrom::Refuse => return Err(not_theirs(login)),
        }
    } else if review.sender_fields > 0 && !owned.sender {
        // From is theirs, Sender is somebody else's: it would blame a stranger.
        edits.remove.push("Sender");
    }
    Ok(edits)
}

fn not_theirs(login: &Login) -> Reply {
    Reply::new(
        550,
        (5, 7, 1),
        format!(
            "{} may not send with this From address. Use one of your own, or have an alias made for this one.",
            login.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Elsewhere;
    use postroad_store::AccountId;

    fn login() -> Login {
        Login {
            account: AccountId(1),
            address: Address::parse("alice@example.test").expect("an address"),
            name: "alice".into(),
        }
    }

    #[test]
    fn submitted_mail_is_completed() {
        let settings = Settings::new("mx.test");
        let no = Owned { from: false, sender: false, resent: false, ours: false };
        let from = Owned { from: true, ..no };
        let bare = Review { from_fields: 1, ..Review::default() };
        let whole = Review { has_date: true, has_message_id: true, ..bare.clone() };
        let with_sender = Review { sender_fields: 1, ..whole.clone() };
        let edits = |review: &Review, owned| {
            submitted_edits(review, owned, &login(), "abc", Timestamp(0), &settings).expect("accepted")
        };
        let added = edits(&bare, from).add;
        assert!(added[0].starts_with("Date: Thu, 1 Jan 1970") || added[0].starts_with("Date: Thu, 01 Jan 1970"));
        assert_eq!(added[1], "Message-ID: <abc@mx.test>\r\n");
        assert!(edits(&whole, from).add.is_empty());
        assert_eq!(edits(&whole, no).add, ["Sender: alice@example.test\r\n"]);
        assert!(edits(&whole, Owned { resent: true, ..no }).add.is_empty());
        assert!(edits(&with_sender, Owned { sender: true, ..no }).add.is_empty());
        assert!(edits(&with_sender, from).remove.contains(&"Sender"), "a stranger is not blamed");
        assert!(!edits(&with_sender, Owned { sender: true, ..from }).remove.contains(&"Sender"));
        assert_eq!(edits(&whole, from).remove_prefix, header::FIREWALL);
        let open = Settings { header_firewall: false, ..settings.clone() };
        let kept = submitted_edits(&whole, from, &login(), "abc", Timestamp(0), &open).expect("accepted");
        assert!(kept.remove_prefix.is_empty());
        let strict = Settings { foreign_from: ForeignFrom::Refuse, ..settings.clone() };
        let refused = submitted_edits(&whole, no, &login(), "abc", Timestamp(0), &strict);
        assert_eq!(refused.expect_err("not theirs").code(), 550);
        // Nobody writes as a neighbour, however they say who brings it.
        let neighbour = Owned { ours: true, ..no };
        for owned in [neighbour, Owned { sender: true, ..neighbour }, Owned { resent: true, ..neighbour }] {
            let refused = submitted_edits(&with_sender, owned, &login(), "abc", Timestamp(0), &settings);
            assert_eq!(refused.expect_err("not theirs").to_string().get(..9), Some("550 5.7.1"), "{owned:?}");
        }
        let odd = Review { from_is_odd: true, ..whole };
        assert!(submitted_edits(&odd, no, &login(), "abc", Timestamp(0), &settings).is_err());
        assert!(edits(&whole_again(), Owned { from: true, ..neighbour }).add.is_empty());
    }

    fn whole_again() -> Review {
        Review { from_fields: 1, has_date: true, has_message_id: true, ..Review::default() }
    }

    #[test]
    fn near_is_what_alignment_takes_for_the_same() {
        for (one, other, near) in [
            ("here.test", "here.test", true),
            ("a.here.test", "here.test", true),
            ("here.test", "a.b.here.test", true),
            ("nothere.test", "here.test", false),
            ("far.test", "here.test", false),
        ] {
            assert_eq!(is_near(&Domain::parse(one).expect("a domain"), other), near, "{one} {other}");
        }
    }

    #[test]
    fn what_was_sent_on_and_comes_back_is_known() {
        let address = |text: &str| Address::parse(text).expect("an address");
        let elsewhere = || Elsewhere { address: "x@far.test".into(), domain: "far.test".into(), via: None };
        let sent_on = Accepted {
            targets: Vec::new(),
            remote: vec![elsewhere()],
            name: Some(address("jürgen@xn--bcher-kva.test")),
            in_circles: false,
            ..Accepted::default()
        };
        let stays = Accepted { remote: Vec::new(), ..sent_on.clone() };
        let stranger = Accepted { name: None, ..sent_on.clone() };
        for (field, expect) in [
            ("Delivered-To: Jürgen@BÜCHER.test\r\n", true),
            ("delivered-to:\r\n <ju\u{308}rgen@xn--bcher-kva.test>\r\n", true),
            ("Delivered-To: a@far.test\r\nDelivered-To: jürgen@bücher.test\r\n", true),
            ("Delivered-To: jurgen@bücher.test\r\n", false),
            ("X-Delivered-To: jürgen@bücher.test\r\n", false),
            ("Delivered-To: nonsense\r\n", false),
        ] {
            let review = header::review(field.as_bytes());
            let mut recipients = [sent_on.clone(), stays.clone(), stranger.clone()];
            check_return(&review, &mut recipients).expect("two others get it");
            assert_eq!(recipients.map(|recipient| recipient.in_circles), [expect, false, false], "{field}");
            let alone = check_return(&review, &mut [sent_on.clone()]).map_err(|reply| reply.to_string());
            assert_eq!(alone.is_err_and(|text| text.starts_with("554 5.4.6")), expect, "{field}");
        }
    }

    #[test]
    fn from_is_there_once() {
        let author = Author { local: "a".into(), domain: "b".into() };
        let most = vec![author.clone(); header::MAX_AUTHORS];
        assert_eq!(addresses_of(&most).map(|list| list.len()), Some(header::MAX_AUTHORS));
        assert_eq!(addresses_of(&[most, vec![author.clone()]].concat()), None, "one is not looked at");
        for (from_fields, authors, good) in [(0, 0, false), (1, 0, false), (1, 1, true), (1, 2, true), (2, 2, false)] {
            let from = vec![author.clone(); authors];
            let review = Review { from_fields, from, ..Review::default() };
            assert_eq!(check_authors(&review).is_ok(), good, "{from_fields} {authors}");
        }
    }
}
