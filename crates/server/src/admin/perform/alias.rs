//! Addresses that lead to others.

use postroad_mail::addresses::{self, AddressRow, Kind};

use super::{Desk, Outcome, Refusal, about, address, domain_name};
use crate::admin::Answer;

/// Addresses read at once.
const PAGE: usize = 500;

pub(super) fn add(desk: &Desk<'_>, text: &str, targets: &[String]) -> Outcome {
    let alias = address(text)?;
    let leads_to: Vec<_> = targets.iter().map(|target| address(target)).collect::<Outcome<_>>()?;
    // One target that is an account's gives that account another address of its own, to send as too; more make a
    // group, as which its members do not send.
    let kind = if leads_to.len() == 1 { Kind::Alias(leads_to) } else { Kind::Group(leads_to) };
    desk.directory(move |tx, by| addresses::create(tx, by, &alias, &kind)).map_err(about(text))?;
    Ok(Answer::done(format!("mail for {text} goes to {}", targets.join(", "))))
}

pub(super) fn list(desk: &Desk<'_>, domain: Option<&str>) -> Outcome {
    let wanted = domain.map(domain_name).transpose()?;
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let from = after.clone();
        let page: Vec<AddressRow> = desk.read(move |tx| addresses::list(tx, from.as_ref(), PAGE))?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|row| row.address.clone());
        for row in page {
            let (kind, targets) = match row.kind {
                Kind::Account(_) => continue,
                Kind::Alias(targets) => ("alias", targets),
                Kind::Group(targets) => ("group", targets),
            };
            if wanted.as_ref().is_none_or(|domain| domain == row.address.domain()) {
                let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
                rows.push(vec![row.address.to_string(), kind.into(), targets.join(" ")]);
            }
        }
        if is_last {
            break;
        }
    }
    Ok(Answer::table(
        &["ADDRESS", "KIND", "GOES TO"],
        rows,
        "no alias yet; make one with `postroad alias add ADDRESS TARGET`",
    ))
}

pub(super) fn remove(desk: &Desk<'_>, text: &str) -> Outcome {
    let alias = address(text)?;
    let found = desk.read({
        let alias = alias.clone();
        move |tx| addresses::find(tx, &alias)
    })?;
    match found.map(|row| row.kind) {
        None => return Err(Refusal(format!("there is no alias {text}; `postroad alias list` shows all"))),
        Some(Kind::Account(_)) => {
            return Err(Refusal(format!("{text} is an account; `postroad account remove` removes those")));
        }
        Some(Kind::Alias(_) | Kind::Group(_)) => {}
    }
    desk.directory(move |tx, by| addresses::delete(tx, by, &alias)).map_err(about(text))?;
    Ok(Answer::done(format!("{text} is no address any more")))
}
