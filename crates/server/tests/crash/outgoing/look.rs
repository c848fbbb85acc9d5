//! The database of a server that does not run: who waits in the queue, and whether all is consistent.

use std::collections::BTreeMap;

use postroad_mail::{Address, MailboxName, Query, UidSet, Want, accounts, audit, mailboxes, view};
use postroad_queue::{self as queue, Filter, QueueId, State};
use postroad_store::{ReadTx, Settings, Store, params};

use super::AUTHORS;

const PAGE: usize = 500;
/// More than any run makes.
const MANY: usize = 1_000_000;

/// The queue at one moment.
pub(super) struct Snapshot {
    states: BTreeMap<String, (State, Option<String>)>,
    faults: Vec<String>,
}

impl Snapshot {
    /// One in which only this waits.
    #[cfg(test)]
    pub(super) fn of(address: &str, state: State) -> Snapshot {
        Snapshot { states: [(address.to_owned(), (state, None))].into(), faults: Vec::new() }
    }

    pub(super) fn waits(&self, address: &str) -> bool {
        self.states.get(address).is_some_and(|(state, _)| !state.is_ended())
    }

    /// Who was being sent, and by which node.
    pub(super) fn claimed(&self) -> impl Iterator<Item = (&String, &str)> {
        let claimed = self.states.iter().filter(|(_, (state, _))| *state == State::Claimed);
        claimed.map(|(address, (_, node))| (address, node.as_deref().unwrap_or_default()))
    }

    pub(super) fn recipients(&self) -> usize {
        self.states.values().filter(|(state, _)| !state.is_ended()).count()
    }

    /// Panics with all contradictions.
    pub(super) fn agrees(&self, round: u32) {
        assert!(self.faults.is_empty(), "round {round}: {:#?}", self.faults);
    }
}

/// Opens the database and looks.
pub(super) fn snapshot(settings: &Settings) -> Snapshot {
    let store = Store::open(settings.clone()).expect("the database opens after a kill");
    let looked = store.read_blocking(|tx| -> postroad_mail::Result<Snapshot> {
        let mut states = BTreeMap::new();
        let mut faults = queue::audit(tx).map_err(words)?;
        let mut after: Option<QueueId> = None;
        loop {
            let page = queue::list(tx, &Filter::default(), after, PAGE).map_err(words)?;
            let Some(last) = page.last() else { break };
            after = Some(last.message.id);
            for listed in page {
                if let Err(error) = tx.blob_read(listed.message.blob, 0..u64::MAX) {
                    faults.push(format!("{}: {error}", listed.message.id));
                }
                for recipient in listed.recipients {
                    let before = states.insert(recipient.address.clone(), (recipient.state, recipient.node));
                    assert!(before.is_none(), "{} is queued twice", recipient.address);
                }
            }
        }
        faults.extend(references(tx)?);
        for author in AUTHORS {
            let address = Address::parse(author).expect("a good address");
            let account = accounts::find(tx, &address)?.expect("quickstart made the account");
            faults.extend(audit::audit(tx, account.id)?.into_iter().map(|fault| format!("{author}: {fault:?}")));
        }
        Ok(Snapshot { states, faults })
    });
    let snapshot = looked.map_err(|error| error.to_string()).expect("the database can be read after a kill");
    store.close();
    snapshot
}

fn words(error: queue::Error) -> postroad_mail::Error {
    postroad_mail::Error::Corrupt(error.to_string())
}

/// Blobs whose references are not as many as the rows that name them.
fn references(tx: &ReadTx) -> postroad_mail::Result<Vec<String>> {
    let found = tx.rows(
        "SELECT b.id, b.refs, COALESCE(u.n, 0) FROM blob AS b
         LEFT JOIN (SELECT blob, CAST(count(*) AS BIGINT) AS n FROM
                        (SELECT blob FROM message UNION ALL SELECT blob FROM queue_message) AS named
                    GROUP BY blob) AS u ON u.blob = b.id
         WHERE b.refs <> COALESCE(u.n, 0) LIMIT 20",
        params![],
        |row| Ok(format!("blob {} has {} references but {} rows name it", row.int(0)?, row.int(1)?, row.int(2)?)),
    )?;
    Ok(found)
}

/// All messages in the INBOX of this account.
pub(super) fn inbox(settings: &Settings, account: &str) -> Vec<String> {
    let store = Store::open(settings.clone()).expect("the database opens");
    let address = Address::parse(account).expect("a good address");
    let read = store.read_blocking(move |tx| -> postroad_mail::Result<Vec<String>> {
        let account = accounts::find(tx, &address)?.expect("quickstart made the account");
        let name = MailboxName::parse("INBOX").expect("a good name");
        let mailbox = mailboxes::find(tx, account.id, &name)?.expect("quickstart made the mailbox");
        let all = UidSet::from_ranges([(1, u32::MAX)]);
        let query = Query { uids: &all, want: Want::Summary, changed_since: None, limit: MANY };
        let mut found = Vec::new();
        for entry in view::entries(tx, account.id, mailbox.id, &query)? {
            let facts = entry.facts.expect("facts were asked for");
            found.push(String::from_utf8_lossy(&tx.blob_read(facts.blob, 0..u64::MAX)?).into_owned());
        }
        Ok(found)
    });
    store.close();
    read.map_err(|error| error.to_string()).expect("the mailbox can be read")
}
