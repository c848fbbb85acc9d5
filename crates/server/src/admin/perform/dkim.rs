//! Signing keys: what there is, what is to be published, and changes of it.

use postroad_mail::{Error, domains};
use postroad_mailauth::key::SigningKey;
use postroad_store::{Locks, Timestamp};
use postroad_trust::keys::{self, Algorithm, Finding, Found, Key, State, record};
use serde_json::{Value, json};

use super::{Desk, Outcome, Refusal, domain_name};
use crate::admin::answer::aligned;
use crate::admin::operation::{DkimOrder, Seen};
use crate::admin::time::shown;
use crate::admin::{Answer, zone};
use crate::settings::SigningSettings;
use crate::signing;

pub(super) fn perform(desk: &Desk<'_>, order: DkimOrder) -> Outcome {
    match order {
        DkimOrder::List { domain } => list(desk, domain.as_deref()),
        DkimOrder::Show { domain, selector } => show(desk, &domain, selector.as_deref()),
        DkimOrder::Rotate { domain } => rotate(desk, &domain),
        DkimOrder::Activate { domain, selector } => activate(desk, &domain, &selector),
        DkimOrder::Retire { domain, selector, leaked } => retire(desk, &domain, &selector, leaked),
        DkimOrder::Import { domain, selector, pem } => import(desk, &domain, &selector, &pem),
        DkimOrder::Export { domain, selector } => export(desk, &domain, &selector),
        DkimOrder::Wanted { domain } => wanted(desk, domain.as_deref()),
        DkimOrder::Seen { seen, signing } => saw(desk, seen, &signing),
    }
}

fn list(desk: &Desk<'_>, domain: Option<&str>) -> Outcome {
    let keys = known(desk, domain)?;
    let listed: Vec<&Key> =
        keys.iter().filter(|key| key.state != State::Gone || desk.now < key.since.plus(SHOWN)).collect();
    if listed.is_empty() {
        return Ok(Answer::done("no signing key yet; each domain gets its own: `postroad domain add NAME`"));
    }
    let mut rows =
        vec![["DOMAIN", "SELECTOR", "KIND", "STATE", "SINCE", "IN DNS", "NEXT STEP"].map(str::to_owned).to_vec()];
    rows.extend(listed.iter().map(|key| {
        let since = shown(key.since);
        let name =
            if key.is_alarming() { format!("{} (ALARM)", key.state.name()) } else { key.state.name().to_owned() };
        vec![
            key.domain.clone(),
            key.selector.clone(),
            key.algorithm.name().into(),
            name,
            since,
            signing::found_words(&key.found),
            next_step(key),
        ]
    }));
    let data = listed.iter().map(|key| data(key)).collect();
    Ok(Answer::Report { text: aligned(&rows), data: Value::Array(data) })
}

/// The records to be published, as lines of a zone file.
fn show(desk: &Desk<'_>, domain: &str, selector: Option<&str>) -> Outcome {
    let all = known(desk, Some(domain))?;
    let keys: Vec<&Key> = match selector {
        Some(selector) => vec![one_of(&all, domain, selector)?],
        None => all.iter().filter(|key| key.state.wants_record()).collect(),
    };
    if keys.is_empty() {
        return Err(Refusal(format!("{domain} has no signing key; `postroad dkim rotate {domain}` makes some")));
    }
    let mut text = String::new();
    for key in &keys {
        text += &format!(
            "; {} key, {}; in the DNS: {}\n",
            key.algorithm.name(),
            key.state.name(),
            signing::found_words(&key.found)
        );
        text += &zone::txt(&key.name(), &key.record);
        text.push('\n');
    }
    text += "; A form that asks for name and value wants the text without quotes, in one piece.\n";
    Ok(Answer::Report { text, data: Value::Array(keys.iter().map(|key| data(key)).collect()) })
}

fn rotate(desk: &Desk<'_>, domain: &str) -> Outcome {
    let name = ours(desk, domain)?;
    let made = signing::make(&Algorithm::ALL).map_err(refusal)?;
    let (at, now) = (name.clone(), desk.now);
    let put = desk.write(Locks::named(&keys::lock(&name)), move |tx| Ok(keys::put(tx, &at, &made, now)?))?;
    if put.is_empty() {
        return Err(Refusal(format!(
            "{domain} has new keys already, whose records are not in use yet; publish them: postroad dkim show {domain}"
        )));
    }
    let records: Vec<String> = put.iter().map(|key| zone::txt(&key.name(), &key.record)).collect();
    let text = format!(
        "{domain} has new keys. Publish these records; each key takes the place of the old one once it has been seen for an hour:\n\n{}",
        records.concat()
    );
    Ok(Answer::Report { text, data: Value::Array(put.iter().map(data).collect()) })
}

