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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postroad_protocol::{Peer, Protocol, Step};

    use super::{Column, Listing};
    use crate::maildrop::Maildrop;
    use crate::session::{Phase, Session};
    use crate::settings::OUTPUT_BUDGET;
    use crate::{Job, Settings};

    #[test]
    fn a_long_listing_is_made_in_bounded_parts() {
        let address = "127.0.0.1:110".parse().expect("an address");
        let peer = Peer { remote: address, local: address };
        let mut session = Session::new(Arc::new(Settings::default()), peer, None);
        session.maildrop = Some(Maildrop::of_sizes(1..=50_000));
        session.phase = Phase::Listing(Listing { what: Column::UniqueId, next: 0 });
        let (mut text, mut parts) = (Vec::new(), 0);
        loop {
            let step = session.step();
            let part = session.take_output();
            assert!(part.len() <= OUTPUT_BUDGET + 64, "a part of {}", part.len());
            text.extend(part);
            parts += 1;
            match step {
                Step::Do(Job::Pause(_)) => session.resumed(),
                other => break assert_eq!(other, Step::Read),
            }
        }
        let text = String::from_utf8(text).expect("text");
        assert!(parts > 5 && text.starts_with("1 4294967295.1\r\n2 ") && text.ends_with("\r\n.\r\n"), "{parts}");
        assert_eq!(text.lines().count(), 50_001);
    }
}
