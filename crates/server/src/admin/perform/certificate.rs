//! Certificates that the database holds: what there is, and orders about it.

use postroad_mail::Domain;
use postroad_net::CertificateFacts;
use postroad_store::{Locks, WriteTx};
use postroad_trust::certificates::{self, Certificate, CertificateState, Key, KeyRole, Origin, Wish};
use postroad_web::acme;
use serde_json::json;

use super::{Desk, Outcome, Refusal};
use crate::admin::certificate::{State, days_left, states};
use crate::admin::operation::CertificateOrder;
use crate::admin::time::shown;
use crate::admin::{Answer, answer::aligned};

pub(super) fn perform(desk: &Desk<'_>, order: CertificateOrder) -> Outcome {
    match order {
        CertificateOrder::List => list(desk),
        CertificateOrder::Show { which } => show(desk, &which),
        CertificateOrder::Order { names } => wanted(desk, &names),
        CertificateOrder::Renew { which, new_key } => renew(desk, which.as_deref(), new_key),
        CertificateOrder::Import { chain, key, line } => import(desk, &chain, key, line),
        CertificateOrder::Revoke { which, reason } => revoke(desk, &which, &reason),
    }
}

impl From<certificates::Error> for Refusal {
    fn from(error: certificates::Error) -> Self {
        match error {
            certificates::Error::Store(error) => Refusal::from(error),
            other @ (certificates::Error::Lost | certificates::Error::Missing) => Refusal(other.to_string()),
        }
    }
}

fn list(desk: &Desk<'_>) -> Outcome {
    let states = states(desk.store, desk.now)?;
    let rows = states.iter().map(|state| {
        let current = state.current.as_ref();
        vec![
            state.grade.word().to_owned(),
            state.line.clone(),
            state.names.join(" "),
            current.map_or_else(|| "none".into(), origin),
            current.map(|one| shown(one.not_after)).unwrap_or_default(),
            state.renewal.map(shown).unwrap_or_default(),
            if state.next_step.is_empty() { String::new() } else { format!("{}: {}", state.fact, state.next_step) },
        ]
    });
    let rows = rows.collect();
    Ok(Answer::table(
        &["IS", "CERTIFICATE", "NAMES", "FROM", "UNTIL", "RENEWED", "REMARK"],
        rows,
        "no certificates in the database; `acme.terms-agreed = true` in the settings gets them",
    ))
}

fn origin(certificate: &Certificate) -> String {
    match certificate.origin {
        Origin::Imported => "import".into(),
        Origin::Acme => {
            let host = certificate.directory.split("://").nth(1).unwrap_or(&certificate.directory);
            host.split('/').next().unwrap_or(host).to_owned()
        }
    }
}

/// A certificate by its line, one of its names, or its serial number.
fn find(desk: &Desk<'_>, which: &str) -> Outcome<State> {
    let text = which.to_ascii_lowercase();
    let states = states(desk.store, desk.now)?;
    let by = |matches: &dyn Fn(&State) -> bool| states.iter().find(|state| matches(state)).cloned();
    by(&|state| state.line == text)
        .or_else(|| by(&|state| state.current.as_ref().is_some_and(|one| one.serial == text)))
        .or_else(|| by(&|state| state.names.contains(&text)))
        .ok_or_else(|| Refusal(format!("there is no certificate {which}; `postroad certificate list` shows all")))
}

fn show(desk: &Desk<'_>, which: &str) -> Outcome {
    let state = find(desk, which)?;
    let line = state.line.clone();
    let (keys, there) = desk.store.read_blocking(move |tx| {
        Ok::<_, certificates::Error>((certificates::keys(tx, Some(&line))?, certificates::certificates(tx)?))
    })?;
    let facts =
        |pairs: Vec<(&str, String)>| pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let mut rows: Vec<Vec<String>> = facts(vec![
        ("certificate", state.line.clone()),
        ("wanted for", state.names.join(" ")),
        ("state", format!("{}: {}", state.grade.word(), state.fact)),
        ("next step", state.next_step.clone()),
    ]);
    if let Some(one) = &state.current {
        let kept = postroad_net::Kept { chain: one.chain.clone(), key: Vec::new() };
        let issuer = issuer(&kept.chain).map(|facts| facts.issuer).unwrap_or_default();
        rows.extend::<Vec<_>>(facts(vec![
            ("names", one.names.join(" ")),
            ("issuer", issuer),
            ("serial", one.serial.clone()),
            (
                "valid",
                format!(
                    "{} to {} ({} days left)",
                    shown(one.not_before),
                    shown(one.not_after),
                    days_left(one, desk.now)
                ),
            ),
            ("renewed", state.renewal.map_or_else(|| "never by itself".into(), shown)),
            ("from", origin(one)),
        ]));
    }
    let tlsa: Vec<(&str, String)> = keys.iter().map(|key| (role(key), format!("3 1 1 {}", hex(&key.spki)))).collect();
    for key in &keys {
        let seen = match (key.role, key.ready) {
            (KeyRole::Next, Some(ready)) => format!("; in DNS, good to use from {}", shown(ready)),
            (KeyRole::Next, None) => "; not seen in DNS".to_owned(),
            (KeyRole::Current | KeyRole::Old, _) => String::new(),
        };
        rows.push(vec![
            format!("{} key", role(key)),
            format!("{}, TLSA 3 1 1 {}{seen}", key.algorithm, hex(&key.spki)),
        ]);
    }
    let before = there.iter().filter(|one| one.line == state.line && one.state != CertificateState::InUse);
    for one in before {
        let word = if one.state == CertificateState::Revoked { "revoked" } else { "earlier" };
        rows.push(vec![word.into(), format!("serial {}, until {}", one.serial, shown(one.not_after))]);
    }
    let current = state.current.as_ref();
    let data = json!({
        "certificate": state.line,
        "wanted": state.names,
        "is": state.grade.word(),
        "fact": state.fact,
        "next-step": state.next_step,
        "names": current.map(|one| &one.names),
        "serial": current.map(|one| &one.serial),
        "not-before": current.map(|one| shown(one.not_before)),
        "not-after": current.map(|one| shown(one.not_after)),
        "renewed": state.renewal.map(shown),
        "chain": current.map(|one| &one.chain),
        "tlsa": tlsa.iter().map(|(role, record)| json!({ "key": role, "record": record })).collect::<Vec<_>>(),
    });
    Ok(Answer::Report { text: aligned(&rows), data })
}

