//! The commands as rows: name, numbering, grammar. A new command is a row here and its grammar file.

use crate::command::{
    Body, Command, Syntax, Tag, fetch, list, messages, quota, search, select, session, status, urlauth,
};
use crate::cursor::{Cursor, Fault, Rule};
use crate::error::{ParseError, Problem};
use crate::set::Numbering;

/// Parses one command as the framer yields it: literals in place, without its last line end.
///
/// # Errors
/// [`ParseError`] with the tag when there was one, the place, and what was expected there.
pub fn parse(frame: &[u8], syntax: &Syntax) -> Result<Command, ParseError> {
    let mut cursor = Cursor::new(frame, syntax);
    let tag = match tag(&mut cursor) {
        Ok(tag) => tag,
        Err(Fault { problem, position }) => return Err(ParseError { tag: None, problem, position }),
    };
    match body(&mut cursor) {
        Ok(body) => Ok(Command { tag, body }),
        Err(Fault { problem, position }) => Err(ParseError { tag: Some(tag), problem, position }),
    }
}

/// `tag`.
pub(crate) fn tag(cursor: &mut Cursor<'_>) -> Rule<Tag> {
    cursor.skip_spaces();
    let start = cursor.position();
    let word = cursor.run(|byte| byte > b' ');
    match std::str::from_utf8(word).ok().and_then(Tag::new) {
        Some(tag) => Ok(tag),
        None => cursor.fault_at(start, Problem::Expected("a tag")),
    }
}

fn body(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let start = cursor.position();
    let mut name = cursor.word("a command after the tag")?;
    let row = if name == "UID" {
        cursor.space()?;
        let second = cursor.word("a command after UID")?;
        name = format!("UID {second}");
        ROWS.iter().find(|row| row.name == second).and_then(|row| row.uid)
    } else {
        ROWS.iter().find(|row| row.name == name).and_then(|row| row.plain)
    };
    let Some(rule) = row else {
        name.truncate(LONGEST_NAME);
        return cursor.fault_at(start, Problem::UnknownCommand(name));
    };
    let body = rule(cursor)?;
    cursor.end()?;
    Ok(body)
}

/// How much of an unknown command's name is told back.
const LONGEST_NAME: usize = 40;

/// The grammar after a command's name; it reads its own leading space.
type Grammar = fn(&mut Cursor<'_>) -> Rule<Body>;

struct Row {
    name: &'static str,
    plain: Option<Grammar>,
    uid: Option<Grammar>,
}

/// A command without a UID form.
const fn plain(name: &'static str, grammar: Grammar) -> Row {
    Row { name, plain: Some(grammar), uid: None }
}

/// A command with both.
const fn both(name: &'static str, plain: Grammar, uid: Grammar) -> Row {
    Row { name, plain: Some(plain), uid: Some(uid) }
}

const ROWS: &[Row] = &[
    plain("APPEND", super::append::without_message),
    plain("AUTHENTICATE", session::authenticate),
    plain("CANCELUPDATE", super::sort::cancel_update),
    plain("CAPABILITY", |_| Ok(Body::Capability)),
    plain("CHECK", |_| Ok(Body::Check)),
    plain("CLOSE", |_| Ok(Body::Close)),
    both("COPY", |c| messages::copy(c, Numbering::Sequence), |c| messages::copy(c, Numbering::Uid)),
    plain("COMPRESS", session::compress),
    plain("COMPARATOR", super::language::comparator),
    plain("CREATE", select::create),
    plain("DELETE", |c| select::one_name(c).map(Body::Delete)),
    plain("DELETEACL", super::acl::delete),
    plain("ENABLE", session::enable),
    plain("ESEARCH", super::esearch::esearch),
    plain("EXAMINE", |c| select::select(c).map(Body::Examine)),
    both("EXPUNGE", |_| Ok(Body::Expunge(None)), messages::uid_expunge),
    both("FETCH", |c| fetch::fetch(c, Numbering::Sequence), |c| fetch::fetch(c, Numbering::Uid)),
    plain("GETACL", super::acl::get),
    plain("GETMETADATA", super::metadata::get),
    plain("GENURLAUTH", urlauth::gen_url_auth),
    plain("GETQUOTA", quota::get_quota),
    plain("GETQUOTAROOT", |c| select::one_name(c).map(Body::GetQuotaRoot)),
    plain("ID", session::id),
    plain("IDLE", |_| Ok(Body::Idle)),
    plain("LANGUAGE", super::language::language),
    plain("LIST", list::list),
    plain("LISTRIGHTS", super::acl::list_rights),
    plain("LOGIN", session::login),
    plain("LOGOUT", |_| Ok(Body::Logout)),
    plain("LSUB", list::lsub),
    both("MOVE", |c| messages::r#move(c, Numbering::Sequence), |c| messages::r#move(c, Numbering::Uid)),
    plain("MYRIGHTS", super::acl::my_rights),
    plain("NAMESPACE", |_| Ok(Body::Namespace)),
    plain("NOOP", |_| Ok(Body::Noop)),
    plain("NOTIFY", super::notify::notify),
    plain("RENAME", select::rename),
    plain("REPLACE", super::append::without_message),
    plain("RESETKEY", urlauth::reset_key),
    both("SEARCH", |c| search::search(c, Numbering::Sequence), |c| search::search(c, Numbering::Uid)),
    plain("SELECT", |c| select::select(c).map(Body::Select)),
    plain("SETACL", super::acl::set),
    plain("SETMETADATA", super::metadata::set),
    plain("SETQUOTA", quota::set_quota),
    both("SORT", |c| super::sort::sort(c, Numbering::Sequence), |c| super::sort::sort(c, Numbering::Uid)),
    plain("STARTTLS", |_| Ok(Body::StartTls)),
    plain("STATUS", status::status),
    both("STORE", |c| messages::store(c, Numbering::Sequence), |c| messages::store(c, Numbering::Uid)),
    plain("SUBSCRIBE", |c| select::one_name(c).map(Body::Subscribe)),
    both("THREAD", |c| super::sort::thread(c, Numbering::Sequence), |c| super::sort::thread(c, Numbering::Uid)),
    plain("UIDBATCHES", super::batches::uid_batches),
    plain("UNAUTHENTICATE", |_| Ok(Body::Unauthenticate)),
    plain("UNSELECT", |_| Ok(Body::Unselect)),
    plain("UNSUBSCRIBE", |c| select::one_name(c).map(Body::Unsubscribe)),
    plain("URLFETCH", urlauth::url_fetch),
    plain("XLIST", list::xlist),
];
