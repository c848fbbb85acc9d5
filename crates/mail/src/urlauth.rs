//! Keys for URLs that authorise (RFC 4467): a secret for each user and mailbox, made when it is first needed.
//!
//! A URL carries a keyed hash of its own text; with the key gone, all URLs that were made with it are void. It gives the
//! right of the user in it, as it is when the URL is used (§7, URLFETCH): also to mailboxes of others that this user may
//! read, by the names that this user knows them by. Whether a URL gives a right to a message is judged here ([`place`],
//! [`holds`]), for IMAP and for submission (BURL) alike; each says by itself who may use which.
//!
//! What it never does: show a key to anybody, or parse a URL.

use postroad_store::{AccountId, ModSeq, ReadTx, Timestamp, WriteTx, params};
use subtle::ConstantTimeEq;

use crate::accounts::{self, State};
use crate::acl::{self, Who};
use crate::journal::{self, Note, Operation};
use crate::{
    Address, Bound, By, Domain, Error, MailboxId, MailboxName, Result, Rights, credentials, domains, mailboxes, sql,
};

/// One row for each mailbox that URLs were made for: what was before [`TABLES_V2`].
pub(crate) const TABLES: &str = "
CREATE TABLE mailbox_key (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    secret {bytes} NOT NULL,
    made BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox)
) {clustered};
";

/// A row for each user and mailbox, which may be somebody else's (`owner`).
pub(crate) const TABLES_V2: &str = "
CREATE TABLE url_key (
    account BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    secret {bytes} NOT NULL,
    made BIGINT NOT NULL,
    PRIMARY KEY (account, owner, mailbox)
) {clustered};
CREATE INDEX url_key_owner ON url_key (owner, mailbox);
INSERT INTO url_key (account, owner, mailbox, secret, made)
    SELECT account, account, mailbox, secret, made FROM mailbox_key;
DROP TABLE mailbox_key;
";

/// A user's secret for a mailbox.
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What the token begins with: how it was made (RFC 4467 §2.4.1). 1: BLAKE3 with a key.
const ALGORITHM: &str = "01";

/// Tells two keys apart, and nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 8]);

impl Key {
    /// What tells this key from others.
    fn mark(&self) -> Mark {
        let mut mark = [0; 8];
        blake3::Hasher::new_derive_key(MARK).update(&self.0).finalize_xof().fill(&mut mark);
        Mark(mark)
    }

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

/// A mailbox that a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The user of the URL, whose right counts.
    pub user: AccountId,
    /// Whose mailbox it is.
    pub owner: AccountId,
    /// Which mailbox.
    pub mailbox: MailboxId,
}

/// Whether the token is that of this URL and its time has not come. The same work is done without a mailbox (the URL names
/// none that is there) and for a URL that is no good for another reason, so that the time tells nothing. One statement.
pub fn holds(tx: &ReadTx, now: Timestamp, place: Option<Place>, right: &Right<'_>) -> Result<bool> {
    let key = match place {
        Some(place) => key(tx, place)?,
        None => None,
    };
    let signed = verify(key.as_ref(), right.rump, right.token)?;
    let current = right.expires.is_none_or(|expires| now.0.div_euclid(1_000_000) <= expires);
    Ok(signed && current && right.mechanism == INTERNAL)
}

