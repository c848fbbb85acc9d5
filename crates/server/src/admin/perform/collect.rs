//! Places that mail is collected from by POP3.

use postroad_mail::accounts::{self, DIRECTORY_LOCK};
use postroad_mail::remote::collect::{self, Collect};
use postroad_mail::{MailboxName, accounts::Account};
use postroad_queue::grants;
use postroad_remote::Place;
use postroad_remote::pop3::collect::{BY_GRANT, purpose};
use postroad_store::seal::Sealer;
use postroad_store::{Locks, Timestamp};

use super::{Desk, Outcome, Refusal, about};
use crate::admin::{Answer, CollectOrder, CollectSecret, CollectWish};
use crate::elsewhere;

/// Who looks more often is shut out by many a server.
const EVERY_MIN: u32 = 60;

pub(super) fn perform(desk: &Desk<'_>, order: CollectOrder) -> Outcome {
    match order {
        CollectOrder::Add(wish) => add(desk, *wish),
        CollectOrder::List { address } => list(desk, address.as_deref()),
        CollectOrder::Remove { address, id } => remove(desk, &address, id),
        CollectOrder::Now { address } => now(desk, address.as_deref()),
    }
}

fn add(desk: &Desk<'_>, wish: CollectWish) -> Outcome {
    let account = desk.account(&wish.address)?;
    let place = Place::parse_pop(&wish.from).map_err(|error| Refusal(error.to_string()))?;
    if wish.every < EVERY_MIN {
        return Err(Refusal("--every 1m is the shortest time: other servers shut out who looks more often".to_owned()));
    }
    MailboxName::parse(&wish.mailbox).map_err(|error| Refusal(format!("{}: {error}", wish.mailbox)))?;
    let sealer = Sealer::open(&wish.key).map_err(|error| Refusal(error.to_string()))?;
    let new = Collect {
        account: account.id,
        id: 0,
        place: wish.from,
        secret: Vec::new(),
        ca: wish.ca,
        mailbox: wish.mailbox,
        every: wish.every,
        delete_after: wish.delete_after,
        next_at: desk.now,
        failures: 0,
        trouble: None,
        looked: None,
        taken: 0,
    };
    let owner = account.id;
    let (password, granting) = match wish.secret {
        CollectSecret::Password(password) => (password, None),
        CollectSecret::Granted(granting) => (BY_GRANT.to_owned(), Some(granting)),
    };
    let (key, now) = (sealer.clone(), desk.now);
    let locks = Locks::named(DIRECTORY_LOCK).and(Locks::account(owner));
    let id = desk.store.write_blocking(locks, move |tx| {
        let id = collect::add(tx, &new, |id| key.seal(&purpose(owner.0, id), password.as_bytes()))?;
        if let Some(granting) = granting {
            let grant = granting.sealed(&key, &elsewhere::of_collect(owner, id), now);
            grants::put(tx, &grant).map_err(elsewhere::of_queue)?;
        }
        Ok::<_, postroad_mail::Error>(id)
    });
    let id = id.map_err(about(&wish.address))?.value;
    Ok(Answer::done(format!(
        "mail of {place} is collected for {}, as number {id}; `postroad collect list` tells how that goes",
        account.address
    )))
}

fn list(desk: &Desk<'_>, address: Option<&str>) -> Outcome {
    let account = address.map(|address| desk.account(address)).transpose()?;
    let id = account.as_ref().map(|account| account.id);
    let rows = desk.read(move |tx| {
        let places = collect::list(tx, id)?;
        places
            .into_iter()
            .map(|place| Ok((accounts::by_id(tx, place.account)?, place)))
            .collect::<postroad_mail::Result<Vec<_>>>()
    })?;
    let rows = rows.into_iter().map(|(account, place)| row(account.as_ref(), &place)).collect();
    let empty = "nothing is collected; `postroad collect add ADDRESS --from pop3s://user@host` makes a beginning";
    Ok(Answer::table(&["ACCOUNT", "ID", "FROM", "EVERY", "THERE", "TAKEN", "LAST", "HOW IT GOES"], rows, empty))
}

fn row(account: Option<&Account>, place: &Collect) -> Vec<String> {
    let there = match place.delete_after {
        None => "stays".to_owned(),
        Some(0) => "removed at once".to_owned(),
        Some(seconds) => format!("removed after {}", span(seconds)),
    };
    vec![
        account.map(|account| account.address.to_string()).unwrap_or_default(),
        place.id.to_string(),
        place.place.clone(),
        span(place.every),
        there,
        place.taken.to_string(),
        place.looked.map_or_else(|| "-".to_owned(), moment),
        place.trouble.clone().unwrap_or_else(|| "good".to_owned()),
    ]
}

fn moment(at: Timestamp) -> String {
    postroad_message::date::DateTime::utc(at.0).format()
}

/// The largest unit that fits.
fn span(seconds: u32) -> String {
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

fn remove(desk: &Desk<'_>, address: &str, number: i64) -> Outcome {
    let account = desk.account(address)?;
    let id = account.id;
    let removed = desk.of_account(&account, move |tx, _| {
        grants::remove(tx, &elsewhere::of_collect(id, number)).map_err(elsewhere::of_queue)?;
        collect::remove(tx, id, number)
    });
    let was = removed.map_err(about(address))?;
    match was {
        true => Ok(Answer::done(format!(
            "number {number} of {} is collected from no more; what came stays",
            account.address
        ))),
        false => Err(Refusal(format!("{address} has no number {number}; `postroad collect list {address}` shows all"))),
    }
}

fn now(desk: &Desk<'_>, address: Option<&str>) -> Outcome {
    let account = address.map(|address| desk.account(address)).transpose()?;
    let (id, now) = (account.map(|account| account.id), desk.now);
    let locks = id.map_or_else(Locks::none, Locks::account);
    let places = desk.store.write_blocking(locks, move |tx| collect::hurry(tx, id, now))?.value;
    Ok(Answer::done(match places {
        0 => "there is no place to collect from".to_owned(),
        1 => "the place is looked at within seconds, by the running server".to_owned(),
        more => format!("{more} places are looked at within seconds, by the running server"),
    }))
}
