//! The access token that is good now.
//!
//! Invariants:
//! 1. One renewal at a time for a grant: tasks of this node wait for each other, nodes by the claim in the database.
//! 2. What a renewal brought is in the database, sealed, before it is used: a refresh token that rotated is never lost with
//!    the process, unless it ends between the provider's answer and COMMIT.
//! 3. A renewal that failed is not tried again at once by the next who wants a token; one that failed for good, never until
//!    somebody signs in again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postroad_queue::grants::{self, Grant, Renewed};
use postroad_store::seal::Sealer;
use postroad_store::{Locks, Store, Timestamp};
use serde_json::{Map, Value};

use crate::http::Http;
use crate::{Error, Result, Service};

/// Where tokens come from. Clones share it.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    sealer: Sealer,
    http: Http,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Who renews in this process.
    turns: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

/// An access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub text: String,
    version: i64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What a provider granted.
#[derive(Clone, PartialEq, Eq)]
pub struct Granted {
    /// The access token.
    pub access: String,
    /// For how long.
    pub lives: Duration,
    /// With what the next one is got.
    pub refresh: Option<String>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").field("lives", &self.lives).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens of the grants in `store`, unsealed with `sealer`.
    pub fn new(store: Store, sealer: Sealer, http: Http, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Tokens {
        Tokens { store, sealer, http, clock, turns: Arc::default() }
    }

    /// The token of a grant that is good now; renewed when it is about to end.
    pub async fn token(&self, name: &str) -> Result<Token> {
        let grant = self.grant(name).await?;
        if let Some(token) = self.in_use(&grant)? {
            return Ok(token);
        }
        let turn =
            Arc::clone(self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default());
        let _turn = turn.lock().await;
        for _ in 0..LOOKS {
            let grant = self.grant(name).await?;
            if let Some(token) = self.in_use(&grant)? {
                return Ok(token);
            }
            let now = (self.clock)();
            if grant.ended || grant.retry_at > now {
                let why = grant.trouble.clone().unwrap_or_default();
                let old = self.still_good(&grant, now)?;
                return old.ok_or(if grant.ended { Error::SignIn(why) } else { Error::Passing(why) });
            }
            let (named, version) = (name.to_owned(), grant.version);
            let claimed =
                self.store.write(Locks::none(), move |tx| grants::claim(tx, &named, version, now, now.plus(CLAIM)));
            if claimed.await?.value {
                return self.renew(&grant).await;
            }
            // Another node renews it.
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Error::Passing("another server has been renewing the token for too long".into()))
    }

    /// A host did not believe a token: the next use gets another, unless this one is new.
    pub async fn disbelieved(&self, name: &str, token: &Token) {
        let since = Timestamp((self.clock)().0 - micros(NEW));
        let (named, version) = (name.to_owned(), token.version);
        let noted = self.store.write(Locks::none(), move |tx| grants::disbelieved(tx, &named, version, since));
        if let Err(error) = noted.await {
            tracing::debug!(%error, "that a token was not believed is not noted");
        }
    }

    async fn grant(&self, name: &str) -> Result<Grant> {
        let named = name.to_owned();
        let found = self.store.read(move |tx| grants::find(tx, &named)).await?;
        found.ok_or_else(|| Error::Unknown(name.to_owned()))
    }

    /// The token, when it need not be renewed.
    fn in_use(&self, grant: &Grant) -> Result<Option<Token>> {
        if grant.renew_at > (self.clock)() { self.unsealed(grant) } else { Ok(None) }
    }

    /// The token, when it has not ended.
    fn still_good(&self, grant: &Grant, now: Timestamp) -> Result<Option<Token>> {
        if grant.expires > now { self.unsealed(grant) } else { Ok(None) }
    }

    fn unsealed(&self, grant: &Grant) -> Result<Option<Token>> {
        let text =
            grant.access.as_deref().map(|sealed| unseal(&self.sealer, &grant.name, "access", sealed)).transpose()?;
        Ok(text.map(|text| Token { text, version: grant.version }))
    }

    async fn renew(&self, grant: &Grant) -> Result<Token> {
        let asked = self.asked(grant).await;
        let now = (self.clock)();
        let (name, version) = (grant.name.clone(), grant.version);
        match asked {
            Ok(granted) => {
                let new = sealed(&self.sealer, &grant.name, &granted, now);
                let written = self.store.write(Locks::none(), move |tx| grants::renewed(tx, &name, version, &new, now));
                if written.await?.value {
                    return Ok(Token { text: granted.access, version: version + 1 });
                }
                Err(Error::Passing("somebody signed in anew meanwhile".into()))
            }
            Err(error) => {
                let ended = error.is_lasting();
                let why = match &error {
                    Error::SignIn(why) | Error::Passing(why) => why.clone(),
                    other => other.to_string(),
                };
                tracing::warn!(grant = name, %error, "the token of a grant could not be renewed");
                let written = self
                    .store
                    .write(Locks::none(), move |tx| grants::failed(tx, &name, version, &why, ended, now.plus(PAUSE)));
                written.await?;
                self.still_good(grant, now)?.ok_or(error)
            }
        }
    }

    /// RFC 6749 §6, or §4.4 without a refresh token.
    async fn asked(&self, grant: &Grant) -> Result<Granted> {
        let open = |what: &'static str, sealed: &Option<Vec<u8>>| {
            sealed.as_deref().map(|sealed| unseal(&self.sealer, &grant.name, what, sealed)).transpose()
        };
        let secret = open("client", &grant.client_secret)?;
        let refresh = open("refresh", &grant.refresh)?;
        let how = refresh.as_deref();
        ask(&self.http, &grant.token_url, &grant.client, secret.as_deref(), how, &grant.scope).await
    }
}

