//! Where did that mail go?

use postroad_mail::{Error, history};
use postroad_store::trace;
use postroad_store::{Timestamp, TraceId};

use super::{Desk, Outcome};
use crate::admin::time::shown;
use crate::admin::{Answer, Story};

pub(super) fn stories(desk: &Desk<'_>, key: &str, since_seconds: u64, limit: u32) -> Outcome {
    let since_micros = i64::try_from(since_seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    let since = Timestamp(desk.now.0.saturating_sub(since_micros));
    let wanted = key.to_string();
    let found = desk.read(move |tx| -> Result<Vec<Story>, Error> {
        let ids: Vec<TraceId> = match wanted.parse::<TraceId>() {
            Ok(id) if !wanted.contains('@') => vec![id],
            Ok(_) | Err(_) => trace::find(tx, &keyed(&wanted), since, limit)?,
        };
        let mut stories = Vec::new();
        for id in ids {
            let events = trace::story(tx, id)?;
            if !events.is_empty() {
                let line = |event: trace::Event| (shown(event.at), event.kind, event.detail);
                let after = |place: history::Place| {
                    let kind = if place.left.is_some() { "left" } else { "now" };
                    (shown(place.at()), kind.to_owned(), place.to_string())
                };
                let places = history::places(tx, id)?;
                let lines = events.into_iter().map(line).chain(places.into_iter().map(after)).collect();
                stories.push(Story { title: id.to_string(), lines });
            }
        }
        Ok(stories)
    })?;
    let empty = format!("nothing is known of {key} in this time; a longer one: --since 30d");
    Ok(Answer::Stories { stories: found, empty })
}

/// The form in which keys are recorded: addresses and message-ids without brackets, in lower case.
fn keyed(text: &str) -> String {
    text.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase()
}
