//! GENURLAUTH, RESETKEY and URLFETCH (RFC 4467 §7; RFC 5524 for URLFETCH's second form; RFC 5550 §3.1 URL-PARTIAL).
//!
//! URLs are made by the account that logged in, of any mailbox that it may read, by the name that it knows it by. Whoever uses
//! one reads with the rights that this account has then (RFC 4467 §7). Keys are for each user and mailbox. A URL for a submission server (`submit+`) is followed by this server's own (BURL) and by
//! no IMAP session.

use postroad_imap::ResponseCode;
use postroad_imap::command::{GenUrlAuth, ResetKey, UrlFetch, UrlItem};
use postroad_imap::url::Url;
use postroad_mail::part::{self, Octets, Text};
use postroad_mail::urlauth::{self, INTERNAL};
use postroad_mail::{Entry, Rights};
use postroad_message::decode::Encoding;
use postroad_message::{Part, SummaryView};
use postroad_store::{ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::fetch::binary::{Decoding, Measuring, Telling};
use crate::fetch::octets::{Budget, Octets as Bytes, exhausted};
use crate::fetch::structure;
use crate::session::{Flow, Session};
use crate::target;
use crate::urls;

/// GENURLAUTH, when all mailboxes have their keys.
pub(crate) fn generate(session: &mut Session, tx: &ReadTx, all: &[GenUrlAuth]) -> Result<Flow, Error> {
    let mut signed = Vec::with_capacity(all.len());
    for one in all {
        let place = place(session, tx, one)?;
        let Some(key) = urlauth::key(tx, place)? else { return Ok(Flow::Write) };
        signed.push(full(&one.url, &key)?);
    }
    Ok(told(session, &signed))
}

/// GENURLAUTH, when some mailbox has no key yet.
pub(crate) fn generate_with_keys(session: &mut Session, tx: &mut WriteTx, all: &[GenUrlAuth]) -> Result<Flow, Error> {
    let mut signed = Vec::with_capacity(all.len());
    for one in all {
        let place = place(session, tx, one)?;
        let key = urlauth::key_or_new(tx, session.now, place)?;
        heard(session, tx, place)?;
        signed.push(full(&one.url, &key)?);
    }
    Ok(told(session, &signed))
}

/// A key that this session made itself is not told of as one that is new.
fn heard(session: &mut Session, tx: &ReadTx, made: urlauth::Place) -> Result<(), Error> {
    let account = session.account()?;
    if let Some(view) = &mut session.view
        && account != view.account
        && (view.account, view.mailbox) == (made.owner, made.mailbox)
    {
        view.url_key = urlauth::mark(tx, made)?;
    }
    Ok(())
}

/// What comes back is a URL that can be used.
fn full(rump: &str, key: &urlauth::Key) -> Result<String, Error> {
    let url = format!("{rump}:internal:{}", key.sign(rump));
    match url.len() > Url::MAX {
        true => Err(Error::bad("the URL is too long with its token")),
        false => Ok(url),
    }
}

fn told(session: &mut Session, urls: &[String]) -> Flow {
    let mut writer = session.writer();
    writer.raw(b"* GENURLAUTH");
    for url in urls {
        writer.raw(b" ");
        writer.string(url.as_bytes());
    }
    writer.raw(b"\r\n");
    Flow::Done(Reply::ok("GENURLAUTH done"))
}

/// The mailbox of a URL that is to be signed. RFC 4467 §7: what is wrong with it is answered with BAD.
fn place(session: &Session, tx: &ReadTx, one: &GenUrlAuth) -> Result<urlauth::Place, Error> {
    let bad = |text: &'static str| Error::bad(text);
    let url = Url::parse(&one.url).map_err(|error| Error::bad(error.to_string()))?;
    let auth = url.auth.as_ref().ok_or_else(|| bad("the URL does not say whom it is for (;URLAUTH=)"))?;
    if auth.token.is_some() {
        return Err(bad("the URL has a token already"));
    }
    if one.mechanism != INTERNAL {
        return Err(bad("the one mechanism is INTERNAL"));
    }
    let server = url.server.as_ref().ok_or_else(|| bad("the URL names no server"))?;
    let user = server.user.as_deref().ok_or_else(|| bad("the URL names no user whose mailbox it is"))?;
    if !urls::is_ours(session, tx, server)? {
        return Err(bad("the URL is of another server"));
    }
    let account = session.account()?;
    if urlauth::account_of(tx, user)? != Some(account) {
        return Err(bad("the URL is of another user"));
    }
    let mailbox = url.mailbox.as_ref().ok_or_else(|| bad("the URL names no mailbox"))?;
    let place = urlauth::place(tx, account, &mailbox.name, mailbox.uidvalidity)?;
    place.ok_or_else(|| bad("there is no such mailbox"))
}

/// RESETKEY.
pub(crate) fn reset(session: &mut Session, tx: &mut WriteTx, reset: &ResetKey) -> Result<Flow, Error> {
    if reset.mechanisms.iter().any(|mechanism| mechanism != INTERNAL) {
        return Err(Error::no(ResponseCode::Cannot, "the one mechanism is INTERNAL"));
    }
    let (by, account) = (session.by()?, session.account()?);
    let Some(name) = &reset.mailbox else {
        urlauth::remove_all(tx, &by, account)?;
        return Ok(Flow::Done(Reply::ok("all keys are gone")));
    };
    // The key is this login's own, whosever mailbox it is.
    let target = target::look(session, tx, name, Rights::LOOKUP)?;
    urlauth::reset(tx, &by, urlauth::Place { user: account, owner: target.account, mailbox: target.mailbox.id })?;
    Ok(Flow::Done(Reply::ok_with(ResponseCode::UrlMech, "the mailbox has a new key")))
}

/// What URLFETCH keeps between its jobs.
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    /// URLs that are told whole.
    done: usize,
    /// The URL that is being told.
    url: Option<Box<Found>>,
    /// Something of a response was sent, and not its end.
    begun: bool,
}

