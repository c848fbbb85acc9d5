//! Fixed next hosts: where mail for a domain goes instead of where DNS says.

use std::fmt;

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use crate::{Error, Result};

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

/// A user and what is shown for it; a password is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RouteLogin {
    /// The user.
    pub user: String,
    /// What is shown.
    pub credential: RouteCredential,
}

/// What is shown to a fixed host.
#[derive(Clone, PartialEq, Eq)]
pub enum RouteCredential {
    /// A password.
    Password(String),
    /// An access token (OAuth 2.0) of the grant with this name.
    Grant(String),
}

impl RouteLogin {
    /// With a password.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> RouteLogin {
        RouteLogin { user: user.into(), credential: RouteCredential::Password(password.into()) }
    }

    /// With tokens of a grant.
    pub fn grant(user: impl Into<String>, grant: impl Into<String>) -> RouteLogin {
        RouteLogin { user: user.into(), credential: RouteCredential::Grant(grant.into()) }
    }
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
    /// STARTTLS, the certificate as the host's TLSA records say (RFC 7672); without such records, not at all.
    Dane,
}

impl fmt::Debug for RouteLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RouteLogin");
        shown.field("user", &self.user);
        if let RouteCredential::Grant(name) = &self.credential {
            shown.field("grant", name);
        }
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route { domain, host, port, tls, ca, login } = self;
        write!(f, "Route {{ {domain} to {host}:{port}, {tls:?}, own ca: {}, {login:?} }}", ca.is_some())
    }
}

impl RouteTls {
    /// All, from the least protection to the most.
    pub const ALL: [RouteTls; 6] = [
        RouteTls::None,
        RouteTls::Opportunistic,
        RouteTls::Required,
        RouteTls::Verified,
        RouteTls::Implicit,
        RouteTls::Dane,
    ];

    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            RouteTls::None => "none",
            RouteTls::Opportunistic => "opportunistic",
            RouteTls::Required => "required",
            RouteTls::Verified => "verified",
            RouteTls::Implicit => "implicit",
            RouteTls::Dane => "dane",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<RouteTls> {
        RouteTls::ALL.into_iter().find(|tls| tls.name() == name)
    }
}

/// Makes or replaces the route of its domain; what waits for it is tried at once. Says whether there was one before.
pub fn put_route(tx: &mut WriteTx, route: &Route, now: Timestamp) -> Result<bool> {
    let known = delete(tx, &route.domain)?;
    let (password, grant) = match route.login.as_ref().map(|login| &login.credential) {
        Some(RouteCredential::Password(password)) => (Some(password.as_str()), None),
        Some(RouteCredential::Grant(name)) => (None, Some(name.as_str())),
        None => (None, None),
    };
    tx.execute(
        "INSERT INTO queue_route (domain, host, port, tls, ca, login, password, token_grant)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (domain) DO UPDATE SET host = excluded.host, port = excluded.port, tls = excluded.tls,
            ca = excluded.ca, login = excluded.login, password = excluded.password, token_grant = excluded.token_grant",
        params![
            &route.domain,
            &route.host,
            route.port,
            route.tls.name(),
            route.ca.as_deref(),
            route.login.as_ref().map(|login| login.user.as_str()),
            password,
            grant,
        ],
    )?;
    try_again(tx, &route.domain, now)?;
    Ok(known)
}

/// Removes a route; what waits for it is tried at once. Says whether there was one.
pub fn delete_route(tx: &mut WriteTx, domain: &str, now: Timestamp) -> Result<bool> {
    let known = delete(tx, domain)?;
    if known {
        try_again(tx, domain, now)?;
    }
    Ok(known)
}

fn delete(tx: &mut WriteTx, domain: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM queue_route WHERE domain = $1", params![domain])? > 0)
}

/// What could not be reached the old way may be reached the new one.
fn try_again(tx: &mut WriteTx, domain: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE queue_destination SET not_before = $1 WHERE not_before > $1 AND ($2 = '*' OR domain = $2)",
        params![now, domain],
    )?;
    crate::news(tx);
    Ok(())
}

/// The route for a domain: its own, else `*`.
pub fn route_for(tx: &ReadTx, domain: &str) -> Result<Option<Route>> {
    let sql = format!("SELECT {COLUMNS} FROM queue_route WHERE domain = $1 OR domain = '*' ORDER BY domain DESC");
    // `*` sorts before all letters and digits.
    tx.row(&sql, params![domain], read)?.transpose()
}

/// All routes, `*` first.
pub fn routes(tx: &ReadTx) -> Result<Vec<Route>> {
    let sql = format!("SELECT {COLUMNS} FROM queue_route ORDER BY domain");
    tx.rows(&sql, params![], read)?.into_iter().collect()
}

fn read(row: &postroad_store::Row<'_>) -> postroad_store::Result<Result<Route>> {
    let (domain, port, tls) = (row.text(0)?, row.int(2)?, row.text(3)?);
    let (Ok(port), Some(tls)) = (u16::try_from(port), RouteTls::from_name(&tls)) else {
        return Ok(Err(Error::Corrupt(format!("the route of {domain}: port {port}, tls {tls}"))));
    };
    let login = match (row.text_or_null(5)?, row.text_or_null(6)?, row.text_or_null(7)?) {
        (Some(user), _, Some(grant)) => Some(RouteLogin::grant(user, grant)),
        (Some(user), Some(password), None) => Some(RouteLogin::password(user, password)),
        (Some(_) | None, _, _) => None,
    };
    Ok(Ok(Route { domain, host: row.text(1)?, port, tls, ca: row.text_or_null(4)?, login }))
}

const COLUMNS: &str = "domain, host, port, tls, ca, login, password, token_grant";
