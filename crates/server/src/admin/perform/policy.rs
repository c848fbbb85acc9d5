//! What becomes of mail that cannot be verified, by domain; and whom the server believes.

use postroad_mail::{Domain, Error, What, domains};
use postroad_net::Network;
use postroad_store::Locks;
use postroad_trust::policy::{self, Key, MAX_TRUSTED, Policy, Trusted, TrustedKind};
use serde_json::json;

use super::{Desk, Outcome, Refusal, about, domain_name};
use crate::admin::answer::aligned;
use crate::admin::time::shown;
use crate::admin::{Answer, PolicyOrder};

pub(super) fn perform(desk: &Desk<'_>, order: PolicyOrder) -> Outcome {
    match order {
        PolicyOrder::Show { domain: Some(domain) } => show(desk, &domain),
        PolicyOrder::Show { domain: None } => all(desk),
        PolicyOrder::Set { domain, choices } => set(desk, &domain, &choices),
        PolicyOrder::Trusted => trusted(desk),
        PolicyOrder::Trust { kind, name, note } => trust(desk, &kind, &name, note),
        PolicyOrder::Distrust { kind, name } => distrust(desk, &kind, &name),
    }
}

fn show(desk: &Desk<'_>, name: &str) -> Outcome {
    let (policy, chosen) = read(desk, name)?;
    let mut rows = vec![["KEY", "VALUE", "", "WHEN"].map(str::to_owned).to_vec()];
    rows.extend(Key::ALL.into_iter().map(|key| {
        let own = if chosen.contains(&key) { "chosen" } else { "default" };
        [key.name(), policy.value(key), own, key.about()].map(str::to_owned).to_vec()
    }));
    Ok(Answer::Report { text: aligned(&rows), data: data(name, &policy, &chosen) })
}

/// The domain's real name is what counts: an alias has no policy of its own.
fn read(desk: &Desk<'_>, name: &str) -> Outcome<(Policy, Vec<Key>)> {
    let domain = domain_name(name)?;
    let found = desk.read(move |tx| {
        let domain = real(tx, &domain)?;
        let chosen = policy::chosen(tx, domain.as_str())?.into_iter().map(|(key, _)| key).collect();
        Ok((policy::of(tx, domain.as_str())?, chosen))
    });
    found.map_err(about(name))
}

fn real(tx: &postroad_store::ReadTx, domain: &Domain) -> Result<Domain, Error> {
    domains::ours(tx, domain)?.ok_or(Error::NotFound(What::Domain))
}

fn data(name: &str, policy: &Policy, chosen: &[Key]) -> serde_json::Value {
    let values: serde_json::Map<String, serde_json::Value> =
        Key::ALL.into_iter().map(|key| (key.name().to_owned(), policy.value(key).into())).collect();
    json!({ "domain": name, "policy": values, "chosen": chosen.iter().map(|key| key.name()).collect::<Vec<_>>() })
}

fn all(desk: &Desk<'_>) -> Outcome {
    let found = desk.read(|tx| {
        let mut found = Vec::new();
        for domain in policy::domains(tx)? {
            found.push((domain.clone(), policy::of(tx, &domain)?, policy::chosen(tx, &domain)?));
        }
        Ok(found)
    })?;
    let usual = Key::ALL.map(|key| format!("{key}={}", Policy::default().value(key))).join(" ");
    let mut text = format!("every domain without a choice of its own: {usual}\n");
    let rows = found.iter().map(|(domain, _, chosen)| {
        let chosen: Vec<String> = chosen.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![domain.clone(), chosen.join(" ")]
    });
    text.push_str(&aligned(&rows.collect::<Vec<_>>()));
    let list: Vec<serde_json::Value> = found
        .iter()
        .map(|(domain, policy, chosen)| data(domain, policy, &chosen.iter().map(|(key, _)| *key).collect::<Vec<_>>()))
        .collect();
    Ok(Answer::Report { text, data: list.into() })
}

fn set(desk: &Desk<'_>, name: &str, choices: &[String]) -> Outcome {
    let domain = domain_name(name)?;
    let choices = choices.iter().map(|text| choice(text)).collect::<Outcome<Vec<_>>>()?;
    let words: Vec<String> = choices
        .iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => format!("{key} as usual"),
        })
        .collect();
    desk.directory(move |tx, _| {
        let domain = real(tx, &domain)?;
        let choices: Vec<_> = choices.iter().map(|(key, value)| (*key, value.as_deref())).collect();
        Ok(policy::choose(tx, domain.as_str(), &choices)?)
    })
    .map_err(about(name))?;
    Ok(Answer::done(format!("for mail to {name}: {}", words.join(", "))))
}

/// `key=value`; `default` takes a choice back.
fn choice(text: &str) -> Outcome<(Key, Option<String>)> {
    let keys = || Key::ALL.map(Key::name).join(", ");
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| Refusal(format!("{text} is no choice: write KEY=VALUE; keys are {}", keys())))?;
    let key = Key::from_name(key.trim()).ok_or_else(|| Refusal(format!("{key} is no key: one of {}", keys())))?;
    match value.trim() {
        "default" => Ok((key, None)),
        value if key.choices().contains(&value) => Ok((key, Some(value.to_owned()))),
        value => Err(Refusal(format!("{key} cannot be {value}: one of {} or default", key.choices().join(", ")))),
    }
}

