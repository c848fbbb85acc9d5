//! What is asked or ordered about how mail leaves.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// As the administrator wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ShapingOrder {
    Suppressed {
        limit: u32,
        after: Option<String>,
    },
    SuppressionShow {
        address: String,
    },
    Suppress {
        address: String,
        scope: String,
        why: String,
        days: Option<u32>,
    },
    Unsuppress {
        address: String,
        scope: Option<String>,
    },
    Rules,
    Rule {
        scope: String,
        failures: Option<u32>,
        apart_hours: Option<u32>,
        days: Option<u32>,
        usual: bool,
    },
    Import {
        lines: Vec<String>,
        scope: String,
        source: String,
    },
    /// `first`: with the line of names.
    Export {
        after: Option<(String, String)>,
        first: bool,
    },
    Limits,
    LimitSet {
        pattern: String,
        connections: Option<u32>,
        per_connection: Option<u32>,
        per_minute: Option<u32>,
        recipients: Option<u32>,
    },
    LimitRemove {
        pattern: String,
    },
    Egress,
    EgressSet {
        address: IpAddr,
        pool: String,
        weight: u32,
        helo: Option<String>,
        new: bool,
    },
    EgressRemove {
        address: IpAddr,
    },
    /// An empty pool takes the choice back.
    EgressChoose {
        by: String,
        name: String,
        pool: String,
    },
}
