//! New keys: which are lacking, what they are called, and their rows.

use postroad_message::date::Date;
use postroad_store::{Param, ReadTx, Result, Timestamp, WriteTx, new_id, params};

use super::{Algorithm, Key, KeyId, news};

/// A key that was made or brought along, not yet in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The private half, PKCS#8.
    pub pkcs8: Vec<u8>,
    /// What its TXT record has to say.
    pub record: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Which keys a domain has none of that signs or will: both of a new domain. One statement for all.
pub fn lacking(tx: &ReadTx, domains: &[&str]) -> Result<Vec<(String, Algorithm)>> {
    let known = tx.rows(
        "SELECT DISTINCT domain, algorithm FROM signing_key
         WHERE domain {in:$1} AND state IN ('made', 'published', 'active')",
        params![domains],
        |row| Ok((row.text(0)?, row.text(1)?)),
    )?;
    let all = domains.iter().flat_map(|domain| Algorithm::ALL.map(|algorithm| (*domain, algorithm)));
    Ok(all
        .filter(|(domain, algorithm)| !known.iter().any(|(d, a)| d == domain && a == algorithm.name()))
        .map(|(domain, algorithm)| (domain.to_owned(), algorithm))
        .collect())
}

/// Puts keys into the database under selectors of today. A domain that waits for the record of a key of that kind gets
/// no further one. Answers with those that were put. Locks: [`super::lock`] of the domain.
pub fn put(tx: &mut WriteTx, domain: &str, keys: &[NewKey], now: Timestamp) -> Result<Vec<Key>> {
    let waiting = tx.rows(
        "SELECT algorithm FROM signing_key WHERE domain = $1 AND state IN ('made', 'published')",
        params![domain],
        |row| row.text(0),
    )?;
    let taken = tx.rows("SELECT selector FROM signing_key WHERE domain = $1", params![domain], |row| row.text(0))?;
    let mut rows = Vec::new();
    for key in keys.iter().filter(|key| !waiting.iter().any(|name| name == key.algorithm.name())) {
        rows.push((wants_selector(key.algorithm, now, &taken), key));
    }
    insert(tx, domain, &rows, now)
}

/// Puts one key under a name that it has already; keys of its kind whose records nobody has seen give way to it.
/// `None`: the name is taken. Locks: as [`put`].
pub fn put_named(tx: &mut WriteTx, domain: &str, selector: &str, key: &NewKey, now: Timestamp) -> Result<Option<Key>> {
    if super::find(tx, domain, selector)?.is_some() {
        return Ok(None);
    }
    tx.execute(
        "DELETE FROM signing_key WHERE domain = $1 AND algorithm = $2 AND state = 'made'",
        params![domain, key.algorithm.name()],
    )?;
    Ok(insert(tx, domain, &[(selector.to_owned(), key)], now)?.pop())
}

fn insert(tx: &mut WriteTx, domain: &str, keys: &[(String, &NewKey)], now: Timestamp) -> Result<Vec<Key>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<KeyId> = keys.iter().map(|_| KeyId(new_id())).collect();
    let rows: Vec<Vec<Param<'_>>> = keys
        .iter()
        .zip(&ids)
        .map(|((selector, key), id)| {
            vec![
                Param::Int(id.0),
                domain.into(),
                selector.into(),
                key.algorithm.name().into(),
                "made".into(),
                (&key.pkcs8).into(),
                (&key.record).into(),
                now.into(),
                now.into(),
                now.into(),
                "unasked".into(),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO signing_key (id, domain, selector, algorithm, state, secret, record, made, since, due, found)",
        &rows,
        "",
    )?;
    news(tx);
    let all = super::list(tx, Some(domain))?;
    Ok(all.into_iter().filter(|key| ids.contains(&key.id)).collect())
}

/// The name of a key of that day: `r20261122` for RSA, `e20261122` for Ed25519, with a letter behind it for a further
/// one of the day.
pub fn wants_selector(algorithm: Algorithm, now: Timestamp, taken: &[String]) -> String {
    let kind = match algorithm {
        Algorithm::Rsa => 'r',
        Algorithm::Ed25519 => 'e',
    };
    let Date { year, month, day } = Date::from_days(now.0.div_euclid(MICROS_PER_DAY));
    let first = format!("{kind}{year:04}{month:02}{day:02}");
    let further = (1..).map(|number| format!("{first}-{number}"));
    let mut names = std::iter::once(first.clone()).chain(further);
    names.find(|name| !taken.contains(name)).unwrap_or(first)
}

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_say_the_day() {
        let now = Timestamp(1_795_305_600_000_000); // 2026-11-22
        assert_eq!(wants_selector(Algorithm::Rsa, now, &[]), "r20261122");
        let taken = ["e20261122".to_owned(), "e20261122-1".to_owned()];
        assert_eq!(wants_selector(Algorithm::Ed25519, now, &taken), "e20261122-2");
        for (days, expect) in
            [(0, (1970, 1, 1)), (19_782, (2024, 2, 29)), (20_453, (2025, 12, 31)), (20_454, (2026, 1, 1))]
        {
            let Date { year, month, day } = Date::from_days(days);
            assert_eq!((year, month, day), expect);
        }
    }
}
