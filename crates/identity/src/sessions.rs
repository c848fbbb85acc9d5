//! Sessions of the web pages: somebody who logged in on a browser.
//!
//! A session is made when the first step of logging in has succeeded; it is `complete` when all steps have that the account
//! asks for. Nothing but the next step is open to one that is not.

use std::time::Duration;

use postroad_mail::accounts::{self, Account, State};
use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, new_id, params};

use crate::secret::same;
use crate::tokens::Lifetimes;
use crate::{Bearing, Kind, Result, cuts};

/// Most sessions of an account. One that waits for its next step makes room, so that who knows a password alone puts nobody
/// out; then the one that was not used for longest.
pub const SESSIONS_MAX: usize = 50;

/// What is known of whoever begins a session.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Who.
    pub account: AccountId,
    /// The password or passkey that was shown: when it goes, so does the session.
    pub credential: i64,
    /// What was shown: `pwd`, `hwk` … (RFC 8176).
    pub steps: String,
    /// Whether that is all the account asks for.
    pub complete: bool,
    /// From which network.
    pub network: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub account: AccountId,
    /// What they have shown, with spaces between.
    pub steps: String,
    /// Whether that is enough.
    pub complete: bool,
    /// When they showed it.
    pub authenticated: Timestamp,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to the minute or so.
    pub last_used: Timestamp,
    /// From which network.
    pub network: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// Begins a session; answers with the cookie's text. Locks: the account's.
pub fn begin(tx: &mut WriteTx, begun: &Begun, lifetimes: &Lifetimes, now: Timestamp) -> Result<String> {
    let keep = i64::try_from(SESSIONS_MAX - 1).unwrap_or(i64::MAX);
    let old = tx.rows(
        "SELECT id FROM web_session WHERE account = $1 ORDER BY complete DESC, last_used DESC, id DESC LIMIT 100 OFFSET $2",
        params![begun.account, keep],
        |row| row.int(0),
    )?;
    for id in old {
        remove(tx, begun.account, id, now)?;
    }
    let cookie = Bearing::new(Kind::Session, begun.account, new_id())?;
    let agent: String = begun.agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect();
    tx.execute(
        "INSERT INTO web_session (account, id, hash, credential, steps, complete, authenticated, created, last_used,
             expires, network, agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8, $9, $10)",
        params![
            begun.account,
            cookie.owner(),
            &cookie.hash(),
            begun.credential,
            &begun.steps,
            begun.complete,
            now,
            now.plus(lifetimes.session),
            &begun.network,
            &agent
        ],
    )?;
    Ok(cookie.text())
}

/// Notes that another step of logging in has succeeded (`otp`, `hwk` …), and whether that is all. Whether the session is
/// still there. The cookie should be replaced then, with [`renew`].
pub fn step(tx: &mut WriteTx, session: &Session, name: &str, complete: bool, now: Timestamp) -> Result<bool> {
    let steps = format!("{} {name}", session.steps);
    let done = tx.execute(
        "UPDATE web_session SET steps = $3, complete = $4, authenticated = $5 WHERE account = $1 AND id = $2",
        params![session.account, session.id, steps.trim(), complete, now],
    )?;
    Ok(done == 1)
}

/// Another cookie for the same session, so that who knew the old one before a step does not have what came of it.
pub fn renew(tx: &mut WriteTx, session: &Session) -> Result<String> {
    let cookie = Bearing::new(Kind::Session, session.account, session.id)?;
    tx.execute(
        "UPDATE web_session SET hash = $3 WHERE account = $1 AND id = $2",
        params![session.account, session.id, &cookie.hash()],
    )?;
    Ok(cookie.text())
}

/// The session of a cookie and whose it is, also one that is not complete.
pub fn look(tx: &ReadTx, cookie: &str, now: Timestamp) -> Result<Option<(Session, Account)>> {
    let Some(cookie) = Bearing::parse(Kind::Session, cookie) else { return Ok(None) };
    let found = tx.row(
        &format!("SELECT {COLUMNS}, hash FROM web_session WHERE account = $1 AND id = $2 AND expires > $3"),
        params![cookie.account(), cookie.owner(), now],
        |row| Ok((session(row)?, row.text(9)?)),
    )?;
    let Some((session, hash)) = found else { return Ok(None) };
    if !same(&hash, &cookie.hash()) {
        return Ok(None);
    }
    let account = accounts::by_id(tx, session.account)?.filter(|account| account.state == State::Active);
    Ok(account.map(|account| (session, account)))
}

/// Whether the last use is so old that noting it is worth a write.
pub fn should_touch(session: &Session, now: Timestamp) -> bool {
    now.minus(TOUCH_EVERY) >= session.last_used
}

/// Notes that a session was used, which lengthens it. Locks: none.
pub fn touch(tx: &mut WriteTx, session: &Session, network: &str, lifetimes: &Lifetimes, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE web_session SET last_used = $3, expires = $4, network = $5 WHERE account = $1 AND id = $2",
        params![session.account, session.id, now, now.plus(lifetimes.session), network],
    )?;
    Ok(())
}

/// An account's sessions, the newest first.
pub fn list(tx: &ReadTx, account: AccountId, now: Timestamp) -> Result<Vec<Session>> {
    let limit = i64::try_from(SESSIONS_MAX).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {COLUMNS} FROM web_session WHERE account = $1 AND expires > $2 ORDER BY created DESC, id DESC LIMIT $3"
    );
    Ok(tx.rows(&sql, params![account, now, limit], session)?)
}

/// Ends a session.
pub fn remove(tx: &mut WriteTx, account: AccountId, id: i64, now: Timestamp) -> Result<()> {
    let gone = tx.execute("DELETE FROM web_session WHERE account = $1 AND id = $2", params![account, id])?;
    if gone > 0 {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}

/// Ends the sessions that a credential opened.
pub(crate) fn remove_opened_by(tx: &mut WriteTx, account: AccountId, credential: i64, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM web_session WHERE account = $1 AND credential = $2 RETURNING id";
    for id in tx.returning(sql, params![account, credential], |row| row.int(0))? {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}

/// Ends all sessions of an account.
pub fn remove_all(tx: &mut WriteTx, account: AccountId, now: Timestamp) -> Result<()> {
    let gone =
        tx.returning("DELETE FROM web_session WHERE account = $1 RETURNING id", params![account], |row| row.int(0))?;
    for id in gone {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}

/// Forgets sessions that are over.
pub(crate) fn forget(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    Ok(tx.execute("DELETE FROM web_session WHERE expires < $1", params![now])?)
}

const COLUMNS: &str = "id, account, steps, complete, authenticated, created, last_used, network, agent";

fn session(row: &Row<'_>) -> postroad_store::Result<Session> {
    Ok(Session {
        id: row.int(0)?,
        account: row.id(1)?,
        steps: row.text(2)?,
        complete: row.bool(3)?,
        authenticated: row.id(4)?,
        created: row.id(5)?,
        last_used: row.id(6)?,
        network: row.text(7)?,
        agent: row.text(8)?,
    })
}

/// Letters of what a browser calls itself.
const AGENT_MAX: usize = 200;
/// How exactly the last use of a session is known.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
