//! Compares everything that is kept with a recount. For `postroad check` and the crash tests.

mod marks;

use postroad_store::{AccountId, ReadTx, Row, params};

use crate::Result;

/// Most faults reported at a time.
pub const MAX_FAULTS: usize = 100;

/// A contradiction in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In which account.
    pub account: AccountId,
    /// What contradicts what, with both values.
    pub what: String,
}

/// Checks an account: counters, uids below uidnext, modseqs, journal without gaps, entries with content,
/// quota, keywords, blobs. Reads every entry: not for a request.
pub fn audit(tx: &ReadTx, account: AccountId) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for (what, text) in CHECKS {
        let room = MAX_FAULTS.saturating_sub(faults.len());
        let text = format!("{text} LIMIT {room}");
        let found =
            tx.rows(&text, params![account], |row| Ok(Fault { account, what: format!("{what}: {}", numbers(row)?) }))?;
        faults.extend(found);
    }
    marks::audit(tx, account, &mut faults)?;
    faults.truncate(MAX_FAULTS);
    Ok(faults)
}

/// The three numbers that every check answers with.
fn numbers(row: &Row<'_>) -> postroad_store::Result<String> {
    Ok(format!("of {} found {} but recounted {}", row.int(0)?, row.int(1)?, row.int(2)?))
}

/// Each check finds rows (what it is about, what is kept, what a recount says) that contradict.
const CHECKS: &[(&str, &str)] = &[
    (
        "uidnext of a mailbox and its highest uid",
        "SELECT b.id, b.uidnext, e.top FROM mailbox AS b
         JOIN (SELECT mailbox, max(uid) AS top FROM (
                   SELECT mailbox, uid FROM entry WHERE account = $1
                   UNION ALL SELECT mailbox, uid FROM expunged WHERE account = $1) AS u GROUP BY mailbox) AS e
              ON e.mailbox = b.id
         WHERE b.account = $1 AND e.top >= b.uidnext",
    ),
    (
        "modseq of the account and of a mailbox",
        "SELECT b.id, b.highest_modseq, a.modseq FROM mailbox AS b JOIN account AS a ON a.id = b.account
         WHERE b.account = $1 AND (b.highest_modseq > a.modseq OR b.created > a.modseq)",
    ),
    (
        "journal rows and modseq of the account",
        "SELECT a.id, a.modseq, j.n FROM account AS a
         CROSS JOIN (SELECT CAST(count(*) AS BIGINT) AS n, COALESCE(max(modseq), 0) AS top FROM journal
                     WHERE account = $1) AS j
         WHERE a.id = $1 AND (a.modseq <> j.n OR a.modseq <> j.top)",
    ),
    (
        "an entry in no selectable mailbox",
        "SELECT e.mailbox, e.uid, CAST(0 AS BIGINT) FROM entry AS e
         LEFT JOIN mailbox AS b ON b.account = e.account AND b.id = e.mailbox AND b.selectable = 1
         WHERE e.account = $1 AND b.id IS NULL",
    ),
    (
        "a page of entries in no selectable mailbox",
        "SELECT p.mailbox, p.page, CAST(0 AS BIGINT) FROM entry_page AS p
         LEFT JOIN mailbox AS b ON b.account = p.account AND b.id = p.mailbox AND b.selectable = 1
         WHERE p.account = $1 AND b.id IS NULL",
    ),
    (
        "an entry without its content",
        "SELECT e.mailbox, e.size, COALESCE(m.size, -1) FROM entry AS e
         LEFT JOIN message AS m ON m.account = e.account AND m.id = e.message
         WHERE e.account = $1 AND (m.id IS NULL OR m.size <> e.size)",
    ),
    (
        "a content that nothing refers to",
        "SELECT m.id, m.size, CAST(0 AS BIGINT) FROM message AS m WHERE m.account = $1
         AND NOT EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.message = m.id)
         AND NOT EXISTS (SELECT 1 FROM expunged AS x WHERE x.account = $1 AND x.message = m.id)",
    ),
    ("used messages of the account", USED_MESSAGES),
    ("used bytes of the account", USED_BYTES),
    (
        "a uid both present and removed",
        "SELECT e.mailbox, e.uid, x.modseq FROM entry AS e
         JOIN expunged AS x ON x.account = e.account AND x.mailbox = e.mailbox AND x.uid = e.uid
         WHERE e.account = $1",
    ),
    (
        "rights to a mailbox that is not there",
        "SELECT c.mailbox, c.rights, CAST(0 AS BIGINT) FROM acl AS c
         LEFT JOIN mailbox AS b ON b.account = c.account AND b.id = c.mailbox
         WHERE c.account = $1 AND b.id IS NULL",
    ),
    (
        "annotations of a mailbox that is not there",
        "SELECT c.mailbox, c.octets, CAST(0 AS BIGINT) FROM metadata AS c
         LEFT JOIN mailbox AS b ON b.account = c.account AND b.id = c.mailbox
         WHERE c.account = $1 AND c.mailbox > 0 AND b.id IS NULL",
    ),
    ("a message with labels that is neither in All Mail nor in Trash or Junk", LABELS_ALL),
    ("a message in Trash or Junk that is elsewhere too", LABELS_OUTSIDE),
    (
        "a message with labels that is in a mailbox twice",
        "SELECT e.mailbox, min(e.message), CAST(count(*) AS BIGINT) FROM entry AS e
         JOIN label_account AS l ON l.account = e.account AND l.whole = 1
         WHERE e.account = $1 GROUP BY e.mailbox, e.message HAVING count(*) > 1",
    ),
    (
        "uidvalidity of a mailbox and the last one given",
        "SELECT b.id, b.uidvalidity, a.last_uidvalidity FROM mailbox AS b JOIN account AS a ON a.id = b.account
         WHERE b.account = $1 AND (b.uidvalidity > a.last_uidvalidity OR b.id >= a.next_mailbox)",
    ),
];

