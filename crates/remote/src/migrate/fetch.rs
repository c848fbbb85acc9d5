//! Octets of messages come in windows and are handed to the desk in batches. Those that may have NULs, which BODY[] does not
//! show, are asked for a second time, with BINARY ([`crate::exact`]).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use postroad_imap::NumberSet;
use postroad_imap::client::{Event, Line, Response, Status, Tag};

use super::{FolderReport, Progress, Watch};
use crate::connection::{Connection, goodbye, succeeded};
use crate::desk::{Answer, BATCH_MESSAGES, BATCH_OCTETS, Desk, Difference, Meta, PIECE, Request, Waiting};
use crate::exact::{self, Exact, Look, Looked};
use crate::frame::unexpected;
use crate::{Error, Result};

/// What is done with messages that come.
pub(super) struct Fetching<'a, W> {
    pub(super) desk: &'a Desk,
    pub(super) folder: i64,
    pub(super) report: &'a mut FolderReport,
    pub(super) progress: &'a mut Progress,
    pub(super) watch: &'a mut W,
    /// Messages that wait to be fetched, by uid.
    pub(super) wanted: HashMap<u32, Meta>,
    batch: Vec<Meta>,
    octets: Vec<u8>,
    /// The batch that the desk has now.
    filing: Option<(Waiting, Vec<Meta>)>,
    asking: Asking,
    /// What the message that is coming looks like, where that matters.
    look: Option<Look>,
    /// Messages that may have NULs, by uid, with what BODY[] was.
    aside: BTreeMap<u32, Looked>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// BODY[], which is the message.
    Plain,
    /// BODY[]; what may have NULs is set aside.
    First,
    /// BINARY[], which is the message when it is BODY[] but for the NULs.
    Second,
    /// BODY[] of what is too large to be compared octet by octet: it is what it may be.
    Last,
}

/// The message that is coming.
enum Coming {
    Nothing,
    Whole(Vec<u8>),
    /// In pieces, some of them at the desk.
    Large(Vec<u8>, u64),
    /// Nobody wants it.
    Dropped,
}

