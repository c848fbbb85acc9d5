//! Who we are at a route's host: what is shown there, and what a refusal of it means.
//!
//! A log-in that is refused is for the administrator to put right: mail waits, and does not come back to who wrote it.
//!
//! Standards: RFC 4954, RFC 7628 (and XOAUTH2).

use postroad_oauth::{Token, Tokens};
use postroad_queue::{Route, RouteCredential};
use postroad_sasl::{Credential, Secret};
use postroad_smtp::client::{self, Login, Trouble};

use super::settle::{Verdict, Words};
use super::targets::Way;

/// What is shown to a host.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) login: Option<Login>,
    /// The grant, and its token that is shown.
    token: Option<(String, Token)>,
}

impl Shown {
    /// What the way's route wants to be shown. Errors: there is no token now; mail waits.
    pub(super) async fn of(way: &Way, tokens: Option<&Tokens>) -> Result<Shown, Words> {
        let Some(route) = way.route.as_deref() else { return Ok(Shown::default()) };
        let Some(login) = &route.login else { return Ok(Shown::default()) };
        match &login.credential {
            RouteCredential::Password(password) => {
                let login = Login::password(login.user.as_str(), Secret::new(password.clone()));
                Ok(Shown { login: Some(login), token: None })
            }
            RouteCredential::Grant(name) => {
                let got = match tokens {
                    Some(tokens) => tokens.token(name).await,
                    None => Err(postroad_oauth::Error::Here("this server keeps no tokens".into())),
                };
                let token = got.map_err(|error| {
                    let next = match error.is_lasting() {
                        true => next_step(route),
                        false => "it is tried again".to_owned(),
                    };
                    let text = format!("The route for {} cannot sign in: {error}; {next}", route.domain);
                    tracing::warn!(route = route.domain, %error, next, "a route has no token to sign in with: mail waits");
                    Words::ours((4, 7, 8), text, "getting a token")
                })?;
                let shown = Secret::new(token.text.clone());
                let credential = Credential::Token { token: shown, host: route.host.clone(), port: way.port };
                let login = Login { user: login.user.clone(), credential };
                Ok(Shown { login: Some(login), token: Some((name.clone(), token)) })
            }
        }
    }

    /// A session failed that showed this.
    pub(super) async fn failed(&self, failure: &client::Failure, tokens: Option<&Tokens>) {
        let (Some((name, token)), Some(tokens)) = (&self.token, tokens) else { return };
        if matches!(&failure.trouble, Trouble::LoginRefused(reply) if reply.is_permanent()) {
            tokens.disbelieved(name, token).await;
        }
    }
}

/// The words of a verdict with what the administrator can do, where it is the log-in that failed.
pub(super) fn explained(verdict: Verdict, failure: &client::Failure, way: &Way) -> Verdict {
    let Some(route) = way.route.as_deref() else { return verdict };
    let Some(login) = &route.login else { return verdict };
    let next = match &failure.trouble {
        Trouble::LoginRefused(reply) if reply.is_permanent() => next_step(route),
        Trouble::LoginUnfit => next_step(route),
        Trouble::LoginUnproven => {
            "somebody else may be answering there: look at where the route leads (`postroad route list`)".to_owned()
        }
        Trouble::NoAuth => "what it offers differs with TLS and port: mostly 587 or 465 is right".to_owned(),
        Trouble::ClearLogin => format!("make the route for {} with --tls verified or implicit", route.domain),
        Trouble::LoginRefused(_)
        | Trouble::Refused(_)
        | Trouble::Closed
        | Trouble::TimedOut
        | Trouble::Garbled(_)
        | Trouble::Injected
        | Trouble::NoTls
        | Trouble::Abandoned => return verdict,
    };
    let (domain, user) = (&route.domain, &login.user);
    tracing::warn!(route = domain, user, %failure, next, "a route cannot sign in: mail waits");
    let more = |words: Words| Words {
        text: format!("{}\n(The route for {domain} signs in as {user}: {next}; until then mail waits)", words.text),
        ..words
    };
    match verdict {
        Verdict::Deferred(words) => Verdict::Deferred(more(words)),
        Verdict::Failed(words) => Verdict::Deferred(more(words)),
        Verdict::Relayed { .. } | Verdict::Spared(_) | Verdict::Here { .. } | Verdict::NotTried => verdict,
    }
}

fn next_step(route: &Route) -> String {
    let domain = &route.domain;
    match route.login.as_ref().map(|login| &login.credential) {
        Some(RouteCredential::Grant(_)) => format!("sign in again with `postroad route login '{domain}'`"),
        Some(RouteCredential::Password(_)) | None => {
            format!("give the right password with `postroad route add '{domain}' … --user … --password -`")
        }
    }
}
