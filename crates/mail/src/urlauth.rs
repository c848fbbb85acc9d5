//! Keys for URLs that authorise (RFC 4467): a secret for each mailbox of an account, made when it is first needed.
//!
//! A URL carries a keyed hash of its own text; with the key gone, all URLs that were made with it are void. Whether a URL
//! gives a right to a message is judged here ([`holds`]), for IMAP and for submission (BURL) alike; each says by itself who
//! may use which.
//!
//! What it never does: show a key to anybody, or parse a URL.

use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, params};
use subtle::ConstantTimeEq;

use crate::journal::{self, Note, Operation};
use crate::{By, Domain, Error, MailboxId, MailboxName, Result, credentials, domains, mailboxes};

/// One row for each mailbox that URLs were made for.
pub(crate) const TABLES: &str = "
CREATE TABLE mailbox_key (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    secret {bytes} NOT NULL,
    made BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox)
) {clustered};
";

/// A mailbox's secret.
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What the token begins with: how it was made (RFC 4467 §2.4.1). 1: BLAKE3 with a key.
const ALGORITHM: &str = "01";

impl Key {
    /// The token for a URL without its token: digits of base 16 in small letters.
    pub fn sign(&self, rump: &str) -> String {
        format!("{ALGORITHM}{}", blake3::keyed_hash(&self.0, rump.as_bytes()).to_hex())
    }

    /// A key of nobody.
    fn random() -> Result<Key> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| Error::Store(postroad_store::Error::Temporary(format!("no random numbers: {error}"))))?;
        Ok(Key(secret))
    }
}

/// Whether the token is that of this URL. Without a key the same work is done, so that the time tells nobody which
/// mailboxes there are (RFC 4467 §6).
fn verify(key: Option<&Key>, rump: &str, token: &str) -> Result<bool> {
    let plausible = match key {
        Some(_) => None,
        None => Some(Key::random()?),
    };
    let Some(used) = key.or(plausible.as_ref()) else { return Ok(false) };
    let right: bool = used.sign(rump).as_bytes().ct_eq(token.as_bytes()).into();
    Ok(right && key.is_some())
}

/// The one mechanism there is (RFC 4467 §2.4.1).
pub const INTERNAL: &str = "INTERNAL";

/// What a URL carries that gives a right to a message, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Right<'a> {
    /// The URL without its token: what is signed.
    pub rump: &'a str,
    /// In capitals; empty when the URL is not signed.
    pub mechanism: &'a str,
    /// In small letters; empty when the URL is not signed.
    pub token: &'a str,
    /// Good until then, in seconds since 1970.
    pub expires: Option<i64>,
}

/// Whether the token is that of this URL and its time has not come. The same work is done without a mailbox (the URL names
/// none that is there) and for a URL that is no good for another reason, so that the time tells nothing. One statement.
pub fn holds(tx: &ReadTx, now: Timestamp, place: Option<(AccountId, MailboxId)>, right: &Right<'_>) -> Result<bool> {
    let key = match place {
        Some((account, mailbox)) => key(tx, account, mailbox)?,
        None => None,
    };
    let signed = verify(key.as_ref(), right.rump, right.token)?;
    let current = right.expires.is_none_or(|expires| now.0.div_euclid(1_000_000) <= expires);
    Ok(signed && current && right.mechanism == INTERNAL)
}

/// The mailbox of an account's own that a URL names: one with messages, and of this uidvalidity if the URL says one. One
/// statement.
pub fn place(
    tx: &ReadTx,
    account: AccountId,
    name: &str,
    uidvalidity: Option<u32>,
) -> Result<Option<(AccountId, MailboxId)>> {
    let Ok(name) = MailboxName::parse(name) else { return Ok(None) };
    let found = mailboxes::find(tx, account, &name)?
        .filter(|found| found.selectable && uidvalidity.is_none_or(|validity| validity == found.uidvalidity));
    Ok(found.map(|found| (account, found.id)))
}

