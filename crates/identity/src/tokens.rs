//! Access and refresh tokens: given, verified, renewed, taken back.
//!
//! They are opaque: what they are good for stands in the database, so that a token that was cut off is dead at the next
//! look (`docs/decisions/036-opaque-tokens.md`).

use std::time::Duration;

use postroad_mail::accounts::{self, Account, State};
use postroad_mail::{Address, Service};
use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, params};

use crate::clients::Client;
use crate::grants::Allowed;
use crate::secret::same;
use crate::{Bearing, Kind, Result, Scope, Scopes, cuts, grants};

/// How long things live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access: Duration,
    /// A grant that is not used.
    pub idle: Duration,
    /// An authorization code.
    pub code: Duration,
    /// A device's code.
    pub device: Duration,
    /// A session of the pages.
    pub session: Duration,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        let day = Duration::from_secs(24 * 60 * 60);
        Lifetimes {
            access: Duration::from_secs(60 * 60),
            idle: day * 90,
            code: Duration::from_secs(60),
            device: Duration::from_secs(15 * 60),
            session: day * 14,
        }
    }
}

/// What a good access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Whose.
    pub account: AccountId,
    /// The account's primary address.
    pub address: Address,
    /// The account's name for people.
    pub display_name: String,
    /// The client's id.
    pub client: String,
    /// What it is good for.
    pub scopes: Scopes,
    /// What it comes from; cut off under this number.
    pub grant: i64,
    /// Until when.
    pub expires: Timestamp,
    /// When it was made.
    pub issued: Timestamp,
    /// When the grant was last used, to the hour.
    pub last_used: Option<Timestamp>,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No token of ours, or one that is gone (`invalid_token`).
    Unknown,
    /// It was good (`invalid_token`).
    Expired,
    /// It is good, but not for this service (`insufficient_scope`).
    Scope,
    /// It is good, but the account is suspended.
    Suspended,
}

/// Whether an access token lets its bearer use a service. Two statements.
pub fn verify(
    tx: &ReadTx,
    token: &str,
    service: Service,
    now: Timestamp,
) -> Result<std::result::Result<Bearer, Refused>> {
    Ok(look(tx, token, now)?.and_then(|bearer| match bearer.scopes.allow(service) {
        true => Ok(bearer),
        false => Err(Refused::Scope),
    }))
}

/// The same without asking what for.
pub fn look(tx: &ReadTx, token: &str, now: Timestamp) -> Result<std::result::Result<Bearer, Refused>> {
    let Some(token) = Bearing::parse(Kind::Access, token) else { return Ok(Err(Refused::Unknown)) };
    let found = tx.row(
        "SELECT g.client, a.scopes, a.expires, a.created, g.last_used FROM oauth_access AS a
         JOIN oauth_grant AS g ON g.account = a.account AND g.id = a.given
         WHERE a.account = $1 AND a.given = $2 AND a.hash = $3",
        params![token.account(), token.owner(), &token.hash()],
        |row| Ok((row.text(0)?, row.text(1)?, Timestamp(row.int(2)?), Timestamp(row.int(3)?), row.int_or_null(4)?)),
    )?;
    let Some((client, scopes, expires, issued, last_used)) = found else { return Ok(Err(Refused::Unknown)) };
    if expires <= now {
        return Ok(Err(Refused::Expired));
    }
    let account = match living(tx, token.account())? {
        Ok(account) => account,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(Ok(Bearer {
        account: token.account(),
        address: account.address,
        display_name: account.display_name,
        client,
        scopes: Scopes::parse(&scopes),
        grant: token.owner(),
        expires,
        issued,
        last_used: last_used.map(Timestamp),
    }))
}

/// The account, when it may be acted for.
fn living(tx: &ReadTx, account: AccountId) -> Result<std::result::Result<Account, Refused>> {
    Ok(match accounts::by_id(tx, account)? {
        None => Err(Refused::Unknown),
        Some(account) => match account.state {
            State::Active => Ok(account),
            State::Suspended => Err(Refused::Suspended),
            State::Deleted => Err(Refused::Unknown),
        },
    })
}

/// Notes that a grant was used; ask [`should_touch`] before. Locks: none. One statement.
pub fn touch(tx: &mut WriteTx, bearer: &Bearer, service: Service, network: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE oauth_grant SET last_used = $3, last_service = $4, network = $5 WHERE account = $1 AND id = $2",
        params![bearer.account, bearer.grant, now, service.name(), network],
    )?;
    Ok(())
}

