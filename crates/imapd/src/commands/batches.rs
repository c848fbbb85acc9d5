//! UIDBATCHES (RFC 10022): ranges of UIDs with as many messages each as the client can take at once.
//!
//! No mailbox is too large for it and who asks again is answered again (§3.1.1 and §3.1.7 would let a server refuse both): an
//! answer costs one pass over the ranges of a set that is in memory.

use postroad_imap::command::UidBatches;
use postroad_imap::{ResponseCode, Status};
use postroad_mail::UidSet;

use crate::error::{Error, Reply};
use crate::session::{Flow, Session};

pub(crate) fn run(session: &mut Session, command: UidBatches) -> Result<Flow, Error> {
    if command.size < SIZE_MIN {
        return Err(Error::no(ResponseCode::TooFew, "a batch has 500 messages at least"));
    }
    let (first, last) = command.range.unwrap_or((1, u32::MAX));
    if first > last {
        let text = "the first batch comes before the last";
        return Err(Error::Refused(Reply::new(Status::Bad, Some(ResponseCode::ClientBug), text)));
    }
    let view = session.view()?;
    let mut batches = batches(&view.map().uids().difference(&view.ghosts), command.size);
    batches.truncate(last as usize);
    let tag = session.tag_under_way().cloned().ok_or_else(|| Error::bug("a command without a tag"))?;
    session.writer().uid_batches(&tag, batches.get(first as usize - 1..).unwrap_or_default());
    Ok(Flow::Done(Reply::ok("UIDBATCHES done")))
}

/// The highest and the lowest UID of each batch, the newest first. They lie side by side, down to UID 1, so that what is
/// expunged meanwhile leaves no gap. One pass over the ranges.
fn batches(uids: &UidSet, size: u32) -> Vec<(u32, u32)> {
    let (mut tops, mut seen, mut place) = (Vec::new(), 0u64, 0u64);
    for &(low, high) in uids.ranges().iter().rev() {
        let count = u64::from(high - low) + 1;
        while place < seen + count {
            tops.push(high - (place - seen) as u32);
            place += u64::from(size);
        }
        seen += count;
    }
    let bottoms = tops.iter().skip(1).map(|top| top + 1).chain([1]);
    tops.iter().copied().zip(bottoms).collect()
}

/// The smallest batch: RFC 10022 has servers take these.
const SIZE_MIN: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_lie_side_by_side() {
        for (uids, size, expected) in [
            (UidSet::new(), 3, vec![]),
            (UidSet::range(1, 7), 3, vec![(7, 5), (4, 2), (1, 1)]),
            (UidSet::range(1, 6), 3, vec![(6, 4), (3, 1)]),
            (UidSet::from_ranges([(5, 6), (10, 11), (20, 20)]), 2, vec![(20, 11), (10, 6), (5, 1)]),
            (UidSet::single(9), 500, vec![(9, 1)]),
        ] {
            assert_eq!(batches(&uids, size), expected, "{uids} by {size}");
        }
    }

    #[test]
    fn each_batch_has_its_messages() {
        let uids = UidSet::from_ranges((0..400).map(|n| (n * 7 + 1, n * 7 + 1 + n % 5)));
        let all = batches(&uids, 13);
        let counts = all.iter().map(|&(high, low)| uids.intersection(&UidSet::range(low, high)).count());
        let counts: Vec<u64> = counts.collect();
        assert!(counts.iter().rev().skip(1).all(|count| *count == 13), "{counts:?}");
        assert_eq!(counts.iter().sum::<u64>(), uids.count());
    }
}