/// A URL that may be followed.
#[derive(Debug)]
struct Found {
    url: Url,
    entry: Entry,
    /// What of `items` is told.
    told: usize,
    /// What the content is without its transfer encoding, once that is known.
    plain: Option<Plain>,
    stream: Option<Stream>,
}

/// A part's content without its transfer encoding.
#[derive(Debug, Clone)]
struct Plain {
    /// The encoding that leaves it as it is: 7BIT, 8BIT or BINARY.
    identity: Encoding,
    size: u64,
    lines: u64,
}

/// A value that flows.
#[derive(Debug)]
enum Stream {
    /// A part is measured, to be told then.
    Measuring(Box<Measured>),
    /// Octets in a literal whose head is written.
    Telling(Box<Told>),
}

#[derive(Debug)]
struct Measured {
    measuring: Measuring,
    bytes: Bytes,
}

#[derive(Debug)]
struct Told {
    telling: Telling,
    bytes: Bytes,
    /// It is a plain literal, which has no NUL (RFC 9051 §4.3): 0x80 stands for it, as in FETCH.
    text: bool,
}

impl Fetching {
    pub(crate) fn is_in_literal(&self) -> bool {
        self.begun
    }
}

/// One job of URLFETCH.
pub(crate) fn fetch(
    session: &mut Session,
    tx: &ReadTx,
    all: &[UrlFetch],
    fetching: &mut Fetching,
) -> Result<Flow, Error> {
    let mut budget = Budget::new();
    while let Some(one) = all.get(fetching.done) {
        if fetching.url.is_none() {
            if exhausted(session, &budget) {
                return Ok(Flow::More);
            }
            fetching.url = begin(session, tx, one)?;
        }
        let whole = match &mut fetching.url {
            None => true,
            Some(found) => match go_on(session, tx, one, found, &mut budget) {
                Ok(whole) => whole,
                Err(error) if fetching.begun => return Err(error.cut()),
                Err(error) => return Err(error),
            },
        };
        fetching.begun = !whole;
        if !whole {
            return Ok(Flow::More);
        }
        session.writer().raw(b"\r\n");
        fetching.url = None;
        fetching.done += 1;
    }
    Ok(Flow::Done(Reply::ok("URLFETCH done")))
}

