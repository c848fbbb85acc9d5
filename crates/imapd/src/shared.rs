//! The names that LIST and LSUB choose from: one's own, and those of mailboxes that others share.
//!
//! What others share is looked for only where a pattern could mean it, by an index over what is granted to this login: not
//! by looking through accounts. Levels of names that are no mailbox for this login (the namespace, the owner, a parent
//! without `l`) are told only to patterns that end with `%` (RFC 3501 §6.3.8; RFC 4314 §4: as if they did not exist).
//!
//! What it never does: show special uses of others. Clients would take a colleague's `\Sent` for their own.

use std::collections::{BTreeMap, HashSet};

use postroad_imap::Pattern;
use postroad_mail::acl::{self, Shared};
use postroad_mail::mailboxes::{self, Listed};
use postroad_mail::{MailboxName, Rights};
use postroad_store::{AccountId, ReadTx};

use crate::error::Error;
use crate::session::Session;
use crate::target::{self, Target};

/// A name that may be told.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// What is known of it; its name is the one that this login uses. The mailbox's row has the name in its account.
    pub(crate) listed: Listed,
    /// Whose mailbox it is when it is not one's own, and what may be done with it.
    pub(crate) shared: Option<Shared>,
    /// No mailbox, only a level above some; perhaps subscribed nevertheless.
    pub(crate) is_level: bool,
}

impl Known {
    /// The mailbox as commands know it; `None` when it cannot be selected.
    pub(crate) fn target(&self, login: AccountId) -> Option<Target> {
        let mailbox = self.listed.mailbox.clone().filter(|mailbox| mailbox.selectable)?;
        Some(match &self.shared {
            None => Target { account: login, mailbox, rights: Rights::ALL, owner: None },
            Some(shared) => Target {
                account: shared.owner.account,
                mailbox,
                rights: shared.rights,
                owner: Some(shared.owner.clone()),
            },
        })
    }
}

/// All names that patterns are tried on, one's own first.
pub(crate) fn known(session: &Session, tx: &ReadTx, patterns: &[Pattern]) -> Result<Vec<Known>, Error> {
    let own = mailboxes::list(tx, session.account()?)?.into_iter();
    let mut all: Vec<Known> = own.map(|listed| Known { listed, shared: None, is_level: false }).collect();
    if patterns.iter().any(could_be_foreign) {
        add_shared(session, tx, &mut all)?;
    }
    Ok(all)
}

/// Whether a pattern could mean a name in the namespaces of others.
fn could_be_foreign(pattern: &Pattern) -> bool {
    [target::OTHERS, target::SHARED].into_iter().any(|prefix| {
        let root = prefix.trim_end_matches('/');
        pattern.matches(root) || pattern.could_match_below(root)
    })
}

fn add_shared(session: &Session, tx: &ReadTx, all: &mut Vec<Known>) -> Result<(), Error> {
    let mut mailboxes: BTreeMap<MailboxName, Shared> = BTreeMap::new();
    for shared in acl::shared_with(tx, &target::who(session)?)? {
        // A name that is too long with its owner before it can be said by nobody.
        if let Ok(name) = MailboxName::parse(&target::shown(Some(&shared.owner), &shared.mailbox.name)) {
            mailboxes.insert(name, shared);
        }
    }
    if mailboxes.is_empty() {
        return Ok(());
    }
    let subscribed: HashSet<MailboxName> =
        all.iter().filter(|known| known.listed.subscribed).map(|known| known.listed.name.clone()).collect();
    let parents: HashSet<MailboxName> =
        mailboxes.keys().flat_map(|name| name.ancestors().collect::<Vec<_>>()).collect();
    let subscribed_parents: HashSet<MailboxName> =
        subscribed.iter().flat_map(|name| name.ancestors().collect::<Vec<_>>()).collect();
    // A subscription to a mailbox that is there is told as the mailbox.
    all.retain(|known| !mailboxes.contains_key(&known.listed.name));
    for known in all.iter_mut().filter(|known| parents.contains(&known.listed.name)) {
        known.listed.has_children = true;
        known.is_level = known.listed.mailbox.is_none();
    }
    let own: HashSet<&MailboxName> = all.iter().map(|known| &known.listed.name).collect();
    let levels = parents.iter().filter(|name| !own.contains(name) && !mailboxes.contains_key(name)).cloned();
    let listed = |name: MailboxName| Listed {
        subscribed: subscribed.contains(&name),
        has_children: parents.contains(&name),
        has_subscribed_children: subscribed_parents.contains(&name),
        mailbox: None,
        name,
    };
    let levels: Vec<Known> = levels.map(|name| Known { listed: listed(name), shared: None, is_level: true }).collect();
    let shared = mailboxes.into_iter().map(|(name, shared)| {
        let listed = Listed { mailbox: Some(shared.mailbox.clone()), ..listed(name) };
        Known { listed, shared: Some(shared), is_level: false }
    });
    let mut more: Vec<Known> = levels.into_iter().chain(shared).collect();
    more.sort_by(|a, b| a.listed.name.cmp(&b.listed.name));
    all.extend(more);
    Ok(())
}
