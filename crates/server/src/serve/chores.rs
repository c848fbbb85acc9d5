//! What the server does by itself now and then: what was deleted goes for good once its retention has passed.

use std::time::Duration;

use postroad_mail::{Actor, By, Error, accounts, maildrop, retention};
use postroad_net::Stop;
use postroad_store::{AccountId, Locks, Store, Timestamp, trace};
use postroad_trust::tls_results::{self, Day};
use postroad_trust::{bans, greylist, sending};
use postroad_trust::{dmarc_results, failures, reports};

use crate::settings::RetentionSettings;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Between two looks at how much deleted mail is kept: who fills an account and empties it in turn is stopped here.
const SPARE_EVERY: Duration = Duration::from_secs(60);
/// Accounts looked after in one round.
const ACCOUNTS_PER_ROUND: usize = 1_000;
/// Trace events forgotten in one transaction.
const TRACE_BATCH: u32 = 5_000;
/// Parts of the blobs' sweep in one round, each of a thousand.
const BLOB_PARTS_PER_ROUND: u32 = 100;
/// Parts of the greylist's sweep in one round.
const GREYLIST_PARTS_PER_ROUND: u32 = 100;
/// A blob without references waits so long: a reader may still stream it.
const BLOB_GRACE: Duration = Duration::from_secs(60 * 60);
/// How TLS sessions went is of use until the reports about it are sent and asked about.
const TLS_RESULT_DAYS: i64 = 60;
const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// What is kept, and for how long.
pub(super) struct Kept {
    pub(super) retention: RetentionSettings,
    pub(super) greylist: greylist::Terms,
    /// Mail goes so many days after it was fetched by POP3.
    pub(super) expire_days: Option<u32>,
}

/// Runs rounds until the stop.
pub(super) async fn run(store: Store, kept: Kept, stop: Stop) {
    let (mut waited, mut looked) = (Duration::ZERO, Timestamp::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep(SPARE_EVERY) => waited += SPARE_EVERY,
            () = stop.stopped() => return,
        }
        let now = Timestamp::now();
        match spare(&store, kept.retention.deleted_bytes, looked, &stop).await {
            // What was removed while it looked is looked for again.
            Ok(()) => looked = Timestamp(now.0 - SPARE_EVERY.as_micros() as i64),
            Err(error) => tracing::warn!(%error, "how much deleted mail is kept is looked at again in a minute"),
        }
        if waited < EVERY {
            continue;
        }
        waited = Duration::ZERO;
        if let Err(error) = round(&store, &kept, &stop).await {
            tracing::warn!(%error, "clearing away what was deleted goes on in the next round");
        }
    }
}

