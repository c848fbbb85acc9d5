//! Passkeys on the pages: the forms that ask for one, and what comes back in them.
//!
//! A question travels sealed in its form, bound to the page's token and to what it is for; `postroad-identity` lets each
//! be answered once. The one script of the pages stands here: the policy names it by its hash. Without scripts these forms
//! are not shown, and everything else works as before.
//!
//! Standards: WebAuthn level 2 §5 (the browser's interface), §13.4.3 (challenges), Content Security Policy 3 §2.3.1.

pub(super) mod log_in;
pub(super) mod made;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use postroad_identity::passkeys::{self, Answer, NotShown, Party, Question};
use postroad_identity::webauthn::{Fault, cose};
use postroad_mail::Error;
use postroad_store::Timestamp;
use serde_json::{Value, json};

use super::hidden;
use crate::oauth::Provider;
use crate::oauth::form::Form;
use crate::page::escape;
use crate::site::Visitor;

/// What a passkey is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Logging in by it alone.
    LogIn,
    /// The second step behind the password.
    SecondStep,
    /// Changing the second step, by somebody who is logged in.
    Change,
    /// Making one.
    Make,
}

impl Purpose {
    /// Of what is sealed, for the holder of this token alone.
    fn sealed_as(self, token: &str) -> String {
        let name = match self {
            Purpose::LogIn => "log-in",
            Purpose::SecondStep => "second-step",
            Purpose::Change => "change",
            Purpose::Make => "make",
        };
        format!("pages:passkey:{name}:{token}")
    }

    /// Whether the authenticator must verify who holds it: where there is no password before it.
    fn verified(self) -> bool {
        match self {
            Purpose::LogIn => true,
            Purpose::SecondStep | Purpose::Change | Purpose::Make => false,
        }
    }
}

/// A form that asks for a passkey, which only the script shows.
pub(super) struct Asking<'a> {
    pub(super) purpose: Purpose,
    /// Where it leads.
    pub(super) action: &'a str,
    /// Of the page.
    pub(super) token: &'a str,
    /// The passkeys that do, as base64url; none: whichever the person has.
    pub(super) known: &'a [String],
    /// What else the form carries.
    pub(super) fields: &'a [(&'a str, &'a str)],
    pub(super) button: &'a str,
}

impl Asking<'_> {
    /// The form. Errors: the system gives no random numbers.
    pub(super) fn form(&self, provider: &Provider) -> Result<String, Error> {
        let challenge = passkeys::challenge()?;
        let party = Party::of_issuer(&provider.settings.issuer);
        let asked = json!({
            "challenge": URL_SAFE_NO_PAD.encode(&challenge),
            "party": party.id,
            "known": self.known,
            "verified": self.purpose.verified(),
        });
        let question = sealed(provider, self.purpose, self.token, &challenge, "");
        Ok(form("show", &asked, &question, self, &["credential", "client_data", "data", "signature", "handle"], ""))
    }
}

/// The form that makes one: for whom, what it is called by authenticators, and fields of its own as HTML.
fn making(provider: &Provider, asking: &Asking<'_>, login: &str, handle: &str, own: &str) -> Result<String, Error> {
    let challenge = passkeys::challenge()?;
    let party = Party::of_issuer(&provider.settings.issuer);
    let asked = json!({
        "challenge": URL_SAFE_NO_PAD.encode(&challenge),
        "party": party.id,
        "known": asking.known,
        "handle": handle,
        "login": login,
        "algorithms": cose::ALGORITHMS,
    });
    let question = sealed(provider, asking.purpose, asking.token, &challenge, handle);
    Ok(form("make", &asked, &question, asking, &["client_data", "attestation"], own))
}

fn form(kind: &str, asked: &Value, question: &str, asking: &Asking<'_>, empty: &[&str], own: &str) -> String {
    let empty: Vec<(&str, &str)> = empty.iter().map(|name| (*name, "")).collect();
    let fields = [&[("token", asking.token), ("question", question)], asking.fields, &empty].concat();
    format!(
        "<form method=\"post\" action=\"{}\" hidden data-passkey=\"{kind}\" data-asked=\"{}\" data-wrong=\"{WRONG}\">\n\
         <p class=\"wrong\" role=\"alert\" hidden></p>\n{}{own}\
         <p class=\"acts\"><button class=\"quiet\">{}</button></p>\n</form>\n",
        escape(asking.action),
        escape(&asked.to_string()),
        hidden(&fields),
        escape(asking.button),
    )
}

fn sealed(provider: &Provider, purpose: Purpose, token: &str, challenge: &[u8], handle: &str) -> String {
    let text = json!({
        "challenge": URL_SAFE_NO_PAD.encode(challenge),
        "asked": provider.now().0,
        "handle": handle,
    });
    URL_SAFE_NO_PAD.encode(provider.sealer.seal(&purpose.sealed_as(token), text.to_string().as_bytes()))
}

/// The question that a form answers, and the handle that went with it; `None` when it is none of ours, or too old.
fn question(provider: &Provider, purpose: Purpose, form: &Form) -> Option<(Question, String)> {
    let token = form.get("token")?;
    let octets = URL_SAFE_NO_PAD.decode(form.get("question")?).ok()?;
    let octets = provider.sealer.unseal(&purpose.sealed_as(token), &octets).ok()?;
    let value: Value = serde_json::from_slice(&octets).ok()?;
    let asked = Timestamp(value["asked"].as_i64()?);
    if provider.now().minus(passkeys::GOOD_FOR) > asked {
        return None;
    }
    let challenge = URL_SAFE_NO_PAD.decode(value["challenge"].as_str()?).ok()?;
    let party = Party::of_issuer(&provider.settings.issuer);
    Some((Question { challenge, party, verified: purpose.verified() }, value["handle"].as_str()?.to_owned()))
}

/// What somebody shows in a form of [`Asking`]: the question and the answer. `None` when it is none of ours, or too old.
pub(super) fn shown(provider: &Provider, purpose: Purpose, form: &Form) -> Option<(Question, Answer)> {
    let (question, _) = question(provider, purpose, form)?;
    let octets = |name: &str| URL_SAFE_NO_PAD.decode(form.get(name)?).ok();
    let handle = match form.get("handle") {
        Some(_) => Some(octets("handle")?),
        None => None,
    };
    let answer = Answer {
        credential: octets("credential")?,
        client_data: octets("client_data")?,
        data: octets("data")?,
        signature: octets("signature")?,
        handle,
    };
    Some((question, answer))
}

/// The script as it stands at the end of a page.
pub(super) fn script() -> String {
    format!("<script>{SCRIPT}</script>\n")
}

/// What a policy calls it.
pub(super) fn script_hash() -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, SCRIPT.as_bytes()))
}

/// Says in the log why a passkey opened nothing: loudly where somebody may have a copy of one.
pub(super) fn refused(visitor: &Visitor, login: &str, why: NotShown) {
    match why {
        NotShown::Answer(Fault::Counter | Fault::Copied) => {
            tracing::warn!(remote = %visitor.address, login, %why, "a passkey was refused");
        }
        NotShown::Unknown | NotShown::Spent | NotShown::Handle | NotShown::Account | NotShown::Answer(_) => {
            tracing::info!(remote = %visitor.address, login, %why, "a passkey was refused");
        }
    }
}

const SCRIPT: &str = include_str!("script.js");
const WRONG: &str = "The browser has shown no passkey. Try it again, or go another way.";
/// For everybody, whatever was wrong.
pub(super) const REFUSED: &str =
    "This passkey opens nothing here, or the page was too old. Try it again, or go another way.";
