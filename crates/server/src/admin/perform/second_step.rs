//! The second step of accounts: how it stands, and taking it away from who lost everything.

use postroad_identity::second;
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
            return match desk.of_account(&account, move |tx, by| second::turn_off(tx, by, id))? {
                true => {
                    Ok(Answer::done(format!("{text} logs in by its password alone again; recovery codes are gone")))
                }
                false => Err(none()),
            };
        }
        SecondStepOrder::Programs(allowed) => {
            let done = desk.of_account(&account, move |tx, by| second::set_programs(tx, by, id, allowed))?;
            if !done {
                return Err(none());
            }
        }
    }
    let Some(known) = desk.read(move |tx| second::find(tx, id))? else {
        let words = format!("{text} has no second step\n");
        return Ok(Answer::Report { text: words, data: json!({ "second_step": false }) });
    };
    let programs = if known.programs { "opens mail programs, too" } else { "opens the pages alone" };
    let closed = known.closed_until > desk.now;
    let mut words = format!(
        "{text} has a second step since {}, with {} recovery codes; its password {programs}\n",
        shown(known.created),
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
        "recovery_codes": known.recovery_left,
        "password_opens_programs": known.programs,
        "failures": known.failures,
    });
    Ok(Answer::Report { text: words, data })
}