/// `* URLFETCH url`, and the message; without one, `NIL`.
fn begin(session: &mut Session, tx: &ReadTx, one: &UrlFetch) -> Result<Option<Box<Found>>, Error> {
    let found = match Url::parse(&one.url) {
        // RFC 4467 §7: what is no good, for whatever reason, is NIL.
        Ok(url) => match &url.auth {
            Some(auth) => urls::authorised(session, tx, &one.url, &url, auth)?.map(|entry| (url, entry)),
            None => None,
        },
        Err(_) => None,
    };
    let found = match found {
        Some((url, entry)) => {
            let octets = part::octets(tx, &entry, &urls::wanted(&url))?;
            octets.map(|_| Box::new(Found { url, entry, told: 0, plain: None, stream: None }))
        }
        None => None,
    };
    let mut writer = session.writer();
    writer.raw(b"* URLFETCH ");
    writer.string(one.url.as_bytes());
    if found.is_none() {
        writer.raw(b" NIL");
    }
    Ok(found)
}

/// Tells more of a URL. False: the budget is used up.
fn go_on(
    session: &mut Session,
    tx: &ReadTx,
    one: &UrlFetch,
    found: &mut Found,
    budget: &mut Budget,
) -> Result<bool, Error> {
    let items = in_order(one.items.as_deref());
    loop {
        if let Some(stream) = found.stream.take() {
            match flow(session, tx, stream, budget)? {
                Flowed::Part(stream) => {
                    found.stream = Some(stream);
                    return Ok(false);
                }
                Flowed::Told => close(session, one),
                Flowed::Measured(plain) => found.plain = Some(plain),
            }
        }
        let Some(item) = items.get(found.told) else { return Ok(true) };
        if found.plain.is_none() && items.contains(&UrlItem::Binary) {
            found.stream = measure(found)?;
            if found.stream.is_some() {
                continue;
            }
        }
        found.told += 1;
        let name: &[u8] = match item {
            UrlItem::Body => b" (BODY ",
            UrlItem::Binary => b" (BINARY ",
            UrlItem::Structure => b" (BODYPARTSTRUCTURE ",
        };
        session.writer().raw(if one.items.is_some() { name } else { b" " });
        found.stream = match item {
            UrlItem::Body => body(session, tx, found)?,
            UrlItem::Binary => binary(session, tx, found)?,
            UrlItem::Structure => {
                tell_structure(session, found)?;
                None
            }
        };
        if found.stream.is_none() {
            close(session, one);
        }
    }
}

/// What is told, what describes before what is described (RFC 5524 §4, whatever order was asked for).
fn in_order(items: Option<&[UrlItem]>) -> Vec<UrlItem> {
    let mut items = items.unwrap_or(&[UrlItem::Body]).to_vec();
    items.sort_by_key(|item| *item != UrlItem::Structure);
    items
}

fn close(session: &mut Session, one: &UrlFetch) {
    if one.items.is_some() {
        session.writer().raw(b")");
    }
}

/// The octets as they are.
fn body(session: &mut Session, tx: &ReadTx, found: &Found) -> Result<Option<Stream>, Error> {
    match part::octets(tx, &found.entry, &urls::wanted(&found.url))? {
        None => {
            session.writer().raw(b"NIL");
            Ok(None)
        }
        Some(Octets::Made(octets)) => {
            session.writer().string(&octets);
            Ok(None)
        }
        Some(Octets::Stored { blob, size, range }) => {
            if range.is_empty() {
                session.writer().raw(b"\"\"");
                return Ok(None);
            }
            let count = range.end - range.start;
            session.writer().literal_head(count);
            let telling = Telling::new(Decoding::new(&Encoding::Binary, range), 0..count);
            Ok(Some(Stream::Telling(Box::new(Told { telling, bytes: Bytes::new(blob, size), text: true }))))
        }
    }
}

/// The part whose own content is meant: only that has a transfer encoding.
fn part_of(found: &Found) -> Result<Option<Part>, Error> {
    let wanted = urls::wanted(&found.url);
    if wanted.text != Text::Content || wanted.path.is_empty() {
        return Ok(None);
    }
    let structure = summary(&found.entry)?.structure().map_err(|_| Error::Summary)?;
    Ok(structure.part(&wanted.path).cloned())
}

