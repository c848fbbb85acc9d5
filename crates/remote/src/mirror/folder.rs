//! One mailbox and its folder there.

use std::collections::{BTreeMap, HashMap};

use postroad_imap::NumberSet;
use postroad_imap::client::{Code, Line, Response};

use super::append::{Appending, Came, Target};
use super::{Layout, Wish};
use crate::connection::Connection;
use crate::desk::{Answer, BATCH_MESSAGES, Desk, Difference, Entry, MailboxState, Request, Row, Sent};
use crate::frame::unexpected;
use crate::migrate::{FolderReport, Progress, Watch, hashes};
use crate::{Error, Result};

/// A folder that is open there.
pub(super) struct Mirrored<'a> {
    pub(super) desk: &'a Desk,
    pub(super) wish: &'a Wish,
    pub(super) layout: &'a Layout,
    pub(super) id: i64,
    pub(super) wire: Vec<u8>,
    uidvalidity: u32,
    uidnext: u32,
    /// Keywords that the folder keeps; none for any.
    keywords: Option<Vec<String>>,
    marker: u32,
    /// An earlier run was broken off while it appended.
    resumed: bool,
    /// What is there by the rows, by uid here.
    rows: HashMap<u32, Row>,
    entries: Vec<Entry>,
    pub(super) report: FolderReport,
}