/// Asks for a token with a refresh token, or without one by the client's own secret.
pub async fn ask(
    http: &Http,
    token_url: &str,
    client: &str,
    secret: Option<&str>,
    refresh: Option<&str>,
    scope: &str,
) -> Result<Granted> {
    let mut form = vec![("client_id", client)];
    match refresh {
        // RFC 6749 §6: what was granted is asked for by leaving the scope out.
        Some(refresh) => form.extend([("grant_type", "refresh_token"), ("refresh_token", refresh)]),
        None => form.extend([("grant_type", "client_credentials"), ("scope", scope)]),
    }
    form.extend(secret.map(|secret| ("client_secret", secret)));
    let (status, answer) = http.post(token_url, &form).await?;
    if status == 200 { granted(&answer) } else { Err(complaint(status, &answer)) }
}

/// A grant to keep: how tokens are got, and what was granted first.
pub fn store(
    sealer: &Sealer,
    name: &str,
    service: &Service,
    (client, secret): (&str, Option<&str>),
    first: &Granted,
    now: Timestamp,
) -> Grant {
    let Renewed { access, renew_at, expires, refresh } = sealed(sealer, name, first, now);
    Grant {
        name: name.to_owned(),
        version: 0,
        token_url: service.token_url.clone(),
        client: client.to_owned(),
        scope: service.scope.clone(),
        client_secret: secret.map(|secret| sealer.seal(&purpose(name, "client"), secret.as_bytes())),
        refresh,
        access: Some(access),
        renewed: now,
        renew_at,
        expires,
        retry_at: Timestamp(0),
        ended: false,
        trouble: None,
    }
}

/// From when on a token that lives so long is to be renewed: a quarter of its life before, at most five minutes.
pub fn refreshed(now: Timestamp, lives: Duration) -> Timestamp {
    now.plus(lives - (lives / 4).min(MARGIN))
}

fn sealed(sealer: &Sealer, name: &str, granted: &Granted, now: Timestamp) -> Renewed {
    let seal = |what: &str, text: &str| sealer.seal(&purpose(name, what), text.as_bytes());
    Renewed {
        access: seal("access", &granted.access),
        renew_at: refreshed(now, granted.lives),
        expires: now.plus(granted.lives),
        refresh: granted.refresh.as_deref().map(|text| seal("refresh", text)),
    }
}

fn unseal(sealer: &Sealer, name: &str, what: &str, sealed: &[u8]) -> Result<String> {
    let octets = sealer.unseal(&purpose(name, what), sealed)?;
    String::from_utf8(octets).map_err(|_| Error::Here(format!("what was sealed for {name} is no text")))
}

/// One sealed for a grant opens for no other.
fn purpose(name: &str, what: &str) -> String {
    format!("oauth:{what}:{name}")
}