fn trusted(desk: &Desk<'_>) -> Outcome {
    let rows = desk.read(|tx| Ok(policy::trusted(tx)?))?;
    let row = |one: &Trusted| vec![one.kind.name().to_owned(), one.name.clone(), shown(one.since), one.note.clone()];
    Ok(Answer::table(
        &["AS", "NAME", "SINCE", "NOTE"],
        rows.iter().map(row).collect(),
        "nobody is believed whose mail fails; add somebody with `postroad trusted add`",
    ))
}

fn trust(desk: &Desk<'_>, kind: &str, name: &str, note: String) -> Outcome {
    let (kind, name) = checked(kind, name)?;
    let entry = Trusted { kind, name: name.clone(), note, since: desk.now };
    match desk.write(Locks::named("trusted"), move |tx| Ok(policy::trust(tx, &entry)?))? {
        true => Ok(Answer::done(format!("{name} is believed as {}", kind.name()))),
        false => Err(Refusal(format!("{MAX_TRUSTED} are believed already: remove some first"))),
    }
}

fn distrust(desk: &Desk<'_>, kind: &str, name: &str) -> Outcome {
    let (kind, name) = checked(kind, name)?;
    let gone = name.clone();
    match desk.write(Locks::named("trusted"), move |tx| Ok(policy::distrust(tx, kind, &gone)?))? {
        true => Ok(Answer::done(format!("{name} is not believed as {} any more", kind.name()))),
        false => Err(Refusal(format!("{name} was not believed as {}; `postroad trusted list` shows all", kind.name()))),
    }
}

/// A name in the form in which it is compared.
fn checked(kind: &str, name: &str) -> Outcome<(TrustedKind, String)> {
    let kind = TrustedKind::from_name(kind).ok_or_else(|| {
        Refusal(format!("{kind} is nothing somebody can be believed as: arc-sealer, forwarder, list"))
    })?;
    let name = match kind {
        TrustedKind::Forwarder if is_meant_as_network(name) => {
            let network = name.trim().parse::<Network>().map_err(|error| Refusal(format!("{name} is {error}")))?;
            network.to_string()
        }
        TrustedKind::Forwarder | TrustedKind::ArcSealer => domain_name(name)?.as_str().to_owned(),
        TrustedKind::List => {
            let id = name.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase();
            let bare = id.strip_prefix("*.").unwrap_or(&id);
            if bare.is_empty() || bare.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '<' | '>')) {
                return Err(Refusal(format!(
                    "{name} is no List-Id, such as dev.lists.example.org or *.lists.example.org"
                )));
            }
            id
        }
    };
    Ok((kind, name))
}

/// An address, or what has a prefix; no domain has a slash or a colon.
fn is_meant_as_network(text: &str) -> bool {
    text.contains(['/', ':']) || text.trim().parse::<Network>().is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn who_is_believed_is_a_domain_or_a_network() {
        for (kind, name, expect) in [
            ("forwarder", "192.0.2.7/24", Ok("192.0.2.0/24")),
            ("forwarder", "2001:DB8::1", Ok("2001:db8::1")),
            ("forwarder", "Mx.Example.org", Ok("mx.example.org")),
            ("forwarder", "192.0.2.0/33", Err("its prefix is longer than 32 bits")),
            ("forwarder", "2001:db8::/129", Err("its prefix is longer than 128 bits")),
            ("forwarder", "192.0.2/24", Err("192.0.2 is no address")),
            ("forwarder", "192.0.2.0/", Err("its prefix is no number")),
            ("arc-sealer", "192.0.2.0/24", Err("not a domain")),
        ] {
            match (checked(kind, name), expect) {
                (Ok((_, found)), Ok(expect)) => assert_eq!(found, expect),
                (Err(Refusal(text)), Err(words)) => assert!(text.contains(words), "{name}: {text}"),
                (found, _) => panic!("{name}: {:?}", found.map(|(_, name)| name).map_err(|refusal| refusal.0)),
            }
        }
    }

    use super::*;

    #[test]
    fn choices_are_keys_and_values() {
        for (text, expect) in [
            ("dmarc-reject=junk", Some((Key::DmarcReject, Some("junk")))),
            ("spf-fail=default", Some((Key::SpfFail, None))),
            ("unsure=tag", Some((Key::Unsure, Some("tag")))),
            ("unsure=junk", None),
            ("dmarc-reject=defer", None),
            ("dmarc=junk", None),
            ("junk", None),
        ] {
            let found = choice(text).ok();
            assert_eq!(found, expect.map(|(key, value)| (key, value.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn names_are_brought_into_the_form_that_is_compared() {
        for (kind, name, expect) in [
            ("arc-sealer", "Google.COM", Some("google.com")),
            ("arc-sealer", "192.0.2.0/24", None),
            ("forwarder", "192.0.2.0/24", Some("192.0.2.0/24")),
            ("forwarder", "Uni.test", Some("uni.test")),
            ("list", "<Dev.Lists.test>", Some("dev.lists.test")),
            ("list", "*.lists.test", Some("*.lists.test")),
            ("list", "a b", None),
            ("list", "*", None),
            ("friend", "a.test", None),
        ] {
            assert_eq!(checked(kind, name).ok().map(|(_, name)| name).as_deref(), expect, "{kind} {name}");
        }
    }
}
