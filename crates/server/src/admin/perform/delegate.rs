//! Who signs in to whose account.

use postroad_identity::cuts;
use postroad_mail::credentials;

use super::{Desk, Outcome, about};
use crate::admin::Answer;

pub(super) fn change(desk: &Desk<'_>, text: &str, other: &str, granted: bool) -> Outcome {
    let (account, delegate) = (desk.account(text)?, desk.account(other)?);
    let (id, who) = (account.id, delegate.id);
    if granted {
        let add = desk.of_account(&account, move |tx, by| credentials::add_delegate(tx, by, id, who));
        add.map_err(about(other))?;
        return Ok(Answer::done(format!("{other} signs in to {text} as {other}/{text}, with their own password")));
    }
    let remove = desk.of_account(&account, move |tx, by| {
        credentials::remove_delegate(tx, by, id, who)?;
        cuts::tell_delegation(tx, who, id, by.now)
    });
    remove.map_err(about(other))?;
    Ok(Answer::done(format!("{other} signs in to {text} no more")))
}

pub(super) fn list(desk: &Desk<'_>, text: &str) -> Outcome {
    let id = desk.account(text)?.id;
    let found = desk.read(move |tx| credentials::delegates(tx, id))?;
    let rows = found.iter().map(|address| vec![address.to_string()]).collect();
    Ok(Answer::table(&["DELEGATE"], rows, "nobody else signs in to it"))
}
