//! What changes of an entry (flags, keywords, modseq), and its size, in pages of [`PAGE`] uids each: a change of ten thousand
//! entries writes eighty rows, and whoever lists flags reads as few.
//!
//! Invariants:
//! 1. A uid stands in its page exactly when `entry` has a row of it, with the same size (`audit` compares).
//! 2. `runs` has a line for each run of uids that are alike, rising: `LOW[-HIGH] FLAGS MODSEQ[ KEYWORDS ]`, where `LOW` and `HIGH` are
//!    places in the page from 0, `FLAGS` their bits, and keywords have a space on both sides, as [`crate::Keywords::as_stored`]. Between
//!    `LOW` and `HIGH` there is no gap.
//! 3. `sizes` has the octets of each entry, rising by uid, with a space behind each.
//! 4. `entries`, `unseen` and `deleted` count the page's.
//!
//! New entries have higher uids than all there are, so they are added to the end of their page without reading it. Whoever changes
//! or removes some reads their pages and writes them again, under the account's lock.
//!
//! What it never does: write `entry`, the mailbox's counters or the journal.

use std::collections::HashMap;
use std::ops::ControlFlow;

use postroad_store::{AccountId, ModSeq, Param, ReadTx, WriteTx, params};

use crate::keyword::alike;
use crate::selected::{self, Before, LIST_MAX};
use crate::view::Glance;
use crate::{Error, Flags, MailboxId, Result, UidSet, sql};

/// Uids of a page. PostgreSQL stores rows of up to 2 KB as they are; a page that was filled by single deliveries stays below.
pub(crate) const PAGE: u32 = 128;

/// In `V7` of the schema pages are made of entries by the same rule.
pub(crate) fn page_of(uid: u32) -> u32 {
    uid / PAGE
}

/// The lowest uid that a page can have. Errors: `Corrupt`.
fn first_of(page: u32) -> postroad_store::Result<u32> {
    page.checked_mul(PAGE).ok_or_else(|| broken(page))
}

/// Which pages a statement is about: those that `uids` may lie in.
struct Pages {
    clause: &'static str,
    list: Vec<i64>,
    ends: (u32, u32),
}

impl Pages {
    fn of(uids: &UidSet) -> Pages {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (low, high) in uids.ranges().iter().map(|(low, high)| (page_of(*low), page_of(*high))) {
            match ranges.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = high,
                Some(_) | None => ranges.push((low, high)),
            }
        }
        let ends = (ranges.first().map_or(1, |first| first.0), ranges.last().map_or(0, |last| last.1));
        let count: u64 = ranges.iter().map(|(low, high)| u64::from(high - low) + 1).sum();
        if ranges.len() < 2 || count > LIST_MAX as u64 {
            return Pages { clause: "page BETWEEN $3 AND $4", list: Vec::new(), ends };
        }
        let list = ranges.iter().flat_map(|&(low, high)| low..=high).map(i64::from).collect();
        Pages { clause: "page {in:$3}", list, ends }
    }

    fn params(&self, account: AccountId, mailbox: MailboxId) -> Vec<Param<'_>> {
        let mut params = vec![Param::from(account), Param::from(mailbox)];
        match self.list.is_empty() {
            true => params.extend([Param::from(self.ends.0), Param::from(self.ends.1)]),
            false => params.push(Param::from(&self.list)),
        }
        params
    }
}

/// Answers for rising uids whether a set has them.
struct Within<'a> {
    ranges: &'a [(u32, u32)],
}

impl Within<'_> {
    fn has(&mut self, uid: u32) -> bool {
        while let [(low, high), rest @ ..] = self.ranges {
            if uid <= *high {
                return uid >= *low;
            }
            self.ranges = rest;
        }
        false
    }
}

/// Which pages are worth reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Having {
    All,
    /// Only those with entries that have `\Deleted`.
    Deleted,
    /// Only those with entries without `\Seen`.
    Unseen,
}

impl Having {
    fn clause(self) -> (&'static str, &'static str) {
        match self {
            Having::All => ("", ""),
            Having::Deleted => ("{by:entry_page_deleted}", "AND deleted > 0"),
            Having::Unseen => ("", "AND unseen > 0"),
        }
    }
}

