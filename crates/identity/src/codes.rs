//! Authorization codes: what a person's consent becomes on its way through their browser.
//!
//! Standards: RFC 6749 §4.1, RFC 7636 §4.4 to §4.6, RFC 9700 §2.1.1 and §4.5.

use std::time::Duration;

use postroad_store::{AccountId, Row, Timestamp, WriteTx, new_id, params};

use crate::clients::Client;
use crate::grants::Allowed;
use crate::secret::same;
use crate::tokens::{self, Issued, Lifetimes};
use crate::{Bearing, Challenge, Kind, Result, Scopes, grants};

/// What somebody consented to.
#[derive(Debug, Clone)]
pub struct Consent {
    /// Who.
    pub account: AccountId,
    /// What they allowed.
    pub scopes: Scopes,
    /// Where the answer goes.
    pub redirect: String,
    /// What the client committed to.
    pub challenge: Challenge,
    /// For the id_token.
    pub nonce: Option<String>,
    /// When they last showed who they are.
    pub authenticated: Timestamp,
    /// By what: `pwd`, `otp` … (RFC 8176), with spaces between.
    pub steps: String,
    /// From which network they consented.
    pub network: String,
}

/// What a code says of whoever consented, for the id_token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub account: AccountId,
    /// As the client gave it.
    pub nonce: Option<String>,
    /// When they last showed who they are.
    pub authenticated: Timestamp,
    /// By what.
    pub steps: String,
}

/// A code for a client. Locks: none.
pub fn create(
    tx: &mut WriteTx,
    client: &Client,
    consent: &Consent,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<String> {
    let code = Bearing::new(Kind::Code, consent.account, new_id())?;
    tx.execute(
        "INSERT INTO oauth_code (account, id, hash, client, redirect, challenge, scopes, nonce, authenticated, steps,
             network, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        params![
            consent.account,
            code.owner(),
            &code.hash(),
            &client.id,
            &consent.redirect,
            consent.challenge.as_str(),
            &consent.scopes.to_string(),
            consent.nonce.as_deref(),
            consent.authenticated,
            &consent.steps,
            &consent.network,
            now.plus(lifetimes.code)
        ],
    )?;
    Ok(code.text())
}

/// Why a code gives nothing. To the client all are `invalid_grant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRedeemed {
    /// None of ours, or forgotten.
    Unknown,
    /// Too late.
    Expired,
    /// It was redeemed before: what it gave is taken away.
    Replayed,
    /// It is another client's.
    Client,
    /// The redirect URI is not that of the request.
    Redirect,
    /// The verifier does not meet the challenge.
    Verifier,
}

/// Tokens for a code. Locks: the account's. What it answers with is to be committed also when it is a refusal.
pub fn redeem(
    tx: &mut WriteTx,
    code: &Bearing,
    client: &Client,
    (redirect, verifier): (&str, &str),
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<std::result::Result<(Issued, Subject), NotRedeemed>> {
    let (account, id) = (code.account(), code.owner());
    let Some(kept) = tx.row(LOOK, params![account, id], Kept::of)?.filter(|kept| same(&kept.hash, &code.hash())) else {
        return Ok(Err(NotRedeemed::Unknown));
    };
    if kept.client != client.id {
        return Ok(Err(NotRedeemed::Client));
    }
    // RFC 6749 §4.1.2: a code that comes twice was stolen, by whoever came first or whoever comes now.
    if let Some(given) = kept.given {
        grants::remove(tx, account, given, now)?;
        return Ok(Err(NotRedeemed::Replayed));
    }
    // The code is used up also when what comes with it is wrong: nobody tries verifiers.
    tx.execute("UPDATE oauth_code SET given = 0 WHERE account = $1 AND id = $2", params![account, id])?;
    if kept.expires <= now {
        return Ok(Err(NotRedeemed::Expired));
    }
    if kept.redirect != redirect {
        return Ok(Err(NotRedeemed::Redirect));
    }
    if !Challenge::stored(kept.challenge).is_met_by(verifier) {
        return Ok(Err(NotRedeemed::Verifier));
    }
    let alive = postroad_mail::accounts::by_id(tx, account)?
        .is_some_and(|account| account.state == postroad_mail::accounts::State::Active);
    if !alive {
        return Ok(Err(NotRedeemed::Unknown));
    }
    let allowed = Allowed { account, client, scopes: &kept.scopes, network: &kept.network };
    let issued = tokens::issue_first(tx, &allowed, lifetimes, now)?;
    tx.execute("UPDATE oauth_code SET given = $3 WHERE account = $1 AND id = $2", params![account, id, issued.grant])?;
    let subject = Subject { account, nonce: kept.nonce, authenticated: kept.authenticated, steps: kept.steps };
    Ok(Ok((issued, subject)))
}

struct Kept {
    hash: String,
    client: String,
    redirect: String,
    challenge: String,
    scopes: Scopes,
    nonce: Option<String>,
    authenticated: Timestamp,
    steps: String,
    network: String,
    expires: Timestamp,
    given: Option<i64>,
}

const LOOK: &str =
    "SELECT hash, client, redirect, challenge, scopes, nonce, authenticated, steps, network, expires, given
     FROM oauth_code WHERE account = $1 AND id = $2";

impl Kept {
    fn of(row: &Row<'_>) -> postroad_store::Result<Kept> {
        Ok(Kept {
            hash: row.text(0)?,
            client: row.text(1)?,
            redirect: row.text(2)?,
            challenge: row.text(3)?,
            scopes: Scopes::parse(&row.text(4)?),
            nonce: row.text_or_null(5)?,
            authenticated: row.id(6)?,
            steps: row.text(7)?,
            network: row.text(8)?,
            expires: row.id(9)?,
            given: row.int_or_null(10)?,
        })
    }
}

/// Forgets codes; those that were redeemed are known for a while, so that a thief is found out.
pub(crate) fn forget(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    Ok(tx.execute("DELETE FROM oauth_code WHERE expires < $1", params![now.minus(KNOWN)])?)
}

const KNOWN: Duration = Duration::from_secs(24 * 60 * 60);
