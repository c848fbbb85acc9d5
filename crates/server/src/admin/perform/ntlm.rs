//! NTLM of accounts: on, off, and how it stands.

use postroad_mail::credentials::{self, KeyState};
use serde_json::json;

use super::{Desk, Outcome, about};
use crate::admin::{Answer, NtlmOrder};

/// `offered` says whether some listener offers the mechanism.
pub(super) fn perform(desk: &Desk<'_>, text: &str, order: NtlmOrder, offered: bool) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    match order {
        NtlmOrder::On => {
            let on = move |tx: &mut _, by: &_| credentials::ntlm_on(tx, by, id);
            desk.of_account(&account, on).map_err(about(text))?;
        }
        NtlmOrder::Off => {
            desk.of_account(&account, move |tx, by| credentials::ntlm_off(tx, by, id)).map_err(about(text))?
        }
        NtlmOrder::Show => {}
    }
    let (mut words, state) = match desk.read(move |tx| credentials::ntlm_state(tx, id))? {
        KeyState::Off => (format!("{text} does not sign in by NTLM\n"), "off"),
        KeyState::Waiting => (
            format!(
                "{text} signs in by NTLM once a password of it was used in another way (PLAIN, LOGIN, or a page)\n"
            ),
            "waiting",
        ),
        KeyState::On { passwords } => (format!("{text} signs in by NTLM, with {passwords} of its passwords\n"), "on"),
    };
    if state != "off" && !offered {
        words.push_str("no listener offers it: name NTLM among login.mechanisms, or those of a listener, and start the server again\n");
    }
    Ok(Answer::Report { text: words, data: json!({ "ntlm": state, "offered": offered }) })
}
