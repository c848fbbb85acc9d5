//! The settings of signing keys.

use std::time::Duration;

use postroad_trust::keys::Policy;
use serde::{Deserialize, Serialize};

use super::Settings;

/// How long mail may be under way once it has left.
const ELSEWHERE_DAYS: u32 = 7;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct SigningSettings {
    pub(crate) rotate_days: u32,
    pub(crate) retired_days: u32,
}

impl Default for SigningSettings {
    fn default() -> Self {
        SigningSettings { rotate_days: 180, retired_days: 14 }
    }
}

impl Settings {
    /// The same, with records wanted for no shorter than mail that was signed may be held, tried, and looked at elsewhere.
    pub(crate) fn signing(&self) -> SigningSettings {
        let held = u32::try_from(self.smtp.hold_days).unwrap_or(u32::MAX);
        let under_way = held.saturating_add(self.outbound.lifetime_hours.div_ceil(24)).saturating_add(ELSEWHERE_DAYS);
        SigningSettings { retired_days: self.signing.retired_days.max(under_way), ..self.signing.clone() }
    }
}

impl SigningSettings {
    /// What becomes of keys. `has_dns`: there is somebody to ask.
    pub(crate) fn policy(&self, has_dns: bool) -> Policy {
        let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        Policy {
            has_dns,
            rotate: (self.rotate_days > 0).then(|| days(self.rotate_days)),
            retire: days(self.retired_days),
            ..Policy::default()
        }
    }
}
