//! App passwords: one for each program, with a scope and an end.

use postroad_identity::held;
use postroad_mail::Service;
use postroad_mail::credentials::{self, Credential, NewAppPassword};
use postroad_mail::password::AppPassword;
use postroad_store::Timestamp;

use super::{Desk, Outcome, Refusal};
use crate::admin::Answer;
use crate::admin::time::shown;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) fn add(desk: &Desk<'_>, text: &str, name: String, scope: &[String], days: Option<u32>) -> Outcome {
    let account = desk.account(text)?;
    let scopes = if scope.is_empty() { Service::ALL.to_vec() } else { services(scope)? };
    let id = account.id;
    let salts = desk.read(move |tx| credentials::salts(tx, id))?;
    let made = AppPassword::generate_with(&salts)?;
    let expires = days.map(|days| Timestamp(desk.now.0 + i64::from(days) * MICROS_PER_DAY));
    let new = NewAppPassword { name, scopes, expires, hash: made.hash };
    desk.of_account(&account, move |tx, by| credentials::add_app_password(tx, by, id, &new))?;
    Ok(Answer::Facts {
        facts: vec![
            ("login".into(), account.address.to_string()),
            ("password".into(), made.plain),
            ("note".into(), "the password is shown this once".into()),
        ],
    })
}

pub(super) fn list(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let found = desk.read(move |tx| credentials::list(tx, id))?;
    let row = |credential: &Credential| {
        let time = |time: Option<Timestamp>, none: &str| time.map_or_else(|| none.to_string(), shown);
        let name = credential.name.clone()?;
        let scopes: Vec<_> = credential.scopes.iter().map(|service| service.name()).collect();
        Some(vec![name, scopes.join(","), time(credential.expires, "never"), time(credential.last_used, "never")])
    };
    let rows = found.iter().filter_map(row).collect();
    Ok(Answer::table(&["NAME", "SCOPE", "EXPIRES", "LAST USED"], rows, "no app password"))
}

pub(super) fn remove(desk: &Desk<'_>, text: &str, name: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let found = desk.read(move |tx| credentials::list(tx, id))?;
    let Some(credential) = found.iter().find(|credential| credential.name.as_deref() == Some(name)) else {
        return Err(Refusal(format!(
            "{text} has no app password {name}; `postroad app-password list {text}` shows all"
        )));
    };
    let number = credential.id;
    desk.of_account(&account, move |tx, by| held::remove_app_password(tx, by, id, number))?;
    Ok(Answer::done(format!("the app password {name} of {text} opens nothing any more")))
}

fn services(names: &[String]) -> Outcome<Vec<Service>> {
    let service = |name: &String| {
        let known = Service::ALL.map(Service::name).join(", ");
        Service::from_name(name).ok_or_else(|| Refusal(format!("there is no protocol {name}; known are {known}")))
    };
    names.iter().map(service).collect()
}
