//! CAPABILITY (RFC 9051 §6.1.1): what this server can, by what the session may do now.

use crate::error::Reply;
use crate::gmail;
use crate::session::Session;

/// What is advertised always: also before login, because several clients (Python's imaplib) ask only then.
const ALWAYS: &[&str] = &[
    "LITERAL+",
    "SASL-IR",
    "ID",
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "PARTIAL",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    // The second has all of the first; clients look for either.
    "I18NLEVEL=1",
    "I18NLEVEL=2",
    "LANGUAGE",
    "SEARCH=FUZZY",
    "MULTISEARCH",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "BINARY",
    "CONDSTORE",
    "QRESYNC",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "INPROGRESS",
    "UIDONLY",
    "NOTIFY",
    "UIDBATCHES",
    "MULTIAPPEND",
    "CATENATE",
    "REPLACE",
    "UTF8=ACCEPT",
    "URLAUTH",
    "URLAUTH=BINARY",
    "URL-PARTIAL",
    "ACL",
    "RIGHTS=kxte",
    "LIST-MYRIGHTS",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "QUOTA=RES-ANNOTATION-STORAGE",
    "METADATA",
    "LIST-METADATA",
    "FILTERS",
    // Outlook 2013 knows special uses only from XLIST.
    "XLIST",
];

/// What is advertised to this client now.
pub(crate) fn list(session: &Session) -> Vec<String> {
    let mut all = vec!["IMAP4rev1".to_owned()];
    if session.settings.rev2 {
        all.push("IMAP4rev2".to_owned());
    }
    all.extend(ALWAYS.iter().map(|name| (*name).to_owned()));
    all.push(format!("APPENDLIMIT={}", session.settings.message_size_max));
    all.extend(session.settings.message_limit.capability());
    // RFC 9208 §3: for whom SETQUOTA works; before login nobody knows who it will be.
    let may_set = session.login.is_none() && !session.settings.administrators.is_empty();
    if may_set || session.is_administrator() {
        all.push("QUOTASET".to_owned());
    }
    if session.login.is_some() {
        // RFC 8437 §3: both are for who has logged in; a password is never in a compressed stream.
        all.push("UNAUTHENTICATE".to_owned());
        // Clients delete and archive as with Gmail when they see it: only for whose mail is kept so, and never before login.
        if gmail::is_on(session) {
            all.push("X-GM-EXT-1".to_owned());
        }
        if session.settings.compress && !session.compressed {
            all.push("COMPRESS=DEFLATE".to_owned());
        }
        return all;
    }
    if session.tls.is_none() && session.settings.starttls {
        all.push("STARTTLS".to_owned());
    }
    // RFC 9051 §7.2.2: no AUTH= that would send a password in clear.
    all.extend(session.mechanisms().iter().map(|mechanism| format!("AUTH={}", mechanism.name)));
    if !session.may_send_password() {
        all.push("LOGINDISABLED".to_owned());
    }
    all
}

pub(crate) fn run(session: &mut Session) -> Option<Reply> {
    let all = list(session);
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    session.now_writer().capability(&names);
    Some(Reply::ok("CAPABILITY done"))
}
