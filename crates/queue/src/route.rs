//! Fixed next hosts: where mail for a domain goes instead of where DNS says.
use std::fmt;

use postroad_store::{ReadTx, Timestamp, WriteTx};

use crate::Result;

/// Where mail for a domain goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Route {
    /// The domain in its canonical form, or `*` for all that have no route of their own.
    pub domain: String,
    /// A name or an address literal without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: RouteTls,
    /// Certificates (PEM) to verify with instead of the system's.
    pub ca: Option<String>,
    /// Who we are there.
    pub login: Option<RouteLogin>,
}

/// A user and a password; the password is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RouteLogin {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

/// How the connection to a fixed host is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteTls {
    /// Not at all.
    None,
    /// STARTTLS when offered, without verification; else in clear.
    #[default]
    Opportunistic,
    /// STARTTLS, without verification.
    Required,
    /// STARTTLS, the certificate verified.
    Verified,
    /// TLS from the first byte, the certificate verified.
    Implicit,
}

impl fmt::Debug for RouteLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route { domain, host, port, tls, ca, login } = self;
        write!(f, "Route {{ {domain} to {host}:{port}, {tls:?}, own ca: {}, {login:?} }}", ca.is_some())
    }
}

/// Makes or replaces the route of its domain; mail that waits for it is tried at once.
pub fn put_route(_tx: &mut WriteTx, _route: &Route, _now: Timestamp) -> Result<()> {
    unimplemented!()
}

/// Removes a route; says whether there was one.
pub fn delete_route(_tx: &mut WriteTx, _domain: &str, _now: Timestamp) -> Result<bool> {
    unimplemented!()
}

/// The route for a domain: its own, else `*`.
pub fn route_for(_tx: &ReadTx, _domain: &str) -> Result<Option<Route>> {
    unimplemented!()
}

/// All routes, `*` first.
pub fn routes(_tx: &ReadTx) -> Result<Vec<Route>> {
    unimplemented!()
}