/// Begins to measure the content without its transfer encoding; `None` where there is none that is known.
fn measure(found: &Found) -> Result<Option<Stream>, Error> {
    let Some(part) = part_of(found)? else { return Ok(None) };
    if let Encoding::Other(_) = part.encoding {
        return Ok(None);
    }
    let measuring = Measuring::new(Decoding::new(&part.encoding, part.body_start..part.body_end));
    Ok(Some(Stream::Measuring(Box::new(Measured { measuring, bytes: bytes_of(found)? }))))
}

/// The content without its transfer encoding.
fn binary(session: &mut Session, tx: &ReadTx, found: &Found) -> Result<Option<Stream>, Error> {
    let Some(part) = part_of(found)? else { return body(session, tx, found) };
    let Some(plain) = &found.plain else {
        session.writer().raw(b"NIL");
        return Ok(None);
    };
    let meant = match urls::wanted(&found.url).range {
        None => 0..u64::MAX,
        Some((from, most)) => from..most.map_or(u64::MAX, |most| from.saturating_add(most)),
    };
    let range = meant.start.min(plain.size)..meant.end.min(plain.size);
    // RFC 5524 §3.1: only a literal8 can have NULs.
    match plain.identity {
        Encoding::Binary => session.writer().literal8_head(range.end - range.start),
        _ => session.writer().literal_head(range.end - range.start),
    }
    let telling = Telling::new(Decoding::new(&part.encoding, part.body_start..part.body_end), range);
    Ok(Some(Stream::Telling(Box::new(Told { telling, bytes: bytes_of(found)?, text: false }))))
}

fn bytes_of(found: &Found) -> Result<Bytes, Error> {
    let facts = found.entry.facts.as_ref().ok_or_else(|| Error::bug("an entry without its content"))?;
    Ok(Bytes::new(facts.blob, found.entry.size))
}

/// What BODYSTRUCTURE tells of the part; of its content as it is told beside it (RFC 5524 §3.2: decoded with BINARY).
fn tell_structure(session: &mut Session, found: &Found) -> Result<(), Error> {
    if let (Some(plain), Some(mut part)) = (&found.plain, part_of(found)?) {
        part.encoding = plain.identity.clone();
        part.body_end = part.body_start.saturating_add(plain.size);
        part.lines = plain.lines;
        structure::write(&mut session.writer(), &part, true);
        return Ok(());
    }
    let whole = summary(&found.entry)?.structure().map_err(|_| Error::Summary)?;
    let wanted = urls::wanted(&found.url);
    let part = match wanted.path.as_slice() {
        [] => Some(&whole),
        path => whole.part(path),
    };
    match part {
        Some(part) => structure::write(&mut session.writer(), part, true),
        None => session.writer().raw(b"NIL"),
    }
    Ok(())
}

fn summary(entry: &Entry) -> Result<SummaryView<'_>, Error> {
    let facts = entry.facts.as_ref().ok_or_else(|| Error::bug("an entry without its content"))?;
    SummaryView::new(&facts.summary).map_err(|_| Error::Summary)
}

/// How far a value is.
enum Flowed {
    /// There is more.
    Part(Stream),
    /// It is told.
    Told,
    /// It is measured.
    Measured(Plain),
}

/// Goes on with a value.
fn flow(session: &mut Session, tx: &ReadTx, stream: Stream, budget: &mut Budget) -> Result<Flowed, Error> {
    match stream {
        Stream::Measuring(mut measured) => {
            let measuring = &mut measured.measuring;
            if !measuring.go_on(session, tx, &mut measured.bytes, budget)? {
                return Ok(Flowed::Part(Stream::Measuring(measured)));
            }
            let identity = match (measuring.nul, measuring.eight) {
                (true, _) => Encoding::Binary,
                (false, true) => Encoding::EightBit,
                (false, false) => Encoding::SevenBit,
            };
            Ok(Flowed::Measured(Plain { identity, size: measuring.size, lines: measuring.lines }))
        }
        Stream::Telling(mut told) => {
            let from = session.staged.len();
            let whole = told.telling.go_on(session, tx, &mut told.bytes, budget)?;
            if told.text {
                session.staged[from..].iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
            }
            Ok(if whole { Flowed::Told } else { Flowed::Part(Stream::Telling(told)) })
        }
    }
}
