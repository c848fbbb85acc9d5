//! The way of a job: where the DNS says, or where a route says; and how connections on it are protected.

use std::collections::HashMap;
use std::sync::Arc;

use postroad_queue::{Route, RouteTls};
use postroad_smtp::client::TlsWish;

use super::security::dane::Records;
use super::tls::Trust;

/// How a connection is protected. Two that are protected alike are interchangeable, and only those.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// As well as the host can; when that fails, in clear.
    Opportunistic,
    /// The same, and it is told what authorities would say (MTA-STS in testing).
    Watched,
    /// TLS with any certificate.
    Required,
    /// TLS with a certificate that is verified for the host's name.
    Verified,
    /// The same, from the first octet.
    Implicit,
    /// TLS with a certificate that is what TLSA records say.
    Dane(Arc<Records>),
}

impl Protection {
    /// Whose word is taken for who the host is.
    pub(crate) fn trust(&self) -> Trust {
        match self {
            Protection::None | Protection::Opportunistic | Protection::Required => Trust::Anybody,
            Protection::Watched => Trust::Watched,
            Protection::Verified | Protection::Implicit => Trust::Authorities,
            Protection::Dane(records) => Trust::Dane(Arc::clone(records)),
        }
    }

    /// Whether it has to be known who the host is.
    pub(crate) fn authenticates(&self) -> bool {
        match self {
            Protection::None | Protection::Opportunistic | Protection::Watched | Protection::Required => false,
            Protection::Verified | Protection::Implicit | Protection::Dane(_) => true,
        }
    }

    /// What the session is told.
    pub(crate) fn wish(&self) -> TlsWish {
        match self {
            Protection::None => TlsWish::Never,
            Protection::Opportunistic | Protection::Watched => TlsWish::IfOffered,
            Protection::Required | Protection::Verified | Protection::Dane(_) => TlsWish::Required,
            Protection::Implicit => TlsWish::Implicit,
        }
    }

    /// Whether nothing leaves without TLS.
    pub(crate) fn is_needed(&self) -> bool {
        match self {
            Protection::None | Protection::Opportunistic | Protection::Watched => false,
            Protection::Required | Protection::Verified | Protection::Implicit | Protection::Dane(_) => true,
        }
    }

    /// Whether clear text will do when TLS fails.
    pub(crate) fn may_fall_back(&self) -> bool {
        match self {
            Protection::Opportunistic | Protection::Watched => true,
            Protection::None
            | Protection::Required
            | Protection::Verified
            | Protection::Implicit
            | Protection::Dane(_) => false,
        }
    }
}

/// The routes as of one look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Arc<HashMap<String, Arc<Route>>>);

impl Routes {
    pub(crate) fn new(routes: Vec<Route>) -> Routes {
        Routes(Arc::new(routes.into_iter().map(|route| (route.domain.clone(), Arc::new(route))).collect()))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The domain's own, or that for everything.
    pub(crate) fn of(&self, domain: &str) -> Option<Arc<Route>> {
        self.0.get(domain).or_else(|| self.0.get("*")).cloned()
    }
}

/// How the route wants connections to be protected; `None`: as the TLSA records of its host say, and not without.
pub(crate) fn protection(route: &Route) -> Option<Protection> {
    Some(match route.tls {
        RouteTls::None => Protection::None,
        RouteTls::Opportunistic => Protection::Opportunistic,
        RouteTls::Required => Protection::Required,
        RouteTls::Verified => Protection::Verified,
        RouteTls::Implicit => Protection::Implicit,
        RouteTls::Dane => return None,
    })
}
