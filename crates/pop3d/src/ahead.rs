//! Messages that were read before they are asked for.
//!
//! Clients fetch a maildrop from the first message to the last. Once one asks for the message behind the one before, the next
//! small ones are read in the same transaction, and then answered without another. Content never changes, and the
//! maildrop is as it was at login (RFC 1939 §4), so nothing told from here can be out of date.

use std::collections::VecDeque;

use postroad_store::{BlobBytes, ReadTx};

use crate::maildrop::Maildrop;

/// What was read ahead, in the order of the numbers.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    messages: VecDeque<(usize, BlobBytes)>,
    /// The last message that was asked for.
    last: usize,
}

impl Ahead {
    /// The message `number`, if it was read. What lies before it is forgotten.
    pub(crate) fn take(&mut self, number: usize) -> Option<BlobBytes> {
        if number != self.last + 1 {
            // Whoever jumps about is not read ahead for.
            self.messages.clear();
        }
        while self.messages.front().is_some_and(|(first, _)| *first < number) {
            self.messages.pop_front();
        }
        match self.messages.front() {
            Some((first, _)) if *first == number => {
                self.last = number;
                self.messages.pop_front().map(|(_, bytes)| bytes)
            }
            Some(_) | None => None,
        }
    }

    /// Says that `number` is asked for; whether those behind it are worth reading too.
    pub(crate) fn asked(&mut self, number: usize) -> bool {
        let next = self.last > 0 && number == self.last + 1;
        self.last = number;
        next
    }

    /// Reads the messages behind `number`, as far as they are small and there is room.
    pub(crate) fn fill(&mut self, tx: &ReadTx, maildrop: &Maildrop, number: usize) {
        self.messages.clear();
        let (mut room, mut index) = (OCTETS, number);
        while self.messages.len() < MESSAGES
            && let Some((next, message)) = maildrop.next_live(index)
        {
            if message.size > room || message.size == 0 {
                return;
            }
            // What cannot be read now is an error for whoever asks for it.
            let Ok(bytes) = tx.blob_whole(message.blob) else { return };
            room -= message.size;
            self.messages.push_back((next, bytes));
            index = next;
        }
    }
}

/// Octets that a session holds of what it read ahead.
const OCTETS: u64 = 256 * 1024;
/// Messages that one job reads ahead.
const MESSAGES: usize = 64;

#[cfg(test)]
mod tests {
    use postroad_store::BlobBytes;

    use super::Ahead;

    #[test]
    fn only_what_comes_next_is_told_from_memory() {
        let mut ahead = Ahead::default();
        assert!(!ahead.asked(1), "the first says nothing of the second");
        assert!(ahead.asked(2));
        ahead.messages = [3, 4, 6].map(|number| (usize::from(number), BlobBytes::from(vec![number]))).into();
        assert_eq!(ahead.take(3), Some(BlobBytes::from(vec![3])));
        assert_eq!(ahead.take(4), Some(BlobBytes::from(vec![4])));
        assert_eq!(ahead.take(5), None, "it was marked as deleted when the others were read");
        assert!(ahead.asked(5));
        assert_eq!(ahead.take(6), Some(BlobBytes::from(vec![6])));
        ahead.messages = [7, 8].map(|number| (usize::from(number), BlobBytes::from(vec![number]))).into();
        assert_eq!(ahead.take(2), None);
        assert!(!ahead.asked(2) && ahead.messages.is_empty());
    }
}
