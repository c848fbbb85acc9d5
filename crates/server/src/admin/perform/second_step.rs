//! The second step of accounts and their passkeys: how they stand, and taking them away from who lost everything.

use postroad_identity::{passkeys, second};
use serde_json::json;

use super::{Desk, Outcome, Refusal};
use crate::admin::time::shown;
use crate::admin::{Answer, SecondStepOrder};

pub(super) fn perform(desk: &Desk<'_>, text: &str, order: SecondStepOrder) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let none = || Refusal(format!("{text} has no second step; its owner turns it on on the account's page"));
    match order {
        SecondStepOrder::Show => {}
        SecondStepOrder::Reset => {
            // Who lost their authenticators lost the passkeys that are in them, too, or somebody has them.
            let gone = desk.of_account(&account, move |tx, by| {
                Ok((second::turn_off(tx, by, id)?, passkeys::remove_all(tx, by, id)?))
            })?;
            return match gone {
                (false, 0) => Err(none()),
                (_, 0) => {
                    Ok(Answer::done(format!("{text} logs in by its password alone again; recovery codes are gone")))
                }
                (_, many) => Ok(Answer::done(format!(
                    "{text} logs in by its password alone again; recovery codes are gone, and so are its passkeys ({many})"
                ))),
            };
        }
        SecondStepOrder::Programs(allowed) => {
            let done = desk.of_account(&account, move |tx, by| second::set_programs(tx, by, id, allowed))?;
            if !done {
                return Err(none());
            }
        }
    }
    let (known, passkeys) = desk.read(move |tx| Ok((second::find(tx, id)?, passkeys::list(tx, id)?.len())))?;
    let Some(known) = known else {
        let words = format!("{text} has no second step, and {passkeys} passkeys\n");
        return Ok(Answer::Report { text: words, data: json!({ "second_step": false, "passkeys": passkeys }) });
    };
    let programs = if known.programs { "opens mail programs, too" } else { "opens the pages alone" };
    let closed = known.closed_until > desk.now;
    let mut words = format!(
        "{text} has a second step since {}, with {}, {passkeys} passkeys and {} recovery codes; its password {programs}\n",
        shown(known.created),
        if known.codes { "an authenticator" } else { "no authenticator" },
        known.recovery_left
    );
    if known.failures > 0 {
        words.push_str(&format!("the last {} codes were wrong\n", known.failures));
    }
    if closed {
        words.push_str(&format!("no code is looked at before {}\n", shown(known.closed_until)));
    }
    let data = json!({
        "second_step": true,
        "authenticator": known.codes,
        "passkeys": passkeys,
        "recovery_codes": known.recovery_left,
        "password_opens_programs": known.programs,
        "failures": known.failures,
    });
    Ok(Answer::Report { text: words, data })
}
