//! Devices that cannot show a log-in page: they show a code, which somebody types elsewhere.
//!
//! | state | to | when | by |
//! |---|---|---|---|
//! | nothing | `waiting` | a device asks | [`ask`] |
//! | `waiting` | `allowed` or `denied` | somebody typed the code and decided | [`decide`] |
//! | `allowed` | gone | the device asks for its tokens | [`poll`] |
//! | `denied` | gone | the device asks for its tokens | [`poll`] |
//! | any | gone | a while after its time | the sweep |
//!
//! Standards: RFC 8628.

use std::time::Duration;

use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, params};

use crate::clients::Client;
use crate::codes::Subject;
use crate::grants::Allowed;
use crate::secret::{hashed, random, random_text};
use crate::tokens::{self, Issued, Lifetimes};
use crate::{Error, Result, Scopes};

/// Most devices that wait at a time.
pub const WAITING_MAX: i64 = 10_000;
/// How long a device waits between two questions at first, and by how much more when it does not (RFC 8628 §3.5).
pub const PAUSE: Duration = Duration::from_secs(5);

/// What a device is told.
#[derive(Debug, Clone)]
pub struct Asked {
    /// For the device alone.
    pub device_code: String,
    /// For people: `BCDF-GHJK`.
    pub user_code: String,
}

/// Lets a device wait for somebody. Errors: `Refused` when too many wait.
pub fn ask(
    tx: &mut WriteTx,
    client: &Client,
    scopes: &Scopes,
    network: &str,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Asked> {
    tx.execute("DELETE FROM oauth_device WHERE expires < $1", params![now.minus(TOLD_EXPIRED)])?;
    if tx.one("SELECT count(*) FROM oauth_device", params![], |row| row.int(0))? >= WAITING_MAX {
        return Err(Error::Refused("too many devices wait to be let in; try again later"));
    }
    // Two codes are the same once in a few thousand times when all places are taken: then another is drawn.
    for _ in 0..DRAWS {
        let (device_code, letters) = (random_text(32)?, user_code()?);
        let made = tx.execute(
            "INSERT INTO oauth_device (hash, typed, client, scopes, state, network, pause, expires)
             VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7) ON CONFLICT DO NOTHING",
            params![
                &hashed(device_code.as_bytes()),
                &hashed(letters.as_bytes()),
                &client.id,
                &scopes.to_string(),
                network,
                micros(PAUSE),
                now.plus(lifetimes.device)
            ],
        )?;
        if made == 1 {
            let user_code = format!("{}-{}", &letters[..4], &letters[4..]);
            return Ok(Asked { device_code, user_code });
        }
    }
    Err(Error::Refused("too many devices wait to be let in; try again later"))
}

/// Eight letters out of twenty, no vowels, so that no words come out (RFC 8628 §6.1): 34 bits.
fn user_code() -> Result<String> {
    let mut letters = String::with_capacity(USER_CODE_LEN);
    while letters.len() < USER_CODE_LEN {
        // 240 is the largest multiple of 20 in an octet: what lies above would favour some letters.
        let drawn = random(16)?.into_iter().filter(|octet| *octet < 240);
        letters.extend(drawn.map(|octet| char::from(LETTERS[usize::from(octet % 20)])));
    }
    letters.truncate(USER_CODE_LEN);
    Ok(letters)
}

/// The code out of what somebody typed: capitals or not, with hyphens, spaces, or without. `None` for what is none.
pub fn typed(text: &str) -> Option<String> {
    if text.len() > TYPED_MAX {
        return None;
    }
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).collect();
    let right = letters.len() == USER_CODE_LEN && letters.bytes().all(|letter| LETTERS.contains(&letter));
    right.then_some(letters)
}

/// A device that waits, as it is shown to whoever typed its code.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The client's id.
    pub client: String,
    /// What it asks for.
    pub scopes: Scopes,
    /// From which network it asked.
    pub network: String,
}

/// The device behind a typed code.
pub fn waiting(tx: &ReadTx, code: &str, now: Timestamp) -> Result<Option<Waiting>> {
    Ok(tx.row(
        "SELECT client, scopes, network FROM oauth_device WHERE typed = $1 AND state = 'waiting' AND expires > $2",
        params![&hashed(code.as_bytes()), now],
        |row| Ok(Waiting { client: row.text(0)?, scopes: Scopes::parse(&row.text(1)?), network: row.text(2)? }),
    )?)
}

/// What somebody decided.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Come in.
    Allowed(Subject),
    /// Stay out.
    Denied,
}

/// Writes down what whoever typed the code decided. Whether the device still waited.
pub fn decide(tx: &mut WriteTx, code: &str, decision: &Decision, now: Timestamp) -> Result<bool> {
    let (state, account, authenticated, steps) = match decision {
        Decision::Allowed(by) => ("allowed", Some(by.account), Some(by.authenticated), Some(by.steps.as_str())),
        Decision::Denied => ("denied", None, None, None),
    };
    let done = tx.execute(
        "UPDATE oauth_device SET state = $2, account = $3, authenticated = $4, steps = $5
         WHERE typed = $1 AND state = 'waiting' AND expires > $6",
        params![&hashed(code.as_bytes()), state, account, authenticated, steps, now],
    )?;
    Ok(done == 1)
}

