//! When a certificate is renewed.

use std::time::Duration;

use postroad_store::Timestamp;
use postroad_trust::certificates::Certificate;

/// When a certificate is to be renewed: within the time that its authority suggests (RFC 9773 §4.2), else when a third of its
/// life is left, or half of a life shorter than ten days. Each certificate has a moment of its own in between, the same on all
/// nodes, so that an authority is not asked by everybody at once.
pub fn renew_at(certificate: &Certificate) -> Timestamp {
    let Certificate { not_before, not_after, .. } = certificate;
    let life = (not_after.0 - not_before.0).max(0);
    let (from, to) = match certificate.window {
        // RFC 9773 §4.2: uniformly within the window; what has passed is due.
        Some((from, to)) if from.0 <= to.0 => (from.0, to.0),
        Some(_) | None => {
            let left = if life < SHORT_LIFE { life / 2 } else { life / 3 };
            (not_after.0 - left - life / 30, not_after.0 - left)
        }
    };
    let share = share(certificate.id);
    let moment = i128::from(from) + i128::from(to - from) * i128::from(share) / i128::from(u32::MAX);
    // Whatever is suggested: there must be time for failures.
    let last = not_after.0 - life / 10;
    Timestamp(i64::try_from(moment).unwrap_or(last).min(last))
}

/// A number of its own for each certificate, spread evenly: the finalizer of MurmurHash3.
fn share(id: i64) -> u32 {
    let mut mixed = id as u64;
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ((mixed ^ (mixed >> 33)) >> 32) as u32
}

/// When an authority that said nothing, or has no ARI, is asked again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(6 * 60 * 60);
/// RFC 9773 §4.3.1: between a minute and a day.
pub(crate) const ASK_SOONEST: Duration = Duration::from_secs(60);
pub(crate) const ASK_LATEST: Duration = Duration::from_secs(24 * 60 * 60);

const MICROS: i64 = 1_000_000;
const SHORT_LIFE: i64 = 10 * 24 * 60 * 60 * MICROS;

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_trust::certificates::{CertificateState, Origin};

    const DAY: i64 = 24 * 60 * 60 * MICROS;

    fn certificate(id: i64, days: i64, window: Option<(i64, i64)>) -> Certificate {
        Certificate {
            id,
            line: "a".into(),
            key: 1,
            names: vec!["a".into()],
            chain: String::new(),
            origin: Origin::Acme,
            directory: String::new(),
            serial: String::new(),
            not_before: Timestamp(0),
            not_after: Timestamp(days * DAY),
            state: CertificateState::InUse,
            created: Timestamp(0),
            window: window.map(|(from, to)| (Timestamp(from * DAY), Timestamp(to * DAY))),
            window_ask: Timestamp(0),
        }
    }

    #[test]
    fn a_third_is_left_unless_the_authority_says_otherwise() {
        for (days, window, earliest, latest) in [
            (90, None, 57, 60),
            (6, None, 2, 3),
            (45, None, 28, 30),
            (90, Some((70, 72)), 70, 72),
            // Due at once.
            (90, Some((1, 2)), 1, 2),
            // Too late, or upside down.
            (90, Some((100, 120)), 81, 81),
            (90, Some((72, 70)), 57, 60),
        ] {
            let all: Vec<i64> = (0..500).map(|id| renew_at(&certificate(id * 7919, days, window)).0).collect();
            let (first, last) = (all.iter().min().expect("some"), all.iter().max().expect("some"));
            assert!(*first >= earliest * DAY && *last <= latest * DAY, "{days} {window:?}: {first} {last}");
            if earliest != latest {
                assert!(last - first > DAY / 20, "they are spread: {days} {window:?}");
            }
        }
    }
}
