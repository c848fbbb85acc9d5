//! What a program asks for at the authorization endpoint, and what comes of it: pure functions.
//!
//! | found | answer |
//! |---|---|
//! | no client, or no redirect URI of it | a page, never a redirect (RFC 6749 §4.1.2.1) |
//! | anything else wrong | a redirect with an error |
//! | nobody logged in, too long ago, or `prompt=login` | the log-in page; `login_required` for `prompt=none` |
//! | consent is due | the consent page; `consent_required` for `prompt=none` |
//! | a confidential client that has been allowed this | a code |
//!
//! Standards: RFC 6749 §4.1, RFC 7636 §4.3, RFC 9207, RFC 9700 §2.1, OpenID Connect Core 1.0 §3.1.2.

use std::time::Duration;

use postroad_identity::clients::Client;
use postroad_identity::sessions::Session;
use postroad_identity::{Challenge, Scopes};
use postroad_store::Timestamp;

use super::form::Form;

/// A request that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) client: String,
    pub(crate) redirect: String,
    pub(crate) scopes: Scopes,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Challenge,
    pub(crate) nonce: Option<String>,
    pub(crate) prompt: Prompt,
    pub(crate) max_age: Option<Duration>,
    pub(crate) login_hint: Option<String>,
}

/// What the person is to be asked whatever is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Nothing at all.
    pub(crate) none: bool,
    /// To log in (again, or as somebody else).
    pub(crate) login: bool,
    /// To consent.
    pub(crate) consent: bool,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody is there to tell but the person.
    Page(&'static str),
    /// The program is told.
    Redirect { to: String, state: Option<String>, error: &'static str, why: &'static str },
}

/// The request of a query, by the client that it names.
pub(crate) fn read(form: &Form, client: Option<&Client>) -> Result<Request, Refusal> {
    let Some(client) = client else {
        return Err(Refusal::Page("The program that sent you here is not known to this server."));
    };
    let Some(redirect) = form.get("redirect_uri").filter(|uri| client.answers_at(uri)) else {
        return Err(Refusal::Page(
            "The program that sent you here wants the answer at an address that it is not known to have.",
        ));
    };
    let state = form.get("state").map(str::to_owned);
    let refuse = |error: &'static str, why: &'static str| Refusal::Redirect {
        to: redirect.to_owned(),
        // One that is too long would make an address that nobody takes.
        state: state.clone().filter(|state| state.len() <= STATE_MAX),
        error,
        why,
    };
    if state.as_ref().is_some_and(|state| state.len() > STATE_MAX) {
        return Err(refuse("invalid_request", "the state is too long"));
    }
    match form.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(refuse("unsupported_response_type", "there are codes alone")),
        None => return Err(refuse("invalid_request", "response_type is missing")),
    }
    if form.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(refuse("invalid_request", "answers come in the query alone"));
    }
    if form.get("request").is_some() {
        return Err(refuse("request_not_supported", "requests are not taken as objects"));
    }
    if form.get("request_uri").is_some() {
        return Err(refuse("request_uri_not_supported", "requests are not fetched"));
    }
    // RFC 9700 §2.1.1; RFC 7636 §4.4.1 names the error.
    if form.get("code_challenge_method") != Some("S256") {
        return Err(refuse("invalid_request", "a code_challenge with the method S256 is required"));
    }
    let Some(challenge) = form.get("code_challenge").and_then(Challenge::parse) else {
        return Err(refuse("invalid_request", "a code_challenge with the method S256 is required"));
    };
    let scopes = Scopes::parse(form.get("scope").unwrap_or_default()).and(&client.scopes);
    if scopes.is_empty() {
        return Err(refuse("invalid_scope", "nothing is asked for that this program may ask for"));
    }
    if form.get("nonce").is_some_and(|nonce| nonce.len() > STATE_MAX) {
        return Err(refuse("invalid_request", "the nonce is too long"));
    }
    let Some(prompt) = prompt(form.get("prompt").unwrap_or_default()) else {
        return Err(refuse("invalid_request", "the prompt is none that there is, or contradicts itself"));
    };
    let max_age = match form.get("max_age").map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(Duration::from_secs(seconds.into())),
        Some(Err(_)) => return Err(refuse("invalid_request", "max_age is a number of seconds")),
    };
    Ok(Request {
        client: client.id.clone(),
        redirect: redirect.to_owned(),
        scopes,
        state,
        challenge,
        nonce: form.get("nonce").map(str::to_owned),
        prompt,
        max_age,
        login_hint: form.get("login_hint").filter(|hint| hint.len() <= HINT_MAX).map(str::to_owned),
    })
}

fn prompt(text: &str) -> Option<Prompt> {
    let mut prompt = Prompt::default();
    for word in text.split_ascii_whitespace() {
        match word {
            "none" => prompt.none = true,
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return None,
        }
    }
    (!prompt.none || !(prompt.login || prompt.consent)).then_some(prompt)
}

/// What happens now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The log-in page.
    LogIn,
    /// The consent page.
    Consent,
    /// A code.
    Answer,
    /// An error for the program: [`Prompt::none`].
    Refuse(&'static str),
}

/// What happens with a request that came at `asked`; `allowed`: the person has allowed this client as much before.
pub(crate) fn next(
    request: &Request,
    client: &Client,
    session: Option<&Session>,
    allowed: bool,
    asked: Timestamp,
    now: Timestamp,
) -> Next {
    let fresh = session.filter(|session| session.complete).is_some_and(|session| {
        let young = request.max_age.is_none_or(|age| now.minus(age) <= session.authenticated);
        // They logged in because of this request, or nobody asked for that.
        let again = !request.prompt.login || session.authenticated >= asked;
        // Of `max_age=0` the log-in for this request is young enough.
        (young || session.authenticated >= asked) && again
    });
    if !fresh {
        return if request.prompt.none { Next::Refuse("login_required") } else { Next::LogIn };
    }
    // RFC 8252 §8.6: a program on somebody's machine cannot prove which it is, so its person is asked each time.
    if client.is_confidential() && allowed && !request.prompt.consent {
        return Next::Answer;
    }
    if request.prompt.none { Next::Refuse("consent_required") } else { Next::Consent }
}

const STATE_MAX: usize = 1_024;
const HINT_MAX: usize = 320;

#[cfg(test)]
mod tests;
