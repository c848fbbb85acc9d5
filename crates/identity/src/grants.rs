//! Grants: what somebody allowed a program on one of their devices, until they cut it off or nobody uses it.

use postroad_store::{AccountId, ReadTx, Row, Timestamp, WriteTx, new_id, params};

use crate::clients::{self, Client};
use crate::tokens::Lifetimes;
use crate::{Result, Scopes, cuts};

/// Most grants of an account; the one that was not used for longest makes room.
pub const GRANTS_MAX: usize = 100;

/// A grant as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub id: i64,
    /// The client's id.
    pub client: String,
    /// The client's name; its id when it is gone.
    pub name: String,
    /// What was allowed.
    pub scopes: Scopes,
    /// When.
    pub created: Timestamp,
    /// When its tokens were last used, to the hour, or renewed.
    pub last_used: Option<Timestamp>,
    /// For what: `imap`, `smtp` …
    pub last_service: Option<String>,
    /// From which network.
    pub network: Option<String>,
}

/// What somebody allows.
#[derive(Clone, Copy)]
pub(crate) struct Allowed<'a> {
    /// Whose mail.
    pub(crate) account: AccountId,
    /// To whom.
    pub(crate) client: &'a Client,
    /// What.
    pub(crate) scopes: &'a Scopes,
    /// From which network it was asked for.
    pub(crate) network: &'a str,
}

/// A grant without tokens.
pub(crate) fn create(tx: &mut WriteTx, allowed: &Allowed<'_>, lifetimes: &Lifetimes, now: Timestamp) -> Result<i64> {
    let Allowed { account, client, scopes, network } = *allowed;
    let keep = i64::try_from(GRANTS_MAX - 1).unwrap_or(i64::MAX);
    let old = tx.rows(
        "SELECT id FROM oauth_grant WHERE account = $1
         ORDER BY coalesce(last_used, 0) DESC, coalesce(rotated, 0) DESC, created DESC LIMIT 100 OFFSET $2",
        params![account, keep],
        |row| row.int(0),
    )?;
    for id in old {
        remove(tx, account, id, now)?;
    }
    let id = new_id();
    tx.execute(
        "INSERT INTO oauth_grant (account, id, client, scopes, created, expires, network)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![account, id, &client.id, &scopes.to_string(), now, now.plus(lifetimes.idle), network],
    )?;
    clients::touch(tx, client, now)?;
    Ok(id)
}

/// An account's grants, the newest first.
pub fn list(tx: &ReadTx, account: AccountId, now: Timestamp) -> Result<Vec<Grant>> {
    let limit = i64::try_from(GRANTS_MAX).unwrap_or(i64::MAX);
    let grants = tx.rows(
        "SELECT g.id, g.client, coalesce(c.name, g.client), g.scopes, g.created,
                CASE WHEN g.last_used IS NULL AND g.rotated IS NULL THEN NULL
                     WHEN coalesce(g.last_used, 0) > coalesce(g.rotated, 0) THEN g.last_used ELSE g.rotated END,
                g.last_service, g.network
         FROM oauth_grant AS g LEFT JOIN oauth_client AS c ON c.id = g.client
         WHERE g.account = $1 AND g.expires > $2 ORDER BY g.created DESC, g.id DESC LIMIT $3",
        params![account, now, limit],
        |row: &Row<'_>| {
            Ok(Grant {
                id: row.int(0)?,
                client: row.text(1)?,
                name: row.text(2)?,
                scopes: Scopes::parse(&row.text(3)?),
                created: row.id(4)?,
                last_used: row.int_or_null(5)?.map(Timestamp),
                last_service: row.text_or_null(6)?,
                network: row.text_or_null(7)?,
            })
        },
    )?;
    Ok(grants)
}

/// The newest grant to a client that covers these scopes.
pub fn covering(
    tx: &ReadTx,
    account: AccountId,
    client: &Client,
    scopes: &Scopes,
    now: Timestamp,
) -> Result<Option<Grant>> {
    let all = list(tx, account, now)?;
    Ok(all.into_iter().find(|grant| grant.client == client.id && grant.scopes.cover(scopes)))
}

/// Cuts a grant off: its tokens are gone, and open connections hear of it. Whether there was one is not said.
pub fn remove(tx: &mut WriteTx, account: AccountId, id: i64, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM oauth_access WHERE account = $1 AND given = $2", params![account, id])?;
    let gone = tx.execute("DELETE FROM oauth_grant WHERE account = $1 AND id = $2", params![account, id])?;
    if gone > 0 {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}

/// Cuts off all grants of an account, and its codes.
pub fn remove_all(tx: &mut WriteTx, account: AccountId, now: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM oauth_code WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM oauth_device WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM oauth_access WHERE account = $1", params![account])?;
    let gone =
        tx.returning("DELETE FROM oauth_grant WHERE account = $1 RETURNING id", params![account], |row| row.int(0))?;
    for id in gone {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}

/// Cuts off what all people granted to a client.
pub(crate) fn remove_of_client(tx: &mut WriteTx, client: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "DELETE FROM oauth_access WHERE EXISTS (SELECT 1 FROM oauth_grant AS g
             WHERE g.account = oauth_access.account AND g.id = oauth_access.given AND g.client = $1)",
        params![client],
    )?;
    let gone =
        tx.returning("DELETE FROM oauth_grant WHERE client = $1 RETURNING account, id", params![client], |row| {
            Ok((row.id::<AccountId>(0)?, row.int(1)?))
        })?;
    for (account, id) in gone {
        cuts::tell(tx, account, id, now)?;
    }
    Ok(())
}