/// Whether the last use is so old that noting it is worth a write.
pub fn should_touch(bearer: &Bearer, now: Timestamp) -> bool {
    bearer.last_used.is_none_or(|last| now.minus(TOUCH_EVERY) >= last)
}

/// What a client is given.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Whose.
    pub account: AccountId,
    /// Out of which grant.
    pub grant: i64,
    /// The access token.
    pub access: String,
    /// How long it lives.
    pub lifetime: Duration,
    /// The refresh token, where there is one.
    pub refresh: Option<String>,
    /// What the access token is good for.
    pub scopes: Scopes,
}

/// Tokens out of a new grant. Locks: the account's.
pub(crate) fn issue_first(
    tx: &mut WriteTx,
    allowed: &Allowed<'_>,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Issued> {
    let (account, scopes) = (allowed.account, allowed.scopes);
    let grant = grants::create(tx, allowed, lifetimes, now)?;
    // A mail program without a refresh token would ask its person each hour; of others the person says so.
    let refresh = match scopes.has(Scope::OfflineAccess) || scopes.open_mail() {
        true => Some(Bearing::new(Kind::Refresh, account, grant)?),
        false => None,
    };
    if let Some(refresh) = &refresh {
        tx.execute(
            "UPDATE oauth_grant SET family = $3, refresh = $4, rotated = $5 WHERE account = $1 AND id = $2",
            params![account, grant, &refresh.family(), &refresh.hash(), now],
        )?;
    }
    let access = access(tx, account, grant, scopes, lifetimes, now)?;
    let refresh = refresh.map(|refresh| refresh.text());
    Ok(Issued { account, grant, access, lifetime: lifetimes.access, refresh, scopes: scopes.clone() })
}

/// An access token of a grant; of many, the oldest go.
fn access(
    tx: &mut WriteTx,
    account: AccountId,
    grant: i64,
    scopes: &Scopes,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<String> {
    tx.execute(
        "DELETE FROM oauth_access WHERE account = $1 AND given = $2 AND (expires <= $3 OR hash IN (
             SELECT hash FROM oauth_access WHERE account = $1 AND given = $2 ORDER BY created DESC LIMIT 100 OFFSET $4))",
        params![account, grant, now, ACCESS_MAX - 1],
    )?;
    let token = Bearing::new(Kind::Access, account, grant)?;
    tx.execute(
        "INSERT INTO oauth_access (account, given, hash, scopes, created, expires) VALUES ($1, $2, $3, $4, $5, $6)",
        params![account, grant, &token.hash(), &scopes.to_string(), now, now.plus(lifetimes.access)],
    )?;
    Ok(token.text())
}

/// Why a refresh token gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRenewed {
    /// No token of ours, one of another client, one that is over, or of an account that may not (`invalid_grant`).
    Invalid,
    /// It was replaced before: somebody has a copy. Its grant has been cut off (`invalid_grant`).
    Replayed,
    /// More was asked for than was granted (`invalid_scope`).
    Scope,
}

