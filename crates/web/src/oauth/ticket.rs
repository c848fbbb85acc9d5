//! Where somebody goes once they have logged in, sealed: so it is one of our own pages, with the request as it came, and
//! nobody else can make one up. Nothing is kept for it in the database, and any node can read it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_store::Timestamp;
use postroad_store::seal::Sealer;
use serde_json::{Value, json};
use std::time::Duration;

use super::Provider;
use super::form::Form;

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Their own page.
    Account,
    /// The page of the second step.
    SecondStep,
    /// The page where passwords of programs are made.
    AppPassword,
    /// The page where passkeys are made.
    Passkey,
    /// The page where a device is let in, with the code as typed.
    Device { code: String },
    /// What a program asked for: the query as it came, and when.
    Authorize { query: String, asked: Timestamp },
}

impl Goal {
    pub(crate) fn ticket(&self, sealer: &Sealer, now: Timestamp) -> String {
        let goal = match self {
            Goal::Account => json!({ "to": "account" }),
            Goal::SecondStep => json!({ "to": "second-step" }),
            Goal::AppPassword => json!({ "to": "app-password" }),
            Goal::Passkey => json!({ "to": "passkey" }),
            Goal::Device { code } => json!({ "to": "device", "code": code }),
            Goal::Authorize { query, asked } => json!({ "to": "authorize", "query": query, "asked": asked.0 }),
        };
        let text = json!({ "made": now.0, "goal": goal }).to_string();
        URL_SAFE_NO_PAD.encode(sealer.seal(PURPOSE, text.as_bytes()))
    }

    /// That of the ticket that a form carries.
    pub(crate) fn of_form(form: &Form, provider: &Provider) -> Option<Goal> {
        Goal::of_ticket(form.get("ticket")?, &provider.sealer, provider.now())
    }

    /// `None` for what is no ticket of ours, or an old one.
    pub(crate) fn of_ticket(text: &str, sealer: &Sealer, now: Timestamp) -> Option<Goal> {
        if text.len() > TICKET_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let value: Value = serde_json::from_slice(&sealer.unseal(PURPOSE, &sealed).ok()?).ok()?;
        let made = Timestamp(value["made"].as_i64()?);
        if now.minus(GOOD_FOR) > made {
            return None;
        }
        let goal = &value["goal"];
        let text = |name: &str| goal[name].as_str().map(str::to_owned);
        match goal["to"].as_str()? {
            "account" => Some(Goal::Account),
            "second-step" => Some(Goal::SecondStep),
            "app-password" => Some(Goal::AppPassword),
            "passkey" => Some(Goal::Passkey),
            "device" => Some(Goal::Device { code: text("code")? }),
            "authorize" => Some(Goal::Authorize { query: text("query")?, asked: Timestamp(goal["asked"].as_i64()?) }),
            _ => None,
        }
    }
}

const PURPOSE: &str = "oauth:ticket";
/// A log-in page may stand open for so long.
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);
/// Longer texts are none of ours.
const TICKET_MAX: usize = 12 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_ours_and_young_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("a key");
        let other = Sealer::open(&folder.path().join("other.key")).expect("a key");
        for goal in [
            Goal::Account,
            Goal::SecondStep,
            Goal::AppPassword,
            Goal::Passkey,
            Goal::Device { code: "BCDF-GHJK".into() },
            Goal::Authorize { query: "client_id=a&state=\"ü".into(), asked: Timestamp(5) },
        ] {
            let text = goal.ticket(&sealer, Timestamp(7));
            assert_eq!(Goal::of_ticket(&text, &sealer, Timestamp(8)), Some(goal));
            assert_eq!(Goal::of_ticket(&text, &other, Timestamp(8)), None);
            assert_eq!(Goal::of_ticket(&text, &sealer, Timestamp(7).plus(GOOD_FOR * 2)), None);
        }
        for wrong in ["", "https://evil.example/", "AAAA", &"A".repeat(TICKET_MAX + 1)] {
            assert_eq!(Goal::of_ticket(wrong, &sealer, Timestamp(8)), None);
        }
    }
}