async fn round(store: &Store, kept: &Kept, stop: &Stop) -> Result<(), Error> {
    let (now, settings, terms) = (Timestamp::now(), &kept.retention, kept.greylist);
    let before = Timestamp(now.0 - i64::from(settings.deleted_days) * MICROS_PER_DAY);
    let due = store.read(move |tx| retention::due(tx, before, ACCOUNTS_PER_ROUND)).await?;
    for account in due {
        // One account that cannot be cleared (another node was quicker, a row is damaged) does not hold up the rest.
        if let Err(error) = clear(store, account, before, stop).await {
            tracing::warn!(%error, account = account.0, "what was deleted from an account could not be cleared away");
        }
    }
    if let Some(days) = kept.expire_days {
        expire(store, now, days, stop).await?;
    }
    let before = Timestamp(now.0 - i64::from(settings.trace_days) * MICROS_PER_DAY);
    let mut forgotten = u64::from(TRACE_BATCH);
    while forgotten == u64::from(TRACE_BATCH) && !stop.is_stopped() {
        let swept =
            store.write(Locks::none(), move |tx| trace::sweep(tx, before, TRACE_BATCH).map_err(Error::from)).await?;
        forgotten = swept.value;
    }
    let before = Day(Day::of(now).0 - TLS_RESULT_DAYS);
    let reported = Timestamp(now.0 - i64::from(settings.report_days) * MICROS_PER_DAY);
    let swept = store.write(Locks::none(), move |tx| {
        tls_results::sweep(tx, before)?;
        dmarc_results::sweep(tx, before)?;
        failures::sweep(tx, before)?;
        reports::sweep(tx, reported).map_err(Error::from)
    });
    swept.await?;
    store.write(Locks::named(bans::LOCK), move |tx| bans::sweep(tx, now).map_err(Error::from)).await?;
    store.write(Locks::none(), move |tx| sending::sweep(tx, now).map_err(Error::from)).await?;
    store.write(Locks::none(), move |tx| postroad_identity::sweep::sweep(tx, now)).await?;
    let mut parts = 0;
    while parts < GREYLIST_PARTS_PER_ROUND && !stop.is_stopped() {
        let swept = store.write(Locks::none(), move |tx| greylist::sweep(tx, &terms, now).map_err(Error::from)).await?;
        parts = if swept.value { parts + 1 } else { GREYLIST_PARTS_PER_ROUND };
    }
    for _ in 0..BLOB_PARTS_PER_ROUND {
        let sweeper = store.clone();
        let swept = tokio::task::spawn_blocking(move || sweeper.sweep_blobs(now, BLOB_GRACE)).await;
        match swept {
            Ok(outcome) if outcome.clone()?.more && !stop.is_stopped() => {}
            Ok(outcome) => return outcome.map(|_| ()).map_err(Error::from),
            Err(panic) => {
                tracing::error!(%panic, "sweeping blobs failed");
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Mail that was fetched by POP3 goes after its time (EXPIRE, RFC 2449 §6.7).
async fn expire(store: &Store, now: Timestamp, days: u32, stop: &Stop) -> Result<(), Error> {
    let before = Timestamp(now.0 - i64::from(days) * MICROS_PER_DAY);
    for account in store.read(move |tx| maildrop::due(tx, before, ACCOUNTS_PER_ROUND)).await? {
        let mut more = true;
        while more && !stop.is_stopped() {
            let by = By::new(now, Actor::System);
            let swept =
                store.write(Locks::account(account), move |tx| maildrop::expire(tx, &by, account, before)).await;
            more = match swept {
                Ok(stored) => stored.value,
                Err(error) => {
                    tracing::warn!(%error, account = account.0, "what was fetched by POP3 and has expired could not be removed");
                    false
                }
            };
        }
    }
    Ok(())
}

/// Gives up the oldest deleted mail of accounts that keep more of it than they may.
async fn spare(store: &Store, setting: Option<u64>, since: Timestamp, stop: &Stop) -> Result<(), Error> {
    for account in store.read(move |tx| retention::removed_since(tx, since)).await? {
        let mut told = false;
        while !stop.is_stopped() {
            let spared = store.write(Locks::account(account), move |tx| {
                let row = accounts::by_id(tx, account)?;
                let limit = row.as_ref().and_then(|row| retention::kept_limit(row, setting));
                let Some((row, limit)) = row.zip(limit) else { return Ok((None, retention::Swept::default())) };
                Ok::<_, Error>((Some((row.address, limit)), retention::spare(tx, account, limit)?))
            });
            let (whose, swept) = spared.await?.value;
            if let (Some((address, limit)), true, false) = (whose, swept.entries > 0, told) {
                told = true;
                tracing::warn!(
                    account = %address,
                    "the oldest deleted mail goes before its time: what can be brought back takes more than {limit} \
                     octets (retention.deleted-bytes, else the quota)"
                );
            }
            if !swept.more {
                break;
            }
        }
    }
    Ok(())
}

async fn clear(store: &Store, account: AccountId, before: Timestamp, stop: &Stop) -> Result<(), Error> {
    while !stop.is_stopped() {
        let swept = store.write(Locks::account(account), move |tx| retention::sweep(tx, account, before)).await?;
        if !swept.value.more {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::accounts::NewAccount;
    use postroad_mail::{Actor, Address, By, domains};
    use postroad_store::params;

    /// More than one part of everything, and an account that cannot be cleared before one that can.
    #[tokio::test]
    async fn a_round_leaves_nothing_for_lack_of_time() {
        let store = Store::open(postroad_store::Settings::memory()).expect("a store");
        let tables = [
            postroad_store::MIGRATIONS,
            postroad_mail::MIGRATIONS,
            postroad_trust::MIGRATIONS,
            postroad_identity::MIGRATIONS,
        ]
        .concat();
        store.migrate(&tables).expect("tables");
        let made = store.write(Locks::none(), |tx| {
            let by = By::new(Timestamp(1), Actor::Admin);
            domains::create(tx, &by, &postroad_mail::Domain::parse("example.test").map_err(Error::AddressInvalid)?)?;
            for name in ["damaged", "sound"] {
                let new = NewAccount {
                    address: Address::new(name, "example.test").map_err(Error::AddressInvalid)?,
                    display_name: String::new(),
                    password: None,
                    quota_bytes: 0,
                    quota_messages: 0,
                };
                let id = accounts::create(tx, &by, &new)?;
                accounts::delete(tx, &by, id)?;
                if name == "damaged" {
                    tx.execute(
                        "INSERT INTO message (account, id, blob, size, received, thread, summary)
                         VALUES ($1, 1, 99, 1, 1, 1, $2)",
                        params![id, &[0u8; 1]],
                    )?;
                }
            }
            let rows: Vec<_> = (1000i64..3500).map(|id| [id.into()]).collect();
            tx.execute("CREATE TABLE number (n BIGINT)", params![])?;
            tx.insert_rows("INSERT INTO number (n)", &rows, "")?;
            tx.execute(
                "INSERT INTO blob (id, size, stored_size, encoding, place, hash, refs)
                 SELECT n, 1, 1, 0, 0, $1, 0 FROM number",
                params![&[0u8; 1]],
            )?;
            Ok::<_, Error>(())
        });
        made.await.expect("everything is there");
        let retention = RetentionSettings { deleted_days: 30, deleted_bytes: None, trace_days: 30, report_days: 30 };
        let kept = Kept { retention, greylist: greylist::Terms::default(), expire_days: Some(30) };
        round(&store, &kept, &Stop::new()).await.expect("a round");
        let left = store.read(|tx| {
            let count = |sql: &str| tx.one(sql, params![], |row| row.int(0));
            let sql = "SELECT count(*) FROM blob WHERE refs = 0 AND idle_since IS NULL";
            Ok::<_, Error>((count(sql)?, count("SELECT count(*) FROM account")?))
        });
        assert_eq!(left.await.ok(), Some((0, 1)), "blobs that are not marked, and the account that is damaged");
    }
}
