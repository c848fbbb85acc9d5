//! The keywords that mailboxes know: spellings, limits.
//!
//! A keyword has one spelling in the whole account, the first that was met, so that entries can be copied
//! between mailboxes as they are and SQL can compare keywords by bytes.

use std::collections::HashMap;

use postroad_store::{AccountId, ModSeq, Param, ReadTx, WriteTx, params};

use crate::keyword::MAX_KEYWORDS;
use crate::{Bound, Error, Keyword, MailboxId, Result};

/// Keywords named by one command, in the account's spelling.
pub(crate) struct Spelled {
    /// Those that the account knows.
    pub(crate) known: Vec<Keyword>,
    /// All, new ones as they were given.
    pub(crate) all: Vec<Keyword>,
    /// Those that the mailbox does not know yet.
    missing: Vec<Keyword>,
}

/// Finds the account's spelling of `keywords`, each once. One statement, none without keywords.
/// Errors: `Limit(Keywords)` when the mailbox would know too many.
pub(crate) fn spell(tx: &ReadTx, account: AccountId, mailbox: MailboxId, keywords: &[Keyword]) -> Result<Spelled> {
    let mut spelled = Spelled { known: Vec::new(), all: Vec::new(), missing: Vec::new() };
    if keywords.is_empty() {
        return Ok(spelled);
    }
    if keywords.len() > MAX_KEYWORDS {
        return Err(Error::Limit(Bound::Keywords));
    }
    let folded: Vec<String> = keywords.iter().map(Keyword::folded).collect();
    // The row with a NULL name carries the number of keywords that the mailbox knows.
    let rows = tx.rows(
        "SELECT folded, name, CAST(CASE WHEN mailbox = $2 THEN 1 ELSE 0 END AS BIGINT)
         FROM keyword {by:keyword_folded} WHERE account = $1 AND folded {in:$3}
         UNION ALL
         SELECT '', NULL, CAST(count(*) AS BIGINT) FROM keyword WHERE account = $1 AND mailbox = $2",
        params![account, mailbox, &folded],
        |row| Ok((row.text(0)?, row.text_or_null(1)?, row.int(2)?)),
    )?;
    let mut spellings: HashMap<String, (String, bool)> = HashMap::new();
    let mut count = 0;
    for (folded, name, here) in rows {
        match name {
            None => count = here,
            Some(name) => {
                let known = spellings.entry(folded).or_insert((name, false));
                known.1 |= here == 1;
            }
        }
    }
    for keyword in keywords {
        if spelled.all.contains(keyword) {
            continue;
        }
        let own = match spellings.get(&keyword.folded()) {
            Some((name, here)) => {
                let own = Keyword::stored(name.clone());
                spelled.known.push(own.clone());
                if !here {
                    spelled.missing.push(own.clone());
                }
                own
            }
            None => {
                spelled.missing.push(keyword.clone());
                keyword.clone()
            }
        };
        spelled.all.push(own);
    }
    let after = usize::try_from(count).unwrap_or(0) + spelled.missing.len();
    if !spelled.missing.is_empty() && after > MAX_KEYWORDS {
        return Err(Error::Limit(Bound::Keywords));
    }
    Ok(spelled)
}

/// Makes the mailbox know the spelled keywords. One statement, none when it knows them all.
pub(crate) fn learn(
    tx: &mut WriteTx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: ModSeq,
    spelled: &Spelled,
) -> Result<()> {
    if spelled.missing.is_empty() {
        return Ok(());
    }
    let folded: Vec<String> = spelled.missing.iter().map(Keyword::folded).collect();
    let rows: Vec<[Param<'_>; 5]> = spelled
        .missing
        .iter()
        .zip(&folded)
        .map(|(keyword, folded)| {
            [
                Param::from(account),
                Param::from(mailbox),
                Param::from(folded),
                Param::from(keyword.as_str()),
                Param::from(modseq),
            ]
        })
        .collect();
    tx.insert_rows(
        "INSERT INTO keyword (account, mailbox, folded, name, since)",
        &rows,
        "ON CONFLICT (account, mailbox, folded) DO NOTHING",
    )?;
    Ok(())
}

/// Makes `to` know the keywords of entries that came into it from other mailboxes of the account. One statement, none without keywords.
pub(crate) fn carry<'a>(
    tx: &mut WriteTx,
    account: AccountId,
    to: MailboxId,
    modseq: ModSeq,
    used: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let mut folded: Vec<String> = used.map(str::to_ascii_lowercase).collect();
    folded.sort_unstable();
    folded.dedup();
    if folded.is_empty() {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO keyword (account, mailbox, folded, name, since)
         SELECT account, CAST($3 AS BIGINT), folded, min(name), CAST($4 AS BIGINT)
         FROM keyword {by:keyword_folded} WHERE account = $1 AND folded {in:$2} GROUP BY account, folded
         ON CONFLICT (account, mailbox, folded) DO NOTHING",
        params![account, &folded, to, modseq],
    )?;
    Ok(())
}
