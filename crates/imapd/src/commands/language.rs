//! LANGUAGE (RFC 5255 §3.2): the language of what is said to people.

use postroad_imap::ResponseCode;

use super::namespace;
use crate::error::Reply;
use crate::language::Language;
use crate::session::Session;

/// Tells the languages to choose from; with arguments, takes the first that there is.
pub(crate) fn run(session: &mut Session, wanted: &[String]) -> Option<Reply> {
    if wanted.is_empty() {
        let all = Language::ALL.map(Language::tag);
        session.now_writer().language(&all);
        return Some(Reply::ok("LANGUAGE done"));
    }
    let Some(language) = wanted.iter().find_map(|range| Language::of_range(range)) else {
        return Some(Reply::no(ResponseCode::Cannot, "I speak none of these languages"));
    };
    session.language = language;
    session.now_writer().language(&[language.tag()]);
    // RFC 5255 §3.4: prefixes may have other words now.
    if session.login.is_some() {
        namespace::tell(session);
    }
    Some(Reply::ok("LANGUAGE done"))
}
