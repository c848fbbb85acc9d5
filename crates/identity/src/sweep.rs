//! What is over is forgotten, now and then.

use postroad_store::{Timestamp, WriteTx, params};

use crate::{Result, clients, codes, cuts, devices, passkeys, second, sessions};

/// Forgets what is over; says how many rows. A chore of the server. Locks: none.
pub fn sweep(tx: &mut WriteTx, now: Timestamp) -> Result<u64> {
    let mut gone = codes::forget(tx, now)? + devices::forget(tx, now)? + sessions::forget(tx, now)?;
    gone += tx.execute("DELETE FROM oauth_access WHERE expires < $1", params![now])?;
    gone += tx.execute("DELETE FROM oauth_grant WHERE expires < $1", params![now])?;
    gone += second::forget_orphans(tx)? + passkeys::forget_spent(tx, now)?;
    Ok(gone + cuts::forget(tx, now)? + clients::forget(tx, now)?)
}
