//! Principals of Kerberos that are named for accounts.

use postroad_identity::cuts;
use postroad_mail::credentials;

use super::{Desk, Outcome, about};
use crate::admin::Answer;
use crate::admin::time::shown;

pub(super) fn add(desk: &Desk<'_>, text: &str, principal: String) -> Outcome {
    let account = desk.account(text)?;
    let (id, name) = (account.id, principal.clone());
    desk.of_account(&account, move |tx, by| credentials::add_principal(tx, by, id, &name))
        .map_err(about(&principal))?;
    Ok(Answer::done(format!("{principal} opens {text}, where the server has a keytab (login.keytab)")))
}

pub(super) fn list(desk: &Desk<'_>, text: &str) -> Outcome {
    let id = desk.account(text)?.id;
    let found = desk.read(move |tx| credentials::principals(tx, id))?;
    let rows = found.into_iter().map(|one| vec![one.name, shown(one.created)]).collect();
    Ok(Answer::table(&["PRINCIPAL", "SINCE"], rows, "no principal is named for it"))
}

pub(super) fn remove(desk: &Desk<'_>, text: &str, principal: String) -> Outcome {
    let account = desk.account(text)?;
    let (id, name) = (account.id, principal.clone());
    let removed = desk.of_account(&account, move |tx, by| {
        let number = credentials::remove_principal(tx, by, id, &name)?;
        cuts::tell(tx, id, number, by.now)
    });
    removed.map_err(about(&principal))?;
    Ok(Answer::done(format!("{principal} is not named for {text} any more")))
}
