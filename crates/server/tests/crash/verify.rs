//! Looks at the database of a server that was killed, and compares it with the ledger and with itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use postroad_mail::{Address, MailboxName, Query, UidSet, Want, accounts, audit, mailboxes, view};
use postroad_message::Summary;
use postroad_store::{AccountId, BlobPlace, Database, ModSeq, ReadTx, Settings, Store};

use crate::ACCOUNTS;
use crate::ledger::{Inside, Ledger, Uid, body};

/// More than any run makes.
const MANY: usize = 1_000_000;

/// Remembers what was there after the last kill.
pub(crate) struct Verifier {
    settings: Settings,
    before: Vec<Seen>,
}

/// An account as it was seen.
#[derive(Default, Clone)]
struct Seen {
    modseq: i64,
    inbox: Folder,
    drafts: Folder,
    archive: Folder,
}

#[derive(Default, Clone)]
struct Folder {
    uidvalidity: u32,
    uidnext: u32,
    entries: BTreeMap<u32, Entry>,
}

#[derive(Clone)]
struct Entry {
    content: i64,
    message_id: String,
    modseq: i64,
    /// Only for what is new since the last look.
    fresh: Option<Vec<u8>>,
}

impl Verifier {
    pub(crate) fn new(database: Database, blobs: PathBuf) -> Verifier {
        let settings = Settings::new(database, BlobPlace::Folder(blobs));
        Verifier { settings, before: vec![Seen::default(); ACCOUNTS.len()] }
    }

    pub(crate) fn verify(&mut self, round: u32, ledger: &Ledger) {
        let store = Store::open(self.settings.clone()).expect("the database opens after a kill");
        let before = self.before.clone();
        let now = store
            .read_blocking(move |tx| {
                ACCOUNTS.iter().zip(&before).map(|(name, before)| look(tx, name, before)).collect()
            })
            .map_err(|error: postroad_mail::Error| error.to_string())
            .expect("the database can be read after a kill");
        let now: Vec<Seen> = now;
        store.close();
        let ledger = ledger.open();
        for ((name, before), now) in ACCOUNTS.iter().zip(&self.before).zip(&now) {
            assert!(now.modseq >= before.modseq, "round {round}, {name}: the modseq fell");
            grows(&format!("round {round}, {name} INBOX"), before.modseq, &before.inbox, &now.inbox);
            grows(&format!("round {round}, {name} Drafts"), before.modseq, &before.drafts, &now.drafts);
            grows(&format!("round {round}, {name} Archive"), before.modseq, &before.archive, &now.archive);
        }
        deliveries(round, &ledger, &now);
        promises(round, &ledger, &now);
        self.before = now;
        for seen in &mut self.before {
            for folder in [&mut seen.inbox, &mut seen.drafts, &mut seen.archive] {
                folder.entries.values_mut().for_each(|entry| entry.fresh = None);
            }
        }
    }
}

/// Reads an account, audits it, and reads the bytes of what is new.
fn look(tx: &ReadTx, name: &str, before: &Seen) -> postroad_mail::Result<Seen> {
    let address = Address::parse(name).expect("a good address");
    let account = accounts::find(tx, &address)?.expect("quickstart made the account");
    let faults = audit::audit(tx, account.id)?;
    assert!(faults.is_empty(), "{name} contradicts itself: {faults:?}");
    let ModSeq(modseq) = account.modseq;
    let folder = |name, before: &Folder| folder(tx, account.id, name, before, modseq);
    Ok(Seen {
        modseq,
        inbox: folder("INBOX", &before.inbox)?,
        drafts: folder("Drafts", &before.drafts)?,
        archive: folder("Archive", &before.archive)?,
    })
}

