//! `postroad route login`: a provider's consent is got here, with the network of whoever runs the command; what was granted
//! goes to the running server, or straight to the store, and is sealed there.

use std::process::ExitCode;

use anyhow::Result;

use super::administer::{ask, show};
use super::consent::{self, Provider, Scopes};
use crate::admin::{LoginWish, Operation};
use crate::cli::{Output, Place, RouteLogin};
use crate::place;

/// What sending is called.
const SCOPES: Scopes =
    Scopes { own: "mail:smtp offline_access", microsoft: "https://outlook.office365.com/SMTP.Send offline_access" };

pub(super) fn login(asked: &RouteLogin, at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let provider = Provider {
        name: &asked.provider,
        tenant: asked.tenant.as_deref(),
        client: &asked.client_id,
        secret_file: asked.client_secret_file.as_deref(),
        scope: asked.scope.as_deref(),
        refresh_token_file: asked.refresh_token_file.as_deref(),
        client_credentials: asked.client_credentials,
    };
    let granting = consent::got(&provider, &SCOPES, &settings)?;
    let (domain, user) = (asked.domain.clone(), asked.user.clone());
    let login = LoginWish { domain, user, granting, key: place::secret_key(&settings) };
    Ok(show(&ask(Operation::RouteLogin { login }, &settings)?, output))
}
