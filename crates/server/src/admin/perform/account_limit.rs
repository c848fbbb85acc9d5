//! How much an account sends, and how much it may.

use postroad_store::Locks;
use postroad_trust::sending::{self, Bound, Limits, Own};

use super::{Desk, Outcome};
use crate::admin::{Answer, SendingWish};

pub(super) fn perform(desk: &Desk<'_>, text: &str, wish: SendingWish, usual: &SendingWish) -> Outcome {
    let account = desk.account(text)?;
    let (id, now) = (account.id, desk.now);
    if wish != SendingWish::default() {
        desk.write(Locks::account(id), move |tx| {
            let was = if wish.reset { Own::default() } else { sending::own(tx, id)? };
            let own = Own {
                messages_per_hour: wish.messages_per_hour.or(was.messages_per_hour),
                messages_per_day: wish.messages_per_day.or(was.messages_per_day),
                recipients_per_hour: wish.recipients_per_hour.or(was.recipients_per_hour),
                recipients_per_day: wish.recipients_per_day.or(was.recipients_per_day),
            };
            Ok(sending::set_own(tx, id, &own)?)
        })?;
    }
    let (own, sent) = desk.read(move |tx| Ok((sending::own(tx, id)?, sending::sent(tx, id, now)?)))?;
    let usual = Limits {
        messages_per_hour: usual.messages_per_hour.unwrap_or(0),
        messages_per_day: usual.messages_per_day.unwrap_or(0),
        recipients_per_hour: usual.recipients_per_hour.unwrap_or(0),
        recipients_per_day: usual.recipients_per_day.unwrap_or(0),
    };
    let limits = own.over(&usual);
    let rows = Bound::ALL.map(|bound| {
        let may = match limits.of(bound) {
            0 => "any number".to_owned(),
            limit => limit.to_string(),
        };
        let has_own = match bound {
            Bound::MessagesPerHour => own.messages_per_hour.is_some(),
            Bound::MessagesPerDay => own.messages_per_day.is_some(),
            Bound::RecipientsPerHour => own.recipients_per_hour.is_some(),
            Bound::RecipientsPerDay => own.recipients_per_day.is_some(),
        };
        let from = if has_own { "set for it" } else { "the settings" };
        vec![
            format!("{} within {}", bound.what(), bound.within()),
            sent.within(bound, now).to_string(),
            may,
            from.into(),
        ]
    });
    Ok(Answer::table(&["WHAT", "SENT", "MAY SEND", "FROM"], rows.into(), ""))
}
