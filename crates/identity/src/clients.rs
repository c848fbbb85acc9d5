//! Programs that may ask people for access: those that the administrator made known, and those that made themselves known.
//!
//! Standards: RFC 6749 §2, RFC 7591, RFC 8252 §8.4.

use std::time::Duration;

use postroad_store::{ReadTx, Row, Timestamp, WriteTx, params};

use crate::secret::{hashed, random_text, same};
use crate::{Error, Result, Scopes, redirect};

/// Most clients that made themselves known.
pub const REGISTERED_MAX: i64 = 10_000;
/// Most clients altogether that a list shows.
pub const LIST_MAX: usize = 1_000;
/// Most redirect URIs of one.
pub const REDIRECTS_MAX: usize = 20;
/// One that nobody has let in for so long is forgotten, if it made itself known.
pub const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// What it calls itself in requests.
    pub id: String,
    /// For people. Of one that made itself known: what it claims.
    pub name: String,
    /// Where answers may be sent; empty for one that only asks by devices' codes.
    pub redirects: Vec<String>,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// It made itself known.
    pub registered: bool,
    /// When it was made known.
    pub created: Timestamp,
    /// When it last was given something, to the day.
    pub last_used: Option<Timestamp>,
    secret: Option<String>,
}

/// A client to be.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// `None`: one is made up.
    pub id: Option<String>,
    /// For people.
    pub name: String,
    /// Where answers may be sent.
    pub redirects: Vec<String>,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// It can keep a secret (a server's program): one is made up, and shown once.
    pub confidential: bool,
    /// It makes itself known.
    pub registered: bool,
}

impl Client {
    /// It can keep a secret, and has to show it.
    pub fn is_confidential(&self) -> bool {
        self.secret.is_some()
    }

    /// Whether this is how it proves to be itself: its secret, or nothing where it has none (RFC 6749 §2.3).
    pub fn is_proved_by(&self, secret: Option<&str>) -> bool {
        match (&self.secret, secret) {
            (Some(kept), Some(secret)) => same(kept, &hashed(secret.as_bytes())),
            (Some(_), None) => false,
            // RFC 6749 §2.3.1: an empty secret is as good as none. One that says more than it has is mistaken for another.
            (None, secret) => secret.is_none_or(str::is_empty),
        }
    }

    /// Whether answers may go there.
    pub fn answers_at(&self, uri: &str) -> bool {
        self.redirects.iter().any(|registered| redirect::matches(registered, uri))
    }
}

/// Makes a client known; answers with it, and with its secret if it has one. Errors: `Refused` says what is wrong.
pub fn add(tx: &mut WriteTx, new: &NewClient, now: Timestamp) -> Result<(Client, Option<String>)> {
    check(new)?;
    let id = match &new.id {
        Some(id) => id.clone(),
        None => random_text(16)?,
    };
    let secret = if new.confidential { Some(random_text(32)?) } else { None };
    if new.registered {
        let count = tx.one("SELECT count(*) FROM oauth_client WHERE registered = 1", params![], |row| row.int(0))?;
        if count >= REGISTERED_MAX {
            return Err(Error::Refused("too many programs have made themselves known"));
        }
    }
    let kept = secret.as_ref().map(|secret| hashed(secret.as_bytes()));
    let made = tx.execute(
        "INSERT INTO oauth_client (id, name, secret, redirects, scopes, registered, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        params![
            &id,
            &new.name,
            kept.as_deref(),
            &new.redirects.join("\n"),
            &new.scopes.to_string(),
            new.registered,
            now
        ],
    )?;
    if made == 0 {
        return Err(Error::Refused("there is a client of this id"));
    }
    let client = find(tx, &id)?.ok_or_else(|| Error::Corrupt("a client that was just made is gone".into()))?;
    Ok((client, secret))
}

