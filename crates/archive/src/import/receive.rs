//! The side of an import that has the store.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use postroad_mail::{Actor, By, Intake, Source};
use postroad_message::Limits;
use postroad_store::{AccountId, Store, Timestamp};

use super::batch::{Desk, Job, Part, Raw, ready};
use super::places::{Target, place};
use super::proof::Expected;
use super::{Announced, Event, Meta, Options};
use crate::newline::{self, Newlines};
use crate::source::FOLDERS_MAX;
use crate::wire::{self, Kind};
use crate::{Error, Result};

/// Takes what [`super::send`] sends into an account until it ends. Blocks on the store. `now` is the time that
/// messages are said to be saved at. What came whole is filed also when the connection breaks.
///
/// Memory: [`PARTS_WAITING`] parts of at most [`PART_BYTES`] and one message each, and a batch.
pub fn receive(
    store: &Store,
    account: AccountId,
    options: &Options,
    now: Timestamp,
    from: impl Read,
    to: impl Write + Send,
) -> Result<()> {
    let desk = Desk { store, account, by: By::new(now, Actor::Admin), options, to: Mutex::new(to) };
    let (jobs, todo) = sync_channel::<Job>(PARTS_WAITING);
    let (order, parts) = sync_channel::<Receiver<Part>>(PARTS_WAITING);
    // Owned by those who parse: when all have given up nobody waits for them.
    let todo = Arc::new(Mutex::new(todo));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(THREADS_MAX);
    let outcome = std::thread::scope(|scope| {
        let desk = &desk;
        let parser = |todo| scope.spawn(move || desk.parse(&todo));
        let parsers: Vec<_> = std::iter::repeat_n(todo, threads).map(parser).collect();
        let filer = scope.spawn(move || desk.file(&parts));
        let mut reader = Reader {
            desk,
            jobs,
            order,
            part: Vec::new(),
            bytes: 0,
            target: None,
            counts: HashMap::new(),
            placed: HashMap::new(),
            salt: None,
            keywords: HashSet::new(),
            expected: Vec::new(),
        };
        let read = reader.run(from);
        drop(reader);
        // The first cause is told: a reader whose threads ended sees only that they are gone.
        let panicked = || Err(Error::Peer("a thread of the import panicked".into()));
        let mut outcomes = vec![filer.join().unwrap_or_else(|_| panicked())];
        outcomes.extend(parsers.into_iter().map(|parser| parser.join().unwrap_or_else(|_| panicked())));
        outcomes.push(read);
        outcomes.into_iter().collect::<Result<Vec<()>>>()
    });
    match outcome {
        Ok(_) => {
            desk.tell(&Event::Done)?;
            Ok(())
        }
        Err(error) => {
            // Who has gone need not hear it.
            let _ = desk.tell(&Event::Failed { why: error.to_string() });
            Err(error)
        }
    }
}

/// Puts frames together to parts.
struct Reader<'a, 'd, W> {
    desk: &'d Desk<'a, W>,
    jobs: SyncSender<Job>,
    order: SyncSender<Receiver<Part>>,
    part: Vec<Raw>,
    bytes: usize,
    target: Option<Target>,
    /// How often bytes with this hash came in this folder: 24 bytes for each message of it.
    counts: HashMap<[u8; 16], u32>,
    /// Folders by the mailboxes that they went to.
    placed: HashMap<String, Vec<String>>,
    /// Told apart from the messages of another folder that went to the same mailbox.
    salt: Option<[u8; 32]>,
    /// Keywords of this import.
    keywords: HashSet<String>,
    /// Messages to be compared with what is stored.
    expected: Vec<Expected>,
}

impl<W: Write + Send> Reader<'_, '_, W> {
    fn run(&mut self, mut from: impl Read) -> Result<()> {
        let outcome = self.frames(&mut from);
        // What came whole is taken, whatever came then.
        let flushed = self.flush();
        outcome.and(flushed)
    }

    fn frames(&mut self, from: &mut impl Read) -> Result<()> {
        loop {
            let (kind, frame) = wire::read(from)?;
            match kind {
                Kind::Folder => self.folder(wire::parse(&frame)?)?,
                Kind::Message => {
                    let (meta, bytes) = wire::split_message(&frame)?;
                    self.message(meta, bytes)?;
                }
                Kind::Begin => self.large(wire::parse(&frame)?, from)?,
                Kind::End => return Ok(()),
                Kind::Piece | Kind::Complete | Kind::Abandon | Kind::Event => {
                    return Err(Error::Peer("a frame came where it cannot be".into()));
                }
            }
        }
    }

    fn folder(&mut self, folder: Announced) -> Result<()> {
        self.flush()?;
        self.counts.clear();
        if self.placed.len() >= FOLDERS_MAX {
            return Err(Error::Peer("more folders came than a source has".into()));
        }
        let levels = folder.levels.clone();
        let (target, event) = place(self.desk.store, &self.desk.by, self.desk.account, self.desk.options, folder)?;
        let salt = *blake3::hash(levels.join("/").as_bytes()).as_bytes();
        let first = self.placed.entry(target.name.clone()).or_insert_with(|| levels.clone());
        self.salt = Some(salt).filter(|_| *first != levels);
        self.target = Some(target);
        self.desk.tell(&event)
    }

