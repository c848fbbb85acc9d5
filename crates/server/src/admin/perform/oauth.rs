//! Programs that people let in, and what an account is open by.

use postroad_identity::clients::{self, Client, NewClient};
use postroad_identity::held;
use postroad_identity::{Scope, Scopes};
use postroad_store::{Locks, Timestamp};

use super::{Desk, Outcome, Refusal};
use crate::admin::time::shown;
use crate::admin::{Answer, OauthOrder};

pub(super) fn perform(desk: &Desk<'_>, order: OauthOrder) -> Outcome {
    match order {
        OauthOrder::Add { name, id, redirects, scope, confidential } => {
            let scopes = if scope.is_empty() { Scopes::all() } else { named(&scope)? };
            add(desk, NewClient { id, name, redirects, scopes, confidential, registered: false })
        }
        OauthOrder::List => {
            let row = |client: &Client| {
                let kind = match (client.registered, client.is_confidential()) {
                    (true, _) => "by itself",
                    (false, true) => "with a secret",
                    (false, false) => "public",
                };
                let used = client.last_used.map_or_else(|| "never".to_owned(), shown);
                vec![client.id.clone(), client.name.clone(), kind.into(), used, client.redirects.join(" ")]
            };
            let rows = desk.read(clients::list)?.iter().map(row).collect();
            let columns = ["ID", "NAME", "KIND", "LAST USED", "REDIRECTS"];
            Ok(Answer::table(&columns, rows, "no program is known; add one with `postroad oauth client add NAME`"))
        }
        OauthOrder::Remove { id } => {
            let (wanted, now) = (id.clone(), desk.now);
            match desk.write(Locks::none(), move |tx| clients::remove(tx, &wanted, now))? {
                true => Ok(Answer::done(format!("{id} is removed, and all that people granted it"))),
                false => Err(Refusal(format!("there is no program {id}; `postroad oauth client list` shows all"))),
            }
        }
    }
}

fn add(desk: &Desk<'_>, new: NewClient) -> Outcome {
    let now = desk.now;
    let (client, secret) = desk.write(Locks::none(), move |tx| clients::add(tx, &new, now))?;
    let mut facts = vec![("client id".to_owned(), client.id)];
    if let Some(secret) = secret {
        facts.push(("client secret".into(), secret));
        facts.push(("note".into(), "the secret is shown this once".into()));
    }
    facts.push(("scopes".into(), client.scopes.to_string()));
    Ok(Answer::Facts { facts })
}

fn named(names: &[String]) -> Outcome<Scopes> {
    let scope = |name: &String| {
        let known = Scope::ALL.map(Scope::name).join(", ");
        Scope::from_name(name).ok_or_else(|| Refusal(format!("there is no scope {name}; known are {known}")))
    };
    names.iter().map(scope).collect()
}

/// What an account is open by, beside its password.
pub(super) fn sessions(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let (id, now) = (account.id, desk.now);
    let held = desk.read(move |tx| held::held(tx, id, now))?;
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), shown);
    let mut rows = Vec::new();
    for session in held.sessions {
        let used = time(Some(session.last_used));
        rows.push(vec![session.id.to_string(), "browser".into(), session.agent, used, session.network]);
    }
    for grant in held.grants {
        let name = format!("{} ({})", grant.name, grant.scopes);
        let network = grant.network.unwrap_or_default();
        rows.push(vec![grant.id.to_string(), "program".into(), name, time(grant.last_used), network]);
    }
    for password in held.passwords {
        let name = password.name.unwrap_or_default();
        rows.push(vec![password.id.to_string(), "app password".into(), name, time(password.last_used), String::new()]);
    }
    for passkey in held.passkeys {
        rows.push(vec![passkey.id.to_string(), "passkey".into(), passkey.name, time(passkey.last_used), String::new()]);
    }
    let columns = ["ID", "KIND", "WHAT", "LAST USED", "FROM"];
    Ok(Answer::table(&columns, rows, "nothing but the password opens this account"))
}

/// Takes one of them away.
pub(super) fn cut_off(desk: &Desk<'_>, text: &str, number: i64) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    match desk.of_account(&account, move |tx, by| held::take_away(tx, by, id, number))? {
        true => Ok(Answer::done(format!("{number} of {text} is cut off; its open connections end now"))),
        false => Err(Refusal(format!("{text} has no {number}; `postroad account sessions {text}` shows all"))),
    }
}
