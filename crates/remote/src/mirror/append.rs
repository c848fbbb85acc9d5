//! Messages are appended there: many with one command where the server has MULTIAPPEND (RFC 3502), so that it makes them
//! durable once and not one by one, and several commands on their way at once where it takes literals without asking.

use std::collections::VecDeque;

use postroad_imap::DateTime;
use postroad_imap::client::{Code, Event, Line, Response, Status, Tag, Word};

use super::header::Header;
use crate::connection::{Connection, goodbye, succeeded};
use crate::desk::{Answer, Desk, Difference, Entry, PIECE, Request, Sent, Waiting};
use crate::exact;
use crate::frame::unexpected;
use crate::migrate::{Progress, Watch};
use crate::{Error, Result};

/// Where messages are appended to.
pub(super) struct Target<'a> {
    pub(super) desk: &'a Desk,
    /// The folder's number in the link.
    pub(super) id: i64,
    pub(super) wire: &'a [u8],
    /// Keywords that it keeps; none for any.
    pub(super) keywords: Option<&'a [String]>,
}

/// APPENDs of one folder.
pub(super) struct Appending<'a, W> {
    target: Target<'a>,
    progress: &'a mut Progress,
    watch: &'a mut W,
    /// Commands on their way, each with its messages.
    pending: VecDeque<(Tag, Vec<Going>)>,
    /// Messages of a command that was refused whole: they are tried one by one.
    single: Vec<Entry>,
    /// Messages with 8-bit headers that were refused as they should go: they are tried the other way.
    otherwise: Vec<Entry>,
    /// They are, now.
    again: bool,
    /// The server has enabled UTF8=ACCEPT.
    utf8: bool,
    /// It takes messages with NULs.
    binary: bool,
    came: Came,
}

/// A message on its way.
struct Going {
    entry: Entry,
    sent: Sent,
    header: Header,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Came {
    /// There, and not yet written down.
    fresh: Vec<Sent>,
    /// There, and written down.
    pub(super) sent: Vec<Sent>,
    /// There, but nobody said where.
    pub(super) silent: Vec<Sent>,
    /// Not taken.
    pub(super) refused: Vec<Difference>,
}

/// Messages that go with one command, or one by one.
type Batch = Vec<Entry>;

impl<'a, W: Watch> Appending<'a, W> {
    pub(super) fn new(target: Target<'a>, progress: &'a mut Progress, watch: &'a mut W) -> Appending<'a, W> {
        let (pending, single, otherwise) = (VecDeque::new(), Vec::new(), Vec::new());
        let (again, utf8, binary, came) = (false, false, false, Came::default());
        Appending { target, progress, watch, pending, single, otherwise, again, utf8, binary, came }
    }

    /// Appends all; messages that are refused are named.
    pub(super) async fn run(&mut self, line: &mut Connection, entries: Vec<Entry>) -> Result<()> {
        let (empty, entries): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.size == 0);
        for entry in empty {
            // RFC 9051 §6.3.12: an APPEND without octets is none.
            self.refuse(entry.uid, "a message without octets cannot be carried".to_owned());
        }
        self.utf8 = line.session.takes_utf8();
        self.binary = exact::has_binary(line);
        let many = line.session.has("MULTIAPPEND") && line.session.has("LITERAL+");
        self.batches(line, batches(entries), many).await?;
        let single = std::mem::take(&mut self.single);
        self.batches(line, batches(single), false).await?;
        self.again = true;
        let otherwise = std::mem::take(&mut self.otherwise);
        self.batches(line, batches(otherwise), false).await
    }

    /// What is there by now, written down.
    pub(super) async fn finish(mut self) -> Result<Came> {
        self.write_down().await?;
        Ok(self.came)
    }