/// The mailbox that a URL of this user names: one with messages that the user may read, and of this uidvalidity if the URL
/// says one. One statement for one's own, up to six for one of others.
pub fn place(tx: &ReadTx, user: AccountId, name: &str, uidvalidity: Option<u32>) -> Result<Option<Place>> {
    let (owner, name) = match acl::foreign(name) {
        None => (user, name),
        Some(foreign) => {
            let Ok(address) = Address::parse(foreign.owner) else { return Ok(None) };
            let owner = acl::owner(tx, &address)?.filter(|owner| owner.is_shared == foreign.shared);
            match (owner, foreign.name) {
                (Some(owner), Some(name)) if owner.account != user => (owner.account, name),
                (_, _) => return Ok(None),
            }
        }
    };
    let Ok(name) = MailboxName::parse(name) else { return Ok(None) };
    let found = mailboxes::find(tx, owner, &name)?
        .filter(|found| found.selectable && uidvalidity.is_none_or(|validity| validity == found.uidvalidity));
    let Some(found) = found else { return Ok(None) };
    if owner != user {
        let Some(reader) = accounts::by_id(tx, user)?.filter(|account| account.state == State::Active) else {
            return Ok(None);
        };
        let who = Who::new(user, &reader.address);
        if !acl::rights(tx, &who, owner, found.id)?.contains(Rights::READ) {
            return Ok(None);
        }
    }
    Ok(Some(Place { user, owner, mailbox: found.id }))
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

/// A user's key for a mailbox, if there is one. One statement.
pub fn key(tx: &ReadTx, place: Place) -> Result<Option<Key>> {
    let secret = tx.row(
        "SELECT secret FROM url_key WHERE account = $1 AND owner = $2 AND mailbox = $3",
        params![place.user, place.owner, place.mailbox],
        |row| row.bytes(0),
    )?;
    match secret.map(<[u8; 32]>::try_from) {
        None => Ok(None),
        Some(Ok(secret)) => Ok(Some(Key(secret))),
        Some(Err(_)) => Err(Error::Corrupt("the key of a mailbox has the wrong length".into())),
    }
}

/// What tells a user's key for a mailbox from others, if there is one: by it who has a mailbox of others selected hears that
/// there is another. One statement.
pub fn mark(tx: &ReadTx, place: Place) -> Result<Option<Mark>> {
    Ok(key(tx, place)?.map(|key| key.mark()))
}

/// A user's key for a mailbox, made when there is none. Up to three statements. Locks: the user's account.
///
/// Errors: `Limit(UrlKeys)`.
pub fn key_or_new(tx: &mut WriteTx, now: Timestamp, place: Place) -> Result<Key> {
    if let Some(key) = key(tx, place)? {
        return Ok(key);
    }
    let text = "SELECT CAST(count(*) AS BIGINT) FROM url_key WHERE account = $1";
    if tx.one(text, params![place.user], |row| row.int(0))? >= sql::limit(MAX_KEYS) {
        return Err(Error::Limit(Bound::UrlKeys));
    }
    let key = Key::random()?;
    insert(tx, now, place, &key)?;
    Ok(key)
}

/// Gives a user a new key for a mailbox: all URLs made with the old are void. Six statements. Locks: the user's account.
///
/// Who has the mailbox selected hears of it: of one of their own by the operation ([`crate::changes::Changes::new_key`]), of one
/// of others by [`mark`].
pub fn reset(tx: &mut WriteTx, by: &By, place: Place) -> Result<()> {
    let Place { user, owner, mailbox } = place;
    let modseq = journal::begin(tx, user)?;
    tx.execute(
        "DELETE FROM url_key WHERE account = $1 AND owner = $2 AND mailbox = $3",
        params![user, owner, mailbox],
    )?;
    key_or_new(tx, by.now, place)?;
    let own = (user == owner).then_some(mailbox);
    if own.is_some() {
        // Sessions that have it selected find the operation as they find any other (`changes`).
        let text = "UPDATE mailbox SET highest_modseq = $3 WHERE account = $1 AND id = $2";
        tx.execute(text, params![owner, mailbox, modseq])?;
    }
    let before = format!("url key\t{}\t{}\n", owner.0, mailbox.0);
    let note = Note { mailbox: own, before: before.as_bytes(), ..Note::plain(Operation::Credential) };
    journal::end(tx, by, user, modseq, &note)
}

/// Removes all keys of a user. Up to six statements. Locks: the user's account.
///
/// An operation for each mailbox of the user's own that there was a key for, so that who has it selected hears (RFC 4467 §7); one
/// for all where there is none.
pub fn remove_all(tx: &mut WriteTx, by: &By, user: AccountId) -> Result<()> {
    let text = "SELECT CAST(count(*) AS BIGINT) FROM url_key WHERE account = $1 AND owner = $1";
    let own = tx.one(text, params![user], |row| row.int(0))?;
    let last = match own {
        0 => journal::begin(tx, user)?,
        own => journal::begin_many(tx, user, own)?,
    };
    if own > 0 {
        let keys = "SELECT mailbox, row_number() OVER (ORDER BY mailbox) AS place FROM url_key
                    WHERE account = $1 AND owner = $1";
        let text = format!(
            "UPDATE mailbox SET highest_modseq = $2 + k.place FROM ({keys}) AS k
             WHERE mailbox.account = $1 AND mailbox.id = k.mailbox"
        );
        let before_them = ModSeq(last.0 - own);
        tx.execute(&text, params![user, before_them])?;
        journal::end_many(tx, by, user, (before_them, last), (Operation::Credential, b"url keys\n"), keys)?;
    }
    tx.execute("DELETE FROM url_key WHERE account = $1", params![user])?;
    if own > 0 {
        return Ok(());
    }
    let note = Note { before: b"url keys\n", ..Note::plain(Operation::Credential) };
    journal::end(tx, by, user, last, &note)
}

/// The keys of all users go with their mailboxes. One statement.
pub(crate) fn forget_mailboxes(tx: &mut WriteTx, owner: AccountId, mailboxes: &[i64]) -> Result<()> {
    tx.execute("DELETE FROM url_key WHERE owner = $1 AND mailbox {in:$2}", params![owner, &mailboxes.to_vec()])?;
    Ok(())
}

/// The keys of an account that is swept away, and those of others to its mailboxes. One statement.
pub(crate) fn forget_account(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM url_key WHERE account = $1 OR owner = $1", params![account])?;
    Ok(())
}

fn insert(tx: &mut WriteTx, now: Timestamp, place: Place, key: &Key) -> Result<()> {
    tx.execute(
        "INSERT INTO url_key (account, owner, mailbox, secret, made) VALUES ($1, $2, $3, $4, $5)",
        params![place.user, place.owner, place.mailbox, &key.0, now],
    )?;
    Ok(())
}

/// What [`Mark`]s are derived for.
const MARK: &str = "postroad: which key for URLs it is";
/// Most keys of one user: of as many mailboxes, own ones and those of others.
pub const MAX_KEYS: usize = 10_000;

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