fn folder(tx: &ReadTx, account: AccountId, name: &str, before: &Folder, newest: i64) -> postroad_mail::Result<Folder> {
    let name = MailboxName::parse(name).expect("a good name");
    let mailbox = mailboxes::find(tx, account, &name)?.expect("quickstart made the mailbox");
    let all = UidSet::from_ranges([(1, u32::MAX)]);
    let query = Query { uids: &all, want: Want::Summary, changed_since: None, limit: MANY };
    let mut entries = BTreeMap::new();
    for entry in view::entries(tx, account, mailbox.id, &query)? {
        assert!(entry.modseq.0 <= newest, "an entry is newer than its account");
        let facts = entry.facts.expect("facts were asked for");
        let known = before.entries.get(&entry.uid).filter(|known| known.content == entry.message.0);
        let (message_id, fresh) = match known {
            Some(known) => (known.message_id.clone(), None),
            None => {
                let summary = Summary::decode(&facts.summary).expect("a stored summary can be read");
                let id = summary.envelope.message_id.unwrap_or_default();
                let id = id.trim_matches(['<', '>', ' ']).to_owned();
                (id, Some(tx.blob_read(facts.blob, 0..u64::MAX)?))
            }
        };
        entries.insert(entry.uid, Entry { content: entry.message.0, message_id, modseq: entry.modseq.0, fresh });
    }
    assert_eq!(entries.len() as u64, u64::from(mailbox.messages), "{name}: the counter");
    Ok(Folder { uidvalidity: mailbox.uidvalidity, uidnext: mailbox.uidnext, entries })
}

/// What was there is there; what is new is above it.
fn grows(place: &str, before_modseq: i64, before: &Folder, now: &Folder) {
    assert!(before.uidvalidity == 0 || before.uidvalidity == now.uidvalidity, "{place}: the uidvalidity changed");
    assert!(before.uidnext <= now.uidnext, "{place}: uidnext fell");
    for (uid, entry) in &before.entries {
        let still = now.entries.get(uid).unwrap_or_else(|| panic!("{place}: uid {uid} ({}) is gone", entry.message_id));
        assert_eq!(still.content, entry.content, "{place}: uid {uid} is another message now");
        assert!(still.modseq >= entry.modseq, "{place}: the modseq of uid {uid} fell");
    }
    for (uid, entry) in now.entries.iter().filter(|(uid, _)| !before.entries.contains_key(uid)) {
        assert!(*uid >= before.uidnext && *uid < now.uidnext, "{place}: uid {uid} is not above {}", before.uidnext);
        assert!(entry.modseq > before_modseq, "{place}: uid {uid} came with an old modseq");
    }
}

/// Exactly once where it was acknowledged, for all or for none where it was not.
fn deliveries(round: u32, ledger: &Inside, now: &[Seen]) {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (account, seen) in now.iter().enumerate() {
        let mut here = BTreeSet::new();
        for (uid, entry) in &seen.inbox.entries {
            let id = entry.message_id.as_str();
            assert!(
                here.insert(id),
                "round {round}: {id} is there twice for {}, again as uid {uid}",
                ACCOUNTS[account]
            );
            found.entry(id).or_default().push(account);
            let Some(message) = ledger.messages.get(id) else {
                // The greeting of a new account.
                assert!(!id.ends_with("@crash.test"), "round {round}: nobody sent {id}");
                continue;
            };
            if let Some(bytes) = &entry.fresh {
                let expected = body(id, message.body);
                assert!(bytes.ends_with(expected.as_bytes()), "round {round}: the bytes of {id} are not what was sent");
            }
        }
    }
    for (id, message) in &ledger.messages {
        let found = found.get(id.as_str()).map_or(&[][..], Vec::as_slice);
        let mut wanted = message.recipients.clone();
        wanted.sort_unstable();
        if message.acknowledged.is_empty() {
            assert!(found.is_empty() || found == wanted, "round {round}: {id} reached {found:?} of {wanted:?}");
        } else {
            assert_eq!(found, wanted, "round {round}: {id} was acknowledged");
        }
    }
}

