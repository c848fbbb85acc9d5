//! How far the full-text index is, and making it anew.

use postroad_mail::accounts::Account;
use postroad_mail::index;
use postroad_store::Locks;

use super::{Desk, Outcome, account, size};
use crate::admin::Answer;

pub(super) fn status(desk: &Desk<'_>, address: Option<&str>) -> Outcome {
    let mut rows = Vec::new();
    for account in wanted(desk, address)? {
        let id = account.id;
        let status = desk.read(move |tx| index::status(tx, id))?;
        let done = match status.messages {
            0 => "100%".to_owned(),
            all => format!("{}%", status.indexed * 100 / all),
        };
        rows.push(vec![
            account.address.to_string(),
            status.messages.to_string(),
            status.indexed.to_string(),
            done,
            size(status.octets),
        ]);
    }
    Ok(Answer::table(&["ADDRESS", "MESSAGES", "INDEXED", "DONE", "SIZE"], rows, "no account yet"))
}

pub(super) fn rebuild(desk: &Desk<'_>, address: Option<&str>) -> Outcome {
    let accounts = wanted(desk, address)?;
    let count = accounts.len();
    for account in accounts {
        let id = account.id;
        desk.write(Locks::named(index::LOCK), move |tx| index::rebuild(tx, id))?;
    }
    let whose = address.map_or_else(|| format!("{count} accounts"), str::to_owned);
    Ok(Answer::done(format!(
        "the index of {whose} is made anew while the server runs; searches read the messages themselves until then, and \
         `postroad index status` says how far it is"
    )))
}

fn wanted(desk: &Desk<'_>, address: Option<&str>) -> Outcome<Vec<Account>> {
    match address {
        Some(address) => Ok(vec![desk.account(address)?]),
        None => account::all(desk),
    }
}