/// Why a device gets nothing yet, or at all (RFC 8628 §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// Nobody has decided (`authorization_pending`).
    Pending,
    /// It asked too soon, and waits longer from now on (`slow_down`).
    SlowDown,
    /// Somebody said no (`access_denied`).
    Denied,
    /// Nobody decided in time (`expired_token`).
    Expired,
    /// No such code, or another client's (`invalid_grant`).
    Unknown,
}

/// Whom the account's lock has to be taken for, before [`poll`].
pub fn account_of(tx: &ReadTx, device_code: &str) -> Result<Option<AccountId>> {
    let sql = "SELECT account FROM oauth_device WHERE hash = $1";
    let account = tx.row(sql, params![&hashed(device_code.as_bytes())], |row| row.int_or_null(0))?;
    Ok(account.flatten().map(AccountId))
}

/// A device asks for its tokens. Locks: the account's where [`account_of`] knows one. What it answers with is to be
/// committed also when it is a refusal.
pub fn poll(
    tx: &mut WriteTx,
    device_code: &str,
    client: &Client,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<std::result::Result<(Issued, Subject), NotYet>> {
    let hash = hashed(device_code.as_bytes());
    let Some(kept) = tx.row(LOOK, params![&hash], Kept::of)?.filter(|kept| kept.client == client.id) else {
        return Ok(Err(NotYet::Unknown));
    };
    let state = if kept.expires <= now { "expired" } else { kept.state.as_str() };
    if state == "waiting" {
        let soon = kept.asked.is_some_and(|asked| now.0 - asked < kept.pause - TOLERANCE);
        let pause = if soon { (kept.pause + micros(PAUSE)).min(PAUSE_MAX) } else { kept.pause };
        let sql = "UPDATE oauth_device SET asked = $2, pause = $3 WHERE hash = $1";
        tx.execute(sql, params![&hash, now, pause])?;
        return Ok(Err(if soon { NotYet::SlowDown } else { NotYet::Pending }));
    }
    // Decided: whichever of two questions at the same time takes the row away has the answer.
    if tx.execute("DELETE FROM oauth_device WHERE hash = $1", params![&hash])? == 0 {
        return Ok(Err(NotYet::Unknown));
    }
    let (Some(account), "allowed") = (kept.account, state) else {
        return Ok(Err(if state == "denied" { NotYet::Denied } else { NotYet::Expired }));
    };
    let alive = postroad_mail::accounts::by_id(tx, account)?
        .is_some_and(|account| account.state == postroad_mail::accounts::State::Active);
    if !alive {
        return Ok(Err(NotYet::Denied));
    }
    let allowed = Allowed { account, client, scopes: &kept.scopes, network: &kept.network };
    let issued = tokens::issue_first(tx, &allowed, lifetimes, now)?;
    let subject = Subject { account, nonce: None, authenticated: kept.authenticated, steps: kept.steps };
    Ok(Ok((issued, subject)))
}

struct Kept {
    client: String,
    scopes: Scopes,
    state: String,
    account: Option<AccountId>,
    authenticated: Timestamp,
    steps: String,
    network: String,
    pause: i64,
    asked: Option<i64>,
    expires: Timestamp,
}

const LOOK: &str =
    "SELECT client, scopes, state, account, coalesce(authenticated, 0), coalesce(steps, ''), network, pause,
     asked, expires FROM oauth_device WHERE hash = $1";

impl Kept {
    fn of(row: &Row<'_>) -> postroad_store::Result<Kept> {
        Ok(Kept {
            client: row.text(0)?,
            scopes: Scopes::parse(&row.text(1)?),
            state: row.text(2)?,
            account: row.int_or_null(3)?.map(AccountId),
            authenticated: row.id(4)?,
            steps: row.text(5)?,
            network: row.text(6)?,
            pause: row.int(7)?,
            asked: row.int_or_null(8)?,
            expires: row.id(9)?,
        })
    }
}

/// Forgets those whose time is over.
pub(crate) fn forget(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    Ok(tx.execute("DELETE FROM oauth_device WHERE expires < $1", params![now.minus(TOLD_EXPIRED)])?)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LEN: usize = 8;
/// What somebody types is no longer.
const TYPED_MAX: usize = 32;
/// New codes are drawn so many times.
const DRAWS: usize = 8;
/// A question may come so much early, in microseconds: networks are not even.
const TOLERANCE: i64 = 1_000_000;
/// Longest pause that a device is told, in microseconds.
const PAUSE_MAX: i64 = 60_000_000;
/// After its time a device still hears that it is over, for so long.
const TOLD_EXPIRED: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        for _ in 0..100 {
            let code = user_code().expect("random numbers");
            let shown = format!("{}-{}", &code[..4], &code[4..]);
            for text in [shown.clone(), shown.to_lowercase(), format!(" {} {} ", &code[..4], &code[4..]), code.clone()]
            {
                assert_eq!(typed(&text).as_ref(), Some(&code), "{text}");
            }
        }
        for wrong in ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "1CDF-GHJK", &"B".repeat(40)] {
            assert_eq!(typed(wrong), None, "{wrong}");
        }
    }
}
