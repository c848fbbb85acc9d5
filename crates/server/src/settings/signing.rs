//! The settings of signing keys.

use std::time::Duration;

use postroad_trust::keys::Policy;
use serde::{Deserialize, Serialize};

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
