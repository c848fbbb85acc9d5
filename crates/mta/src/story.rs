//! The story of a message on its way in, and who writes it down when no delivery does.
//!
//! A story that ends in a delivery is written in the delivery's own transaction. One that ends in a refusal,
//! a reset or a broken connection has none: it goes to the [`Scribe`], who writes many at a time. That
//! can lag behind by a moment, and under a flood it drops stories rather than slow down mail.

use std::fmt::Display;
use std::sync::Arc;

use postroad_store::trace::TraceEvent;
use postroad_store::{Locks, Store, Timestamp, TraceId, WriteTx, new_id};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::checks::{Recorder, Summary};

/// Stories that wait for the scribe.
const WAITING: usize = 4_096;
/// Stories written in one transaction.
const AT_ONCE: usize = 256;
/// Events of one story; then it says that there was more.
const MAX_EVENTS: usize = 2_000;
/// Longest detail in bytes: the rest is cut off.
const MAX_DETAIL: usize = 2_000;
/// Longest key in bytes: a longer Message-ID would not fit into an index.
const MAX_KEY: usize = 1_000;
/// Words that a story can be found by.
const MAX_KEYS: usize = 2_000;

/// What happened to a message so far, under its trace id.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    id: TraceId,
    events: Vec<Event>,
    keys: Vec<String>,
    /// What aggregate reports need of it, and who writes that down.
    record: Option<(Recorder, Arc<Summary>)>,
}

#[derive(Debug, Clone)]
struct Event {
    at: Timestamp,
    kind: &'static str,
    detail: String,
}

impl Story {
    /// A new story with a trace id of its own.
    pub(crate) fn begin() -> Story {
        Story { id: TraceId(new_id()), events: Vec::new(), keys: Vec::new(), record: None }
    }

    pub(crate) fn id(&self) -> TraceId {
        self.id
    }

    /// More of the story with this trace id.
    pub(crate) fn about(id: TraceId) -> Story {
        Story { id, events: Vec::new(), keys: Vec::new(), record: None }
    }

    /// Adds what happened.
    pub(crate) fn note(&mut self, at: Timestamp, kind: &'static str, detail: impl Display) {
        if self.events.len() > MAX_EVENTS {
            return;
        }
        let mut detail = match self.events.len() {
            MAX_EVENTS => "and more that is not written down".to_owned(),
            _ => printable(&detail.to_string()),
        };
        if detail.len() > MAX_DETAIL {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
            detail.push('…');
        }
        self.events.push(Event { at, kind, detail });
    }

    /// Adds a word that the story can be found by: an address or a Message-ID, in lower case.
    pub(crate) fn key(&mut self, key: impl Display) {
        let key = printable(&key.to_string()).to_lowercase();
        if !key.is_empty() && key.len() <= MAX_KEY && self.keys.len() < MAX_KEYS && !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    /// What was found about the message is recorded with the story.
    pub(crate) fn record(&mut self, recorder: Recorder, summary: Summary) {
        self.record = Some((recorder, Arc::new(summary)));
    }

    /// Writes the story; its keys go with the first event.
    pub(crate) fn write(&self, tx: &mut WriteTx) -> Result<(), postroad_store::Error> {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let events: Vec<_> = self
            .events
            .iter()
            .map(|event| (event.at, TraceEvent { kind: event.kind, detail: &event.detail }))
            .collect();
        tx.trace_all(self.id, &events, &keys)?;
        match &self.record {
            Some((recorder, summary)) => recorder(tx, summary),
            None => Ok(()),
        }
    }
}

/// What strangers wrote goes into a text column and onto terminals: no control characters, no NUL, nothing that
/// turns the direction of the text around it or ends its line.
pub(crate) fn printable(text: &str) -> String {
    let turns =
        |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// Where stories without a delivery go. Clones lead to the same [`Scribe`].
#[derive(Debug, Clone)]
pub struct Stories(Sender<Story>);

impl Stories {
    /// Hands a story over; it never waits.
    pub(crate) fn tell(&self, story: Story) {
        if self.0.try_send(story).is_err() {
            metrics::counter!("postroad_trace_dropped_total").increment(1);
        }
    }
}

/// Writes stories that ended without a delivery.
pub struct Scribe {
    stories: Receiver<Story>,
    store: Store,
}

/// A scribe and the way to tell it stories.
pub fn scribe(store: Store) -> (Stories, Scribe) {
    let (tell, stories) = channel(WAITING);
    (Stories(tell), Scribe { stories, store })
}

impl Scribe {
    /// Writes until the last [`Stories`] is dropped, and everything that was told before.
    pub async fn run(mut self) {
        while let Some(first) = self.stories.recv().await {
            self.write(first).await;
        }
    }

    /// Writes what has been told so far.
    pub async fn catch_up(&mut self) {
        while let Ok(first) = self.stories.try_recv() {
            self.write(first).await;
        }
    }

    async fn write(&mut self, first: Story) {
        let mut batch = vec![first];
        while batch.len() < AT_ONCE
            && let Ok(next) = self.stories.try_recv()
        {
            batch.push(next);
        }
        let count = batch.len() as u64;
        let written = self.store.write(Locks::none(), move |tx| batch.iter().try_for_each(|story| story.write(tx)));
        if let Err(error) = written.await {
            metrics::counter!("postroad_trace_dropped_total").increment(count);
            tracing::warn!(%error, next_step = error.next_step(), count, "stories of refused mail were not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_changes_no_terminal() {
        let mut story = Story::begin();
        story.key("A\u{1b}[2J\u{202e}b@x.test");
        story.note(Timestamp(0), "from", "a\r\n\u{9b}1m\u{2066}ü\u{61c}z");
        assert_eq!(story.keys, ["a\u{fffd}[2j\u{fffd}b@x.test"]);
        assert_eq!(story.events[0].detail, "a\u{fffd}\u{fffd}\u{fffd}1m\u{fffd}ü\u{fffd}z");
    }
}
