//! MTA-STS: the policies of our domains, and those of others that are kept.

use std::time::Duration;

use postroad_mail::{Error, What, domains};
use postroad_store::Locks;
use postroad_trust::sts::{self, Cached, Mode, Own, Policy};
use serde_json::json;

use super::{Desk, Outcome, Refusal, about, domain_name};
use crate::admin::answer::aligned;
use crate::admin::time::shown;
use crate::admin::{Answer, MtaStsOrder};

/// Policies of others that are listed.
const OTHERS_MAX: u32 = 10_000;
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

pub(super) fn perform(desk: &Desk<'_>, order: MtaStsOrder) -> Outcome {
    match order {
        MtaStsOrder::Show { domain, hostname } => show(desk, domain.as_deref(), &hostname),
        MtaStsOrder::Set { domain, mode, days, mx, hostname } => set(desk, &domain, &mode, days, mx, &hostname),
        MtaStsOrder::Reset { domain } => reset(desk, &domain),
        MtaStsOrder::Others => others(desk),
        MtaStsOrder::Forget { domain } => forget(desk, &domain),
    }
}

fn show(desk: &Desk<'_>, name: Option<&str>, hostname: &str) -> Outcome {
    let wanted = name.map(domain_name).transpose()?;
    let found = desk.read(move |tx| {
        let mut found = Vec::new();
        for row in domains::list(tx)? {
            if wanted.as_ref().is_none_or(|wanted| *wanted == row.name) {
                let own = sts::own(tx, row.name.as_str())?;
                found.push((row.name.as_str().to_owned(), own.is_some(), own.unwrap_or_default()));
            }
        }
        Ok(found)
    })?;
    if let (Some(name), true) = (name, found.is_empty()) {
        return Err(about(name)(Error::NotFound(What::Domain)));
    }
    let mut text = String::new();
    for (domain, is_set, own) in &found {
        let policy = own.policy(hostname);
        let how = if *is_set { "" } else { " (nothing was set)" };
        text += &format!("{domain}{how}\n");
        for line in policy.lines() {
            text += &format!("    {line}\n");
        }
        text += &records(domain, &policy);
    }
    let data: Vec<_> = found.iter().map(|(domain, is_set, own)| data(domain, *is_set, &own.policy(hostname))).collect();
    Ok(Answer::Report { text, data: data.into() })
}

/// What has to be in the DNS for it.
fn records(domain: &str, policy: &Policy) -> String {
    format!(
        "  it holds once these are in the DNS, and a certificate for {host} is here:\n    \
         _mta-sts.{domain}. TXT \"{record}\"\n    {host}. CNAME or A to this server's HTTPS\n",
        host = sts::policy_host(domain),
        record = sts::record(&policy.id()),
    )
}

fn data(domain: &str, is_set: bool, policy: &Policy) -> serde_json::Value {
    json!({
        "domain": domain,
        "set": is_set,
        "mode": policy.mode.name(),
        "max_age": policy.max_age.as_secs(),
        "mx": policy.mx,
        "id": policy.id(),
        "record": sts::record(&policy.id()),
    })
}

fn set(desk: &Desk<'_>, name: &str, mode: &str, days: u32, mx: Vec<String>, hostname: &str) -> Outcome {
    let domain = domain_name(name)?;
    let mode = Mode::from_name(mode).ok_or_else(|| Refusal(format!("{mode} is no mode: enforce, testing, none")))?;
    let mx: Vec<String> = mx.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect();
    let own = Own { mode, max_age: Duration::from_secs(u64::from(days) * SECONDS_PER_DAY), mx };
    let policy = own.policy(hostname);
    // What others would not understand is not published.
    Policy::parse(policy.text().as_bytes()).map_err(|why| Refusal(format!("this is no policy: {why}")))?;
    desk.directory(move |tx, _| {
        if !domains::list(tx)?.iter().any(|row| row.name == domain || row.aliases.contains(&domain)) {
            return Err(Error::NotFound(What::Domain));
        }
        Ok(sts::set_own(tx, domain.as_str(), &own)?)
    })
    .map_err(about(name))?;
    Ok(Answer::done(format!(
        "{name} asks others for MTA-STS in {}; change its record, or nobody looks again:\n  _mta-sts.{name}. TXT \"{}\"",
        mode.name(),
        sts::record(&policy.id())
    )))
}

fn reset(desk: &Desk<'_>, name: &str) -> Outcome {
    let domain = domain_name(name)?;
    match desk.directory(move |tx, _| Ok(sts::unset_own(tx, domain.as_str())?))? {
        true => Ok(Answer::done(format!(
            "{name} has the usual policy again; `postroad mta-sts show {name}` has its record"
        ))),
        false => Err(Refusal(format!("nothing was set for {name}"))),
    }
}

fn others(desk: &Desk<'_>) -> Outcome {
    let found = desk.read(|tx| Ok(sts::list(tx, "", OTHERS_MAX)?))?;
    if found.is_empty() {
        return Ok(Answer::done("no policy of another domain is kept; they come when mail goes there"));
    }
    let mut rows = vec![["DOMAIN", "MODE", "ID", "FETCHED", "EXPIRES", "MX"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|kept| {
        let Cached { domain, id, policy, fetched, expires, .. } = kept;
        let times = [shown(*fetched), shown(*expires)];
        let [fetched, expires] = times;
        vec![domain.clone(), policy.mode.name().to_owned(), id.clone(), fetched, expires, policy.mx.join(" ")]
    }));
    let data: Vec<_> = found
        .iter()
        .map(|kept| {
            json!({ "domain": kept.domain, "id": kept.id, "mode": kept.policy.mode.name(), "mx": kept.policy.mx,
                "fetched": shown(kept.fetched), "expires": shown(kept.expires) })
        })
        .collect();
    Ok(Answer::Report { text: aligned(&rows), data: data.into() })
}

fn forget(desk: &Desk<'_>, name: &str) -> Outcome {
    let domain = domain_name(name)?;
    match desk.write(Locks::named("sts"), move |tx| Ok(sts::forget(tx, domain.as_str())?))? {
        true => Ok(Answer::done(format!(
            "the policy of {name} is forgotten; a server that runs looks for it again within a quarter of an hour"
        ))),
        false => Err(Refusal(format!("no policy of {name} is kept; `postroad mta-sts others` lists all"))),
    }
}
