//! IMAP URLs of this server's own messages (RFC 5092), with and without what authorises them (RFC 4467).
//!
//! What it never does: follow a URL to another server, or tell why a URL that authorises was not followed.

use postroad_imap::command::{Section, SectionText};
use postroad_imap::url::{Access, Server, Url, UrlAuth, UrlMailbox};
use postroad_imap::{MailboxName as WireName, ResponseCode};
use postroad_mail::part::{self, Octets, Text, Wanted};
use postroad_mail::urlauth::{self, Right};
use postroad_mail::{Entry, Rights, mailboxes};
use postroad_store::ReadTx;

use crate::error::Error;
use crate::session::{Place, Session};
use crate::target;

/// The octets that a URL in CATENATE means (RFC 4469 §3): those of a message that this login may read, or that the URL
/// itself authorises it to.
///
/// Errors: `NO` with the reason; the store's.
pub(crate) fn resolve(session: &Session, tx: &ReadTx, text: &str) -> Result<Octets, Error> {
    let url = Url::parse(text).map_err(|error| no(error.to_string()))?;
    let entry = match &url.auth {
        Some(auth) => authorised(session, tx, text, &url, auth)?,
        None => plain(session, tx, &url)?,
    };
    let entry = entry.ok_or_else(|| no("there is no such message".to_owned()))?;
    part::octets(tx, &entry, &wanted(&url))?.ok_or_else(|| no("the message has no such part".to_owned()))
}

/// What of the message a URL means.
pub(crate) fn wanted(url: &Url) -> Wanted {
    let range = url.range.map(|range| (range.offset, range.length));
    let Some(Section { part, text }) = &url.section else {
        return Wanted { path: Vec::new(), text: Text::Content, range };
    };
    let text = match text {
        None => Text::Content,
        Some(SectionText::Header) => Text::Header,
        Some(SectionText::HeaderFields(names)) => Text::Fields(names.clone()),
        Some(SectionText::HeaderFieldsNot(names)) => Text::FieldsNot(names.clone()),
        Some(SectionText::Text) => Text::Text,
        Some(SectionText::Mime) => Text::Mime,
    };
    Wanted { path: part.clone(), text, range }
}

/// The message of a URL, as far as this login may read it.
fn plain(session: &Session, tx: &ReadTx, url: &Url) -> Result<Option<Entry>, Error> {
    if let Some(server) = &url.server {
        if !is_ours(session, tx, server)? {
            return Err(no("the URL is of another server".to_owned()));
        }
        if let Some(user) = &server.user
            && urlauth::account_of(tx, user)? != Some(session.account()?)
        {
            return Err(no("the URL is of another user".to_owned()));
        }
    }
    let place = match &url.mailbox {
        None => {
            let view = session.view.as_ref().ok_or_else(|| no("no mailbox is selected".to_owned()))?;
            if !view.rights.contains(Rights::READ) {
                return Err(target::lacking());
            }
            session.place()?
        }
        Some(mailbox) => {
            let name = absolute(session, tx, mailbox)?;
            let target = target::look(session, tx, &name, Rights::READ)?;
            if mailbox.uidvalidity.is_some_and(|validity| validity != target.mailbox.uidvalidity) {
                return Err(no("the mailbox is another one now".to_owned()));
            }
            target.place()
        }
    };
    Ok(part::message(tx, place.account, place.mailbox, url.uid)?)
}

/// The name that a URL's path means: a relative one is beside the selected mailbox (RFC 4469 §3, RFC 3986 §5.2).
fn absolute(session: &Session, tx: &ReadTx, mailbox: &UrlMailbox) -> Result<WireName, Error> {
    let mut name = mailbox.name.clone();
    if !mailbox.rooted
        && let Ok(Place { account, mailbox }) = session.place()
        && account == session.account()?
        && let Some(selected) = mailboxes::by_id(tx, account, mailbox)?
        && let Some((above, _)) = selected.name.as_str().rsplit_once('/')
    {
        name = format!("{above}/{name}");
    }
    WireName::from_text(&name).map_err(|_| no("the URL names no mailbox".to_owned()))
}

/// The message of a URL that carries a right to it; `None` for whatever reason it is not followed.
pub(crate) fn authorised(
    session: &Session,
    tx: &ReadTx,
    text: &str,
    url: &Url,
    auth: &UrlAuth,
) -> Result<Option<Entry>, Error> {
    let who = match &auth.access {
        Access::Anonymous | Access::AuthUser => true,
        Access::User(user) => urlauth::account_of(tx, user)? == Some(session.account()?),
        // Only a submission server may, and this server's own asks nobody here.
        Access::Submit(_) => false,
    };
    let owner = match &url.server {
        Some(server @ Server { user: Some(user), .. }) if is_ours(session, tx, server)? => {
            urlauth::account_of(tx, user)?
        }
        Some(_) | None => None,
    };
    let place = match (owner, &url.mailbox) {
        (Some(owner), Some(mailbox)) => urlauth::place(tx, owner, &mailbox.name, mailbox.uidvalidity)?,
        (_, _) => None,
    };
    let (mechanism, token) = auth.token.as_ref().map_or(("", ""), |(mechanism, token)| (mechanism, token));
    let rump = text.get(..auth.rump).unwrap_or_default();
    let holds = urlauth::holds(tx, session.now, place, &Right { rump, mechanism, token, expires: auth.expires })?;
    match place {
        Some(place) if holds && who => Ok(part::message(tx, place.owner, place.mailbox, url.uid)?),
        Some(_) | None => Ok(None),
    }
}

/// Whether a host in a URL is this server: by its own name, by the name or the address that the client came to, or by a
/// domain whose mail is here.
pub(crate) fn is_ours(session: &Session, tx: &ReadTx, server: &Server) -> Result<bool, Error> {
    let host = server.host.as_str();
    let asked = session.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    let named = asked.is_some_and(|name| name.eq_ignore_ascii_case(host))
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address == session.peer.local.ip().to_canonical())
        || (host == "localhost" && session.peer.is_loopback());
    Ok(named || urlauth::is_here(tx, &session.settings.host, host)?)
}

fn no(text: String) -> Error {
    Error::no(ResponseCode::Cannot, text)
}