    async fn batches(&mut self, line: &mut Connection, mut todo: VecDeque<Batch>, many: bool) -> Result<()> {
        let mut next = self.ahead(todo.front())?;
        while let Some(batch) = todo.pop_front() {
            let octets = match next.take() {
                Some(waiting) => split(waiting.octets().await?, &batch)?,
                None => Vec::new(),
            };
            // The store reads while the network writes.
            next = self.ahead(todo.front())?;
            if many {
                self.append(line, &batch, octets).await?;
            } else {
                let mut octets = octets.into_iter();
                for entry in &batch {
                    self.append(line, std::slice::from_ref(entry), octets.next().into_iter().collect()).await?;
                }
            }
        }
        while !self.pending.is_empty() {
            self.event(line).await?;
        }
        Ok(())
    }

    /// Asks for the octets of a batch. A message alone that is larger than that is read in pieces when its turn comes.
    fn ahead(&self, batch: Option<&Batch>) -> Result<Option<Waiting>> {
        let Some(batch) = batch.filter(|batch| octets_of(batch) <= BATCH_OCTETS) else { return Ok(None) };
        let uids = batch.iter().map(|entry| entry.uid).collect();
        self.target.desk.begin(Request::ReadAll { folder: self.target.id, uids }, Vec::new()).map(Some)
    }

    /// One command. `octets` has none for a message that is read in pieces.
    async fn append(&mut self, line: &mut Connection, batch: &[Entry], octets: Vec<Vec<u8>>) -> Result<()> {
        let mut command = Line::new("APPEND").string(self.target.wire);
        let mut sent = Vec::new();
        for (at, entry) in batch.iter().enumerate() {
            let header = self.header(entry, octets.get(at)).await?;
            // RFC 9051 §6.3.12: in UTC, which is a moment like any other.
            let date = DateTime { seconds: entry.date.div_euclid(1_000_000), offset: 0 };
            command = command.flags(flags(&entry.marks, self.target.keywords)).word(&format!("\"{}\"", date.format()));
            command = match header.goes_as_utf8(self.again) {
                true => command.utf8_message(entry.size),
                // RFC 3516 §4.4, RFC 9051 §4.3: a plain literal has no NUL.
                false if self.binary && self.has_nul(entry, octets.get(at)).await? => {
                    command.binary_message(entry.size)
                }
                false => command.message(entry.size),
            };
            let (uid, size, marks, message) = (entry.uid, entry.size, entry.marks.clone(), entry.message);
            let one = Sent { uid, other: 0, hash: String::new(), size, marks, message };
            sent.push(Going { entry: entry.clone(), sent: one, header });
        }
        let tag = line.session.send(command)?;
        self.pending.push_back((tag, sent));
        let mut octets = octets.into_iter();
        for (at, entry) in batch.iter().enumerate() {
            // Until the server takes it, or has refused it.
            loop {
                if !self.pending.iter().any(|(own, _)| *own == tag) {
                    return Ok(());
                }
                if self.event(line).await? {
                    break;
                }
            }
            let hash = match octets.next() {
                Some(octets) => {
                    self.write(line, &octets).await?;
                    blake3::hash(&octets).to_hex().to_string()
                }
                None => self.pieces(line, entry).await?,
            };
            line.session.octets(&[]);
            if let Some((_, sent)) = self.pending.iter_mut().find(|(own, _)| *own == tag)
                && let Some(going) = sent.get_mut(at)
            {
                going.sent.hash = hash;
            }
        }
        while self.pending.len() > PENDING_MAX || self.waiting() > PENDING_MESSAGES {
            self.event(line).await?;
        }
        Ok(())
    }

    /// What a message's header is written in, where that matters.
    async fn header(&self, entry: &Entry, octets: Option<&Vec<u8>>) -> Result<Header> {
        match octets {
            _ if !self.utf8 => Ok(Header::Ascii),
            Some(octets) => Ok(Header::of(octets)),
            None => Ok(Header::of(&piece(self.target.desk, self.target.id, entry.uid, 0).await?)),
        }
    }

    async fn has_nul(&self, entry: &Entry, octets: Option<&Vec<u8>>) -> Result<bool> {
        if let Some(octets) = octets {
            return Ok(memchr::memchr(0, octets).is_some());
        }
        let mut at = 0;
        while at < entry.size {
            let octets = piece(self.target.desk, self.target.id, entry.uid, at).await?;
            if octets.is_empty() || memchr::memchr(0, &octets).is_some() {
                return Ok(!octets.is_empty());
            }
            at += octets.len() as u64;
        }
        Ok(false)
    }

