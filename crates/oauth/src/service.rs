//! Where a provider is, and what is asked of it.

use serde_json::{Map, Value};

use crate::http::{Http, checked};
use crate::{Error, Result};

/// A provider's end points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where tokens are got (RFC 6749 §3.2).
    pub token_url: String,
    /// Where a device asks (RFC 8628 §3.1); `None`: the provider lets none in for mail.
    pub device_url: Option<String>,
    /// What is asked for to send mail.
    pub scope: String,
}

impl Service {
    /// The one of a preset's name: `google`, or `microsoft` with `tenant` (else any).
    pub fn preset(name: &str, tenant: Option<&str>) -> Option<Service> {
        match name {
            // Google grants its scope for mail to no device: a refresh token comes from its pages.
            "google" => Some(Service {
                token_url: "https://oauth2.googleapis.com/token".into(),
                device_url: None,
                scope: "https://mail.google.com/".into(),
            }),
            "microsoft" => {
                let tenant = tenant.unwrap_or("common");
                let at = |what: &str| format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{what}");
                Some(Service {
                    token_url: at("token"),
                    device_url: Some(at("devicecode")),
                    scope: "https://outlook.office365.com/SMTP.Send offline_access".into(),
                })
            }
            _ => None,
        }
    }

    /// Asks an issuer where its end points are (RFC 8414 §3, OpenID Connect Discovery §4).
    pub async fn discover(http: &Http, issuer: &str, scope: &str) -> Result<Service> {
        let issuer = issuer.trim_end_matches('/');
        checked(issuer)?;
        let (status, found) = http.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if status != 200 {
            return Err(Error::Peer(format!("{issuer} answers {status} when asked for its end points")));
        }
        Service::read(&found, issuer, scope)
    }

    fn read(found: &Map<String, Value>, issuer: &str, scope: &str) -> Result<Service> {
        let text = |key: &str| found.get(key).and_then(Value::as_str).map(str::to_owned);
        // RFC 8414 §3.3: another one's end points would get our secret.
        if text("issuer").as_deref().map(|own| own.trim_end_matches('/')) != Some(issuer) {
            return Err(Error::Peer(format!("{issuer} says that it is another issuer")));
        }
        let token_url = text("token_endpoint").ok_or_else(|| Error::Peer(format!("{issuer} gives no tokens")))?;
        let device_url = text("device_authorization_endpoint");
        checked(&token_url)?;
        device_url.as_deref().map(checked).transpose()?;
        Ok(Service { token_url, device_url, scope: scope.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn presets_are_good_addresses() {
        for (name, tenant) in [("google", None), ("microsoft", None), ("microsoft", Some("example.org"))] {
            let service = Service::preset(name, tenant).expect("a preset");
            assert!(checked(&service.token_url).is_ok());
            assert!(service.device_url.as_deref().map(checked).transpose().is_ok());
        }
        assert_eq!(Service::preset("aol", None), None);
    }

    #[test]
    fn an_issuer_speaks_for_itself_and_in_tls() {
        let issuer = "https://id.test";
        let good = json!({ "issuer": "https://id.test/", "token_endpoint": "https://id.test/t",
            "device_authorization_endpoint": "https://id.test/d" });
        for (change, good_one) in [
            (json!({}), true),
            (json!({ "issuer": "https://other.test" }), false),
            (json!({ "issuer": 7 }), false),
            (json!({ "token_endpoint": "http://id.test/t" }), false),
            (json!({ "token_endpoint": null }), false),
            (json!({ "device_authorization_endpoint": "http://id.test/d" }), false),
            (json!({ "device_authorization_endpoint": null }), true),
        ] {
            let mut found = good.as_object().expect("an object").clone();
            found.extend(change.as_object().expect("an object").clone());
            assert_eq!(Service::read(&found, issuer, "mail").is_ok(), good_one, "{change}");
        }
    }
}
