//! The table: each command with its states and what does it.

use postroad_imap::command::{Acl, Metadata, Select};
use postroad_imap::{Body, Numbering, Tag};
use postroad_store::{ReadTx, WriteTx};

use super::{Handler, Row, States};
use super::{
    acl, batches, close, comparator, copy, create, delete, enable, esearch, expunge, id, idle, language, list, lsub,
    metadata, r#move, namespace, quota, rename, select, starttls, status, store, subscribe, urlauth,
};
use crate::error::{Error, Reply};
use crate::session::{Cursor, Flow, Session};
use crate::{capability, context, fetch, gmail, login, notify, search, sort, thread};

/// The row of a command.
pub(crate) fn row(body: &Body) -> Row<'_> {
    use States::{After, Any, Before, Selected, Writable};
    match body {
        // any state
        Body::Capability => now("capability", Any, |session, _| capability::run(session)),
        Body::Noop => poll("noop", Any, "NOOP done"),
        Body::Logout => leave("logout", Any),
        Body::Id(fields) => now("id", Any, move |session, _| id::run(session, fields)),
        // before login
        Body::StartTls => now("starttls", Before, starttls::run),
        Body::Authenticate { mechanism, initial } => now("authenticate", Before, move |session, tag| {
            login::authenticate(session, tag, mechanism, initial.as_ref())
        }),
        Body::Login { user, password } => {
            now("login", Before, move |session, tag| login::login(session, tag, user, password))
        }
        // after login
        Body::Enable(names) if enable::follows_annotations(names) => {
            read("enable", After, move |session, tx, _| enable::read(session, tx, names))
        }
        Body::Enable(names) => now("enable", After, move |session, _| enable::run(session, names)),
        Body::Compress(algorithm) => {
            now("compress", After, move |session, tag| super::compress::run(session, tag, algorithm))
        }
        Body::Unauthenticate => now("unauthenticate", After, super::unauthenticate::run),
        Body::Select(select) => opening("select", select, false),
        Body::Examine(select) => opening("examine", select, true),
        Body::Create { mailbox, special_use } => {
            write("create", After, move |session, tx| create::run(session, tx, mailbox, special_use))
        }
        Body::Delete(mailbox) => write("delete", After, move |session, tx| delete::run(session, tx, mailbox)),
        Body::Rename { from, to } => write("rename", After, move |session, tx| rename::run(session, tx, from, to)),
        Body::Subscribe(mailbox) => {
            write("subscribe", After, move |session, tx| subscribe::subscribe(session, tx, mailbox))
        }
        Body::Unsubscribe(mailbox) => {
            write("unsubscribe", After, move |session, tx| subscribe::unsubscribe(session, tx, mailbox))
        }
        Body::List(list) => read("list", After, move |session, tx, _| list::run(session, tx, list)),
        Body::Lsub { reference, pattern } => {
            read("lsub", After, move |session, tx, _| lsub::run(session, tx, reference, pattern))
        }
        Body::Namespace => now("namespace", After, |session, _| namespace::run(session)),
        Body::Status { mailbox, items } => {
            read("status", After, move |session, tx, _| status::run(session, tx, mailbox, items))
        }
        Body::Esearch(command) => {
            read("esearch", After, move |session, tx, cursor| esearch::run(session, tx, command, cursor.esearch()))
        }
        Body::Notify(command) => read("notify", After, move |session, tx, _| notify::run(session, tx, command)),
        Body::Idle => now("idle", After, idle::run),
        Body::Acl(command @ (Acl::Set { .. } | Acl::Delete { .. })) => {
            write(acl::name(command), After, move |session, tx| acl::write(session, tx, command))
        }
        Body::Acl(command) => read(acl::name(command), After, move |session, tx, _| acl::read(session, tx, command)),
        Body::GenUrlAuth(all) => either(
            "genurlauth",
            After,
            move |session, tx, _| urlauth::generate(session, tx, all),
            move |session, tx, _| urlauth::generate_with_keys(session, tx, all),
        ),
        Body::ResetKey(reset) => write("resetkey", After, move |session, tx| urlauth::reset(session, tx, reset)),
        Body::UrlFetch(all) => {
            read("urlfetch", After, move |session, tx, cursor| urlauth::fetch(session, tx, all, cursor.url_fetch()))
        }
        Body::Metadata(command @ Metadata::Set { .. }) => {
            write(metadata::name(command), After, move |session, tx| metadata::write(session, tx, command))
        }
        Body::Metadata(command) => {
            read(metadata::name(command), After, move |session, tx, _| metadata::read(session, tx, command))
        }
        Body::GetQuota(root) => read("getquota", After, move |session, tx, _| quota::get(session, tx, root)),
        Body::GetQuotaRoot(mailbox) => {
            read("getquotaroot", After, move |session, tx, _| quota::get_root(session, tx, mailbox))
        }
        Body::SetQuota { root, limits } => {
            write("setquota", After, move |session, tx| quota::set(session, tx, root, limits))
        }
        // with a mailbox
        Body::Check => poll("check", Selected, "CHECK done"),
        Body::Close => either("close", Selected, |s, tx, _| close::read(s, tx), |s, tx, _| close::write(s, tx)),
        Body::Unselect => either(
            "unselect",
            Selected,
            |session, _, _| close::unselect(session),
            |session, tx, _| close::unselect_claiming(session, tx),
        ),
        Body::Expunge(set) => {
            numbers(write("expunge", Writable, move |session, tx| expunge::run(session, tx, set.as_ref())))
        }
        Body::Search(search) => numbered(
            search.numbering,
            read("search", Selected, move |session, tx, cursor| search::read(session, tx, search, cursor.search())),
        ),
        Body::Sort(sort) => numbered(
            sort.search.numbering,
            read("sort", Selected, move |session, tx, cursor| sort::read(session, tx, sort, cursor.sort())),
        ),
        Body::Thread(thread) => numbered(
            thread.numbering,
            read("thread", Selected, move |session, tx, cursor| thread::read(session, tx, thread, cursor.thread())),
        ),
        Body::CancelUpdate(tags) => {
            now("cancelupdate", Selected, move |session, _| Some(context::cancel(session, tags)))
        }
        Body::UidBatches(command) => {
            numbers(read("uidbatches", Selected, move |session, _, _| batches::run(session, *command)))
        }
        Body::Comparator(wanted) => now("comparator", After, move |session, _| comparator::run(session, wanted)),
        Body::Language(wanted) => now("language", Any, move |session, _| language::run(session, wanted)),
        Body::Fetch(fetch) => numbered(
            fetch.numbering,
            either(
                "fetch",
                Selected,
                move |session, tx, cursor| fetch::read(session, tx, fetch, cursor.fetch()),
                move |session, tx, cursor| fetch::write(session, tx, fetch, cursor.fetch()),
            ),
        ),
        Body::Store(store) => numbered(
            store.numbering,
            then(
                "store",
                Writable,
                move |session, tx, cursor| store::run(session, tx, store, cursor),
                move |session, tx, cursor| store::tell(session, tx, store, cursor),
            ),
        ),
        Body::StoreLabels(store) => numbered(
            store.numbering,
            then(
                "store",
                Writable,
                move |session, tx, cursor| gmail::store(session, tx, store, cursor),
                move |session, tx, cursor| gmail::tell(session, tx, store, cursor),
            ),
        ),
        Body::Copy(copy) => numbers(write("copy", Selected, move |session, tx| copy::run(session, tx, copy))),
        Body::Move(copy) => numbers(write("move", Writable, move |session, tx| r#move::run(session, tx, copy))),
    }
}

fn now<'a>(
    name: &'static str,
    states: States,
    handler: impl FnOnce(&mut Session, &Tag) -> Option<Reply> + 'a,
) -> Row<'a> {
    let handler = Handler::Now(Box::new(handler));
    Row { name, states, expunges: true, numbers: false, handler }
}