/// Whose login the user of a URL is, whether it may log in or not.
pub fn account_of(tx: &ReadTx, user: &str) -> Result<Option<AccountId>> {
    Ok(credentials::candidates(tx, user)?.account())
}

/// Whether the host of a URL is this server: by its own name, or by a domain whose mail is here. At most one statement.
pub fn is_here(tx: &ReadTx, hostname: &str, host: &str) -> Result<bool> {
    if host.eq_ignore_ascii_case(hostname) {
        return Ok(true);
    }
    match Domain::parse(host) {
        Ok(domain) => Ok(domains::ours(tx, &domain)?.is_some()),
        Err(_) => Ok(false),
    }
}

/// A mailbox's key, if it has one. One statement.
pub fn key(tx: &ReadTx, account: AccountId, mailbox: MailboxId) -> Result<Option<Key>> {
    let secret = tx.row(
        "SELECT secret FROM mailbox_key WHERE account = $1 AND mailbox = $2",
        params![account, mailbox],
        |row| row.bytes(0),
    )?;
    match secret.map(<[u8; 32]>::try_from) {
        None => Ok(None),
        Some(Ok(secret)) => Ok(Some(Key(secret))),
        Some(Err(_)) => Err(Error::Corrupt("the key of a mailbox has the wrong length".into())),
    }
}

/// A mailbox's key, made when it has none. One or two statements.
pub fn key_or_new(tx: &mut WriteTx, now: Timestamp, account: AccountId, mailbox: MailboxId) -> Result<Key> {
    if let Some(key) = key(tx, account, mailbox)? {
        return Ok(key);
    }
    let key = Key::random()?;
    insert(tx, now, account, mailbox, &key)?;
    Ok(key)
}

/// Gives a mailbox a new key: all URLs made with the old are void. Four statements.
pub fn reset(tx: &mut WriteTx, by: &By, account: AccountId, mailbox: MailboxId) -> Result<()> {
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM mailbox_key WHERE account = $1 AND mailbox = $2", params![account, mailbox])?;
    insert(tx, by.now, account, mailbox, &Key::random()?)?;
    let note = Note { mailbox: Some(mailbox), before: b"url key\n", ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)
}

/// Removes all keys of an account. Three statements.
pub fn remove_all(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<()> {
    let modseq = journal::begin(tx, account)?;
    tx.execute("DELETE FROM mailbox_key WHERE account = $1", params![account])?;
    let note = Note { before: b"url keys\n", ..Note::plain(Operation::Credential) };
    journal::end(tx, by, account, modseq, &note)
}

fn insert(tx: &mut WriteTx, now: Timestamp, account: AccountId, mailbox: MailboxId, key: &Key) -> Result<()> {
    tx.execute(
        "INSERT INTO mailbox_key (account, mailbox, secret, made) VALUES ($1, $2, $3, $4)",
        params![account, mailbox, &key.0, now],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_fit_one_key_and_one_text() {
        let (one, other) = (Key([1; 32]), Key([2; 32]));
        let token = one.sign("imap://a@b/INBOX/;UID=1;URLAUTH=anonymous");
        assert_eq!(token.len(), 66);
        for (key, text, expected) in [
            (Some(&one), "imap://a@b/INBOX/;UID=1;URLAUTH=anonymous", true),
            (Some(&one), "imap://a@b/INBOX/;UID=2;URLAUTH=anonymous", false),
            (Some(&other), "imap://a@b/INBOX/;UID=1;URLAUTH=anonymous", false),
            (None, "imap://a@b/INBOX/;UID=1;URLAUTH=anonymous", false),
        ] {
            assert_eq!(verify(key, text, &token).expect("random numbers"), expected, "{text}");
        }
        assert!(!verify(Some(&one), "x", &one.sign("x")[..64]).expect("random numbers"));
    }
}
