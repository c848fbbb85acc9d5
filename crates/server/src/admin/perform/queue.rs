//! The queue of outgoing mail: looking at it, and orders about it.

use std::collections::HashMap;

use postroad_queue as queue;
use postroad_queue::{Changed, Filter, Listed, QueueId, State, Which};
use postroad_store::{Locks, TraceId};
use serde_json::json;

use super::queue_text::{Look, counted};
use super::{Desk, Outcome, Refusal, domain_name};
use crate::admin::{Answer, ListWish, Order, Selection};

pub(super) fn list(desk: &Desk<'_>, wish: &ListWish) -> Outcome {
    let filter = Filter {
        domain: wish.domain.as_deref().map(domain_name).transpose()?.map(|domain| domain.as_str().to_owned()),
        sender: wish.sender.as_deref().map(sender_of),
        state: wish.state.as_deref().map(state_of).transpose()?,
        trace: None,
    };
    let after = wish.after.as_deref().map(id_of).transpose()?;
    let limit = wish.limit.clamp(1, LIST_MAX) as usize;
    let look = look(desk, move |tx| {
        let messages = queue::list(tx, &filter, after, limit)?;
        let more = messages.len() == limit;
        Ok((messages, more))
    })?;
    Ok(Answer::Report { text: look.list(), data: look.data() })
}

pub(super) fn show(desk: &Desk<'_>, id: &str) -> Outcome {
    let named = named(id)?;
    let mut look = look(desk, move |tx| {
        let messages = match named {
            Named::Message(id) => queue::show(tx, id)?.into_iter().collect(),
            Named::Story(trace) => {
                let filter = Filter { trace: Some(trace), ..Filter::default() };
                queue::list(tx, &filter, None, LIST_MAX as usize)?
            }
        };
        Ok((messages, false))
    })?;
    if look.messages.is_empty() {
        return Err(not_there(id));
    }
    look.routes = desk.store.read_blocking(queue::routes)?;
    Ok(Answer::Report { text: look.show(), data: look.data() })
}

/// Carries an order out, part by part.
pub(super) fn order(desk: &Desk<'_>, order: Order, selection: &Selection, sure: bool) -> Outcome {
    let which = which(desk, selection)?;
    let mut before = (0, 0);
    for which in &which {
        let which = which.clone();
        let count = desk.store.read_blocking(move |tx| queue::count(tx, &which))?;
        before = (before.0 + count.0, before.1 + count.1);
    }
    if let (Selection::Id(id), (0, _)) = (selection, before) {
        return Err(not_there(id));
    }
    if order == Order::Cancel && !sure && before.0 > 1 {
        let what = counted(before.1, before.0);
        return Err(Refusal(format!(
            "this cancels {what}: they are never sent and nobody is told; add --yes if you mean it"
        )));
    }
    let mut all = Changed::default();
    for which in which {
        let mut after = None;
        loop {
            let (which, now) = (which.clone(), desk.now);
            let part = desk.store.write_blocking(Locks::none(), move |tx| match order {
                Order::Retry => queue::retry(tx, &which, after, now),
                Order::Hold => queue::hold(tx, &which, after, now),
                Order::Release => queue::release(tx, &which, after, now),
                Order::Cancel => queue::cancel(tx, &which, after, now),
            })?;
            all.messages += part.value.messages;
            all.recipients += part.value.recipients;
            all.busy += part.value.busy;
            after = part.value.next;
            if after.is_none() {
                break;
            }
        }
    }
    if order == Order::Retry && matches!(selection, Selection::Domain(_) | Selection::All) {
        // What is parked moves by itself once its destination is tried.
        (all.messages, all.recipients) = (before.0, before.1.saturating_sub(all.busy));
    }
    let data = json!({ "messages": all.messages, "recipients": all.recipients, "being-sent": all.busy });
    Ok(Answer::Report { text: sentence(order, &all), data })
}

/// What an order came to.
fn sentence(order: Order, changed: &Changed) -> String {
    let what = counted(changed.recipients, changed.messages);
    let (done, nothing) = match order {
        Order::Retry => ("tried now", "nothing waits there that could be tried"),
        Order::Hold => ("held; `postroad queue release` lets them go", "nothing waits there that could be held"),
        Order::Release => ("released", "nothing is held there"),
        Order::Cancel => ("cancelled", "nothing waits there that could be cancelled"),
    };
    let busy = match changed.busy {
        0 => String::new(),
        1 => "; one recipient is being sent just now and was left alone".to_owned(),
        many => format!("; {many} recipients are being sent just now and were left alone"),
    };
    match changed.recipients {
        0 => format!("{nothing}{busy}\n"),
        _ => format!("{what}: {done}{busy}\n"),
    }
}

