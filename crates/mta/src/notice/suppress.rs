//! `X-Auto-Response-Suppress` ([MS-OXCMAIL] §2.1.3.2.20, the bits of [MS-OXOMSG] §2.2.1.77): which automatic answers the sender of
//! a message does not want.
//!
//! ```text
//! value = "All" / "None" / kind *( "," kind )     ; DR NDR RN NRN OOF AutoReply, in any case
//! ```

use super::{Fate, Original};

/// The answers of this server that are not wanted. Receipts for reading and vacation replies are not among them: there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Suppress {
    /// DR: that it came there, or is on its way.
    deliveries: bool,
    /// NDR: that it did not.
    failures: bool,
}

impl Suppress {
    pub(super) fn of(original: &Original) -> Suppress {
        original.suppressed().map_or(Suppress::default(), |value| Suppress::read(&value))
    }

    fn read(value: &str) -> Suppress {
        let mut found = Suppress::default();
        for kind in value.split([',', ';', ' ']).map(str::trim).take(KINDS_MAX) {
            match kind.to_ascii_lowercase().as_str() {
                "dr" => found.deliveries = true,
                "ndr" => found.failures = true,
                // RFC 5321 §6.1: that mail was lost has to be told. Programs write All to be spared of vacations, and few
                // know that they ask for losses not to be told; who names NDR knows.
                "all" => found.deliveries = true,
                _ => {}
            }
        }
        found
    }

    pub(super) fn keeps_back(self, fate: &Fate) -> bool {
        match fate {
            Fate::Failed(_) | Fate::Expired(_) => self.failures,
            Fate::Delivered | Fate::Relayed(_) | Fate::Expanded => self.deliveries,
            // A delay is neither, but whoever wants to hear of no failure wants none of what may become one.
            Fate::Delayed { .. } => self.failures || self.deliveries,
        }
    }
}

/// Most kinds of a list that are looked at: there are six.
const KINDS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{Why, Words};
    use postroad_store::Timestamp;

    #[test]
    fn each_kind_keeps_back_what_it_names() {
        let words = Words::ours((5, 1, 1), "no", "RCPT TO");
        let why = || Why { words: words.clone(), host: None, at: None };
        let until = Timestamp(1);
        for (value, delivered, failed, delayed) in [
            ("", false, false, false),
            ("None", false, false, false),
            ("OOF, AutoReply", false, false, false),
            ("DR", true, false, true),
            ("dr, rn", true, false, true),
            ("NDR", false, true, true),
            ("DR,NDR,RN,NRN,OOF,AutoReply", true, true, true),
            ("All", true, false, true),
            ("x NDRS", false, false, false),
        ] {
            let header = format!("From: a@b.test\r\nX-Auto-Response-Suppress: {value}\r\n\r\n");
            let found = Suppress::of(&Original::header(header.as_bytes()));
            assert_eq!(found.keeps_back(&Fate::Delivered), delivered, "{value}");
            assert_eq!(found.keeps_back(&Fate::Relayed(why())), delivered, "{value}");
            assert_eq!(found.keeps_back(&Fate::Failed(why())), failed, "{value}");
            assert_eq!(found.keeps_back(&Fate::Expired(why())), failed, "{value}");
            assert_eq!(found.keeps_back(&Fate::Delayed { why: why(), until, in_time: false }), delayed, "{value}");
        }
        assert_eq!(Suppress::of(&Original::default()), Suppress::default());
    }
}
