//! The answers of SORT and THREAD (RFC 5256), updates of searches (RFC 5267), LANGUAGE and COMPARATOR (RFC 5255).

use crate::command::Tag;
use crate::encode::Writer;
use crate::encode::data::Results;
use crate::mailbox::MailboxName;
use crate::set::Numbering;

/// How a result that is being followed changed (RFC 5267 §4.3): applied one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextChange {
    /// `REMOVEFROM`: from this place, these. Place 0: wherever they are.
    Remove(u32, Results),
    /// `ADDTO`: at this place, these. Place 0: by the order of the mailbox.
    Add(u32, Results),
}

/// A piece of a THREAD response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadPiece {
    /// `(`.
    Open,
    /// A message.
    Number(u32),
    /// `)`.
    Close,
}

impl Writer<'_> {
    /// `* SORT n ..` and `(MODSEQ n)` (RFC 7162 §3.1.6); also when nothing was found.
    pub fn sort(&mut self, numbers: &[u32], mod_seq: Option<u64>) {
        self.raw(b"* SORT");
        for number in numbers {
            self.put(format_args!(" {number}"));
        }
        if let (false, Some(mod_seq)) = (numbers.is_empty(), mod_seq) {
            self.put(format_args!(" (MODSEQ {mod_seq})"));
        }
        self.end_line();
    }

    /// `* THREAD (..)(..)`: the tree as a walk, so that no depth of it is too deep. `* THREAD` when there is none.
    pub fn thread(&mut self, pieces: impl IntoIterator<Item = ThreadPiece>) {
        self.raw(b"* THREAD");
        let mut before = None;
        for piece in pieces {
            // thread-members = nz-number *(SP nz-number) [SP thread-nested]
            if matches!(before, None | Some(ThreadPiece::Number(_))) && piece != ThreadPiece::Close {
                self.raw(b" ");
            }
            match piece {
                ThreadPiece::Open => self.raw(b"("),
                ThreadPiece::Number(number) => self.put(format_args!("{number}")),
                ThreadPiece::Close => self.raw(b")"),
            }
            before = Some(piece);
        }
        self.end_line();
    }

    /// `* UIDBATCHES (TAG "..") high:low,..` (RFC 10022).
    pub fn uid_batches(&mut self, tag: &Tag, batches: &[(u32, u32)]) {
        self.raw(b"* UIDBATCHES (TAG ");
        self.string(tag.as_str().as_bytes());
        self.raw(b")");
        for (index, (high, low)) in batches.iter().enumerate() {
            self.put(format_args!("{}{high}:{low}", if index == 0 { ' ' } else { ',' }));
        }
        self.end_line();
    }

    /// `* ESEARCH (TAG "..") [UID] REMOVEFROM (..) ADDTO (..)`. Nothing when nothing changed. `mailbox`: with its name and
    /// UIDVALIDITY, as ESEARCH tells its results (RFC 7377 §2.1).
    pub fn context(
        &mut self,
        tag: &Tag,
        mailbox: Option<(&MailboxName, u32)>,
        numbering: Numbering,
        changes: &[ContextChange],
    ) {
        let mut changes = changes.iter().peekable();
        if changes.peek().is_none() {
            return;
        }
        self.raw(b"* ESEARCH (TAG ");
        self.string(tag.as_str().as_bytes());
        if let Some((name, uid_validity)) = mailbox {
            self.raw(b" MAILBOX ");
            self.mailbox(name);
            self.put(format_args!(" UIDVALIDITY {uid_validity}"));
        }
        self.raw(b")");
        match numbering {
            Numbering::Uid => self.raw(b" UID"),
            Numbering::Sequence => {}
        }
        while let Some(change) = changes.next() {
            let (name, place, results) = match change {
                ContextChange::Remove(place, results) => ("REMOVEFROM", place, results),
                ContextChange::Add(place, results) => ("ADDTO", place, results),
            };
            self.put(format_args!(" {name} ({place} {results}"));
            // Pairs of one kind share their parentheses.
            let alike = |next: &&ContextChange| std::mem::discriminant(*next) == std::mem::discriminant(change);
            while let Some(ContextChange::Remove(place, results) | ContextChange::Add(place, results)) =
                changes.next_if(alike)
            {
                self.put(format_args!(" {place} {results}"));
            }
            self.raw(b")");
        }
        self.end_line();
    }

    /// `* LANGUAGE (..)`: one tag is the language from now on, several are those to choose from.
    pub fn language(&mut self, tags: &[&str]) {
        self.raw(b"* LANGUAGE ");
        self.in_parentheses(tags, |writer, tag| writer.astring(tag.as_bytes()));
        self.end_line();
    }

    /// `* COMPARATOR active [(matched ..)]`: `matched` only when there are several.
    pub fn comparator(&mut self, active: &str, matched: &[&str]) {
        self.raw(b"* COMPARATOR ");
        self.astring(active.as_bytes());
        if matched.len() > 1 {
            self.raw(b" ");
            self.in_parentheses(matched, |writer, name| writer.astring(name.as_bytes()));
        }
        self.end_line();
    }
}