/// What IMAP promised by APPENDUID and COPYUID.
fn promises(round: u32, ledger: &Inside, now: &[Seen]) {
    for (id, append) in &ledger.appends {
        let drafts = &now[append.account].drafts;
        let uids: Vec<Uid> = drafts
            .entries
            .iter()
            .filter(|(_, entry)| entry.message_id == *id)
            .map(|(uid, _)| Uid { uidvalidity: drafts.uidvalidity, uid: *uid })
            .collect();
        match &append.promised {
            Some(promised) => assert_eq!(uids, std::slice::from_ref(promised), "round {round}: draft {id}"),
            None => assert!(uids.len() <= 1, "round {round}: draft {id} is there twice"),
        }
    }
    for copy in &ledger.copies {
        let seen = &now[copy.account];
        assert_eq!(seen.archive.uidvalidity, copy.target.uidvalidity, "round {round}: Archive");
        let source = seen.inbox.entries.get(&copy.source).map(|entry| entry.content);
        let target = seen.archive.entries.get(&copy.target.uid).map(|entry| entry.content);
        assert!(
            source.is_some() && source == target,
            "round {round}: the copy of uid {} as {:?}",
            copy.source,
            copy.target
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Append, Copy, Message};

    fn entry(content: i64, id: &str) -> Entry {
        Entry { content, message_id: format!("{id}@crash.test"), modseq: content, fresh: None }
    }

    fn folder(entries: &[(u32, i64, &str)]) -> Folder {
        let entries = entries.iter().map(|(uid, content, id)| (*uid, entry(*content, id))).collect();
        Folder { uidvalidity: 1, uidnext: 100, entries }
    }

    fn inbox(entries: &[(u32, i64, &str)]) -> Seen {
        Seen { modseq: 50, inbox: folder(entries), ..Seen::default() }
    }

    fn fails(check: impl FnOnce()) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    }

    #[test]
    fn what_must_not_happen_is_seen() {
        let message = |acknowledged: &[usize]| Inside {
            messages: [(
                "m@crash.test".to_owned(),
                Message { recipients: vec![0, 1], body: 1, acknowledged: acknowledged.to_vec() },
            )]
            .into(),
            ..Inside::default()
        };
        let (there, nothing) = (inbox(&[(1, 1, "m")]), inbox(&[]));
        let twice = inbox(&[(1, 1, "m"), (2, 2, "m")]);
        for (acknowledged, now, wrong) in [
            (true, [&there, &there], false),
            (true, [&there, &nothing], true),
            (true, [&nothing, &nothing], true),
            (true, [&twice, &there], true),
            (false, [&nothing, &nothing], false),
            (false, [&there, &there], false),
            (false, [&nothing, &there], true),
        ] {
            let ledger = message(if acknowledged { &[0, 1] } else { &[] });
            let now: Vec<Seen> = now.into_iter().cloned().collect();
            assert_eq!(fails(|| deliveries(1, &ledger, &now)), wrong, "{acknowledged}");
        }
        assert!(fails(|| deliveries(1, &Inside::default(), &[there])), "nobody sent it");
    }

    #[test]
    fn lost_and_renumbered_entries_are_seen() {
        let before = Folder { uidnext: 3, ..folder(&[(1, 11, "a"), (2, 12, "b")]) };
        for (now, wrong) in [
            (folder(&[(1, 11, "a"), (2, 12, "b"), (3, 60, "c")]), false),
            (folder(&[(1, 11, "a")]), true),
            (folder(&[(1, 11, "a"), (2, 13, "b")]), true),
            (folder(&[(1, 11, "a"), (2, 12, "b"), (3, 40, "c")]), true),
            (Folder { uidnext: 2, ..before.clone() }, true),
            (Folder { uidvalidity: 2, ..before.clone() }, true),
        ] {
            assert_eq!(fails(|| grows("here", 50, &before, &now)), wrong, "{:?}", now.entries.keys());
        }
        let old = Folder { uidnext: 10, ..before };
        assert!(fails(|| grows("here", 50, &old, &folder(&[(1, 11, "a"), (2, 12, "b"), (3, 60, "c")]))));
    }

    #[test]
    fn broken_promises_are_seen() {
        let promised = Some(Uid { uidvalidity: 1, uid: 7 });
        let append = |promised| Inside {
            appends: [("d@crash.test".to_owned(), Append { account: 0, promised })].into(),
            ..Inside::default()
        };
        let drafts = |entries: &[(u32, i64, &str)]| vec![Seen { drafts: folder(entries), ..Seen::default() }];
        assert!(!fails(|| promises(1, &append(promised.clone()), &drafts(&[(7, 1, "d")]))));
        assert!(fails(|| promises(1, &append(promised.clone()), &drafts(&[(8, 1, "d")]))));
        assert!(fails(|| promises(1, &append(promised), &drafts(&[]))));
        assert!(fails(|| promises(1, &append(None), &drafts(&[(7, 1, "d"), (8, 1, "d")]))));
        let copied = |content| {
            let archive = folder(&[(5, content, "m")]);
            let seen = Seen { inbox: folder(&[(1, 1, "m")]), archive, ..Seen::default() };
            let copy = Copy { account: 0, source: 1, target: Uid { uidvalidity: 1, uid: 5 } };
            let ledger = Inside { copies: vec![copy], ..Inside::default() };
            fails(move || promises(1, &ledger, &[seen]))
        };
        assert!(!copied(1) && copied(2));
    }
}
