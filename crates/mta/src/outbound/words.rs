//! What a host or the network said, as the words of a verdict.

use postroad_smtp::Reply;
use postroad_smtp::client::{Failure, Phase, Said, Trouble, Unsuited};

use super::settle::Words;

/// A host's reply.
pub(crate) fn said(said: &Said) -> Words {
    reply(&said.reply, said.phase)
}

fn reply(reply: &Reply, phase: Phase) -> Words {
    Words::said(reply.code(), reply.enhanced(), reply.lines().join("\n"), phase.name())
}

/// What happened to a connection. RFC 3463 §3.5 and §3.8.
pub(crate) fn failure(failure: &Failure) -> Words {
    let enhanced = match &failure.trouble {
        Trouble::Refused(words) | Trouble::LoginRefused(words) => return reply(words, failure.phase),
        Trouble::Closed | Trouble::TimedOut => (4, 4, 2),
        Trouble::Garbled(_) => (4, 5, 0),
        Trouble::Injected => (4, 7, 0),
        Trouble::NoTls | Trouble::NoAuth | Trouble::ClearLogin => (4, 7, 4),
        Trouble::LoginUnfit | Trouble::LoginUnproven => (4, 7, 8),
        Trouble::Abandoned => (4, 3, 2),
    };
    Words::ours(enhanced, sentence(&failure.to_string()), failure.phase.name())
}

/// Why no host of the destination can take the message as it is.
pub(crate) fn unsuited(unsuited: Unsuited) -> Words {
    let enhanced = match unsuited {
        // RFC 6531 §3.5.
        Unsuited::SmtpUtf8 => (5, 6, 7),
        Unsuited::EightBit | Unsuited::Binary => (5, 6, 3),
        // RFC 1870 §6.2.
        Unsuited::TooLarge { .. } => (5, 3, 4),
        // RFC 8689 §5.
        Unsuited::RequireTls => (5, 7, 30),
        // What was asked for with the message is not to be had there.
        Unsuited::DeliverBy { .. } => (5, 3, 3),
        // Ours to get right.
        Unsuited::NotReady | Unsuited::NoRecipient | Unsuited::TooManyRecipients { .. } => (4, 3, 5),
    };
    Words::ours(enhanced, sentence(&unsuited.to_string()), Phase::Mail.name())
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
