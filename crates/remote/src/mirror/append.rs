//! Messages are appended there, several on their way at once where the server takes literals without asking.

use std::collections::VecDeque;

use postroad_imap::DateTime;
use postroad_imap::client::{Code, Event, Line, Response, Status, Tag, Word};

use super::unexpected;
use crate::connection::{Connection, goodbye, succeeded};
use crate::desk::{Answer, Desk, Difference, Entry, PIECE, Request, Sent};
use crate::migrate::{Progress, Watch};
use crate::{Error, Result};

/// APPENDs of one folder.
pub(super) struct Appending<'a, W> {
    desk: &'a Desk,
    id: i64,
    wire: Vec<u8>,
    keywords: Option<&'a [String]>,
    progress: &'a mut Progress,
    watch: &'a mut W,
    /// On their way.
    pending: VecDeque<(Tag, Sent)>,
    /// There, and not yet written down.
    fresh: Vec<Sent>,
    /// There, and written down.
    sent: Vec<Sent>,
    /// There, but nobody said where.
    silent: Vec<Sent>,
    refused: Vec<Difference>,
}

impl<'a, W: Watch> Appending<'a, W> {
    pub(super) fn new(
        desk: &'a Desk,
        id: i64,
        wire: Vec<u8>,
        keywords: Option<&'a [String]>,
        progress: &'a mut Progress,
        watch: &'a mut W,
    ) -> Appending<'a, W> {
        let pending = VecDeque::new();
        let (fresh, sent, silent, refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Appending { desk, id, wire, keywords, progress, watch, pending, fresh, sent, silent, refused }
    }

    /// Appends all; messages that are refused are named.
    pub(super) async fn run(&mut self, line: &mut Connection, entries: Vec<Entry>) -> Result<Vec<Difference>> {
        for entry in entries {
            if entry.size == 0 {
                // RFC 9051 §6.3.12: an APPEND without octets is none.
                let why = "a message without octets cannot be carried".to_owned();
                self.refused.push(Difference { uid: entry.uid, message_id: None, why });
                continue;
            }
            self.one(line, &entry).await?;
            while self.pending.len() >= PENDING_MAX {
                self.event(line).await?;
            }
        }
        while !self.pending.is_empty() {
            self.event(line).await?;
        }
        Ok(std::mem::take(&mut self.refused))
    }

    /// Writes down what is there: messages with their places, and those of which none was told.
    pub(super) async fn finish(mut self) -> Result<(Vec<Sent>, Vec<Sent>)> {
        self.write_down().await?;
        Ok((self.sent, self.silent))
    }

    async fn one(&mut self, line: &mut Connection, entry: &Entry) -> Result<()> {
        // RFC 9051 §6.3.12: in UTC, which is a moment like any other.
        let date = DateTime { seconds: entry.date.div_euclid(1_000_000), offset: 0 };
        let command = Line::new("APPEND")
            .string(&self.wire)
            .flags(flags(&entry.marks, self.keywords))
            .word(&format!("\"{}\"", date.format()))
            .message(entry.size);
        let tag = line.session.send(command)?;
        let (uid, size, marks) = (entry.uid, entry.size, entry.marks.clone());
        self.pending.push_back((tag, Sent { uid, other: 0, hash: String::new(), size, marks }));
        // Until the server takes it, or has refused it.
        while self.pending.iter().any(|(own, _)| *own == tag) {
            if self.event(line).await? {
                let hash = self.octets(line, entry).await?;
                if let Some((_, sent)) = self.pending.iter_mut().find(|(own, _)| *own == tag) {
                    sent.hash = hash;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// The octets of the message that is asked for; their checksum.
    async fn octets(&mut self, line: &mut Connection, entry: &Entry) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < entry.size {
            let octets = piece(self.desk, self.id, entry.uid, at).await?;
            let octets = &octets[..octets.len().min(usize::try_from(entry.size - at).unwrap_or(usize::MAX))];
            if octets.is_empty() {
                return Err(Error::Here(format!("uid {} is cut short in the store", entry.uid)));
            }
            hasher.update(octets);
            at += octets.len() as u64;
            line.session.octets(octets);
            line.flush().await?;
            self.progress.octets += octets.len() as u64;
            self.watch.progress(*self.progress);
        }
        line.session.octets(&[]);
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

    async fn ended(&mut self, sent: Sent, word: Word) -> Result<()> {
        let uid = sent.uid;
        match succeeded(word) {
            Ok(Word { code: Some(Code::AppendUid(_, uids)), .. }) => {
                self.fresh.push(Sent { other: uids.first().unwrap_or(0), ..sent });
            }
            Ok(_) => self.silent.push(sent),
            Err(Error::Refused(why)) if why.to_ascii_lowercase().contains("quota") => {
                return Err(Error::User(format!("the other server has no more room: {why}")));
            }
            Err(Error::Refused(why)) => {
                let why = format!("the other server does not take it: {why}");
                self.refused.push(Difference { uid, message_id: None, why });
            }
            Err(error) => return Err(error),
        }
        self.progress.messages += 1;
        self.watch.progress(*self.progress);
        if self.fresh.len() >= WRITTEN_AT_ONCE { self.write_down().await } else { Ok(()) }
    }

    async fn write_down(&mut self) -> Result<()> {
        if !self.fresh.is_empty() {
            self.desk.ask(Request::Sent { folder: self.id, messages: self.fresh.clone() }).await?;
            self.sent.append(&mut self.fresh);
        }
        Ok(())
    }
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

/// APPENDs without an answer.
const PENDING_MAX: usize = 32;
const WRITTEN_AT_ONCE: usize = 50;
