//! The settings of the gate: who is shut out, slowed down or asked about before mail is taken.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct GateSettings {
    pub(crate) trusted: Vec<String>,
    pub(crate) ban_points: u32,
    pub(crate) ban_minutes: u64,
    pub(crate) ban_longest_hours: u64,
}

impl Default for GateSettings {
    fn default() -> Self {
        GateSettings {
            trusted: ["127.0.0.0/8", "::1"].map(str::to_owned).into(),
            ban_points: 20,
            ban_minutes: 10,
            ban_longest_hours: 7 * 24,
        }
    }
}