fn leave(name: &'static str, states: States) -> Row<'static> {
    Row { name, states, expunges: true, numbers: false, handler: Handler::Leave }
}

fn poll(name: &'static str, states: States, text: &'static str) -> Row<'static> {
    Row { name, states, expunges: true, numbers: false, handler: Handler::Poll(text) }
}

fn read<'a>(
    name: &'static str,
    states: States,
    handler: impl FnOnce(&mut Session, &ReadTx, &mut Cursor) -> Result<Flow, Error> + 'a,
) -> Row<'a> {
    let handler = Handler::Read(Box::new(handler));
    Row { name, states, expunges: true, numbers: false, handler }
}

fn write<'a>(
    name: &'static str,
    states: States,
    handler: impl FnOnce(&mut Session, &mut WriteTx) -> Result<Flow, Error> + 'a,
) -> Row<'a> {
    let handler = Handler::Write(Box::new(|session, tx, _| handler(session, tx)));
    Row { name, states, expunges: true, numbers: false, handler }
}

fn either<'a>(
    name: &'static str,
    states: States,
    look: impl FnOnce(&mut Session, &ReadTx, &mut Cursor) -> Result<Flow, Error> + 'a,
    change: impl FnOnce(&mut Session, &mut WriteTx, &mut Cursor) -> Result<Flow, Error> + 'a,
) -> Row<'a> {
    let handler = Handler::Either(Box::new(look), Box::new(change));
    Row { name, states, expunges: true, numbers: false, handler }
}

/// SELECT or EXAMINE.
fn opening<'a>(name: &'static str, which: &'a Select, read_only: bool) -> Row<'a> {
    either(
        name,
        States::After,
        move |session, tx, cursor| select::read(session, tx, which, cursor, read_only),
        move |session, tx, cursor| select::write(session, tx, which, cursor, read_only),
    )
}

fn then<'a>(
    name: &'static str,
    states: States,
    change: impl FnOnce(&mut Session, &mut WriteTx, &mut Cursor) -> Result<Flow, Error> + 'a,
    look: impl FnOnce(&mut Session, &ReadTx, &mut Cursor) -> Result<Flow, Error> + 'a,
) -> Row<'a> {
    let handler = Handler::Then(Box::new(change), Box::new(look));
    Row { name, states, expunges: true, numbers: false, handler }
}

/// It names messages.
fn numbers(row: Row<'_>) -> Row<'_> {
    Row { numbers: true, ..row }
}

/// FETCH, STORE and SEARCH: no EXPUNGE with their answers, but with those of their UID forms
/// (RFC 9051 §7.5.1).
fn numbered(numbering: Numbering, row: Row<'_>) -> Row<'_> {
    Row { numbers: true, expunges: numbering == Numbering::Uid, ..row }
}
