//! LIST and UIDL of the whole maildrop, in parts that the client takes one by one.

use std::fmt::Write;
use std::time::Duration;

use postroad_protocol::Step;

use crate::job::Job;
use crate::maildrop::{Maildrop, Message};
use crate::session::{Phase, Session};
use crate::settings::OUTPUT_BUDGET;

/// A listing under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    pub(crate) what: Column,
    /// The first message that was not looked at.
    pub(crate) next: usize,
}

/// What a listing tells of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// LIST: octets.
    Size,
    /// UIDL: the unique id.
    UniqueId,
}

impl Column {
    /// `number value`.
    pub(crate) fn line(self, maildrop: &Maildrop, number: usize, message: Message) -> String {
        match self {
            Column::Size => format!("{number} {}", message.size),
            Column::UniqueId => format!("{number} {}", maildrop.unique_id(message)),
        }
    }
}

impl Session {
    /// Writes the next part; a pause of no length lets the loop send it before the next is made.
    pub(crate) fn list_on(&mut self) -> Option<Step<Job>> {
        let (Phase::Listing(listing), Some(maildrop)) = (&mut self.phase, &self.maildrop) else {
            self.phase = Phase::Ready;
            return None;
        };
        let mut text = String::new();
        while let Some((number, message)) = maildrop.next_live(listing.next) {
            if text.len() >= OUTPUT_BUDGET {
                self.out.extend_from_slice(text.as_bytes());
                return Some(Step::Do(Job::Pause(Duration::ZERO)));
            }
            let _ = write!(text, "{}\r\n", listing.what.line(maildrop, number, message));
            listing.next = number;
        }
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b".\r\n");
        self.phase = Phase::Ready;
        None
    }
}
