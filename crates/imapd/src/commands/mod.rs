//! The commands: a table, and a file for each.
//!
//! Adding a command touches its file and one row of `table.rs`.

mod acl;
mod batches;
mod close;
mod comparator;
mod compress;
mod copy;
mod create;
mod delete;
mod enable;
mod esearch;
mod expunge;
mod id;
mod idle;
mod language;
mod list;
mod logout;
mod lsub;
mod metadata;
mod r#move;
mod namespace;
mod quota;
mod rename;
mod select;
mod starttls;
mod status;
pub(crate) mod store;
mod subscribe;
mod table;
mod unauthenticate;
mod urlauth;

use postroad_imap::{Body, Tag};
use postroad_store::{ReadTx, WriteTx};

use crate::error::{Error, Reply};
use crate::run::Tx;
use crate::session::{Cursor, Flow, Session};
use crate::steps::Running;

pub(crate) use copy::strip_unpermitted;
pub(crate) use esearch::{Searching, is_meant};
pub(crate) use list::event_attributes;
pub(crate) use metadata::{of_server, shown as entry_name};
pub(crate) use quota::warn as warn_of_quota;
pub(crate) use store::Telling;
pub(crate) use table::row;
pub(crate) use urlauth::Fetching;

/// A row of the table, for one command.
pub(crate) struct Row<'a> {
    /// As in the RFC, in small letters, for metrics; `UID` variants share their row.
    pub(crate) name: &'static str,
    /// In which states it may come.
    pub(crate) states: States,
    /// Whether untagged EXPUNGE may come with its answer (RFC 9051 §7.5.1).
    pub(crate) expunges: bool,
    /// Whether it names messages, so that the view must be up to date before it.
    pub(crate) numbers: bool,
    /// What does it.
    pub(crate) handler: Handler<'a>,
}

/// A command's function, by what it needs. The command's arguments are in the closure.
pub(crate) enum Handler<'a> {
    /// No data. `None`: the answer comes later.
    Now(Answer<'a>),
    /// LOGOUT: no data, unless there is something left to be marked.
    Leave,
    /// Nothing but the news of the selected mailbox, if one is.
    Poll(&'static str),
    /// A look.
    Read(Look<'a>),
    /// A change.
    Write(Change<'a>),
    /// A look that may turn out to need a change ([`Flow::Write`]).
    Either(Look<'a>, Change<'a>),
    /// A change, and after its [`Flow::More`] looks that tell of it.
    Then(Change<'a>, Look<'a>),
}

/// A command's function without data.
pub(crate) type Answer<'a> = Box<dyn FnOnce(&mut Session, &Tag) -> Option<Reply> + 'a>;
/// A command's function in a read transaction.
pub(crate) type Look<'a> = Box<dyn FnOnce(&mut Session, &ReadTx, &mut Cursor) -> Result<Flow, Error> + 'a>;
/// A command's function in a write transaction.
pub(crate) type Change<'a> = Box<dyn FnOnce(&mut Session, &mut WriteTx, &mut Cursor) -> Result<Flow, Error> + 'a>;

/// What a command needs to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    None,
    /// A read transaction.
    Read,
    /// A write transaction.
    Write,
}

/// The states of RFC 9051 §3 in which a command may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum States {
    /// Any.
    Any,
    /// Before login only.
    Before,
    /// After login.
    After,
    /// With a mailbox selected.
    Selected,
    /// With a mailbox selected by SELECT, not by EXAMINE.
    Writable,
}

/// Whether a command names messages by sequence number, or would be answered by such.
pub(crate) fn names_numbers(body: &Body) -> bool {
    use postroad_imap::Numbering::Sequence;
    if let Body::Search(search) = body {
        return search.numbering == Sequence || search.key.names_numbers();
    }
    if let Body::Sort(sort) = body {
        return sort.search.numbering == Sequence || sort.search.key.names_numbers();
    }
    if let Body::Thread(thread) = body {
        return thread.numbering == Sequence || thread.key.names_numbers();
    }
    if let Body::Esearch(esearch) = body {
        return esearch.search.key.names_numbers();
    }
    if let Body::Copy(copy) | Body::Move(copy) = body {
        return copy.numbering == Sequence;
    }
    // RFC 7162 §3.2.5.2: the fourth parameter has sequence numbers.
    if let Body::Select(select) | Body::Examine(select) = body {
        return select.qresync.as_ref().is_some_and(|known| known.sequence_match.is_some());
    }
    match body {
        Body::Fetch(fetch) => fetch.numbering == Sequence,
        Body::StoreLabels(store) => store.numbering == Sequence,
        body => matches!(body, Body::Store(store) if store.numbering == Sequence),
    }
}

impl States {
    pub(crate) fn allow(self, session: &Session) -> bool {
        match self {
            States::Any => true,
            States::Before => session.login.is_none(),
            States::After => session.login.is_some(),
            States::Selected | States::Writable => session.view.is_some(),
        }
    }

    pub(crate) fn why_not(self, session: &Session) -> &'static str {
        match (self, session.login.is_some()) {
            (States::Before, _) => "you are logged in already",
            (_, false) => "log in first",
            (_, true) => "select a mailbox first",
        }
    }
}

