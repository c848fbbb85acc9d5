//! What providers of OAuth 2.0 have granted for accounts elsewhere: those that are taken over, mirrored or collected from.
//!
//! A grant has the name of the account here and of the place there; it is sealed, renewed in time, and goes with the account.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postroad_oauth::{Granted, Http, Service, Tokens};
use postroad_queue::grants;
use postroad_remote::desk::Grants;
use postroad_remote::{Error, Result};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, Locks, Store, Timestamp, WriteTx};
use serde::{Deserialize, Serialize};

/// What a provider has granted, and how more is got.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Granting {
    pub(crate) token_url: String,
    pub(crate) client: String,
    pub(crate) secret: Option<String>,
    pub(crate) scope: String,
    pub(crate) access: String,
    pub(crate) lives_seconds: u64,
    pub(crate) refresh: Option<String>,
}

impl std::fmt::Debug for Granting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granting").field("token_url", &self.token_url).finish_non_exhaustive()
    }
}

impl Granting {
    /// A grant to keep under a name.
    pub(crate) fn sealed(self, sealer: &Sealer, name: &str, now: Timestamp) -> grants::Grant {
        let service = Service { token_url: self.token_url, device_url: None, scope: self.scope };
        let lives = Duration::from_secs(self.lives_seconds);
        let first = Granted { access: self.access, lives, refresh: self.refresh };
        postroad_oauth::store(sealer, name, &service, (&self.client, self.secret.as_deref()), &first, now)
    }
}

/// Files that tokens need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// The key that secrets are sealed with.
    pub(crate) key: PathBuf,
    /// The authorities that providers' certificates are verified with; none for the system's.
    pub(crate) authorities: Option<PathBuf>,
}

/// The grants of an account, for a desk.
pub(crate) struct Kept<'a> {
    pub(crate) store: &'a Store,
    pub(crate) account: AccountId,
    pub(crate) secrets: &'a Secrets,
}

impl Grants for Kept<'_> {
    fn token(&self, place: &str) -> Result<Option<String>> {
        let name = of_place(self.account, place);
        let named = name.clone();
        if self.store.read_blocking(move |tx| grants::find(tx, &named)).map_err(here)?.is_none() {
            return Ok(None);
        }
        let sealer = Sealer::open(&self.secrets.key)?;
        let http = Http::new(self.secrets.authorities.as_deref()).map_err(here)?;
        let tokens = Tokens::new(self.store.clone(), sealer, http, Arc::new(Timestamp::now));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let token = runtime.block_on(tokens.token(&name)).map_err(|error| no_token(&error))?;
        Ok(Some(token.text))
    }

    fn keep(&self, place: &str, granted: &[u8]) -> Result<()> {
        let granting: Granting = serde_json::from_slice(granted).map_err(here)?;
        let sealer = Sealer::open(&self.secrets.key)?;
        let grant = granting.sealed(&sealer, &of_place(self.account, place), Timestamp::now());
        self.store.write_blocking(Locks::none(), move |tx| grants::put(tx, &grant)).map_err(here)?;
        Ok(())
    }
}

/// Why there is no token, and whether there may be one later.
pub(crate) fn no_token(error: &postroad_oauth::Error) -> Error {
    match error {
        postroad_oauth::Error::Passing(why) => Error::Network(format!("no token is got: {why}")),
        lasting => Error::Here(format!("no token is got: {lasting}")),
    }
}

/// The name of a grant for a place that an account is taken over from or mirrored to.
fn of_place(account: AccountId, place: &str) -> String {
    format!("{}{place}", of_account(account))
}

/// The name of a grant for a place that is collected from.
pub(crate) fn of_collect(account: AccountId, id: i64) -> String {
    format!("{}collect {id}", of_account(account))
}

/// What the names of an account's grants begin with: no name of a route's domain has a blank.
fn of_account(account: AccountId) -> String {
    format!("account {} ", account.0)
}

/// Forgets the grants of an account.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId) -> postroad_mail::Result<()> {
    grants::remove_all(tx, &of_account(account)).map_err(of_queue)
}

/// Grants lie beside the queue.
pub(crate) fn of_queue(error: postroad_queue::Error) -> postroad_mail::Error {
    match error {
        postroad_queue::Error::Store(error) => error.into(),
        other @ (postroad_queue::Error::Recipients
        | postroad_queue::Error::Lost
        | postroad_queue::Error::Corrupt(_)) => postroad_mail::Error::Corrupt(other.to_string()),
    }
}

fn here(error: impl std::fmt::Display) -> Error {
    Error::Here(error.to_string())
}
