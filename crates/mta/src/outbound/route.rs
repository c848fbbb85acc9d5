//! The way of a job: where the DNS says, or where a route says.

use std::collections::HashMap;
use std::sync::Arc;

use postroad_queue::{Route, RouteTls};
use postroad_sasl::Secret;
use postroad_smtp::client::{Login, TlsWish};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// As well as the host can; when that fails, in clear.
    Opportunistic,
    /// TLS with any certificate.
    Required,
    /// TLS with a certificate that is verified for the host's name.
    Verified,
    /// The same, from the first octet.
    Implicit,
}

impl Protection {
    /// Whether the certificate has to convince.
    pub(crate) fn verify(self) -> bool {
        match self {
            Protection::None | Protection::Opportunistic | Protection::Required => false,
            Protection::Verified | Protection::Implicit => true,
        }
    }

    /// What the session is told.
    pub(crate) fn wish(self) -> TlsWish {
        match self {
            Protection::None => TlsWish::Never,
            Protection::Opportunistic => TlsWish::IfOffered,
            Protection::Required | Protection::Verified => TlsWish::Required,
            Protection::Implicit => TlsWish::Implicit,
        }
    }

    /// Whether nothing leaves without TLS.
    pub(crate) fn is_needed(self) -> bool {
        match self {
            Protection::None | Protection::Opportunistic => false,
            Protection::Required | Protection::Verified | Protection::Implicit => true,
        }
    }

    /// Whether clear text will do when TLS fails.
    pub(crate) fn may_fall_back(self) -> bool {
        self == Protection::Opportunistic
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

/// How the route wants connections to be protected.
pub(crate) fn protection(route: &Route) -> Protection {
    match route.tls {
        RouteTls::None => Protection::None,
        RouteTls::Opportunistic => Protection::Opportunistic,
        RouteTls::Required => Protection::Required,
        RouteTls::Verified => Protection::Verified,
        RouteTls::Implicit => Protection::Implicit,
    }
}

/// Who we are at the route's host.
pub(crate) fn login(route: &Route) -> Option<Login> {
    let login = route.login.as_ref()?;
    Some(Login { user: login.user.clone(), password: Secret::new(login.password.clone()) })
}
