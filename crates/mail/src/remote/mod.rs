//! What is known of another server's copy of an account: which message there is which here, so that taking an account over
//! (and mirroring one outwards) goes on where it stopped and never files a message twice.
//!
//! Invariants:
//! 1. A row of `remote_message` is written in the transaction that files the message ([`deliver`], [`copy`]): a broken run has
//!    both or neither. Outwards the row follows the other server's answer; what was sent without one is found again by
//!    its checksum.
//! 2. `hash` is BLAKE3 of the octets that the other server sent, or was sent; it is compared, never trusted: [`proof`] gives
//!    what is stored here for that.
//! 3. A row with a negative uid is of a message whose uid there was made void by a new uidvalidity; it keeps its place here
//!    until the same octets are seen again ([`adopt`]) or the folder was gone through.
//!
//! Never here: connections, passwords. The rows of an account go with the account.

pub mod collect;
mod messages;

use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, params};

use crate::{MailboxId, Result, sql};

pub use messages::{
    Found, Known, Locate, Place, Proof, Taken, adopt, copy, deliver, elsewhere, forget, known, like, proof, remember,
    set_marks, summary,
};

/// The tables.
pub(crate) const TABLES: &str = "
CREATE TABLE remote_link (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    direction {text} NOT NULL,
    place {text} NOT NULL,
    made BIGINT NOT NULL,
    cut BIGINT,
    PRIMARY KEY (account, id)
) {clustered};
CREATE TABLE remote_folder (
    account BIGINT NOT NULL,
    link BIGINT NOT NULL,
    id BIGINT NOT NULL,
    name {text} NOT NULL,
    mailbox BIGINT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    marker BIGINT NOT NULL,
    PRIMARY KEY (account, link, id)
) {clustered};
CREATE TABLE remote_message (
    account BIGINT NOT NULL,
    link BIGINT NOT NULL,
    folder BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    other BIGINT NOT NULL,
    message BIGINT NOT NULL,
    identity {text} NOT NULL,
    hash {bytes} NOT NULL,
    size BIGINT NOT NULL,
    marks {text} NOT NULL,
    PRIMARY KEY (account, link, folder, uid)
) {clustered};
CREATE INDEX remote_message_identity ON remote_message (account, link, identity) WHERE identity <> '';
";

/// Which way mail goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From there to here.
    In,
    /// From here to there.
    Out,
}

/// A folder there and its mailbox here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its number in the link.
    pub id: i64,
    /// Its name there, as it is written there.
    pub name: String,
    /// The mailbox here.
    pub mailbox: MailboxId,
    /// Its uidvalidity there when it was last gone through; 0 before.
    pub uidvalidity: u32,
    /// Its highest modseq then (inwards of the other server, outwards of ours); 0 when it was not gone through whole.
    pub modseq: u64,
    /// Outwards: messages from this uid on may have been put there without a row; 0 when none.
    pub marker: u32,
}

/// A link between an account and a place elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number in the account.
    pub id: i64,
    /// When its owner began to use the account here instead: since then only new mail is taken.
    pub cut: Option<Timestamp>,
}

/// The link with a place, made when it is new. One to three statements.
pub fn link(tx: &mut WriteTx, account: AccountId, direction: Direction, place: &str, now: Timestamp) -> Result<Link> {
    if let Some(link) = find_link(tx, account, direction, place)? {
        return Ok(link);
    }
    let id = tx.one(
        "SELECT CAST(COALESCE(max(id), 0) + 1 AS BIGINT) FROM remote_link WHERE account = $1",
        params![account],
        |row| row.int(0),
    )?;
    tx.execute(
        "INSERT INTO remote_link (account, id, direction, place, made) VALUES ($1, $2, $3, $4, $5)",
        params![account, id, direction.name(), place, now],
    )?;
    Ok(Link { id, cut: None })
}

/// The link, if there is one. One statement.
pub fn find_link(tx: &ReadTx, account: AccountId, direction: Direction, place: &str) -> Result<Option<Link>> {
    Ok(tx.row(
        "SELECT id, cut FROM remote_link WHERE account = $1 AND direction = $2 AND place = $3",
        params![account, direction.name(), place],
        |row| Ok(Link { id: row.int(0)?, cut: row.int_or_null(1)?.map(Timestamp) }),
    )?)
}

/// From now on the account is used here. One statement.
pub fn cut_over(tx: &mut WriteTx, account: AccountId, link: i64, now: Timestamp) -> Result<()> {
    tx.execute("UPDATE remote_link SET cut = $3 WHERE account = $1 AND id = $2", params![account, link, now])?;
    Ok(())
}

/// A link's folders, by number. One statement.
pub fn folders(tx: &ReadTx, account: AccountId, link: i64) -> Result<Vec<Folder>> {
    Ok(tx.rows(
        "SELECT id, name, mailbox, uidvalidity, modseq, marker FROM remote_folder
         WHERE account = $1 AND link = $2 ORDER BY id",
        params![account, link],
        folder,
    )?)
}

/// Writes a folder down; one with the number 0 is new and gets its number. One to two statements.
pub fn keep_folder(tx: &mut WriteTx, account: AccountId, link: i64, folder: &mut Folder) -> Result<()> {
    if folder.id == 0 {
        folder.id = tx.one(
            "SELECT CAST(COALESCE(max(id), 0) + 1 AS BIGINT) FROM remote_folder WHERE account = $1 AND link = $2",
            params![account, link],
            |row| row.int(0),
        )?;
    }
    tx.execute(
        "INSERT INTO remote_folder (account, link, id, name, mailbox, uidvalidity, modseq, marker)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (account, link, id) DO UPDATE SET mailbox = excluded.mailbox,
             uidvalidity = excluded.uidvalidity, modseq = excluded.modseq, marker = excluded.marker",
        params![
            account,
            link,
            folder.id,
            folder.name.as_str(),
            folder.mailbox,
            folder.uidvalidity,
            sql::number(folder.modseq),
            folder.marker
        ],
    )?;
    Ok(())
}

/// The uids of a folder there are void (a new uidvalidity): its messages wait to be recognised. One statement.
pub fn orphan(tx: &mut WriteTx, account: AccountId, link: i64, folder: i64) -> Result<u64> {
    Ok(tx.execute(
        "UPDATE remote_message SET uid = -other WHERE account = $1 AND link = $2 AND folder = $3 AND uid > 0",
        params![account, link, folder],
    )?)
}

fn folder(row: &Row<'_>) -> postroad_store::Result<Folder> {
    Ok(Folder {
        id: row.int(0)?,
        name: row.text(1)?,
        mailbox: row.id(2)?,
        uidvalidity: sql::small(row, 3)?,
        modseq: sql::unsigned(row, 4)?,
        marker: sql::small(row, 5)?,
    })
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}
