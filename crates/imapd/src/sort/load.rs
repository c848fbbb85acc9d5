//! Getting the columns that a SORT or THREAD needs: what is kept, and the rest from stored summaries, a
//! stretch at a time.

use postroad_imap::command::SortKey;
use postroad_mail::view::{self, Query};
use postroad_mail::{Entry, UidSet, Want};
use postroad_store::ReadTx;

use crate::error::Error;
use crate::session::{Place, Session};
use crate::sort::cache::Whose;
use crate::sort::column::{Chunk, Column, Kind, Known};

/// Columns on their way.
#[derive(Debug, Clone)]
pub(crate) struct Loading {
    columns: Vec<Loaded>,
    /// The messages whose keys are not there yet.
    missing: UidSet,
    /// Other sessions can use what is read, because no message is passed over.
    shared: bool,
    want: Want,
}

#[derive(Debug, Clone)]
struct Loaded {
    whose: Whose,
    column: Column,
    /// What was there before.
    had: u32,
}

impl Loading {
    /// The columns that are kept, and what of `wanted` they lack; `None`: of all messages. Where few of many
    /// are wanted, only theirs are read, and for the next time those before them, if these are not many; else those of all.
    pub(crate) fn new(session: &Session, kinds: &[Kind], wanted: Option<&UidSet>) -> Result<Loading, Error> {
        let view = session.view()?;
        let mut columns: Vec<Loaded> = Vec::with_capacity(kinds.len());
        for &kind in kinds {
            let whose = Whose { account: view.account, mailbox: view.mailbox, uid_validity: view.uid_validity, kind };
            if columns.iter().all(|loaded| loaded.whose != whose) {
                let column = session.settings.sort_keys.get(&whose);
                columns.push(Loaded { whose, had: column.through, column });
            }
        }
        let want = columns.iter().map(|loaded| want(loaded.whose.kind)).max().unwrap_or(Want::Flags);
        let mut loading = Loading { columns, missing: UidSet::new(), shared: true, want };
        loading.follow(session)?;
        if let Some(wanted) = wanted.map(|wanted| wanted.intersection(&loading.missing))
            && loading.missing.count() > FEW
            && wanted.count() < loading.missing.count() / SHARE
        {
            let up_to_them = loading.missing.intersection(&UidSet::range(0, wanted.last().unwrap_or(0)));
            loading.shared = up_to_them.count() <= wanted.count().saturating_mul(SHARE);
            loading.missing = if loading.shared { up_to_them } else { wanted };
        }
        Ok(loading)
    }

    /// Asks for the messages that came since. Only for columns of all messages.
    pub(crate) fn follow(&mut self, session: &Session) -> Result<(), Error> {
        for loaded in &mut self.columns {
            loaded.had = loaded.column.through;
        }
        let from = self.columns.iter().map(|loaded| loaded.had).min().unwrap_or(u32::MAX);
        self.missing = match from.checked_add(1) {
            Some(first) => session.view()?.map().uids().intersection(&UidSet::range(first, u32::MAX)),
            None => UidSet::new(),
        };
        Ok(())
    }

    /// Reads on. False: the next job goes on.
    pub(crate) fn go_on(&mut self, session: &Session, tx: &ReadTx) -> Result<bool, Error> {
        let Place { account, mailbox } = session.place()?;
        let most = if self.want == Want::Summary { SUMMARIES_PER_JOB } else { ROWS_PER_JOB };
        let mut looked = 0;
        while !self.missing.is_empty() && looked < most {
            let query = Query { uids: &self.missing, want: self.want, changed_since: None, limit: ROWS };
            let entries = view::entries(tx, account, mailbox, &query)?;
            looked += ROWS;
            let through = match entries.last() {
                Some(last) if entries.len() == ROWS => last.uid,
                Some(_) | None => self.missing.last().unwrap_or(0),
            };
            self.take(&entries, through);
        }
        if self.shared {
            for loaded in self.columns.iter().filter(|loaded| loaded.column.through > loaded.had) {
                session.settings.sort_keys.put(loaded.whose, &loaded.column);
            }
        }
        Ok(self.missing.is_empty())
    }

    fn take(&mut self, entries: &[Entry], through: u32) {
        let entries: Vec<Known<'_>> = entries.iter().map(Known::new).collect();
        for loaded in &mut self.columns {
            let new: Vec<&Known<'_>> = entries.iter().filter(|known| known.entry.uid > loaded.had).collect();
            loaded.column.push(Chunk::of(loaded.whose.kind, &new));
            loaded.column.through = loaded.column.through.max(through);
        }
        self.missing = match through.checked_add(1) {
            Some(next) => self.missing.intersection(&UidSet::range(next, u32::MAX)),
            None => UidSet::new(),
        };
    }

    /// A column that was asked for.
    pub(crate) fn column(&self, kind: Kind) -> &Column {
        let found = self.columns.iter().find(|loaded| loaded.whose.kind == kind);
        found.map_or(&NONE, |loaded| &loaded.column)
    }
}

static NONE: Column = Column::EMPTY;

/// How much of a row a column needs.
fn want(kind: Kind) -> Want {
    match kind {
        Kind::Number(SortKey::Size) => Want::Flags,
        Kind::Number(SortKey::Arrival) => Want::Facts,
        Kind::Number(_) | Kind::Text(..) | Kind::Links => Want::Summary,
    }
}

/// Rows read at once.
const ROWS: usize = 500;
/// Messages whose summaries one job reads.
const SUMMARIES_PER_JOB: usize = 4_000;
/// Messages whose rows one job reads.
const ROWS_PER_JOB: usize = 20_000;
/// Up to so many missing keys are read whether they are wanted or not.
const FEW: u64 = 2_000;
/// With less than this part of the missing keys wanted, the others are left.
const SHARE: u64 = 4;