const LABELS_ALL: &str = "SELECT e.mailbox, e.uid, e.message FROM entry AS e
     JOIN label_account AS l ON l.account = e.account AND l.whole = 1
     WHERE e.account = $1 AND NOT EXISTS (
         SELECT 1 FROM entry AS h JOIN mailbox AS b ON b.account = h.account AND b.id = h.mailbox
         WHERE h.account = $1 AND h.message = e.message AND b.role IN ('all', 'trash', 'junk'))";

const LABELS_OUTSIDE: &str = "SELECT e.mailbox, e.uid, e.message FROM entry AS e
     JOIN label_account AS l ON l.account = e.account AND l.whole = 1
     JOIN mailbox AS b ON b.account = e.account AND b.id = e.mailbox AND b.role IN ('trash', 'junk')
     WHERE e.account = $1 AND EXISTS (
         SELECT 1 FROM entry AS h WHERE h.account = $1 AND h.message = e.message AND h.mailbox <> e.mailbox)";

const USED_MESSAGES: &str = "SELECT a.id, a.used_messages, m.n FROM account AS a
     CROSS JOIN (SELECT CAST(count(*) AS BIGINT) AS n FROM message AS c WHERE c.account = $1
                 AND EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.message = c.id)) AS m
     WHERE a.id = $1 AND a.used_messages <> m.n";
const USED_BYTES: &str = "SELECT a.id, a.used_bytes, m.n FROM account AS a
     CROSS JOIN (SELECT CAST(COALESCE(sum(c.size), 0) AS BIGINT) AS n FROM message AS c WHERE c.account = $1
                 AND EXISTS (SELECT 1 FROM entry AS e WHERE e.account = $1 AND e.message = c.id)) AS m
     WHERE a.id = $1 AND a.used_bytes <> m.n";
