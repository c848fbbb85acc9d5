//! The first token, with somebody's consent: a code is shown, and typed in wherever there is a browser.
//!
//! Standards: RFC 8628.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::http::Http;
use crate::tokens::{Granted, complaint, granted};
use crate::{Error, Result, Service};

/// What is shown to whom is to consent.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    device_code: String,
    /// What is typed.
    pub user_code: String,
    /// Where.
    pub place: String,
    /// The same with the code in it, where the provider gives that.
    pub complete: Option<String>,
    /// For how long.
    pub within: Duration,
    /// How long to wait between two looks.
    pub pause: Duration,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("place", &self.place).field("within", &self.within).finish_non_exhaustive()
    }
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Nobody has decided yet.
    Waiting,
    /// The same, and the provider wants longer pauses: [`Asked::pause`] has been made longer.
    Slower,
    /// There is a token.
    Granted(Granted),
}

/// Asks for a code.
pub async fn begin(http: &Http, service: &Service, client: &str, secret: Option<&str>) -> Result<Asked> {
    let url = service.device_url.as_deref().ok_or_else(|| {
        Error::Settings(
            "this provider lets no device sign in for mail; give a refresh token with --refresh-token-file".into(),
        )
    })?;
    let mut form = vec![("client_id", client), ("scope", service.scope.as_str())];
    form.extend(secret.map(|secret| ("client_secret", secret)));
    let (status, answer) = http.post(url, &form).await?;
    if status != 200 {
        return Err(complaint(status, &answer));
    }
    read(&answer)
}

fn read(answer: &Map<String, Value>) -> Result<Asked> {
    let unclear = |what: &str| Error::Peer(format!("it gives no {what}"));
    let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| fits(text));
    let seconds = |key: &str| answer.get(key).and_then(Value::as_u64);
    // Some older providers write verification_url.
    let place = text("verification_uri").or_else(|| text("verification_url")).ok_or_else(|| unclear("address"))?;
    let within = seconds("expires_in").unwrap_or(WITHIN).clamp(1, WITHIN_MAX);
    // RFC 8628 §3.2: without one, 5 seconds.
    let pause = seconds("interval").unwrap_or(5).clamp(1, PAUSE_MAX);
    Ok(Asked {
        device_code: text("device_code").ok_or_else(|| unclear("code"))?.to_owned(),
        user_code: text("user_code").ok_or_else(|| unclear("code to type"))?.to_owned(),
        place: place.to_owned(),
        complete: text("verification_uri_complete").map(str::to_owned),
        within: Duration::from_secs(within),
        pause: Duration::from_secs(pause),
    })
}

/// What is printed on a terminal is text of one line.
fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_MAX && text.chars().all(|c| !c.is_control())
}

/// Looks whether there is a token.
pub async fn look(
    http: &Http,
    service: &Service,
    client: &str,
    secret: Option<&str>,
    asked: &mut Asked,
) -> Result<Look> {
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", asked.device_code.as_str()),
        ("client_id", client),
    ];
    form.extend(secret.map(|secret| ("client_secret", secret)));
    let (status, answer) = match http.post(&service.token_url, &form).await {
        // RFC 8628 §3.5: after a connection that failed, looks become rarer.
        Err(Error::Passing(_)) => {
            asked.pause = (asked.pause * 2).min(Duration::from_secs(PAUSE_MAX));
            return Ok(Look::Slower);
        }
        other => other?,
    };
    if status == 200 {
        return granted(&answer).map(Look::Granted);
    }
    match answer.get("error").and_then(Value::as_str) {
        Some("authorization_pending") => Ok(Look::Waiting),
        Some("slow_down") => {
            asked.pause = (asked.pause + Duration::from_secs(5)).min(Duration::from_secs(PAUSE_MAX));
            Ok(Look::Slower)
        }
        Some("access_denied") => Err(Error::SignIn("it was refused on the provider's page".into())),
        Some("expired_token") => Err(Error::SignIn("nobody typed the code in time".into())),
        Some(_) | None => Err(complaint(status, &answer)),
    }
}

const WITHIN: u64 = 600;
const WITHIN_MAX: u64 = 3_600;
const PAUSE_MAX: u64 = 60;
const TEXT_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_provider_says_is_bounded() {
        let good = json!({ "device_code": "d", "user_code": "ABCD", "verification_uri": "https://id.test/d" });
        for (change, expected) in [
            (json!({}), Some((600, 5))),
            (json!({ "expires_in": 900, "interval": 1 }), Some((900, 1))),
            (json!({ "expires_in": u64::MAX, "interval": 0 }), Some((3_600, 1))),
            (json!({ "interval": 1_000_000 }), Some((600, 60))),
            (json!({ "user_code": "AB\u{1b}[2JCD" }), None),
            (json!({ "user_code": "" }), None),
            (json!({ "device_code": 7 }), None),
            (json!({ "verification_uri": null }), None),
            (json!({ "verification_uri": null, "verification_url": "https://id.test/e" }), Some((600, 5))),
        ] {
            let mut answer = good.as_object().expect("an object").clone();
            answer.extend(change.as_object().expect("an object").clone());
            let read = read(&answer).ok().map(|asked| (asked.within.as_secs(), asked.pause.as_secs()));
            assert_eq!(read, expected, "{change}");
        }
    }
}