impl<'a> Mirrored<'a> {
    /// Makes the folder where it is missing, and opens it.
    pub(super) async fn open(
        line: &mut Connection,
        desk: &'a Desk,
        own: &MailboxState,
        layout: &'a Layout,
        wire: Vec<u8>,
        wish: &'a Wish,
    ) -> Result<Mirrored<'a>> {
        let there = layout.folders.iter().any(|folder| folder.wire == wire) || wire == b"INBOX";
        if !there {
            line.must(Line::new("CREATE").string(&wire), |_| ()).await?;
        }
        if own.subscribed && !there {
            line.run(Line::new("SUBSCRIBE").string(&wire), |_| ()).await?;
        }
        let mailbox = line.session.names().text(&wire);
        let report = FolderReport { folder: own.name.clone(), mailbox, new: !there, ..FolderReport::default() };
        let mut folder = Mirrored {
            desk,
            wish,
            id: own.folder.id,
            wire,
            layout,
            uidvalidity: 0,
            uidnext: 0,
            keywords: None,
            marker: own.folder.marker,
            resumed: own.folder.marker > 0,
            rows: HashMap::new(),
            entries: Vec::new(),
            report,
        };
        folder.select(line).await?;
        folder.known(own.folder.uidvalidity).await?;
        folder.listed().await?;
        Ok(folder)
    }

    /// Opens the folder, at first or once more.
    pub(super) async fn select(&mut self, line: &mut Connection) -> Result<()> {
        let (mut uidvalidity, mut uidnext, mut keywords) = (0, 0, None);
        line.must(Line::new("SELECT").string(&self.wire), |response| {
            if let Response::Word(word) = response {
                match word.code {
                    Some(Code::UidValidity(found)) => uidvalidity = found,
                    Some(Code::UidNext(found)) => uidnext = found,
                    Some(Code::PermanentFlags(flags)) if !flags.iter().any(|flag| flag == "\\*") => {
                        keywords = Some(flags);
                    }
                    _ => {}
                }
            }
        })
        .await?;
        if self.uidvalidity != 0 && self.uidvalidity != uidvalidity {
            return Err(Error::Refused(format!("{} was made anew meanwhile; run it again", self.report.mailbox)));
        }
        (self.uidvalidity, self.uidnext, self.keywords) = (uidvalidity, uidnext, keywords);
        Ok(())
    }

    /// What is known. Rows of another uidvalidity are void: everything there is looked at.
    async fn known(&mut self, before: u32) -> Result<()> {
        let mut rows = Vec::new();
        let mut from = 1;
        loop {
            let answer = self.desk.ask(Request::Known { folder: self.id, from }).await?;
            let Answer::Known { rows: page, next } = answer else { return Err(unexpected()) };
            rows.extend(page);
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        if before != 0 && before != self.uidvalidity {
            for page in rows.chunks(BATCH_MESSAGES) {
                let uids = page.iter().filter_map(|row| u32::try_from(row.uid).ok()).collect();
                self.desk.ask(Request::Forget { folder: self.id, uids }).await?;
            }
            rows.clear();
            self.marker = 1;
            self.mark(1).await?;
        }
        if before != self.uidvalidity {
            let (folder, uidvalidity) = (self.id, self.uidvalidity);
            self.desk.ask(Request::Finish { folder, uidvalidity, modseq: 0 }).await?;
        }
        let by_uid = |row: Row| u32::try_from(row.uid).ok().map(|uid| (uid, row));
        self.rows = rows.into_iter().filter_map(by_uid).collect();
        Ok(())
    }

    async fn listed(&mut self) -> Result<()> {
        let mut from = 1;
        loop {
            let answer = self.desk.ask(Request::Entries { folder: self.id, from }).await?;
            let Answer::Entries { entries, next } = answer else { return Err(unexpected()) };
            self.entries.extend(entries);
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        self.report.there = self.entries.len() as u64;
        Ok(())
    }

    async fn mark(&mut self, marker: u32) -> Result<()> {
        self.marker = marker;
        self.desk.ask(Request::Mark { folder: self.id, marker }).await.map(|_| ())
    }

    pub(super) async fn run(
        &mut self,
        line: &mut Connection,
        progress: &mut Progress,
        watch: &mut impl Watch,
    ) -> Result<()> {
        let new: Vec<Entry> =
            self.entries.iter().filter(|entry| !self.rows.contains_key(&entry.uid)).cloned().collect();
        progress.messages += (self.entries.len() - new.len()) as u64;
        if !new.is_empty() {
            self.append(line, new, progress, watch).await?;
        }
        if self.resumed {
            self.late(line).await?;
        }
        self.flags(line).await?;
        self.removals(line).await?;
        if self.marker != 0 {
            self.mark(0).await?;
        }
        self.prove(line).await
    }

    async fn append(
        &mut self,
        line: &mut Connection,
        mut new: Vec<Entry>,
        progress: &mut Progress,
        watch: &mut impl Watch,
    ) -> Result<()> {
        // Those that an earlier run sent without hearing of it.
        let mut adoptable = if self.marker > 0 { self.unknown(line).await? } else { HashMap::new() };
        if self.marker == 0 {
            self.mark(self.uidnext.max(1)).await?;
        }
        if !adoptable.is_empty() {
            new = self.adopt(new, &mut adoptable).await?;
        }
        let before = new.len();
        new = self.copy(line, new).await?;
        progress.messages += (before - new.len()) as u64;
        let (desk, id, wire) = (self.desk, self.id, self.wire.as_slice());
        let target = Target { desk, id, wire, keywords: self.keywords.as_deref() };
        let mut appending = Appending::new(target, progress, watch);
        let outcome = appending.run(line, new).await;
        let Came { sent, silent, refused, .. } = appending.finish().await?;
        self.report.taken += sent.len() as u64 + silent.len() as u64;
        self.report.bytes += sent.iter().chain(&silent).map(|sent| sent.size).sum::<u64>();
        self.know(sent);
        outcome?;
        self.report.differences.extend(refused);
        if !silent.is_empty() {
            // Without UIDPLUS nobody says where they are: they are found by their checksums.
            let found = self.unknown(line).await?;
            self.place(silent, found).await?;
        }
        Ok(())
    }

    /// Messages there that no row knows, from the marker on: uids by checksum.
    async fn unknown(&self, line: &mut Connection) -> Result<HashMap<String, Vec<u32>>> {
        let mut there: Vec<u32> = Vec::new();
        line.must(Line::new("UID SEARCH ALL"), |response| {
            if let Response::Search(found) = response {
                there.extend(found.iter().filter(|uid| *uid >= self.marker));
            }
        })
        .await?;
        let known: std::collections::HashSet<u32> = self.rows.values().map(|row| row.other).collect();
        there.retain(|uid| !known.contains(uid));
        let mut found: HashMap<String, Vec<u32>> = HashMap::new();
        for (uid, hash) in hashes(line, &there).await? {
            found.entry(hash).or_default().push(uid);
        }
        // The last of a list is taken first: equal ones keep their order.
        found.values_mut().for_each(|uids| uids.sort_unstable_by(|a, b| b.cmp(a)));
        Ok(found)
    }

    /// The connection that broke may have had APPENDs that the server took up only after it was asked what there is: what is
    /// there once more than it is here, octet for octet, since the marker, goes.
    async fn late(&mut self, line: &mut Connection) -> Result<()> {
        let known: std::collections::HashSet<String> = self.rows.values().map(|row| row.hash.clone()).collect();
        let found = self.unknown(line).await?;
        let twice: Vec<u32> =
            found.into_iter().filter(|(hash, _)| known.contains(hash)).flat_map(|(_, uids)| uids).collect();
        for page in twice.chunks(BATCH_MESSAGES) {
            remove(line, &NumberSet::from_unsorted(page.iter().copied())).await?;
        }
        Ok(())
    }

    /// Messages that are there already are written down; the others are given back.
    async fn adopt(&mut self, new: Vec<Entry>, found: &mut HashMap<String, Vec<u32>>) -> Result<Vec<Entry>> {
        let (mut left, mut known) = (Vec::new(), Vec::new());
        for entry in new {
            if found.is_empty() {
                // They were the first ones, so that the others need not be read for it.
                left.push(entry);
                continue;
            }
            let hash = super::append::hash(self.desk, self.id, &entry).await?;
            let other = found.get_mut(&hash).and_then(Vec::pop);
            found.retain(|_, uids| !uids.is_empty());
            match other {
                Some(other) => {
                    let (uid, size, message) = (entry.uid, entry.size, entry.message);
                    known.push(Sent { uid, other, hash, size, marks: String::new(), message });
                }
                None => left.push(entry),
            }
        }
        for page in known.chunks(BATCH_MESSAGES) {
            self.desk.ask(Request::Sent { folder: self.id, messages: page.to_vec() }).await?;
        }
        self.know(known);
        Ok(left)
    }

    async fn place(&mut self, silent: Vec<Sent>, mut found: HashMap<String, Vec<u32>>) -> Result<()> {
        let mut placed = Vec::new();
        for sent in silent {
            match found.get_mut(&sent.hash).and_then(Vec::pop) {
                Some(other) => placed.push(Sent { other, ..sent }),
                None => self.report.differences.push(Difference {
                    uid: sent.uid,
                    message_id: None,
                    why: "it was sent, and is not there octet for octet".into(),
                }),
            }
        }
        for page in placed.chunks(BATCH_MESSAGES) {
            self.desk.ask(Request::Sent { folder: self.id, messages: page.to_vec() }).await?;
        }
        self.know(placed);
        Ok(())
    }

    /// Messages that are there, written down.
    pub(super) fn know(&mut self, sent: Vec<Sent>) {
        self.rows.extend(sent.into_iter().map(|sent| (sent.uid, row(sent))));
    }

    /// Flags that changed here are set there.
    async fn flags(&mut self, line: &mut Connection) -> Result<()> {
        let mut groups: BTreeMap<String, Vec<(Entry, Row)>> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(row) = self.rows.get(&entry.uid).filter(|row| row.marks != entry.marks) {
                groups.entry(entry.marks.clone()).or_default().push((entry.clone(), row.clone()));
            }
        }
        for (marks, changed) in groups {
            for page in changed.chunks(BATCH_MESSAGES) {
                let uids = NumberSet::from_unsorted(page.iter().map(|(_, row)| row.other));
                let flags = super::append::flags(&marks, self.keywords.as_deref());
                let stored = Line::new("UID STORE").set(&uids).word("FLAGS.SILENT").flags(flags);
                line.must(stored, |_| ()).await?;
                let sent = |(entry, row): &(Entry, Row)| Sent {
                    uid: entry.uid,
                    message: entry.message,
                    other: row.other,
                    hash: row.hash.clone(),
                    size: row.size,
                    marks: marks.clone(),
                };
                self.report.flags += page.len() as u64;
                self.desk.ask(Request::Sent { folder: self.id, messages: page.iter().map(sent).collect() }).await?;
            }
        }
        Ok(())
    }

    /// What went here goes there, and nothing that no mirror put there.
    async fn removals(&mut self, line: &mut Connection) -> Result<()> {
        let here: std::collections::HashSet<u32> = self.entries.iter().map(|entry| entry.uid).collect();
        let gone: Vec<(u32, u32)> =
            self.rows.iter().filter(|(uid, _)| !here.contains(uid)).map(|(uid, row)| (*uid, row.other)).collect();
        for page in gone.chunks(BATCH_MESSAGES) {
            if !self.wish.keep_deleted {
                let uids = NumberSet::from_unsorted(page.iter().map(|(_, other)| *other));
                remove(line, &uids).await?;
            }
            let uids: Vec<u32> = page.iter().map(|(uid, _)| *uid).collect();
            uids.iter().for_each(|uid| drop(self.rows.remove(uid)));
            self.report.gone += uids.len() as u64;
            self.desk.ask(Request::Forget { folder: self.id, uids }).await?;
        }
        Ok(())
    }

    /// Every message is fetched from there and compared with what was sent.
    async fn prove(&mut self, line: &mut Connection) -> Result<()> {
        let mut rows: Vec<(u32, Row)> = self.rows.iter().map(|(uid, row)| (*uid, row.clone())).collect();
        rows.sort_unstable_by_key(|(_, row)| row.other);
        for page in rows.chunks(PAGE) {
            let uids: Vec<u32> = page.iter().map(|(_, row)| row.other).collect();
            let found = hashes(line, &uids).await?;
            for (uid, row) in page {
                let why = match found.get(&row.other) {
                    Some(hash) if *hash == row.hash => {
                        self.report.here += 1;
                        self.report.equal += 1;
                        continue;
                    }
                    Some(_) => {
                        self.report.here += 1;
                        "the other server gives other octets than it was sent"
                    }
                    None => {
                        // It comes again with the next run.
                        self.desk.ask(Request::Forget { folder: self.id, uids: vec![*uid] }).await?;
                        "it is gone there; the next run sends it again"
                    }
                };
                self.report.differences.push(Difference { uid: *uid, message_id: None, why: why.into() });
            }
        }
        if self.uidvalidity == 0 {
            return Err(Error::Peer(format!("{} has no uidvalidity", self.report.mailbox)));
        }
        Ok(())
    }
}

/// Without UIDPLUS, EXPUNGE would take what others marked too: messages are marked, and theirs is left to them.
async fn remove(line: &mut Connection, uids: &NumberSet) -> Result<()> {
    let deleted = Line::new("UID STORE").set(uids).word("+FLAGS.SILENT").flags(["\\Deleted"]);
    line.must(deleted, |_| ()).await?;
    if line.session.has("UIDPLUS") {
        line.must(Line::new("UID EXPUNGE").set(uids), |_| ()).await?;
    }
    Ok(())
}

fn row(sent: Sent) -> Row {
    Row { uid: i64::from(sent.uid), other: sent.other, marks: sent.marks, hash: sent.hash, size: sent.size }
}

/// Messages that are compared together.
const PAGE: usize = 5_000;
