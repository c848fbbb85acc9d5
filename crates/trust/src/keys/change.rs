//! What administrators change of keys, and the statements behind it.

use postroad_store::{Result, Timestamp, WriteTx, params};

use super::{Key, KeyId, State, list, news};

/// Lets a key sign now, whatever the DNS says; the one of its kind that did is retired. Locks: [`super::lock`].
pub fn activate(tx: &mut WriteTx, key: &Key, now: Timestamp) -> Result<()> {
    become_active(tx, key, now)?;
    Ok(())
}

/// Ends the signing with a key; its record is wanted for a while. Locks: [`super::lock`].
pub fn retire(tx: &mut WriteTx, key: &Key, now: Timestamp) -> Result<()> {
    set_state(tx, key.id, State::Retired, now)
}

/// A key that others know: it signs no more, and its private half is erased at once. Locks: [`super::lock`].
pub fn revoke(tx: &mut WriteTx, key: &Key, now: Timestamp) -> Result<()> {
    set_state(tx, key.id, State::Gone, now)
}

/// The domain is none of ours any more: nothing of its keys stays.
pub fn erase_domain(tx: &mut WriteTx, domain: &str) -> Result<()> {
    tx.execute("DELETE FROM signing_key WHERE domain = $1", params![domain])?;
    news(tx);
    Ok(())
}

/// Answers with the keys that it takes the place of.
pub(super) fn become_active(tx: &mut WriteTx, next: &Key, now: Timestamp) -> Result<Vec<Key>> {
    let old: Vec<Key> = list(tx, Some(&next.domain))?
        .into_iter()
        .filter(|key| key.algorithm == next.algorithm && key.state == State::Active && key.id != next.id)
        .collect();
    for key in &old {
        set_state(tx, key.id, State::Retired, now)?;
    }
    set_state(tx, next.id, State::Active, now)?;
    Ok(old)
}

pub(super) fn set_state(tx: &mut WriteTx, key: KeyId, state: State, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE signing_key SET state = $2, since = $3, due = $3, told = NULL,
            active = CASE WHEN $2 = 'active' THEN $3 ELSE active END,
            secret = CASE WHEN $2 = 'gone' THEN $4 ELSE secret END
         WHERE id = $1 AND state <> 'gone'",
        params![key.0, state.name(), now, &[0u8; 0]],
    )?;
    news(tx);
    Ok(())
}
