//! A promise of the sweeper: while somebody copies blobs, none is removed.
//!
//! A pin is a row with an end. Who copies renews it; when that process dies the pin lapses by itself, and sweeping
//! goes on. It is written before the snapshot is taken, so every blob that the snapshot refers to is still there when
//! it is copied, however long that takes.

use crate::{Error, Locks, Result, Store, Timestamp, new_id, params};
use std::time::Duration;

pub(crate) const PINS: &str = "
CREATE TABLE blob_pin (
    id BIGINT PRIMARY KEY,
    until BIGINT NOT NULL);     -- until then nothing is swept";

/// Blobs stay until it is dropped, or [`Pin::LIFETIME`] after it was last renewed.
pub struct Pin {
    store: Store,
    id: i64,
    renewed: Timestamp,
}

impl Pin {
    /// How long a pin holds that nobody renews.
    pub const LIFETIME: Duration = Duration::from_secs(15 * 60);

    /// Pins all blobs. Blocks.
    pub fn new(store: &Store, now: Timestamp) -> Result<Pin> {
        let id = new_id();
        store.write_blocking(Locks::none(), move |tx| {
            tx.execute("DELETE FROM blob_pin WHERE until < $1", params![now.minus(Pin::LIFETIME)])?;
            let until = now.plus(Pin::LIFETIME);
            tx.execute("INSERT INTO blob_pin (id, until) VALUES ($1, $2)", params![id, until])
        })?;
        Ok(Pin { store: store.clone(), id, renewed: now })
    }

    /// Holds on, when a third of its life is over. Blocks then. Errors: `Missing` when it had lapsed.
    pub fn renew(&mut self, now: Timestamp) -> Result<()> {
        if now < self.renewed.plus(Pin::LIFETIME / 3) {
            return Ok(());
        }
        let id = self.id;
        let stored = self.store.write_blocking(Locks::none(), move |tx| {
            tx.execute("UPDATE blob_pin SET until = $2 WHERE id = $1", params![id, now.plus(Pin::LIFETIME)])
        })?;
        if stored.value == 0 {
            return Err(Error::Missing("the pin that keeps blobs from being swept".into()));
        }
        self.renewed = now;
        Ok(())
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let id = self.id;
        // What cannot be removed lapses.
        let _ = self
            .store
            .write_blocking(Locks::none(), move |tx| tx.execute("DELETE FROM blob_pin WHERE id = $1", params![id]));
    }
}
