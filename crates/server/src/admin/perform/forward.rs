//! Accounts whose mail goes on to other addresses.

use postroad_mail::Address;
use postroad_mail::forwards::{self, Forward};
use postroad_store::AccountId;

use super::{Desk, Outcome, about, address};
use crate::admin::Answer;

/// Forwards read at once.
const PAGE: usize = 500;

pub(super) fn set(desk: &Desk<'_>, text: &str, targets: &[String], keep: bool) -> Outcome {
    let account = desk.account(text)?;
    let targets: Vec<_> = targets.iter().map(|target| address(target)).collect::<Outcome<_>>()?;
    let names = list_of(&targets);
    let (id, forward) = (account.id, Forward { targets, keep });
    desk.of_account(&account, move |tx, by| forwards::set(tx, by, id, &forward)).map_err(about(text))?;
    let copy = if keep { "a copy stays here" } else { "no copy stays here" };
    Ok(Answer::done(format!("mail for {} goes on to {names}; {copy}", account.address)))
}

pub(super) fn show(desk: &Desk<'_>, text: Option<&str>) -> Outcome {
    let mut rows = Vec::new();
    match text {
        Some(text) => {
            let account = desk.account(text)?;
            let id = account.id;
            let forward = desk.read(move |tx| forwards::of(tx, id))?;
            rows.extend(forward.map(|forward| row(&account.address, &forward)));
        }
        None => {
            let mut after: Option<AccountId> = None;
            loop {
                let page = desk.read(move |tx| forwards::list(tx, after, PAGE))?;
                after = page.last().map(|(account, _, _)| *account);
                rows.extend(page.iter().map(|(_, address, forward)| row(address, forward)));
                if page.len() < PAGE {
                    break;
                }
            }
        }
    }
    let empty = match text {
        Some(text) => format!("mail for {text} is not forwarded"),
        None => "no forward yet; make one with `postroad forward set ADDRESS TARGET`".to_owned(),
    };
    Ok(Answer::table(&["ADDRESS", "COPY", "GOES TO"], rows, &empty))
}

pub(super) fn remove(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let was = desk.of_account(&account, move |tx, by| forwards::remove(tx, by, id)).map_err(about(text))?;
    Ok(Answer::done(match was {
        true => format!("mail for {} stays here again", account.address),
        false => format!("mail for {} was not forwarded", account.address),
    }))
}

fn row(address: &Address, forward: &Forward) -> Vec<String> {
    let keep = if forward.keep { "stays" } else { "none" };
    vec![address.to_string(), keep.to_owned(), list_of(&forward.targets)]
}

fn list_of(targets: &[Address]) -> String {
    targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
