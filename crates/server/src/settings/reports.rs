//! `[reports]`: what others are told about mail.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ReportSettings {
    pub(crate) dmarc: bool,
    pub(crate) tls: bool,
    pub(crate) failures: Failures,
    pub(crate) failures_per_day: u32,
}

/// How much of single messages the owners of domains are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failures {
    Off,
    Headers,
    Full,
}

impl From<Failures> for postroad_mta::checks::Failures {
    fn from(failures: Failures) -> Self {
        match failures {
            Failures::Off => postroad_mta::checks::Failures::Off,
            Failures::Headers => postroad_mta::checks::Failures::Headers,
            Failures::Full => postroad_mta::checks::Failures::Full,
        }
    }
}

impl Default for ReportSettings {
    fn default() -> Self {
        ReportSettings { dmarc: true, tls: true, failures: Failures::Off, failures_per_day: 20 }
    }
}
