//! THREAD=ORDEREDSUBJECT (RFC 5256 §3): what has one base subject is one thread.

use postroad_imap::encode::ThreadPiece;

use crate::thread::{Message, Pieces};

/// The threads: the first message of a subject, and all others of it as its children.
pub(super) fn thread(messages: &[Message<'_>]) -> Pieces {
    let by_date = |at: &u32| (messages[*at as usize].sent, *at);
    let mut order: Vec<u32> = (0u32..).zip(messages).map(|(at, _)| at).collect();
    order.sort_unstable_by(|a, b| {
        let subject = |at: &u32| messages[*at as usize].subject;
        subject(a).cmp(subject(b)).then_with(|| by_date(a).cmp(&by_date(b)))
    });
    let mut threads: Vec<&[u32]> =
        order.chunk_by(|a, b| messages[*a as usize].subject == messages[*b as usize].subject).collect();
    threads.sort_unstable_by_key(|thread| by_date(&thread[0]));
    let mut pieces = Pieces::with_capacity(messages.len() * 3);
    for thread in threads {
        pieces.push(ThreadPiece::Open);
        match thread {
            [first, second] => pieces.extend([ThreadPiece::Number(*first), ThreadPiece::Number(*second)]),
            [first, others @ ..] => {
                pieces.push(ThreadPiece::Number(*first));
                for other in others {
                    pieces.extend([ThreadPiece::Open, ThreadPiece::Number(*other), ThreadPiece::Close]);
                }
            }
            [] => {}
        }
        pieces.push(ThreadPiece::Close);
    }
    pieces
}
