//! What the server does by itself now and then: what was deleted goes for good once its retention has passed.

use std::time::Duration;

use postroad_mail::{Error, retention};
use postroad_net::Stop;
use postroad_store::{Locks, Store, Timestamp, trace};

use crate::settings::RetentionSettings;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Accounts looked after in one round.
const ACCOUNTS_PER_ROUND: usize = 1_000;
/// Trace events forgotten in one transaction.
const TRACE_BATCH: u32 = 5_000;
/// A blob without references waits so long: a reader may still stream it.
const BLOB_GRACE: Duration = Duration::from_secs(60 * 60);
const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Runs rounds until the stop.
pub(super) async fn run(store: Store, settings: RetentionSettings, stop: Stop) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.stopped() => return,
        }
        if let Err(error) = round(&store, &settings, &stop).await {
            tracing::warn!(%error, "clearing away what was deleted goes on in the next round");
        }
    }
}

async fn round(store: &Store, settings: &RetentionSettings, stop: &Stop) -> Result<(), Error> {
    let now = Timestamp::now();
    let before = Timestamp(now.0 - i64::from(settings.deleted_days) * MICROS_PER_DAY);
    let due = store.read(move |tx| retention::due(tx, before, ACCOUNTS_PER_ROUND)).await?;
    for account in due {
        let mut more = true;
        while more && !stop.is_stopped() {
            let swept = store.write(Locks::account(account), move |tx| retention::sweep(tx, account, before)).await?;
            more = swept.value.more;
        }
    }
    let before = Timestamp(now.0 - i64::from(settings.trace_days) * MICROS_PER_DAY);
    let mut forgotten = u64::from(TRACE_BATCH);
    while forgotten == u64::from(TRACE_BATCH) && !stop.is_stopped() {
        let swept =
            store.write(Locks::none(), move |tx| trace::sweep(tx, before, TRACE_BATCH).map_err(Error::from)).await?;
        forgotten = swept.value;
    }
    let sweeper = store.clone();
    let swept = tokio::task::spawn_blocking(move || sweeper.sweep_blobs(now, BLOB_GRACE)).await;
    match swept {
        Ok(outcome) => outcome.map(|_| ()).map_err(Error::from),
        Err(panic) => {
            tracing::error!(%panic, "sweeping blobs failed");
            Ok(())
        }
    }
}
