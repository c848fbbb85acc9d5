//! Domains and their aliases.

use postroad_mail::{Domain, domains};
use postroad_trust::keys::{self, Algorithm, NewKey};
use postroad_trust::{policy, sts};

use super::{Desk, Outcome, Refusal, about, address, domain_name};
use crate::admin::Answer;
use crate::signing;

pub(super) fn add(desk: &Desk<'_>, name: &str) -> Outcome {
    let domain = domain_name(name)?;
    let made = keys_for(&domain)?;
    desk.directory(move |tx, by| {
        domains::create(tx, by, &domain)?;
        keys::put(tx, domain.as_str(), &made, by.now)?;
        Ok(())
    })
    .map_err(about(name))?;
    Ok(Answer::done(format!(
        "{name} is a domain of this server; next: `postroad account add SOMEBODY@{name}`, and publish the records \
         that `postroad dns {name}` shows, so that mail comes here and is signed"
    )))
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
    desk.directory(move |tx, by| {
        let aliases = domains::list(tx)?.into_iter().find(|row| row.name == domain).map(|row| row.aliases);
        domains::delete(tx, by, &domain)?;
        policy::forget(tx, domain.as_str())?;
        sts::unset_own(tx, domain.as_str())?;
        for gone in aliases.into_iter().flatten().chain([domain]) {
            keys::erase_domain(tx, gone.as_str())?;
        }
        Ok(())
    })
    .map_err(about(name))?;
    Ok(Answer::done(format!("{name} is no domain of this server any more")))
}

pub(super) fn alias(desk: &Desk<'_>, alias: &str, name: &str) -> Outcome {
    let (other, domain) = (domain_name(alias)?, domain_name(name)?);
    let made = keys_for(&other)?;
    desk.directory(move |tx, by| {
        domains::add_alias(tx, by, &other, &domain)?;
        keys::put(tx, other.as_str(), &made, by.now)?;
        Ok(())
    })
    .map_err(about(alias))?;
    Ok(Answer::done(format!(
        "{alias} is another name of {name}; mail from it is signed with keys of its own: `postroad dkim show {alias}`"
    )))
}

pub(super) fn unalias(desk: &Desk<'_>, alias: &str) -> Outcome {
    let other = domain_name(alias)?;
    desk.directory(move |tx, by| {
        domains::remove_alias(tx, by, &other)?;
        keys::erase_domain(tx, other.as_str())?;
        Ok(())
    })
    .map_err(about(alias))?;
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

/// What a new name signs its mail with; an address literal has no place for the records.
fn keys_for(domain: &Domain) -> Outcome<Vec<NewKey>> {
    if domain.as_str().starts_with('[') {
        return Ok(Vec::new());
    }
    signing::make(&Algorithm::ALL).map_err(|error| Refusal(error.to_string()))
}