fn activate(desk: &Desk<'_>, domain: &str, selector: &str) -> Outcome {
    let key = one(desk, domain, selector)?;
    if key.state == State::Gone {
        return Err(Refusal(format!("{} is gone: its private half was erased", key.name())));
    }
    let (now, target) = (desk.now, key.clone());
    desk.write(Locks::named(&keys::lock(&key.domain)), move |tx| Ok(keys::activate(tx, &target, now)?))?;
    let unseen = match key.found {
        Found::Good => String::new(),
        Found::Unasked | Found::Missing | Found::Differs(_) | Found::Failed(_) => {
            format!("; its record was not seen ({}): until it is, nobody can verify", signing::found_words(&key.found))
        }
    };
    Ok(Answer::done(format!("mail of {domain} is signed with {selector}{unseen}")))
}

fn retire(desk: &Desk<'_>, domain: &str, selector: &str, leaked: bool) -> Outcome {
    let key = one(desk, domain, selector)?;
    if key.state == State::Gone || key.state == State::Retired && !leaked {
        return Err(Refusal(format!("{} is {} already", key.name(), key.state.name())));
    }
    let (now, target) = (desk.now, key.clone());
    desk.write(Locks::named(&keys::lock(&key.domain)), move |tx| {
        match leaked {
            true => keys::revoke(tx, &target, now)?,
            false => keys::retire(tx, &target, now)?,
        }
        Ok(())
    })?;
    let others = known(desk, Some(domain))?;
    let signs = others.iter().any(|other| other.state == State::Active && other.algorithm == key.algorithm);
    let next = match signs {
        true => "",
        false => "\nNo other key of its kind signs now: `postroad dkim rotate` makes one.",
    };
    let text = match leaked {
        false => format!(
            "{} signs no more; leave its record in the DNS until `dkim list` says that it is gone.{next}\n",
            key.name()
        ),
        true => format!(
            "{} signs no more, and its private half is erased. Publish this in place of its record, so that what \
             others sign with it fails:\n\n{}{next}\n",
            key.name(),
            zone::txt(&key.name(), record::REVOKED)
        ),
    };
    let after = others.iter().find(|other| other.id == key.id).unwrap_or(&key);
    Ok(Answer::Report { text, data: data(after) })
}

fn import(desk: &Desk<'_>, domain: &str, selector: &str, pem: &str) -> Outcome {
    let name = ours(desk, domain)?;
    let selector = selector.to_ascii_lowercase();
    if !record::is_selector(&selector) {
        return Err(Refusal(format!("{selector} is no selector: letters, digits and hyphens, in parts between dots")));
    }
    let key = SigningKey::from_pem(pem).map_err(refusal)?;
    let new = signing::new_key(&key).map_err(refusal)?;
    let (at, called, now) = (name.clone(), selector.clone(), desk.now);
    let put =
        desk.write(Locks::named(&keys::lock(&name)), move |tx| Ok(keys::put_named(tx, &at, &called, &new, now)?))?;
    let key = put.ok_or_else(|| Refusal(format!("{domain} has a key {selector} already")))?;
    let text = format!(
        "{} is here; it signs once its record is seen in the DNS (`postroad dkim check {domain}` looks now):\n\n{}",
        key.name(),
        zone::txt(&key.name(), &key.record)
    );
    Ok(Answer::Report { text, data: data(&key) })
}

fn export(desk: &Desk<'_>, domain: &str, selector: &str) -> Outcome {
    let key = one(desk, domain, selector)?;
    let (name, called) = (key.domain.clone(), key.selector.clone());
    let secret = desk.read(move |tx| Ok(keys::secret(tx, &name, &called)?))?;
    let secret = secret.ok_or_else(|| Refusal(format!("{} is gone: its private half was erased", key.name())))?;
    let pem = zone::pem("PRIVATE KEY", &secret.pkcs8);
    let mut data = data(&key);
    data["pem"] = pem.clone().into();
    Ok(Answer::Report { text: pem, data })
}