/// Tokens for a refresh token, which is replaced (RFC 9700 §4.14.2). Locks: the account's. What it answers with is to be
/// committed also when it is a refusal.
pub fn renew(
    tx: &mut WriteTx,
    token: &Bearing,
    client: &Client,
    scopes: Option<&Scopes>,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<std::result::Result<Issued, NotRenewed>> {
    let (account, id) = (token.account(), token.owner());
    let Some(grant) = tx.row(RENEWABLE, params![account, id], Renewable::of)? else {
        return Ok(Err(NotRenewed::Invalid));
    };
    // RFC 6749 §10.4: bound to the client. Whoever is not of the family knows nothing and changes nothing.
    let family = grant.family.as_deref().is_some_and(|family| same(family, &token.family()));
    if grant.client != client.id || !family || grant.expires <= now || living(tx, account)?.is_err() {
        return Ok(Err(NotRenewed::Invalid));
    }
    let is = |kept: &Option<String>| kept.as_deref().is_some_and(|kept| same(kept, &token.hash()));
    // The answer before may have been lost on its way: within a moment the one before is good once more, and the one
    // that was given for it is not.
    let again = is(&grant.previous) && grant.rotated.is_some_and(|rotated| now <= rotated.plus(LOST_ANSWER));
    if !is(&grant.refresh) && !again {
        grants::remove(tx, account, id, now)?;
        return Ok(Err(NotRenewed::Replayed));
    }
    let granted = Scopes::parse(&grant.scopes);
    let wanted = scopes.unwrap_or(&granted);
    if wanted.is_empty() || !granted.cover(wanted) {
        return Ok(Err(NotRenewed::Scope));
    }
    let next = token.next()?;
    tx.execute(
        "UPDATE oauth_grant SET refresh = $3, previous = $4, rotated = $5, expires = $6 WHERE account = $1 AND id = $2",
        params![
            account,
            id,
            &next.hash(),
            &token.hash(),
            if again { grant.rotated.unwrap_or(now) } else { now },
            now.plus(lifetimes.idle)
        ],
    )?;
    let access = access(tx, account, id, wanted, lifetimes, now)?;
    let refresh = Some(next.text());
    let (grant, scopes) = (id, wanted.clone());
    Ok(Ok(Issued { account, grant, access, lifetime: lifetimes.access, refresh, scopes }))
}

/// What renewing looks at.
struct Renewable {
    client: String,
    scopes: String,
    expires: Timestamp,
    family: Option<String>,
    refresh: Option<String>,
    previous: Option<String>,
    rotated: Option<Timestamp>,
}

const RENEWABLE: &str = "SELECT client, scopes, expires, family, refresh, previous, rotated FROM oauth_grant
     WHERE account = $1 AND id = $2";

impl Renewable {
    fn of(row: &Row<'_>) -> postroad_store::Result<Renewable> {
        Ok(Renewable {
            client: row.text(0)?,
            scopes: row.text(1)?,
            expires: row.id(2)?,
            family: row.text_or_null(3)?,
            refresh: row.text_or_null(4)?,
            previous: row.text_or_null(5)?,
            rotated: row.int_or_null(6)?.map(Timestamp),
        })
    }
}

/// Takes a token back that a client does not need any more (RFC 7009 §2.1): a refresh token with its whole grant, an
/// access token alone. Whether there was one is nobody's business. Locks: the account's, where there is a token.
pub fn revoke(tx: &mut WriteTx, token: &Bearing, client: &Client, now: Timestamp) -> Result<()> {
    let (account, id) = (token.account(), token.owner());
    let Some(grant) = tx.row(RENEWABLE, params![account, id], Renewable::of)? else { return Ok(()) };
    if grant.client != client.id {
        return Ok(());
    }
    let family = grant.family.as_deref().is_some_and(|family| same(family, &token.family()));
    if family && Bearing::parse(Kind::Refresh, &token.text()).is_some() {
        return grants::remove(tx, account, id, now);
    }
    let gone = tx.execute(
        "DELETE FROM oauth_access WHERE account = $1 AND given = $2 AND hash = $3",
        params![account, id, &token.hash()],
    )?;
    if gone > 0 {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}

/// Live access tokens of a grant: a program needs one, and its next.
const ACCESS_MAX: i64 = 16;
/// How long an answer may have been lost on its way.
const LOST_ANSWER: Duration = Duration::from_secs(60);
/// How exactly the last use of a grant is known.
const TOUCH_EVERY: Duration = Duration::from_secs(60 * 60);
