//! The proof that something is stored. This file is the only one that can make it, and it makes it by COMMIT.

use crate::tx::Connection;
use crate::{AccountId, Error, ModSeq, Result, WriteTx};
use std::collections::BTreeMap;

/// Proof that a COMMIT succeeded. Only this crate makes one, and only there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    _private: (),
}

/// What a committed write gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<R> {
    /// What the closure answered.
    pub value: R,
    /// Proof that it is stored.
    pub receipt: Receipt,
}

/// Commits.
pub(crate) fn commit(tx: &WriteTx) -> Result<Receipt> {
    let start = std::time::Instant::now();
    match tx.connection() {
        Connection::Sqlite(_) => tx.command("COMMIT")?,
        Connection::Postgres(_) => tx.command("COMMIT").map_err(|error| match error {
            Error::Unavailable(text) => Error::OutcomeUnknown(text),
            other => other,
        })?,
    }
    metrics::histogram!("postroad_store_commit_seconds").record(start.elapsed().as_secs_f64());
    Ok(Receipt { _private: () })
}

/// `7:12 9:33` for account 7 at 12 and account 9 at 33, as many notifications as the size of one demands.
pub(crate) fn notify(news: &BTreeMap<AccountId, ModSeq>) -> String {
    let pairs: Vec<String> = news.iter().map(|(account, modseq)| format!("{account}:{modseq}")).collect();
    pairs.chunks(NEWS_PER_NOTIFY).map(|some| format!("SELECT pg_notify('{CHANNEL}', '{}'); ", some.join(" "))).collect()
}

/// The news in a notification.
pub(crate) fn parse_news(payload: &str) -> Vec<(AccountId, ModSeq)> {
    let pair = |word: &str| {
        let (account, modseq) = word.split_once(':')?;
        Some((AccountId(account.parse().ok()?), ModSeq(modseq.parse().ok()?)))
    };
    payload.split(' ').filter_map(pair).collect()
}

/// The channel of PostgreSQL that carries news.
pub(crate) const CHANNEL: &str = "postroad";
/// A payload has at most 8,000 bytes, a pair at most 40.
const NEWS_PER_NOTIFY: usize = 190;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_travel_in_text() {
        let news: BTreeMap<_, _> = (0..400).map(|n| (AccountId(i64::MAX - n), ModSeq(i64::MAX))).collect();
        let sql = notify(&news);
        let payloads: Vec<&str> = sql.split('\'').skip(3).step_by(4).collect();
        assert_eq!(payloads.len(), 3);
        assert!(payloads.iter().all(|payload| payload.len() < 8000));
        let mut heard: Vec<_> = payloads.iter().flat_map(|payload| parse_news(payload)).collect();
        heard.sort_unstable();
        assert_eq!(heard, news.into_iter().collect::<Vec<_>>());
        assert_eq!(parse_news("7:1 x 8: :9 9:2"), [(AccountId(7), ModSeq(1)), (AccountId(9), ModSeq(2))]);
    }
}