impl<'a, W: Watch> Fetching<'a, W> {
    pub(super) fn new(
        desk: &'a Desk,
        folder: i64,
        report: &'a mut FolderReport,
        progress: &'a mut Progress,
        watch: &'a mut W,
        wanted: Vec<Meta>,
    ) -> Fetching<'a, W> {
        let wanted = wanted.into_iter().map(|meta| (meta.uid, meta)).collect();
        Fetching {
            desk,
            folder,
            report,
            progress,
            watch,
            wanted,
            batch: Vec::new(),
            octets: Vec::new(),
            filing: None,
            asking: Asking::Plain,
            look: None,
            aside: BTreeMap::new(),
        }
    }

    /// Fetches what is wanted from the mailbox that is open. What came before an error is filed, or comes again.
    pub(super) async fn run(&mut self, connection: &mut Connection) -> Result<()> {
        let outcome = self.all(connection).await;
        // What came whole is kept even when the connection broke.
        let filed = self.flush().await.and(self.settle().await);
        self.octets.clear();
        outcome.and(filed)
    }

    async fn all(&mut self, connection: &mut Connection) -> Result<()> {
        let mut uids: Vec<u32> = self.wanted.keys().copied().collect();
        uids.sort_unstable();
        if !exact::has_binary(connection) {
            return self.windows(connection, Asking::Plain, &uids).await;
        }
        // What is asked for twice comes later: not much later, since uids here are given in the order in which mail comes.
        for part in uids.chunks(SET_ASIDE_MAX) {
            self.windows(connection, Asking::First, part).await?;
            self.windows(connection, Asking::Second, &self.left_aside()).await?;
            // What is left has parts that came decoded.
            for uid in self.left_aside() {
                if let Some(Exact { octets, certain }) = exact::fetch(connection, uid).await? {
                    self.aside.remove(&uid);
                    let Some(meta) = self.wanted.remove(&uid) else { continue };
                    self.file(Meta { doubtful: !certain, ..meta }, octets).await?;
                }
            }
            self.windows(connection, Asking::Last, &self.left_aside()).await?;
            self.aside.clear();
        }
        Ok(())
    }

    fn left_aside(&self) -> Vec<u32> {
        self.aside.keys().copied().collect()
    }

    async fn windows(&mut self, connection: &mut Connection, asking: Asking, uids: &[u32]) -> Result<()> {
        self.asking = asking;
        let item = match asking {
            Asking::Plain | Asking::First | Asking::Last => exact::BODY,
            Asking::Second => exact::BINARY,
        };
        let mut todo: VecDeque<NumberSet> = windows(uids.iter().filter_map(|uid| self.wanted.get(uid)));
        let mut alone: HashSet<u32> = HashSet::new();
        let mut sent: VecDeque<(Tag, NumberSet)> = VecDeque::new();
        let mut coming = Coming::Nothing;
        loop {
            while sent.len() < WINDOWS_MAX
                && let Some(set) = todo.pop_front()
            {
                let line = Line::new("UID FETCH").set(&set).word(item);
                sent.push_back((connection.session.send(line)?, set));
            }
            if sent.is_empty() {
                return Ok(());
            }
            match connection.event().await? {
                Event::Begin(size) => coming = self.begin(size).await?,
                Event::Piece(octets) => self.piece(&mut coming, &octets).await?,
                Event::End | Event::Greeting(_) | Event::Send | Event::Handshake => {}
                Event::Response(Response::Fetch(found)) => {
                    let body = std::mem::replace(&mut coming, Coming::Nothing);
                    let body = match (body, found.body) {
                        (Coming::Nothing, Some(body)) => Coming::Whole(body),
                        (Coming::Nothing, None) if found.no_body => Coming::Dropped,
                        (Coming::Nothing, None) => continue,
                        (body, _) => body,
                    };
                    self.came(found.uid, body, found.no_body).await?;
                }
                Event::Response(Response::Word(word)) if word.status == Status::Bye => return Err(goodbye(&word)),
                Event::Response(_) => {}
                Event::Done(done) => {
                    let at = sent.iter().position(|(tag, _)| *tag == done.tag);
                    let Some((_, set)) = at.and_then(|at| sent.remove(at)) else { continue };
                    self.ended(&set, done.word, &mut todo, &mut alone)?;
                }
            }
        }
    }

    /// A window ended. One that was refused is tried message by message, so that one that cannot be given does not
    /// keep others back.
    fn ended(
        &mut self,
        set: &NumberSet,
        word: postroad_imap::client::Word,
        todo: &mut VecDeque<NumberSet>,
        alone: &mut HashSet<u32>,
    ) -> Result<()> {
        let first = self.asking == Asking::First;
        let waits = |uid: &u32| self.wanted.contains_key(uid) && !(first && self.aside.contains_key(uid));
        let left: Vec<u32> = set.iter().filter(waits).collect();
        match succeeded(word) {
            // The first answer says what it can.
            Ok(_) if self.asking == Asking::Second => Ok(()),
            Ok(_) => {
                for uid in left {
                    // It was expunged meanwhile, or the server passes it over: asked for alone, that is told apart.
                    if set.count() > 1 && alone.insert(uid) {
                        todo.push_back(NumberSet::from_unsorted([uid]));
                    } else {
                        self.lost(uid, "the other server lists it and does not give it; it may be gone by now");
                    }
                }
                Ok(())
            }
            Err(Error::Refused(why)) => {
                for uid in left {
                    if set.count() > 1 && alone.insert(uid) {
                        todo.push_back(NumberSet::from_unsorted([uid]));
                    } else {
                        self.lost(uid, &format!("the other server does not give it: {why}"));
                    }
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn lost(&mut self, uid: u32, why: &str) {
        // The first answer is left.
        if self.asking == Asking::Second {
            return;
        }
        self.wanted.remove(&uid);
        self.report.differences.push(Difference { uid, message_id: None, why: why.to_owned() });
    }

    async fn begin(&mut self, size: u64) -> Result<Coming> {
        self.look = matches!(self.asking, Asking::First | Asking::Second).then(Look::default);
        if size <= WHOLE_MAX {
            return Ok(Coming::Whole(Vec::with_capacity(usize::try_from(size).unwrap_or(0))));
        }
        // Batches before it first: the desk takes one thing at a time.
        self.flush().await?;
        self.settle().await?;
        self.desk.ask(Request::Begin).await?;
        Ok(Coming::Large(Vec::new(), 0))
    }

    async fn piece(&mut self, coming: &mut Coming, octets: &[u8]) -> Result<()> {
        self.progress.octets += octets.len() as u64;
        self.watch.progress(*self.progress);
        if let Some(look) = &mut self.look {
            look.feed(octets);
        }
        match coming {
            Coming::Whole(body) => body.extend_from_slice(octets),
            Coming::Large(waiting, size) => {
                waiting.extend_from_slice(octets);
                *size += octets.len() as u64;
                if waiting.len() >= PIECE {
                    self.desk.begin(Request::Piece, std::mem::take(waiting))?.answer().await?;
                }
            }
            Coming::Nothing | Coming::Dropped => {}
        }
        Ok(())
    }

    /// A message is whole, and it is known which.
    async fn came(&mut self, uid: Option<u32>, body: Coming, refused: bool) -> Result<()> {
        let looked = self.look.take().map(Look::end);
        let settled = uid.is_some_and(|uid| self.settles(uid, looked));
        let meta = uid.filter(|_| settled).and_then(|uid| self.wanted.remove(&uid));
        let Some(meta) = meta else {
            if let Coming::Large(..) = body {
                self.desk.ask(Request::Abandon).await?;
            }
            return Ok(());
        };
        if refused {
            self.lost(meta.uid, "the other server says that it has no octets (NIL)");
            return Ok(());
        }
        let seen = self.aside.remove(&meta.uid);
        let meta = Meta { doubtful: self.asking == Asking::Last && seen.is_some(), ..meta };
        match body {
            Coming::Whole(body) => self.file(meta, body).await?,
            Coming::Large(waiting, size) => {
                self.desk.begin(Request::Piece, waiting)?.answer().await?;
                let message = Meta { size, ..meta };
                let request = Request::Complete { folder: self.folder, message: message.clone() };
                let answer = self.desk.ask(request).await?;
                self.filed(answer, &[message])?;
            }
            Coming::Nothing | Coming::Dropped => {}
        }
        Ok(())
    }

    /// Whether what came is the message. What may have NULs is set aside; a second answer counts when it differs in
    /// nothing else.
    fn settles(&mut self, uid: u32, looked: Option<Looked>) -> bool {
        match (self.asking, looked) {
            (Asking::First, Some(looked)) if looked.doubtful && self.wanted.contains_key(&uid) => {
                self.aside.insert(uid, looked);
                false
            }
            (Asking::Second, looked) => {
                self.aside.get(&uid).zip(looked).is_some_and(|(first, second)| first.shown == second.shown)
            }
            (Asking::Plain | Asking::First | Asking::Last, _) => true,
        }
    }

    /// Puts a message into the batch; one that is too large for that goes by itself.
    async fn file(&mut self, meta: Meta, body: Vec<u8>) -> Result<()> {
        let message = Meta { size: body.len() as u64, ..meta };
        if body.len() > BATCH_OCTETS {
            self.flush().await?;
            self.settle().await?;
            self.desk.ask(Request::Begin).await?;
            for piece in body.chunks(PIECE) {
                self.desk.begin(Request::Piece, piece.to_vec())?.answer().await?;
            }
            let request = Request::Complete { folder: self.folder, message: message.clone() };
            let answer = self.desk.ask(request).await?;
            return self.filed(answer, &[message]);
        }
        if self.octets.len() + body.len() > BATCH_OCTETS || self.batch.len() >= BATCH_MESSAGES {
            self.flush().await?;
        }
        self.batch.push(message);
        self.octets.extend_from_slice(&body);
        Ok(())
    }

    /// Hands the batch over, when the one before it is filed.
    async fn flush(&mut self) -> Result<()> {
        self.settle().await?;
        if !self.batch.is_empty() {
            let messages = std::mem::take(&mut self.batch);
            let request = Request::File { folder: self.folder, messages: messages.clone() };
            self.filing = Some((self.desk.begin(request, std::mem::take(&mut self.octets))?, messages));
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        if let Some((waiting, messages)) = self.filing.take() {
            let answer = waiting.answer().await?;
            self.filed(answer, &messages)?;
        }
        Ok(())
    }

    fn filed(&mut self, answer: Answer, messages: &[Meta]) -> Result<()> {
        let Answer::Filed { filed, refused, .. } = answer else { return Err(unexpected()) };
        self.report.taken += filed;
        self.report.bytes += messages.iter().map(|meta| meta.size).sum::<u64>();
        self.progress.messages += messages.len() as u64;
        for (uid, why) in refused {
            self.report.differences.push(Difference { uid, message_id: None, why: format!("not taken here: {why}") });
        }
        self.watch.progress(*self.progress);
        Ok(())
    }
}

/// Uids in windows: each a bounded number of messages and, as far as the server's sizes are true, of octets.
fn windows<'m>(wanted: impl Iterator<Item = &'m Meta>) -> VecDeque<NumberSet> {
    let mut all: Vec<(u32, u64)> = wanted.map(|meta| (meta.uid, meta.size)).collect();
    all.sort_unstable();
    let mut windows = VecDeque::new();
    let (mut set, mut octets) = (NumberSet::new(), 0u64);
    for (uid, size) in all {
        if !set.is_empty() && (set.count() >= WINDOW_MESSAGES || octets.saturating_add(size) > WINDOW_OCTETS) {
            windows.push_back(std::mem::take(&mut set));
            octets = 0;
        }
        set.insert(uid);
        octets = octets.saturating_add(size);
    }
    if !set.is_empty() {
        windows.push_back(set);
    }
    windows
}

/// Messages after which those are asked for again that were set aside.
const SET_ASIDE_MAX: usize = 500;
/// Commands on their way at once.
const WINDOWS_MAX: usize = 3;
const WINDOW_MESSAGES: u64 = 100;
const WINDOW_OCTETS: u64 = 2 * 1024 * 1024;
/// Larger messages are handed over in pieces.
const WHOLE_MAX: u64 = 1024 * 1024;