fn issuer(chain: &str) -> Option<CertificateFacts> {
    acme::facts(chain)
}

fn role(key: &Key) -> &'static str {
    match key.role {
        KeyRole::Current => "current",
        KeyRole::Next => "next",
        KeyRole::Old => "old",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn change<R: Send + 'static>(
    desk: &Desk<'_>,
    change: impl FnOnce(&mut WriteTx) -> certificates::Result<R> + Send + 'static,
) -> Outcome<R> {
    Ok(desk.store.write_blocking(Locks::named(acme::LOCK), change)?.value)
}

fn wanted(desk: &Desk<'_>, texts: &[String]) -> Outcome {
    let mut names = Vec::new();
    for text in texts {
        let (star, rest) = text.strip_prefix("*.").map_or(("", text.as_str()), |rest| ("*.", rest));
        let name = Domain::parse(rest).map_err(|error| Refusal(format!("{text} is not a name: {error}")))?;
        let name = format!("{star}{}", name.as_str());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > NAMES_MAX {
        return Err(Refusal(format!("a certificate is for {NAMES_MAX} names at most: order several")));
    }
    let line = names.first().cloned().unwrap_or_default().trim_start_matches("*.").to_owned();
    let told = names.join(" ");
    let shown = line.clone();
    change(desk, move |tx| certificates::want(tx, &line, &names, true))?;
    Ok(Answer::done(format!(
        "a certificate for {told} is ordered by the running server; `postroad certificate show {shown}` says how far it is"
    )))
}

fn renew(desk: &Desk<'_>, which: Option<&str>, new_key: bool) -> Outcome {
    let lines: Vec<String> = match which {
        Some(which) => vec![find(desk, which)?.line],
        None => states(desk.store, desk.now)?.into_iter().map(|state| state.line).collect(),
    };
    let wish = if new_key { Wish::NewKey } else { Wish::Usual };
    let told = lines.join(" ");
    change(desk, move |tx| lines.iter().try_for_each(|line| certificates::hurry(tx, line, wish)))?;
    let key = if new_key { " with a new key (once DNS shows its TLSA record, where there are any)" } else { "" };
    Ok(Answer::done(format!(
        "renewed by the running server{key}: {told}; `postroad certificate list` says how far it is"
    )))
}

fn import(desk: &Desk<'_>, chain: &str, key: Vec<u8>, line: Option<String>) -> Outcome {
    let (key, new) = acme::import(chain, &key).map_err(Refusal)?;
    if new.not_after <= desk.now {
        return Err(Refusal(format!("this certificate has run out on {}", shown(new.not_after))));
    }
    let line = line.map(|line| line.to_ascii_lowercase()).or_else(|| line_of(desk, &new.names)).unwrap_or_default();
    let now = desk.now;
    let told = format!("for {}, until {}", new.names.join(" "), shown(new.not_after));
    change(desk, move |tx| certificates::use_certificate(tx, &line, &key, &new, now))?;
    Ok(Answer::done(format!("this certificate is in use on all servers that share the database: {told}")))
}

/// The line that has one of these names, or the first of them.
fn line_of(desk: &Desk<'_>, names: &[String]) -> Option<String> {
    let lines = desk.store.read_blocking(certificates::lines).ok()?;
    let known = lines.into_iter().find(|line| line.names.iter().any(|name| names.contains(name)));
    known.map(|line| line.name).or_else(|| names.first().cloned())
}

fn revoke(desk: &Desk<'_>, which: &str, reason: &str) -> Outcome {
    let number = REASONS.iter().find(|(word, _)| *word == reason).map(|(_, number)| *number);
    let number = number.ok_or_else(|| {
        let words: Vec<&str> = REASONS.iter().map(|(word, _)| *word).collect();
        Refusal(format!("{reason} is no reason; one of {}", words.join(", ")))
    })?;
    // Also one that is not in use any more, by its serial number.
    let text = which.to_ascii_lowercase();
    let there = desk.store.read_blocking(certificates::certificates)?;
    let found = match there.iter().find(|one| one.serial == text) {
        Some(one) => one.clone(),
        None => find(desk, which)?
            .current
            .ok_or_else(|| Refusal(format!("{which} has no certificate yet; `postroad certificate list` shows all")))?,
    };
    if found.origin == Origin::Imported {
        return Err(Refusal("it was imported: revoke it where it came from".into()));
    }
    let id = found.id;
    change(desk, move |tx| certificates::revoke(tx, id, number))?;
    Ok(Answer::done(format!(
        "the running server tells the authority that serial {} is not to be believed any more, and orders another",
        found.serial
    )))
}

/// More names no authority puts into one certificate.
const NAMES_MAX: usize = 100;

/// RFC 5280 §5.3.1.
const REASONS: &[(&str, u32)] = &[
    ("unspecified", 0),
    ("key-compromise", 1),
    ("affiliation-changed", 3),
    ("superseded", 4),
    ("cessation-of-operation", 5),
];
