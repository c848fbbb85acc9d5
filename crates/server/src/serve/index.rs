//! Keeps the full-text index (`postroad_mail::index`) up to date, behind the mail that comes in.
//!
//! What this process changes is indexed a moment later; what other nodes changed and did not get to, what was there
//! before there was an index, and what `postroad index rebuild` ordered is found by looking now and then. Signatures are
//! made in short reads, written in short writes, one account after the other: mail waits for none of it.

use std::time::Duration;

use postroad_mail::Error;
use postroad_mail::index::{LOCK, build};
use postroad_net::Stop;
use postroad_store::{AccountId, Locks, Store};
use tokio::time::Instant;

/// Messages that come close together are indexed together.
const TOGETHER: Duration = Duration::from_millis(200);
/// Between two looks at all accounts.
const EVERY: Duration = Duration::from_secs(15);
/// Accounts found by one look.
const ACCOUNTS_PER_LOOK: usize = 1_000;
/// Parts of one account that are done before the next account has its turn.
const PARTS_PER_TURN: usize = 40;

/// Runs until the stop.
pub(super) async fn run(store: Store, stop: Stop) {
    let mut next_look = Instant::now();
    loop {
        let accounts = tokio::select! {
            accounts = store.hub().changed() => {
                tokio::select! {
                    () = tokio::time::sleep(TOGETHER) => {}
                    () = stop.stopped() => return,
                }
                accounts
            }
            () = tokio::time::sleep_until(next_look) => {
                next_look = Instant::now() + EVERY;
                store.read(|tx| build::due(tx, ACCOUNTS_PER_LOOK)).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "whether the full-text index is up to date is looked at later");
                    Vec::new()
                })
            }
            () = stop.stopped() => return,
        };
        for account in accounts {
            if stop.is_stopped() {
                return;
            }
            match turn(&store, account, &stop).await {
                Ok(Turn::Done) => {}
                // Found again by the next look.
                Ok(Turn::More) => next_look = Instant::now(),
                Err(error) => tracing::warn!(%error, account = account.0, "the full-text index of an account waits"),
            }
        }
    }
}

enum Turn {
    Done,
    More,
}

async fn turn(store: &Store, account: AccountId, stop: &Stop) -> Result<Turn, Error> {
    let mut gathered: Option<build::Gathered> = None;
    for _ in 0..PARTS_PER_TURN {
        if stop.is_stopped() {
            break;
        }
        let (behind, next) = store
            .read(move |tx| {
                let next = build::gather(tx, account, gathered.as_ref())?;
                Ok::<_, Error>((gathered, next))
            })
            .await?;
        if next.stale {
            gathered = None;
            store.write(Locks::named(LOCK), move |tx| build::clear(tx, account)).await?;
            continue;
        }
        metrics::counter!("postroad_index_messages_total").increment(next.documents.len() as u64);
        let all = match behind {
            Some(mut all) => {
                all.and(next);
                all
            }
            None => next,
        };
        if all.more && !all.is_full() {
            gathered = Some(all);
            continue;
        }
        gathered = None;
        let more = all.more;
        store.write(Locks::named(LOCK), move |tx| build::file(tx, &all)).await?;
        if let Some(packed) = store.read(move |tx| build::pack(tx, account)).await? {
            store.write(Locks::named(LOCK), move |tx| build::file_packed(tx, &packed)).await?;
        }
        if !more {
            return Ok(Turn::Done);
        }
    }
    if let Some(all) = gathered {
        store.write(Locks::named(LOCK), move |tx| build::file(tx, &all)).await?;
    }
    Ok(Turn::More)
}
