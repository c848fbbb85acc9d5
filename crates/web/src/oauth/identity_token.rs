//! Who somebody is, signed: the id_token, and the keys that sign it.
//!
//! Standards: OpenID Connect Core 1.0 §2, §3.1.3.6 and §10.1.1; RFC 8176 (amr).

use std::sync::Arc;
use std::time::Duration;

use postroad_identity::clients::Client;
use postroad_identity::codes::Subject;
use postroad_identity::signing::{self, Signer, Stored};
use postroad_identity::{Error, Scope, Scopes};
use postroad_mail::accounts::{self, Account};
use postroad_store::{Locks, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Provider;

/// The keys, read now and then.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Option<Known>>);

#[derive(Debug, Clone)]
struct Known {
    stored: Arc<Vec<Stored>>,
    signer: Arc<Signer>,
    read: Timestamp,
}

impl Keys {
    /// The set that others verify with.
    pub(crate) async fn shown(&self, provider: &Provider) -> Result<Value, Error> {
        Ok(signing::jwks(&self.known(provider).await?.stored))
    }

    /// An id_token for a client.
    pub(crate) async fn identity_token(
        &self,
        provider: &Provider,
        client: &Client,
        scopes: &Scopes,
        subject: &Subject,
    ) -> Result<String, Error> {
        let account = subject.account;
        let account = provider.store.read(move |tx| accounts::by_id(tx, account)).await?;
        let account = account.ok_or(Error::NotFound(postroad_mail::What::Account))?;
        let now = provider.now();
        let mut claims = about(&account, scopes);
        claims["iss"] = json!(provider.settings.issuer);
        claims["aud"] = json!(client.id);
        claims["iat"] = json!(seconds(now));
        claims["exp"] = json!(seconds(now.plus(GOOD_FOR)));
        claims["auth_time"] = json!(seconds(subject.authenticated));
        claims["amr"] = json!(subject.steps.split_ascii_whitespace().collect::<Vec<_>>());
        if subject.steps.split_ascii_whitespace().any(|step| step == "mfa") {
            claims["acr"] = json!(SEVERAL_STEPS);
        }
        if let Some(nonce) = &subject.nonce {
            claims["nonce"] = json!(nonce);
        }
        self.known(provider).await?.signer.sign(&claims)
    }

    async fn known(&self, provider: &Provider) -> Result<Known, Error> {
        let mut known = self.0.lock().await;
        let now = provider.now();
        if let Some(known) = &*known
            && now.minus(READ_EVERY) < known.read
        {
            return Ok(known.clone());
        }
        let mut stored = provider.store.read(signing::keys).await?;
        if signing::wants_new(&stored, now) {
            let sealer = provider.sealer.clone();
            let made = tokio::task::spawn_blocking(move || signing::make(&sealer)).await;
            let fresh = made.map_err(|error| Error::Corrupt(format!("making a key: {error}")))??;
            let put = provider.store.write(Locks::named(signing::LOCK), move |tx| signing::put(tx, &fresh, now));
            put.await?;
            stored = provider.store.read(signing::keys).await?;
        }
        let wanted = signing::signer(&stored, now).ok_or_else(|| Error::Corrupt("no key that signs is kept".into()))?;
        let signer = match known.as_ref().filter(|known| known.signer.is(wanted)) {
            Some(known) => Arc::clone(&known.signer),
            None => Arc::new(Signer::open(wanted, &provider.sealer)?),
        };
        let fresh = Known { stored: Arc::new(stored), signer, read: now };
        *known = Some(fresh.clone());
        Ok(fresh)
    }
}

/// What may be known of somebody (OpenID Connect Core 1.0 §5.4). The subject is the account's number, which is never
/// given twice, and not its address, which may change hands.
pub(crate) fn about(account: &Account, scopes: &Scopes) -> Value {
    let mut claims = json!({ "sub": account.id.to_string() });
    if scopes.has(Scope::Email) {
        claims["email"] = json!(account.address.to_string());
        claims["email_verified"] = json!(true);
    }
    if scopes.has(Scope::Profile) && !account.display_name.is_empty() {
        claims["name"] = json!(account.display_name);
    }
    claims
}

pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

/// That more than one thing was shown, as other providers call it (OpenID Provider Authentication Policy Extension 1.0).
pub(super) const SEVERAL_STEPS: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);
const READ_EVERY: Duration = Duration::from_secs(5 * 60);