/// What is to be looked for, for who asks the DNS.
fn wanted(desk: &Desk<'_>, domain: Option<&str>) -> Outcome {
    let keys = known(desk, domain)?;
    Ok(Answer::Report { text: String::new(), data: keys.iter().map(data).collect() })
}

/// What somebody found in the DNS: written down, and the keys go on.
fn saw(desk: &Desk<'_>, seen: Vec<Seen>, settings: &SigningSettings) -> Outcome {
    let (now, policy) = (desk.now, settings.policy(true));
    let mut domains: Vec<String> = seen.iter().map(|seen| seen.domain.clone()).collect();
    domains.dedup();
    for domain in domains {
        let seen: Vec<Seen> = seen.iter().filter(|seen| seen.domain == domain).cloned().collect();
        let events = desk.write(Locks::named(&keys::lock(&domain)), move |tx| {
            let mut findings = Vec::new();
            for seen in seen {
                let Some(key) = keys::find(tx, &seen.domain, &seen.selector)? else { continue };
                findings.push(Finding { key: key.id, found: seen.found() });
            }
            Ok(keys::record_look(tx, &domain, &findings, &policy, now)?)
        })?;
        events.iter().for_each(signing::tell);
    }
    Ok(Answer::done("written down"))
}

/// Keys of a domain, or of all; the name may be an alias or this server's own.
fn known(desk: &Desk<'_>, domain: Option<&str>) -> Outcome<Vec<Key>> {
    let name = domain.map(domain_name).transpose()?;
    Ok(desk.read(move |tx| Ok(keys::list(tx, name.as_ref().map(|name| name.as_str()))?))?)
}

fn one(desk: &Desk<'_>, domain: &str, selector: &str) -> Outcome<Key> {
    one_of(&known(desk, Some(domain))?, domain, selector).cloned()
}

fn one_of<'a>(keys: &'a [Key], domain: &str, selector: &str) -> Outcome<&'a Key> {
    let selector = selector.to_ascii_lowercase();
    keys.iter()
        .find(|key| key.selector == selector)
        .ok_or_else(|| Refusal(format!("{domain} has no key {selector}; `postroad dkim list {domain}` shows all")))
}

/// A domain that has keys or may have some.
fn ours(desk: &Desk<'_>, text: &str) -> Outcome<String> {
    let domain = domain_name(text)?;
    let name = domain.as_str().to_owned();
    let known = desk.read({
        let name = name.clone();
        move |tx| -> Result<bool, Error> {
            Ok(domains::ours(tx, &domain)?.is_some() || !keys::list(tx, Some(&name))?.is_empty())
        }
    })?;
    match known {
        true => Ok(name),
        false => Err(Refusal(format!("{text} is not a domain of this server; add it with `postroad domain add`"))),
    }
}

fn refusal(error: postroad_mailauth::key::Error) -> Refusal {
    Refusal(error.to_string())
}

/// What is to be done about a key; empty for nothing.
fn next_step(key: &Key) -> String {
    match (key.state, &key.found) {
        (State::Made, Found::Unasked | Found::Missing) => format!("publish it: postroad dkim show {}", key.domain),
        (State::Made | State::Active, Found::Differs(_)) => {
            format!("correct the record: postroad dkim show {}", key.domain)
        }
        (State::Active, Found::Missing) => format!("publish it again: postroad dkim show {}", key.domain),
        (State::Made | State::Published | State::Active | State::Retired, Found::Failed(_)) => {
            "see what `postroad check` says of the DNS".into()
        }
        (State::Gone, Found::Good) => "take its record out of the DNS".into(),
        (State::Retired, _) => "leave its record where it is".into(),
        (State::Made | State::Published | State::Active | State::Gone, _) => String::new(),
    }
}

fn data(key: &Key) -> Value {
    let at = |at: Option<Timestamp>| at.map(shown);
    json!({
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm.name(),
        "state": key.state.name(),
        "since": at(Some(key.since)),
        "made": at(Some(key.made)),
        "checked": at(key.checked),
        "name": key.name(),
        "record": key.record,
        "in-dns": signing::found_words(&key.found),
        "alarm": key.is_alarming(),
        "next-step": next_step(key),
    })
}

/// Keys that are gone are shown for so long.
const SHOWN: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);