    /// Messages without an answer.
    fn waiting(&self) -> usize {
        self.pending.iter().map(|(_, sent)| sent.len()).sum()
    }

    async fn write(&mut self, line: &mut Connection, octets: &[u8]) -> Result<()> {
        line.session.octets(octets);
        if line.session.waiting_output() >= WRITE_AT_ONCE {
            line.flush().await?;
        }
        self.progress.octets += octets.len() as u64;
        self.watch.progress(*self.progress);
        Ok(())
    }

    /// The octets of a large message; their checksum.
    async fn pieces(&mut self, line: &mut Connection, entry: &Entry) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < entry.size {
            let octets = piece(self.target.desk, self.target.id, entry.uid, at).await?;
            let octets = &octets[..octets.len().min(usize::try_from(entry.size - at).unwrap_or(usize::MAX))];
            if octets.is_empty() {
                return Err(cut_short(entry));
            }
            hasher.update(octets);
            at += octets.len() as u64;
            self.write(line, octets).await?;
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Takes an event; true when the server asks for a message.
    async fn event(&mut self, line: &mut Connection) -> Result<bool> {
        match line.event().await? {
            Event::Send => return Ok(true),
            Event::Done(done) => {
                let at = self.pending.iter().position(|(tag, _)| *tag == done.tag);
                if let Some((_, sent)) = at.and_then(|at| self.pending.remove(at)) {
                    self.ended(sent, done.word).await?;
                }
            }
            Event::Response(Response::Word(word)) if word.status == Status::Bye => return Err(goodbye(&word)),
            Event::Response(_) | Event::Greeting(_) | Event::Begin(_) | Event::Piece(_) | Event::End => {}
            Event::Handshake => return Err(Error::Peer("it wants TLS in the middle".into())),
        }
        Ok(false)
    }

    async fn ended(&mut self, sent: Vec<Going>, word: Word) -> Result<()> {
        let count = sent.len();
        match succeeded(word) {
            // RFC 4315 §3: as many uids as messages, ascending, in the order of the messages.
            Ok(Word { code: Some(Code::AppendUid(_, uids)), .. }) if uids.count() == count as u64 => {
                let placed = sent.into_iter().zip(uids.iter()).map(|(going, other)| Sent { other, ..going.sent });
                self.came.fresh.extend(placed);
            }
            Ok(_) => self.came.silent.extend(sent.into_iter().map(|going| going.sent)),
            Err(Error::Refused(why)) if why.to_ascii_lowercase().contains("quota") => {
                return Err(Error::User(format!("the other server has no more room: {why}")));
            }
            // RFC 3502 §6.3.11: one that is refused refuses them all. Which one it was is found out.
            Err(Error::Refused(_)) if count > 1 => {
                self.single.extend(sent.into_iter().map(|going| going.entry));
                return Ok(());
            }
            Err(Error::Refused(_)) if !self.again && sent.iter().any(|going| going.header != Header::Ascii) => {
                self.otherwise.extend(sent.into_iter().map(|going| going.entry));
                return Ok(());
            }
            Err(Error::Refused(why)) => {
                let why = format!("the other server does not take it: {why}");
                sent.iter().for_each(|going| self.refuse(going.entry.uid, why.clone()));
            }
            Err(error) => return Err(error),
        }
        self.progress.messages += count as u64;
        self.watch.progress(*self.progress);
        if self.came.fresh.len() >= WRITTEN_AT_ONCE { self.write_down().await } else { Ok(()) }
    }

    fn refuse(&mut self, uid: u32, why: String) {
        self.came.refused.push(Difference { uid, message_id: None, why });
    }

    async fn write_down(&mut self) -> Result<()> {
        if !self.came.fresh.is_empty() {
            let request = Request::Sent { folder: self.target.id, messages: self.came.fresh.clone() };
            self.target.desk.ask(request).await?;
            self.came.sent.append(&mut self.came.fresh);
        }
        Ok(())
    }
}

/// Messages in their order, so many together as fit; a large one alone.
fn batches(entries: Vec<Entry>) -> VecDeque<Batch> {
    let mut batches: VecDeque<Batch> = VecDeque::new();
    let mut octets = u64::MAX;
    for entry in entries {
        octets = octets.saturating_add(entry.size);
        match batches.back_mut().filter(|batch| batch.len() < BATCH_MESSAGES && octets <= BATCH_OCTETS) {
            Some(batch) => batch.push(entry),
            None => {
                octets = entry.size;
                batches.push_back(vec![entry]);
            }
        }
    }
    batches
}

fn octets_of(batch: &[Entry]) -> u64 {
    batch.iter().map(|entry| entry.size).sum()
}

/// The octets of each message of a batch.
fn split((answer, octets): (Answer, Vec<u8>), batch: &[Entry]) -> Result<Vec<Vec<u8>>> {
    if answer != Answer::Octets {
        return Err(unexpected());
    }
    let mut rest = octets.as_slice();
    let own = batch.iter().map(|entry| {
        let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
        let (own, after) = rest.split_at_checked(size).ok_or_else(|| cut_short(entry))?;
        rest = after;
        Ok(own.to_vec())
    });
    own.collect()
}

fn cut_short(entry: &Entry) -> Error {
    Error::Here(format!("uid {} is cut short in the store", entry.uid))
}

/// Flags and keywords that the folder keeps.
pub(super) fn flags<'m>(marks: &'m str, keywords: Option<&[String]>) -> Vec<&'m str> {
    let kept = |word: &&str| {
        word.starts_with('\\') || keywords.is_none_or(|all| all.iter().any(|own| own.eq_ignore_ascii_case(word)))
    };
    marks.split_ascii_whitespace().filter(kept).collect()
}