impl Row<'_> {
    pub(crate) fn access(&self, session: &Session) -> Access {
        match self.handler {
            Handler::Now(_) => Access::None,
            Handler::Poll(_) if session.view.is_none() && session.enabled.annotations.is_none() => Access::None,
            Handler::Leave if session.view.as_ref().is_some_and(|view| view.unclaimed) => Access::Write,
            Handler::Leave => Access::None,
            Handler::Poll(_) | Handler::Read(_) | Handler::Either(..) => Access::Read,
            Handler::Write(_) | Handler::Then(..) => Access::Write,
        }
    }
}

/// Carries out a command that needs no data. `None`: the answer comes later.
pub(crate) fn run_now(session: &mut Session, tag: &Tag, body: &Body) -> Option<Reply> {
    match row(body).handler {
        Handler::Now(handler) => handler(session, tag),
        Handler::Poll(text) => Some(Reply::ok(text)),
        Handler::Leave => logout::run(session, tag),
        Handler::Read(_) | Handler::Write(_) | Handler::Either(..) | Handler::Then(..) => {
            Some(Error::bug("a job was needed").reply())
        }
    }
}

/// Carries out a command, or its next part, in a transaction.
pub(crate) fn run(session: &mut Session, tx: &mut Tx<'_>, running: &mut Running) -> Result<Flow, Error> {
    let row = row(&running.body);
    let cursor = &mut running.cursor;
    // RFC 9051 §6.3.3: nothing changes in a mailbox opened by EXAMINE.
    if row.states == States::Writable && session.view()?.read_only {
        return Err(Error::no(postroad_imap::ResponseCode::ReadOnly, "the mailbox is open for reading only"));
    }
    match (row.handler, tx) {
        (Handler::Poll(text), _) => Ok(Flow::Done(Reply::ok(text))),
        (Handler::Leave, Tx::Write(tx)) => logout::claiming(session, tx),
        (Handler::Leave, Tx::Read(_)) => Ok(Flow::Write),
        (Handler::Read(handler), tx) => handler(session, tx.read(), cursor),
        (Handler::Write(handler), Tx::Write(tx)) => handler(session, tx, cursor),
        (Handler::Either(handler, _) | Handler::Then(_, handler), Tx::Read(tx)) => handler(session, tx, cursor),
        (Handler::Either(_, handler) | Handler::Then(handler, _), Tx::Write(tx)) => handler(session, tx, cursor),
        (Handler::Write(_), Tx::Read(_)) => Ok(Flow::Write),
        (Handler::Now(_), _) => Err(Error::bug("no job was needed")),
    }
}
