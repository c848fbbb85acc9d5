//! LSUB (RFC 3501 §6.3.9): subscribed names, for clients older than LIST-EXTENDED.

use std::collections::BTreeSet;

use postroad_imap::Pattern;
use postroad_imap::encode::{ListResponse, MailboxAttribute};
use postroad_mail::MailboxName;
use postroad_store::ReadTx;

use crate::error::{Error, Reply};
use crate::names;
use crate::session::{Flow, Session};
use crate::shared;

pub(crate) fn run(session: &mut Session, tx: &ReadTx, reference: &str, pattern: &str) -> Result<Flow, Error> {
    let pattern = Pattern::new(reference, pattern);
    let mut told: BTreeSet<MailboxName> = BTreeSet::new();
    let mut subscribed = shared::known(session, tx, std::slice::from_ref(&pattern))?;
    subscribed.retain(|known| known.listed.subscribed);
    for known in &subscribed {
        if pattern.matches(known.listed.name.as_str()) {
            let selectable = known.listed.mailbox.as_ref().is_some_and(|mailbox| mailbox.selectable);
            // Thunderbird wants \Noselect here too.
            let attributes: &[MailboxAttribute] = if selectable { &[] } else { &[MailboxAttribute::NoSelect] };
            tell(session, &known.listed.name, attributes);
            told.insert(known.listed.name.clone());
        }
    }
    // RFC 3501 §6.3.9: with `%`, a name that is not subscribed but has subscribed names below it is told
    // as \Noselect: only for what is not told itself, else clients take the parent for subscribed.
    let hidden = subscribed.iter().filter(|known| !pattern.matches(known.listed.name.as_str()));
    for parent in hidden.flat_map(|known| known.listed.name.ancestors()) {
        if pattern.matches(parent.as_str()) && told.insert(parent.clone()) {
            tell(session, &parent, &[MailboxAttribute::NoSelect]);
        }
    }
    Ok(Flow::Done(Reply::ok("LSUB done")))
}

fn tell(session: &mut Session, name: &MailboxName, attributes: &[MailboxAttribute]) {
    let name = names::to_wire(name.as_str());
    if name.is_some() {
        session.writer().lsub(&ListResponse { attributes, name: name.as_ref(), extra: &[] });
    }
}