/// The checksum of a message here.
pub(super) async fn hash(desk: &Desk, id: i64, entry: &Entry) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < entry.size {
        let octets = piece(desk, id, entry.uid, at).await?;
        if octets.is_empty() {
            break;
        }
        hasher.update(&octets);
        at += octets.len() as u64;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

async fn piece(desk: &Desk, folder: i64, uid: u32, from: u64) -> Result<Vec<u8>> {
    match desk.begin(Request::Read { folder, uid, from }, Vec::new())?.octets().await? {
        (Answer::Octets, octets) if octets.len() <= PIECE => Ok(octets),
        _ => Err(unexpected()),
    }
}

/// Messages of one command.
const BATCH_MESSAGES: usize = 100;
/// Octets of one command, unless one message alone has more.
const BATCH_OCTETS: u64 = 1024 * 1024;
/// APPENDs without an answer.
const PENDING_MAX: usize = 32;
/// Messages of them: what is found again by checksums when the connection breaks.
const PENDING_MESSAGES: usize = 200;
const WRITTEN_AT_ONCE: usize = 100;
/// Octets that are written together.
const WRITE_AT_ONCE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_keep_their_order() {
        let entry = |uid: u32, size: u64| Entry { uid, marks: String::new(), date: 0, size, message: 0 };
        let table: [(Vec<u64>, &[usize]); 5] = [
            (vec![], &[]),
            (vec![1; 250], &[100, 100, 50]),
            (vec![BATCH_OCTETS, 1, 1], &[1, 2]),
            (vec![1, BATCH_OCTETS * 3, 1], &[1, 1, 1]),
            (vec![BATCH_OCTETS / 2, BATCH_OCTETS / 2, 1], &[2, 1]),
        ];
        for (sizes, expected) in table {
            let entries: Vec<Entry> = (1..).zip(&sizes).map(|(uid, size)| entry(uid, *size)).collect();
            let made = batches(entries.clone());
            assert_eq!(made.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{sizes:?}");
            assert_eq!(made.into_iter().flatten().collect::<Vec<_>>(), entries);
        }
    }
}