fn check(new: &NewClient) -> Result<()> {
    // RFC 6749 appendix A.1 allows more; this is what stands in addresses without being written otherwise.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if new.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_MAX || !id.bytes().all(plain)) {
        return Err(Error::Refused("a client's id is of letters, digits, `-`, `.` and `_`, at most 100"));
    }
    if new.name.is_empty() || new.name.len() > NAME_MAX || new.name.contains(char::is_control) {
        return Err(Error::Refused("a client has a name of at most 200 octets without control characters"));
    }
    if new.redirects.len() > REDIRECTS_MAX {
        return Err(Error::Refused("a client has at most 20 redirect URIs"));
    }
    if !new.redirects.iter().all(|uri| redirect::may_be_registered(uri)) {
        return Err(Error::Refused(
            "a redirect URI is https, http to this very machine, or has a scheme with a dot in it; without a fragment",
        ));
    }
    // RFC 8252 §8.4: whoever comes by itself leads to the person's own machine, or nowhere.
    if new.registered && (new.confidential || !new.redirects.iter().all(|uri| redirect::is_native(uri))) {
        return Err(Error::Refused(
            "a program that makes itself known is a public client, and answers go to the machine that it runs on",
        ));
    }
    if new.scopes.is_empty() {
        return Err(Error::Refused("a client may ask for something: name its scopes"));
    }
    Ok(())
}

/// The client of an id.
pub fn find(tx: &ReadTx, id: &str) -> Result<Option<Client>> {
    if id.is_empty() || id.len() > ID_MAX || id.contains('\0') {
        return Ok(None);
    }
    Ok(tx.row(&format!("SELECT {COLUMNS} FROM oauth_client WHERE id = $1"), params![id], client)?)
}

/// All, those of the administrator first; at most [`LIST_MAX`].
pub fn list(tx: &ReadTx) -> Result<Vec<Client>> {
    let limit = i64::try_from(LIST_MAX).unwrap_or(i64::MAX);
    let sql = format!("SELECT {COLUMNS} FROM oauth_client ORDER BY registered, created, id LIMIT $1");
    Ok(tx.rows(&sql, params![limit], client)?)
}

/// Takes a client away, and all that people granted it. Whether there was one.
pub fn remove(tx: &mut WriteTx, id: &str, now: Timestamp) -> Result<bool> {
    let gone = tx.execute("DELETE FROM oauth_client WHERE id = $1", params![id])?;
    crate::grants::remove_of_client(tx, id, now)?;
    tx.execute("DELETE FROM oauth_code WHERE client = $1", params![id])?;
    tx.execute("DELETE FROM oauth_device WHERE client = $1", params![id])?;
    Ok(gone > 0)
}

/// Notes that it was given something.
pub(crate) fn touch(tx: &mut WriteTx, client: &Client, now: Timestamp) -> Result<()> {
    if client.last_used.is_none_or(|last| now.minus(TOUCH_EVERY) >= last) {
        tx.execute("UPDATE oauth_client SET last_used = $2 WHERE id = $1", params![&client.id, now])?;
    }
    Ok(())
}

/// Forgets those that made themselves known and that nobody let in.
pub(crate) fn forget(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    let gone = tx.execute(
        "DELETE FROM oauth_client WHERE registered = 1 AND created < $1 AND coalesce(last_used, 0) < $1
         AND NOT EXISTS (SELECT 1 FROM oauth_grant AS g WHERE g.client = oauth_client.id)",
        params![now.minus(UNUSED)],
    )?;
    Ok(gone)
}

const COLUMNS: &str = "id, name, secret, redirects, scopes, registered, created, last_used";

fn client(row: &Row<'_>) -> postroad_store::Result<Client> {
    Ok(Client {
        id: row.text(0)?,
        name: row.text(1)?,
        secret: row.text_or_null(2)?,
        redirects: row.text(3)?.lines().map(str::to_owned).collect(),
        scopes: Scopes::parse(&row.text(4)?),
        registered: row.bool(5)?,
        created: row.id(6)?,
        last_used: row.int_or_null(7)?.map(Timestamp),
    })
}

const ID_MAX: usize = 100;
const NAME_MAX: usize = 200;
const TOUCH_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