/// RFC 6749 §5.1.
pub(crate) fn granted(answer: &Map<String, Value>) -> Result<Granted> {
    let token = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| is_token(text)).map(str::to_owned);
    let kind = answer.get("token_type").and_then(Value::as_str).unwrap_or_default();
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(Error::Peer("its tokens are not bearer tokens".into()));
    }
    let access = token("access_token").ok_or_else(|| Error::Peer("it gives no access token".into()))?;
    let seconds = answer.get("expires_in").and_then(|value| match value {
        // Some write the number as text.
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let lives = Duration::from_secs(seconds.unwrap_or(LIFE).clamp(1, LIFE_MAX));
    Ok(Granted { access, lives, refresh: token("refresh_token") })
}

/// RFC 6749 appendix A.12: `1*VSCHAR`.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= TOKEN_MAX && text.bytes().all(|octet| (0x20..=0x7e).contains(&octet))
}

/// RFC 6749 §5.2: what a refusal means, and what to do.
pub(crate) fn complaint(status: u16, answer: &Map<String, Value>) -> Error {
    let printable = |key: &str| {
        let text = answer.get(key).and_then(Value::as_str).unwrap_or_default();
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect::<String>()
    };
    let (error, words) = (printable("error"), printable("error_description"));
    let words = if words.is_empty() { error.clone() } else { format!("{error}: {words}") };
    match error.as_str() {
        "invalid_grant" | "interaction_required" | "consent_required" | "login_required" => Error::SignIn(words),
        "invalid_client" | "unauthorized_client" | "invalid_scope" | "unsupported_grant_type" | "invalid_request" => {
            Error::Settings(words)
        }
        "temporarily_unavailable" | "server_error" | "slow_down" => Error::Passing(words),
        _ if status >= 500 || status == 429 => Error::Passing(format!("it answers {status} {words}")),
        _ => Error::Peer(format!("it answers {status} {words}")),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 6749 §5.1 recommends to say it; who does not mostly means an hour.
const LIFE: u64 = 3_600;
const LIFE_MAX: u64 = 30 * 24 * 3_600;
const TOKEN_MAX: usize = 16 * 1024;
const WORDS_MAX: usize = 200;
const MARGIN: Duration = Duration::from_secs(300);
/// A renewal takes no longer: the provider's time and the database's.
const CLAIM: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Together longer than a claim.
const LOOKS: u32 = 260;
/// After a renewal that failed.
const PAUSE: Duration = Duration::from_secs(30);
/// A token of this age was not believed for another reason than its age.
const NEW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_granted_is_read_and_bounded() {
        let good = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 3599, "refresh_token": "r" });
        for (change, expected) in [
            (json!({}), Some((3_599, true))),
            (json!({ "expires_in": "120" }), Some((120, true))),
            (json!({ "expires_in": null }), Some((3_600, true))),
            (json!({ "expires_in": 0 }), Some((1, true))),
            (json!({ "expires_in": u64::MAX }), Some((2_592_000, true))),
            (json!({ "refresh_token": "a\nb" }), Some((3_599, false))),
            (json!({ "access_token": "a\u{1}b" }), None),
            (json!({ "access_token": "" }), None),
            (json!({ "access_token": ["a"] }), None),
            (json!({ "token_type": "mac" }), None),
            (json!({ "access_token": "x".repeat(20_000) }), None),
        ] {
            let mut answer = good.as_object().expect("an object").clone();
            answer.extend(change.as_object().expect("an object").clone());
            let read = granted(&answer).ok().map(|granted| (granted.lives.as_secs(), granted.refresh.is_some()));
            assert_eq!(read, expected, "{change}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (status, error, lasting) in [
            (400, "invalid_grant", true),
            (401, "invalid_client", true),
            (400, "invalid_scope", true),
            (503, "temporarily_unavailable", false),
            (500, "", false),
            (429, "what", false),
            (400, "what", false),
        ] {
            let answer = json!({ "error": error, "error_description": "why\r\nmore" });
            let complaint = complaint(status, answer.as_object().expect("an object"));
            assert_eq!(complaint.is_lasting(), lasting, "{status} {error}");
            assert!(!complaint.to_string().contains(['\r', '\n']), "{complaint}");
        }
    }

    #[test]
    fn tokens_are_renewed_before_they_end() {
        for (lives, expected) in [(3_600, 3_300), (60, 45), (1_200, 900), (4, 3)] {
            let at = refreshed(Timestamp(0), Duration::from_secs(lives));
            assert_eq!(at.0, expected * 1_000_000, "{lives}");
        }
    }
}