/// Shows the entries of `uids` by uid, until `Break`; no statement can run meanwhile. One statement for each [`AT_ONCE`] pages, for
/// PostgreSQL sends all that it is asked for. False when `each` broke it off.
pub(crate) fn each(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    having: Having,
    mut each: impl FnMut(Glance<'_>) -> ControlFlow<()>,
) -> Result<bool> {
    let mut within = Within { ranges: uids.ranges() };
    let (by, and) = having.clause();
    let (mut broken, mut rest) = (false, Some(uids.clone()));
    while let Some(uids) = rest.take().filter(|uids| !uids.is_empty()) {
        let pages = Pages::of(&uids);
        let text = format!(
            "SELECT page, runs, sizes FROM entry_page {by}
             WHERE account = $1 AND mailbox = $2 AND {} {and} ORDER BY page LIMIT {AT_ONCE}",
            pages.clause
        );
        let (mut read, mut last) = (0, 0);
        tx.each(&text, &pages.params(account, mailbox), |row| {
            (read, last) = (read + 1, sql::small(row, 0)?);
            let flow = decode(last, row.str(1)?, row.str(2)?, |entry| match within.has(entry.uid) {
                true => each(entry),
                false => ControlFlow::Continue(()),
            })?;
            broken = flow.is_break();
            Ok(flow)
        })?;
        if let (false, true, Some(next)) = (broken, read == AT_ONCE, (last + 1).checked_mul(PAGE)) {
            rest = Some(uids.intersection(&UidSet::range(next, u32::MAX)));
        }
    }
    Ok(!broken)
}

/// Pages that one statement reads: 32,768 uids.
const AT_ONCE: u32 = 256;

/// All uids of a mailbox, rising. One statement.
pub(crate) fn uids(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    tx.each(
        "SELECT page, runs FROM entry_page WHERE account = $1 AND mailbox = $2 ORDER BY page",
        params![account, mailbox],
        |row| {
            let page = sql::small(row, 0)?;
            let first = first_of(page)?;
            for run in Runs(row.str(1)?.as_bytes()) {
                let run = run.ok_or_else(|| broken(page))?;
                found.extend(first + run.low..=first + run.high);
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(found)
}

/// Shows the uids at or behind `from` of entries without `\Seen`, rising within each page, the pages by `order`, `most` of them, until
/// `Break`. One statement.
pub(crate) fn each_unseen(
    tx: &ReadTx,
    account: AccountId,
    mailbox: MailboxId,
    (order, from, most): (&str, u32, u32),
    mut each: impl FnMut(&[u32]) -> ControlFlow<()>,
) -> Result<()> {
    let text = format!(
        "SELECT page, runs FROM entry_page
         WHERE account = $1 AND mailbox = $2 AND page >= $3 AND unseen > 0 ORDER BY page {order} LIMIT $4"
    );
    let mut uids = Vec::new();
    tx.each(&text, params![account, mailbox, page_of(from), most], |row| {
        let page = sql::small(row, 0)?;
        let first = first_of(page)?;
        uids.clear();
        for run in Runs(row.str(1)?.as_bytes()) {
            let run = run.ok_or_else(|| broken(page))?;
            if !run.flags.contains(Flags::SEEN) {
                uids.extend((first + run.low..=first + run.high).filter(|uid| *uid >= from));
            }
        }
        Ok(each(&uids))
    })?;
    Ok(())
}

/// How many entries a mailbox has before `uid`. One statement, which reads a page.
pub(crate) fn before(tx: &ReadTx, account: AccountId, mailbox: MailboxId, uid: u32) -> Result<u32> {
    let page = page_of(uid);
    let mut count = 0;
    tx.each(
        "SELECT page, runs, entries FROM entry_page WHERE account = $1 AND mailbox = $2 AND page = $3
         UNION ALL
         SELECT CAST(-1 AS BIGINT), '', CAST(COALESCE(sum(entries), 0) AS BIGINT) FROM entry_page
         WHERE account = $1 AND mailbox = $2 AND page < $3",
        params![account, mailbox, page],
        |row| {
            if row.int(0)? < 0 {
                count += sql::small(row, 2)?;
                return Ok(ControlFlow::Continue(()));
            }
            for run in Runs(row.str(1)?.as_bytes()) {
                let run = run.ok_or_else(|| broken(page))?;
                count += (run.high + 1).min(uid - page * PAGE).saturating_sub(run.low);
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(count)
}

/// Adds new entries, whose uids rise and are higher than all that the mailbox has. One statement.
pub(crate) fn append<'a>(
    tx: &mut WriteTx,
    place: (AccountId, MailboxId),
    entries: impl Iterator<Item = Glance<'a>>,
) -> Result<()> {
    let mut pages: Vec<(u32, Page)> = Vec::new();
    for entry in entries {
        let number = page_of(entry.uid);
        if pages.last().is_none_or(|(last, _)| *last != number) {
            pages.push((number, Page::default()));
        }
        if let Some((_, page)) = pages.last_mut() {
            page.add(&entry);
        }
    }
    write(
        tx,
        place,
        &mut pages,
        "ON CONFLICT (account, mailbox, page) DO UPDATE
         SET runs = entry_page.runs || excluded.runs, sizes = entry_page.sizes || excluded.sizes,
             entries = entry_page.entries + excluded.entries, unseen = entry_page.unseen + excluded.unseen,
             deleted = entry_page.deleted + excluded.deleted",
    )
}

/// The pages that some uids lie in, read to be written again.
pub(crate) struct Loaded {
    place: (AccountId, MailboxId),
    pages: Vec<Read>,
}

/// A page that was read.
struct Read {
    number: u32,
    entries: Vec<Before>,
    sizes: String,
}

/// Reads the pages that `uids` lie in. One statement.
pub(crate) fn load(tx: &ReadTx, place: (AccountId, MailboxId), uids: &UidSet) -> Result<Loaded> {
    let numbers = Pages::of(uids);
    let text = format!(
        "SELECT page, runs, sizes FROM entry_page WHERE account = $1 AND mailbox = $2 AND {} ORDER BY page",
        numbers.clause
    );
    let mut pages = Vec::new();
    tx.each(&text, &numbers.params(place.0, place.1), |row| {
        let (number, mut entries) = (sql::small(row, 0)?, Vec::with_capacity(PAGE as usize));
        let _ = decode(number, row.str(1)?, row.str(2)?, |entry| {
            entries.push(Before::from(entry));
            ControlFlow::Continue(())
        })?;
        pages.push(Read { number, entries, sizes: row.text(2)? });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Loaded { place, pages })
}

impl Loaded {
    /// The entries of `uids`, by uid.
    pub(crate) fn of<'a>(&'a mut self, uids: &'a UidSet) -> impl Iterator<Item = &'a mut Before> {
        let mut within = Within { ranges: uids.ranges() };
        self.pages.iter_mut().flat_map(|page| &mut page.entries).filter(move |entry| within.has(entry.uid))
    }

    /// Writes the pages of `changed`, whose entries were changed by the operation `modseq`. One statement.
    pub(crate) fn save(self, tx: &mut WriteTx, changed: &UidSet, modseq: ModSeq) -> Result<()> {
        let mut within = Within { ranges: changed.ranges() };
        let mut pages = Vec::with_capacity(self.pages.len());
        for read in self.pages {
            let (mut page, mut other) = (Page::default(), false);
            for entry in &read.entries {
                let is_changed = within.has(entry.uid);
                other |= is_changed;
                page.mark(&entry.glance(if is_changed { modseq } else { entry.modseq }));
            }
            if other {
                page.sizes = read.sizes;
                pages.push((read.number, page));
            }
        }
        write(tx, self.place, &mut pages, REPLACED)
    }

    /// Writes the pages without the entries of `gone`, and answers with these. One statement, one more where pages become empty.
    fn save_without(self, tx: &mut WriteTx, gone: &UidSet) -> Result<Vec<Before>> {
        let mut within = Within { ranges: gone.ranges() };
        let (mut pages, mut empty, mut removed) = (Vec::with_capacity(self.pages.len()), Vec::new(), Vec::new());
        for Read { number, entries, .. } in self.pages {
            let (mut page, before) = (Page::default(), removed.len());
            for entry in entries {
                match within.has(entry.uid) {
                    true => removed.push(entry),
                    false => page.add(&entry.glance(entry.modseq)),
                }
            }
            match page.entries {
                0 => empty.push(i64::from(number)),
                _ if removed.len() > before => pages.push((number, page)),
                _ => {}
            }
        }
        write(tx, self.place, &mut pages, REPLACED)?;
        if !empty.is_empty() {
            let (account, mailbox) = self.place;
            tx.execute(
                "DELETE FROM entry_page WHERE account = $1 AND mailbox = $2 AND page {in:$3}",
                params![account, mailbox, &empty],
            )?;
        }
        Ok(removed)
    }
}

/// Changes the entries of `uids`, which become those of the operation `modseq`. Two statements.
pub(crate) fn update(
    tx: &mut WriteTx,
    place: (AccountId, MailboxId),
    uids: &UidSet,
    modseq: ModSeq,
    change: impl FnMut(&mut Before),
) -> Result<()> {
    let mut loaded = load(tx, place, uids)?;
    loaded.of(uids).for_each(change);
    loaded.save(tx, uids, modseq)
}

/// Takes entries out, and answers with them, by uid. Two statements, one more where pages become empty.
pub(crate) fn remove(tx: &mut WriteTx, place: (AccountId, MailboxId), uids: &UidSet) -> Result<Vec<Before>> {
    load(tx, place, uids)?.save_without(tx, uids)
}

/// Entries of several mailboxes get the flags, keywords and modseq that they have. One statement for each mailbox.
pub(crate) fn complete<'a>(
    tx: &ReadTx,
    account: AccountId,
    entries: impl Iterator<Item = (MailboxId, &'a mut Before)>,
) -> Result<()> {
    let mut mailboxes: HashMap<MailboxId, Vec<&'a mut Before>> = HashMap::new();
    for (mailbox, entry) in entries {
        mailboxes.entry(mailbox).or_default().push(entry);
    }
    for (mailbox, mut entries) in mailboxes {
        entries.sort_by_key(|entry| entry.uid);
        let uids = UidSet::from_ranges(entries.iter().map(|entry| (entry.uid, entry.uid)));
        let (mut rest, mut filled) = (&mut entries[..], 0);
        each(tx, account, mailbox, &uids, Having::All, |found| {
            while let [first, ..] = rest
                && first.uid == found.uid
            {
                **first = Before::from(found);
                filled += 1;
                rest = &mut std::mem::take(&mut rest)[1..];
            }
            ControlFlow::Continue(())
        })?;
        if filled < entries.len() {
            return Err(Error::Corrupt(format!("entries of mailbox {} that are in no page", mailbox.0)));
        }
    }
    Ok(())
}

/// Pages that were read are written again.
const REPLACED: &str = "ON CONFLICT (account, mailbox, page) DO UPDATE
         SET runs = excluded.runs, sizes = excluded.sizes, entries = excluded.entries, unseen = excluded.unseen,
             deleted = excluded.deleted";

fn write(
    tx: &mut WriteTx,
    (account, mailbox): (AccountId, MailboxId),
    pages: &mut [(u32, Page)],
    tail: &str,
) -> Result<()> {
    pages.iter_mut().for_each(|(_, page)| page.close());
    let rows: Vec<[Param<'_>; 8]> = pages
        .iter()
        .map(|(number, page)| {
            [
                account.into(),
                mailbox.into(),
                (*number).into(),
                page.runs.as_str().into(),
                page.sizes.as_str().into(),
                page.entries.into(),
                page.unseen.into(),
                page.deleted.into(),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO entry_page (account, mailbox, page, runs, sizes, entries, unseen, deleted)",
        &rows,
        tail,
    )?;
    Ok(())
}

/// A page that is being written.
#[derive(Debug, Default)]
struct Page {
    runs: String,
    sizes: String,
    entries: i64,
    unseen: i64,
    deleted: i64,
    /// The run that may go on.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    low: u32,
    high: u32,
    flags: Flags,
    keywords: String,
    modseq: ModSeq,
}

impl Page {
    /// An entry behind the others.
    fn add(&mut self, entry: &Glance<'_>) {
        push_number(&mut self.sizes, entry.size);
        self.sizes.push(' ');
        self.mark(entry);
    }

    /// The same, but for its size.
    fn mark(&mut self, entry: &Glance<'_>) {
        let &Glance { flags, keywords, modseq, .. } = entry;
        let at = entry.uid % PAGE;
        self.entries += 1;
        self.unseen += selected::unseen(flags);
        self.deleted += selected::deleted_count(flags);
        match &mut self.open {
            Some(open)
                if open.high + 1 == at
                    && open.flags == flags
                    && open.modseq == modseq
                    && alike(&open.keywords, keywords) =>
            {
                open.high = at;
            }
            Some(_) | None => {
                self.close();
                self.open = Some(Open { low: at, high: at, flags, keywords: keywords.to_owned(), modseq });
            }
        }
    }

    /// Writes down the run that was open.
    fn close(&mut self) {
        let Some(Open { low, high, flags, keywords, modseq }) = self.open.take() else { return };
        push_number(&mut self.runs, low.into());
        if low < high {
            self.runs.push('-');
            push_number(&mut self.runs, high.into());
        }
        for number in [flags.bits().unsigned_abs(), modseq.0.unsigned_abs()] {
            self.runs.push(' ');
            push_number(&mut self.runs, number);
        }
        self.runs.push_str(&keywords);
        self.runs.push('\n');
    }
}

/// In decimal digits, without what formatting can do besides.
fn push_number(text: &mut String, mut number: u64) {
    let (mut digits, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Shows the entries of a page, as a backup has it: uid, flags' bits, keywords with spaces around each.
///
/// Errors: `Corrupt`.
pub fn read_page(page: u32, runs: &str, sizes: &str, mut each: impl FnMut(Glance<'_>)) -> Result<()> {
    let _ = decode(page, runs, sizes, |entry| {
        each(entry);
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// Shows the entries of a page by uid.
fn decode(
    page: u32,
    runs: &str,
    sizes: &str,
    mut each: impl FnMut(Glance<'_>) -> ControlFlow<()>,
) -> postroad_store::Result<ControlFlow<()>> {
    let (first, mut sizes) = (first_of(page)?, sizes.as_bytes());
    for run in Runs(runs.as_bytes()) {
        let run = run.ok_or_else(|| broken(page))?;
        let keywords = std::str::from_utf8(run.keywords).map_err(|_| broken(page))?;
        for at in run.low..=run.high {
            let size = number(&mut sizes).ok_or_else(|| broken(page))?;
            sizes = sizes.strip_prefix(b" ").ok_or_else(|| broken(page))?;
            let entry = Glance { uid: first + at, flags: run.flags, keywords, modseq: run.modseq, size };
            if each(entry).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    if sizes.is_empty() { Ok(ControlFlow::Continue(())) } else { Err(broken(page)) }
}

fn broken(page: u32) -> postroad_store::Error {
    postroad_store::Error::Corrupt(format!("page {page} of a mailbox's entries"))
}

struct Run<'a> {
    low: u32,
    high: u32,
    flags: Flags,
    keywords: &'a [u8],
    modseq: ModSeq,
}

/// The lines of `runs`; `None` is a line that is none, and the last.
struct Runs<'a>(&'a [u8]);

impl<'a> Iterator for Runs<'a> {
    type Item = Option<Run<'a>>;

    fn next(&mut self) -> Option<Option<Run<'a>>> {
        if self.0.is_empty() {
            return None;
        }
        let mut rest = std::mem::take(&mut self.0);
        let run = run(&mut rest);
        if run.is_some() {
            self.0 = rest;
        }
        Some(run)
    }
}

fn run<'a>(rest: &mut &'a [u8]) -> Option<Run<'a>> {
    let low = u32::try_from(number(rest)?).ok()?;
    let high = match rest.strip_prefix(b"-") {
        Some(behind) => {
            *rest = behind;
            u32::try_from(number(rest)?).ok()?
        }
        None => low,
    };
    *rest = rest.strip_prefix(b" ")?;
    let flags = Flags::from_bits(i64::try_from(number(rest)?).ok()?);
    *rest = rest.strip_prefix(b" ")?;
    let modseq = ModSeq(i64::try_from(number(rest)?).ok()?);
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let keywords = &rest[..end];
    *rest = &rest[end + 1..];
    (low <= high && high < PAGE).then_some(Run { low, high, flags, keywords, modseq })
}

/// The number that text begins with.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let (mut value, mut length) = (0u64, 0);
    while let Some(digit @ b'0'..=b'9') = rest.get(length) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        length += 1;
    }
    *rest = &rest[length..];
    (length > 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Own = (u32, i64, String, i64, u64);

    fn written(entries: &[Own]) -> Page {
        let mut page = Page::default();
        for (uid, flags, keywords, modseq, size) in entries {
            let flags = Flags::from_bits(*flags);
            page.add(&Glance { uid: *uid, flags, keywords, modseq: ModSeq(*modseq), size: *size });
        }
        page.close();
        page
    }

    fn read(number: u32, runs: &str, sizes: &str) -> Result<Vec<Own>> {
        let mut found = Vec::new();
        read_page(number, runs, sizes, |entry| {
            found.push((entry.uid, entry.flags.bits(), entry.keywords.to_owned(), entry.modseq.0, entry.size));
        })?;
        Ok(found)
    }

    #[test]
    fn what_is_alike_is_one_line() {
        let alike = |uid: u32, size: u64| (uid, 1, String::new(), 7, size);
        let entries = [
            alike(128, 10),
            alike(129, 20),
            alike(130, 30),
            (131, 1, " $Junk ".to_owned(), 7, 40),
            (140, 0, String::new(), 9, 50),
            (255, 8, String::new(), 10, 60),
        ];
        let page = written(&entries);
        assert_eq!(page.runs, "0-2 1 7\n3 1 7 $Junk \n12 0 9\n127 8 10\n");
        assert_eq!(page.sizes, "10 20 30 40 50 60 ");
        assert_eq!((page.entries, page.unseen, page.deleted), (6, 2, 1));
        assert_eq!(read(1, &page.runs, &page.sizes).expect("a page, or a set"), entries);
        // Added by hand, as an INSERT does that goes on behind what is there.
        let (first, second) = (written(&entries[..2]), written(&entries[2..]));
        let (runs, sizes) = (first.runs + &second.runs, first.sizes + &second.sizes);
        assert_eq!(runs, "0-1 1 7\n2 1 7\n3 1 7 $Junk \n12 0 9\n127 8 10\n");
        assert_eq!(read(1, &runs, &sizes).expect("a page, or a set"), entries);
    }

    #[test]
    fn what_is_no_page_is_said_to_be_none() {
        let broken = [
            ("0 1 7", "1 "),
            ("0 1 7\n", "1"),
            ("0 1 7\n", ""),
            ("0 1 7\n", "1 2 "),
            ("128 1 7\n", "1 "),
            ("2-1 1 7\n", ""),
            ("-1 1 7\n", "1 "),
            ("0 1\n", "1 "),
            ("0 1 99999999999999999999\n", "1 "),
            ("x\n", "1 "),
        ];
        for (runs, sizes) in broken {
            assert!(read(0, runs, sizes).is_err(), "{runs:?} {sizes:?}");
        }
        assert!(read(u32::MAX, "0 1 7\n", "1 ").is_err());
        assert_eq!(read(page_of(u32::MAX), "127 1 7\n", "1 ").expect("a page, or a set")[0].0, u32::MAX);
    }

    #[test]
    fn sets_of_uids_and_their_pages() {
        for (uids, clause, ends, list) in [
            ("1:127", "page BETWEEN $3 AND $4", (0, 0), vec![]),
            ("1:128", "page BETWEEN $3 AND $4", (0, 1), vec![]),
            ("5,9,200", "page BETWEEN $3 AND $4", (0, 1), vec![]),
            ("5,500", "page {in:$3}", (0, 3), vec![0, 3]),
            ("1:4294967295", "page BETWEEN $3 AND $4", (0, 33_554_431), vec![]),
            ("5,1000:4294967295", "page BETWEEN $3 AND $4", (0, 33_554_431), vec![]),
        ] {
            let pages = Pages::of(&UidSet::parse(uids).expect("a page, or a set"));
            assert_eq!((pages.clause, pages.ends, pages.list), (clause, ends, list), "{uids}");
        }
        let set = UidSet::parse("3:5,9").expect("a page, or a set");
        let mut within = Within { ranges: set.ranges() };
        assert_eq!((1..12).filter(|uid| within.has(*uid)).collect::<Vec<_>>(), [3, 4, 5, 9]);
    }
}
