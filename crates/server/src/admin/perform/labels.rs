//! Accounts whose mail is kept as Gmail does: on, off, and how far it is.

use postroad_mail::labels::{self, State};
use serde_json::json;

use super::{Desk, Outcome, about};
use crate::admin::{Answer, LabelsOrder};

/// `On` does one bounded part: whoever asks goes on while the data say `filling`.
pub(super) fn perform(desk: &Desk<'_>, text: &str, order: LabelsOrder) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    match order {
        LabelsOrder::On => {
            let part = desk.of_account(&account, move |tx, by| {
                labels::switch_on(tx, by, id)?;
                labels::fill(tx, by, id)
            });
            part.map_err(about(text))?;
        }
        LabelsOrder::Off => {
            desk.of_account(&account, move |tx, by| labels::switch_off(tx, by, id)).map_err(about(text))?;
        }
        LabelsOrder::Show => {}
    }
    let state = desk.read(move |tx| labels::state(tx, id))?;
    let (words, data) = match state {
        State::Off => (format!("{text} has no labels: its mailboxes are mailboxes\n"), json!({ "labels": "off" })),
        State::Filling { done, of } => (
            format!(
                "{text} is being filled: {done} of {of} messages; `postroad account gmail on {text}` goes on with it\n"
            ),
            json!({ "labels": "filling", "done": done, "of": of }),
        ),
        State::On => (
            format!("{text} has labels: its mail is kept as Gmail does, and clients see it when they sign in again\n"),
            json!({ "labels": "on" }),
        ),
    };
    Ok(Answer::Report { text: words, data })
}