    fn message(&mut self, meta: Meta, bytes: &[u8]) -> Result<()> {
        let (bytes, crlf) = match newline::of(bytes) {
            Newlines::Lf => (newline::to_crlf(bytes), meta.was_crlf),
            Newlines::Crlf => (bytes.to_vec(), true),
            Newlines::None | Newlines::Mixed => (bytes.to_vec(), false),
        };
        let hash = *blake3::hash(&bytes).as_bytes();
        let source = self.source(hash);
        if self.desk.options.prove {
            return self.expect(Expected { label: meta.label, source, hash, size: bytes.len() as u64 });
        }
        let meta = self.bounded(meta)?;
        self.bytes += bytes.len();
        self.part.push(Raw { meta, bytes, crlf, source });
        if self.part.len() >= PART_MESSAGES || self.bytes >= PART_BYTES { self.flush() } else { Ok(()) }
    }

    /// A message that is streamed.
    fn large(&mut self, meta: Meta, from: &mut impl Read) -> Result<()> {
        self.flush()?;
        let mut intake = Intake::new(self.desk.store.upload(), Limits::default());
        let mut hasher = blake3::Hasher::new();
        let (mut refused, mut size) = (None, 0);
        loop {
            let (kind, piece) = wire::read(from)?;
            match kind {
                Kind::Piece => {
                    let piece = if meta.lf { newline::to_crlf(&piece) } else { piece };
                    hasher.update(&piece);
                    size += piece.len() as u64;
                    if refused.is_none() && self.desk.options.writes() {
                        refused = match intake.feed(&piece) {
                            Ok(_) => None,
                            Err(postroad_mail::Error::Message(why)) => Some(why),
                            Err(error) => return Err(error.into()),
                        };
                    }
                }
                Kind::Complete => break,
                Kind::Abandon => return Ok(()),
                Kind::Folder | Kind::Message | Kind::Begin | Kind::Event | Kind::End => {
                    return Err(Error::Peer("a frame came where it cannot be".into()));
                }
            }
        }
        if let Some(why) = refused {
            return self.desk.tell(&Event::Refused { label: meta.label, why: why.into() });
        }
        let hash = *hasher.finalize().as_bytes();
        let source = self.source(hash);
        if self.desk.options.prove {
            return self.expect(Expected { label: meta.label, source, hash, size });
        }
        let target = self.target()?;
        let mut part = Part { ready: Vec::new(), known: 0, would: (0, 0), target };
        if self.desk.known(part.target.mailbox, vec![source])?.contains(&source) {
            part.known = 1;
        } else if self.desk.options.dry_run {
            part.would = (1, size);
        } else {
            let crlf = meta.crlf || (meta.lf && meta.was_crlf);
            let meta = self.bounded(meta)?;
            part.ready.push(ready(meta, intake.finish(Vec::new())?, crlf, source));
        }
        let (reply, answer) = sync_channel(1);
        reply.send(part).map_err(|_| gone())?;
        self.order.send(answer).map_err(|_| gone())
    }

    /// What a message is recognised by: equal ones of a folder are counted, and those of two folders told apart.
    fn source(&mut self, hash: [u8; 32]) -> Source {
        let mut own = [0; 16];
        own.copy_from_slice(&hash[..16]);
        let count = self.counts.entry(own).or_insert(0);
        *count += 1;
        if *count > 1 || self.salt.is_some() {
            let salt = self.salt.as_ref().map_or(&[][..], |salt| salt);
            let again = blake3::hash(&[&hash[..], &count.to_le_bytes(), salt].concat());
            own.copy_from_slice(&again.as_bytes()[..16]);
        }
        Source(own)
    }

    /// Without keywords beyond what one import may bring: mailboxes know a limited number.
    fn bounded(&mut self, mut meta: Meta) -> Result<Meta> {
        let before = meta.keywords.len();
        let known = &mut self.keywords;
        meta.keywords.retain(|keyword| {
            let folded = keyword.to_ascii_lowercase();
            known.contains(&folded) || (known.len() < KEYWORDS_MAX && known.insert(folded))
        });
        if meta.keywords.len() < before {
            let why = format!("taken without some of its keywords: more than {KEYWORDS_MAX} in all");
            self.desk.tell(&Event::Refused { label: meta.label.clone(), why })?;
        }
        Ok(meta)
    }

    fn target(&self) -> Result<Target> {
        self.target.clone().ok_or_else(|| Error::Peer("a message came before its folder".into()))
    }

    fn expect(&mut self, expected: Expected) -> Result<()> {
        self.expected.push(expected);
        if self.expected.len() >= COMPARED_MESSAGES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if !self.expected.is_empty() {
            let expected = std::mem::take(&mut self.expected);
            return self.desk.compare(self.target()?.mailbox, expected);
        }
        if self.part.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let (reply, answer) = sync_channel(1);
        let job = Job { target: self.target()?, messages: std::mem::take(&mut self.part), reply };
        self.order.send(answer).map_err(|_| gone())?;
        self.jobs.send(job).map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::Peer("the import has ended".into())
}

/// Messages parsed together.
const PART_MESSAGES: usize = 32;
/// Messages compared together.
const COMPARED_MESSAGES: usize = 250;
/// Bytes parsed together.
const PART_BYTES: usize = 512 * 1024;
/// Parts that wait to be parsed or filed.
const PARTS_WAITING: usize = 16;
/// More threads would outrun the database.
const THREADS_MAX: usize = 8;
/// Different keywords that one import may bring.
const KEYWORDS_MAX: usize = 1_000;
