//! `[reports]`: what others are told about mail.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ReportSettings {
    pub(crate) dmarc: bool,
    pub(crate) tls: bool,
}

impl Default for ReportSettings {
    fn default() -> Self {
        ReportSettings { dmarc: true, tls: true }
    }
}