/// Messages, whether there are more, and what is known of their destinations.
fn look(
    desk: &Desk<'_>,
    read: impl FnOnce(&postroad_store::ReadTx) -> queue::Result<(Vec<Listed>, bool)> + Send + 'static,
) -> Outcome<Look> {
    let now = desk.now;
    let look = desk.store.read_blocking(move |tx| {
        let (messages, more) = read(tx)?;
        let destinations = queue::destinations(tx, None, DESTINATIONS_MAX)?;
        let known: HashMap<_, _> =
            destinations.iter().map(|destination| (destination.domain.clone(), destination.clone())).collect();
        Ok::<_, queue::Error>(Look {
            messages,
            more,
            known,
            destinations,
            routes: Vec::new(),
            depth: queue::depth(tx)?,
            now,
        })
    })?;
    Ok(look)
}

enum Named {
    Message(QueueId),
    Story(TraceId),
}

fn named(id: &str) -> Outcome<Named> {
    if let Ok(id) = id.parse::<QueueId>() {
        return Ok(Named::Message(id));
    }
    let story = id.parse().map(Named::Story);
    story.map_err(|_| Refusal(format!("{id} is not an id; `postroad queue list` shows them, for example Q65f3a1c09")))
}

fn id_of(text: &str) -> Outcome<QueueId> {
    text.parse().map_err(|error| Refusal(format!("{text}: {error}")))
}

fn which(desk: &Desk<'_>, selection: &Selection) -> Outcome<Vec<Which>> {
    Ok(match selection {
        Selection::Id(id) => match named(id)? {
            Named::Message(id) => vec![Which::Message(id)],
            Named::Story(trace) => {
                let filter = Filter { trace: Some(trace), ..Filter::default() };
                let found = desk.store.read_blocking(move |tx| queue::list(tx, &filter, None, LIST_MAX as usize))?;
                found.into_iter().map(|listed| Which::Message(listed.message.id)).collect()
            }
        },
        Selection::Domain(domain) => vec![Which::Domain(domain_name(domain)?.as_str().to_owned())],
        Selection::Sender(sender) => vec![Which::Sender(sender_of(sender))],
        Selection::All => vec![Which::All],
    })
}

/// `<>` is the null sender.
fn sender_of(text: &str) -> String {
    text.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

fn state_of(text: &str) -> Outcome<State> {
    let known = if text == "sending" { Some(State::Claimed) } else { State::from_name(text) };
    known.ok_or_else(|| {
        Refusal(format!(
            "{text} is no state: waiting, parked, backlog, sending, held, delivered, relayed, failed or cancelled"
        ))
    })
}

fn not_there(id: &str) -> Refusal {
    let (what, key) = match named(id) {
        Ok(Named::Story(_)) => ("what became of it", id),
        Ok(Named::Message(_)) | Err(_) => ("the story of mail from or to an address", "ADDRESS"),
    };
    Refusal(format!(
        "{id} is not in the queue: it was sent, has failed or was cancelled; `postroad trace {key}` tells {what}"
    ))
}

/// Most messages of one list.
const LIST_MAX: u32 = 10_000;
/// Destinations looked at.
const DESTINATIONS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_answered_in_plain_words() {
        let table = [
            (Order::Retry, (1, 1, 0), "1 recipient of 1 message: tried now\n"),
            (
                Order::Hold,
                (2, 3, 1),
                "3 recipients of 2 messages: held; `postroad queue release` lets them go; one recipient is being sent \
                 just now and was left alone\n",
            ),
            (Order::Release, (0, 0, 0), "nothing is held there\n"),
            (
                Order::Cancel,
                (0, 0, 2),
                "nothing waits there that could be cancelled; 2 recipients are being sent just now and were left alone\n",
            ),
        ];
        for (order, (messages, recipients, busy), expected) in table {
            assert_eq!(sentence(order, &Changed { messages, recipients, busy, next: None }), expected);
        }
    }

    #[test]
    fn senders_and_states_are_read() {
        assert_eq!((sender_of("<>").as_str(), sender_of("<a@b.test>").as_str()), ("", "a@b.test"));
        assert!(matches!(state_of("sending"), Ok(State::Claimed)));
        assert!(matches!(state_of("held"), Ok(State::Held)));
        assert!(state_of("lost").is_err());
    }
}
