//! Domains and their aliases.

use postroad_mail::domains;

use super::{Desk, Outcome, about, address, domain_name};
use crate::admin::Answer;

pub(super) fn add(desk: &Desk<'_>, name: &str) -> Outcome {
    let domain = domain_name(name)?;
    desk.directory(move |tx, by| domains::create(tx, by, &domain)).map_err(about(name))?;
    Ok(Answer::done(format!("{name} is a domain of this server; next: `postroad account add SOMEBODY@{name}`")))
}

pub(super) fn list(desk: &Desk<'_>) -> Outcome {
    let rows = desk.read(domains::list)?;
    let row = |domain: &domains::DomainRow| {
        vec![
            domain.name.unicode(),
            domain.aliases.iter().map(|alias| alias.unicode()).collect::<Vec<_>>().join(" "),
            domain.catch_all.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    };
    let rows = rows.iter().map(row).collect();
    Ok(Answer::table(
        &["DOMAIN", "ALIASES", "CATCH-ALL"],
        rows,
        "no domain yet; make one with `postroad domain add NAME`",
    ))
}

pub(super) fn remove(desk: &Desk<'_>, name: &str) -> Outcome {
    let domain = domain_name(name)?;
    desk.directory(move |tx, by| domains::delete(tx, by, &domain)).map_err(about(name))?;
    Ok(Answer::done(format!("{name} is no domain of this server any more")))
}

pub(super) fn alias(desk: &Desk<'_>, alias: &str, name: &str) -> Outcome {
    let (other, domain) = (domain_name(alias)?, domain_name(name)?);
    desk.directory(move |tx, by| domains::add_alias(tx, by, &other, &domain)).map_err(about(alias))?;
    Ok(Answer::done(format!("{alias} is another name of {name}")))
}

pub(super) fn unalias(desk: &Desk<'_>, alias: &str) -> Outcome {
    let other = domain_name(alias)?;
    desk.directory(move |tx, by| domains::remove_alias(tx, by, &other)).map_err(about(alias))?;
    Ok(Answer::done(format!("{alias} is no name of a domain any more")))
}

pub(super) fn catch_all(desk: &Desk<'_>, name: &str, target: Option<&str>) -> Outcome {
    let domain = domain_name(name)?;
    let to = target.map(address).transpose()?;
    desk.directory(move |tx, by| domains::set_catch_all(tx, by, &domain, to.as_ref())).map_err(about(name))?;
    Ok(Answer::done(match target {
        Some(target) => format!("mail for unknown addresses of {name} goes to {target}"),
        None => format!("mail for unknown addresses of {name} is refused"),
    }))
}
