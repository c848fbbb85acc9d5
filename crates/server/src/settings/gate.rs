//! The settings of the gate: who is shut out, slowed down or asked about before mail is taken.

use std::time::Duration;

use postroad_trust::greylist::Terms;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct GateSettings {
    pub(crate) trusted: Vec<String>,
    pub(crate) ban_points: u32,
    pub(crate) ban_minutes: u64,
    pub(crate) ban_longest_hours: u64,
    pub(crate) greeting_wait_milliseconds: u64,
    pub(crate) greeting_waits_at_once: usize,
    pub(crate) early_talkers: EarlyTalkers,
    pub(crate) messages_per_client: u32,
    pub(crate) messages_per_network: u32,
    pub(crate) messages_per_sender: u32,
    pub(crate) messages_per_recipient: u32,
    pub(crate) score_reject: i32,
    pub(crate) score_junk: i32,
    pub(crate) greylist: GreylistSettings,
}

/// Who is asked to come again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct GreylistSettings {
    pub(crate) mode: GreylistMode,
    pub(crate) wait_minutes: u32,
    pub(crate) come_back_hours: u32,
    pub(crate) remember_days: u32,
    pub(crate) messages_to_be_known: u32,
}

/// Which strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GreylistMode {
    /// None.
    Off,
    /// Those with something against them.
    Suspicious,
    /// All.
    All,
}

impl GreylistSettings {
    /// How long, and how often.
    pub(crate) fn terms(&self) -> Terms {
        let minutes = |minutes: u32| Duration::from_secs(60 * u64::from(minutes));
        Terms {
            wait: minutes(self.wait_minutes),
            come_back: 60 * minutes(self.come_back_hours),
            remember: 24 * 60 * minutes(self.remember_days),
            enough: self.messages_to_be_known.max(1),
        }
    }
}

impl Default for GreylistSettings {
    fn default() -> Self {
        GreylistSettings {
            mode: GreylistMode::Off,
            wait_minutes: 5,
            come_back_hours: 48,
            remember_days: 40,
            messages_to_be_known: 5,
        }
    }
}

/// What becomes of clients that speak before the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EarlyTalkers {
    /// They are sent away.
    Refuse,
    /// The story of their mail says so.
    Tag,
}

impl Default for GateSettings {
    fn default() -> Self {
        GateSettings {
            trusted: ["127.0.0.0/8", "::1"].map(str::to_owned).into(),
            ban_points: 20,
            ban_minutes: 10,
            ban_longest_hours: 7 * 24,
            greeting_wait_milliseconds: 300,
            greeting_waits_at_once: 2_000,
            early_talkers: EarlyTalkers::Refuse,
            messages_per_client: 10_000,
            messages_per_network: 50_000,
            messages_per_sender: 5_000,
            messages_per_recipient: 1_000,
            score_reject: 0,
            score_junk: 0,
            greylist: GreylistSettings::default(),
        }
    }
}

/// A list in the DNS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DnsblSettings {
    pub(crate) zone: String,
    #[serde(default)]
    pub(crate) kind: DnsblKind,
    #[serde(default)]
    pub(crate) codes: Vec<String>,
    #[serde(default)]
    pub(crate) action: DnsblAction,
    #[serde(default)]
    pub(crate) weight: i32,
}

/// What a list lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DnsblKind {
    /// Bad clients.
    #[default]
    Block,
    /// Good clients.
    Allow,
    /// Domains of bad senders.
    Domain,
}

/// What becomes of mail of whom it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DnsblAction {
    /// Refused.
    #[default]
    Reject,
    /// Into Junk.
    Junk,
    /// A header field.
    Tag,
    /// The weight counts.
    Score,
}
