//! Passkeys of accounts: which there are, and taking one away.

use postroad_identity::passkeys;

use super::{Desk, Outcome, Refusal};
use crate::admin::time::shown;
use crate::admin::{Answer, PasskeysOrder};

pub(super) fn perform(desk: &Desk<'_>, text: &str, order: PasskeysOrder) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    match order {
        PasskeysOrder::List => {
            let found = desk.read(move |tx| passkeys::list(tx, id))?;
            let row = |passkey: passkeys::Passkey| {
                let used = passkey.last_used.map_or_else(|| "never".to_owned(), shown);
                let kept = if passkey.copied { "several devices" } else { "one device" };
                vec![passkey.id.to_string(), passkey.name, kept.to_owned(), shown(passkey.created), used]
            };
            let rows = found.into_iter().map(row).collect();
            Ok(Answer::table(&["ID", "NAME", "MAY BE ON", "SINCE", "LAST USED"], rows, "no passkey"))
        }
        PasskeysOrder::Remove(number) => {
            match desk.of_account(&account, move |tx, by| passkeys::remove(tx, by, id, number))? {
                true => Ok(Answer::done(format!("the passkey {number} opens {text} no more; sessions by it end now"))),
                false => Err(Refusal(format!(
                    "{text} has no passkey {number}; `postroad account passkeys list {text}` shows all"
                ))),
            }
        }
    }
}
