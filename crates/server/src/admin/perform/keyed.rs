//! Mechanisms that need a secret of their own kept, of accounts: on, off, and how they stand.

use postroad_mail::credentials::{self, DigestSealer, KeyState, NtlmSealer};
use postroad_mail::{Authenticated, Refused, Service};
use postroad_sasl::digest::Digest;
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, ReadTx, WriteTx};
use serde_json::json;

use super::{Desk, Outcome, Refusal, about};
use crate::admin::{Answer, Keyed, KeyedOrder};

/// `offered` says whether some listener offers the mechanism.
pub(super) fn perform(desk: &Desk<'_>, text: &str, mechanism: Keyed, order: KeyedOrder, offered: bool) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    match order {
        KeyedOrder::On { seen: None } => {
            desk.of_account(&account, move |tx, by| switch_on(tx, by, id, mechanism)).map_err(about(text))?;
        }
        KeyedOrder::On { seen: Some(seen) } => {
            let login = whose(desk, text, &seen.password)?;
            let sealer = Sealer::open(&seen.key).map_err(|error| Refusal(error.to_string()))?;
            let sealed = sealed(sealer, mechanism, &login, &seen.password);
            if sealed.is_empty() {
                return Err(Refusal(format!("the password is too long for {}", mechanism.name())));
            }
            let on = move |tx: &mut WriteTx, by: &_| {
                switch_on(tx, by, id, mechanism)?;
                match mechanism.digest() {
                    None => sealed.iter().try_for_each(|(_, key)| credentials::keep_ntlm(tx, &login, key)),
                    Some(_) => {
                        let named = |(digest, key): &(Option<Digest>, Vec<u8>)| Some(((*digest)?, key.clone()));
                        credentials::keep_digests(tx, &login, &sealed.iter().filter_map(named).collect::<Vec<_>>())
                    }
                }
            };
            desk.of_account(&account, on).map_err(about(text))?;
        }
        KeyedOrder::Off => {
            let off = move |tx: &mut WriteTx, by: &_| match mechanism.digest() {
                None => credentials::ntlm_off(tx, by, id),
                Some(digest) => credentials::digest_off(tx, by, id, digest),
            };
            desk.of_account(&account, off).map_err(about(text))?;
        }
        KeyedOrder::Show => {}
    }
    let name = mechanism.name();
    let (mut words, state) = match desk.read(move |tx| state(tx, id, mechanism))? {
        KeyState::Off => (format!("{text} does not sign in by {name}\n"), "off"),
        KeyState::Waiting => (
            format!(
                "{text} signs in by {name} once a password of it was used in another way (PLAIN, LOGIN, or a page)\n"
            ),
            "waiting",
        ),
        KeyState::On { passwords } => (format!("{text} signs in by {name}, with {passwords} of its passwords\n"), "on"),
    };
    if state != "off" && !offered {
        words.push_str(&format!("no listener offers it: name {name} among login.mechanisms, or those of a listener, and start the server again\n"));
    }
    Ok(Answer::Report { text: words, data: json!({ name.to_ascii_lowercase(): state, "offered": offered }) })
}

/// Who the password is of: one of those that the account has.
fn whose(desk: &Desk<'_>, text: &str, password: &str) -> Outcome<Authenticated> {
    let name = text.to_owned();
    let candidates = desk.read(move |tx| credentials::candidates(tx, &name))?;
    let mut refused = Refused::Wrong;
    // An app password is for some services alone.
    for service in Service::ALL {
        match candidates.verify(password, service, desk.now) {
            Ok(login) => return Ok(login),
            Err(Refused::Scope) => {}
            Err(why) => {
                refused = why;
                break;
            }
        }
    }
    Err(Refusal(match refused {
        Refused::Suspended => format!("{text} is suspended"),
        Refused::Expired => "this app password has expired".to_owned(),
        Refused::Wrong | Refused::Scope | Refused::SecondStep => format!("that is no password of {text}"),
    }))
}

fn switch_on(
    tx: &mut WriteTx,
    by: &postroad_mail::By,
    id: AccountId,
    mechanism: Keyed,
) -> Result<(), postroad_mail::Error> {
    match mechanism.digest() {
        None => credentials::ntlm_on(tx, by, id),
        Some(digest) => credentials::digest_on(tx, by, id, digest),
    }
}

fn state(tx: &ReadTx, id: AccountId, mechanism: Keyed) -> Result<KeyState, postroad_mail::Error> {
    match mechanism.digest() {
        None => credentials::ntlm_state(tx, id),
        Some(digest) => credentials::digest_state(tx, id, digest),
    }
}

/// The key of a password for one mechanism; none where the password is too long.
fn sealed(sealer: Sealer, mechanism: Keyed, login: &Authenticated, password: &str) -> Vec<(Option<Digest>, Vec<u8>)> {
    match mechanism.digest() {
        None => vec![(None, NtlmSealer::new(sealer).seal(login, password))],
        Some(wanted) => {
            let keys = DigestSealer::new(sealer).seal(login, password).into_iter();
            keys.filter(|(digest, _)| *digest == wanted).map(|(digest, key)| (Some(digest), key)).collect()
        }
    }
}
