//! What comes to a page: the request of a browser, and a form of ours that somebody sends.

use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::extract::rejection::ExtensionRejection;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use postroad_identity::sessions;
use postroad_store::Locks;

use super::{Viewer, is_fresh, log_in, not_ours};
use crate::oauth::Provider;
use crate::oauth::form::Form;
use crate::oauth::guard::{self, Cookie};
use crate::oauth::ticket::Goal;
use crate::site::Visitor;

/// A browser's request: for what, from where, with which headers.
pub(crate) struct Asked {
    pub(crate) provider: Arc<Provider>,
    pub(crate) visitor: Visitor,
    pub(crate) headers: HeaderMap,
    /// Behind the question mark, as it came.
    pub(crate) query: String,
}

impl FromRequestParts<Arc<Provider>> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, provider: &Arc<Provider>) -> Result<Asked, ExtensionRejection> {
        let Extension(visitor) = Extension::from_request_parts(parts, provider).await?;
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Asked { provider: Arc::clone(provider), visitor, headers: parts.headers.clone(), query })
    }
}

impl Asked {
    /// The query's parameters; none where it is no form.
    pub(crate) fn parameters(&self) -> Form {
        Form::parse(self.query.as_bytes()).unwrap_or_default()
    }

    /// A cookie of the browser.
    pub(crate) fn cookie(&self, cookie: Cookie) -> Option<String> {
        cookie.of(&self.headers, &self.visitor)
    }

    /// A response that gives the browser another session; none with an empty one.
    pub(crate) fn with_session(&self, session: &str, mut response: Response) -> Response {
        response.headers_mut().append(header::SET_COOKIE, Cookie::Session.set(session, &self.visitor));
        response
    }

    /// What the browser calls itself.
    pub(crate) fn agent(&self) -> &str {
        self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default()
    }

    /// Who looks, if somebody is logged in. Errors are logged, and then nobody is.
    pub(crate) async fn viewer(&self) -> Option<Viewer> {
        let provider = &self.provider;
        let cookie = self.cookie(Cookie::Session)?;
        let token = guard::form_token(&cookie);
        let now = provider.now();
        let found = provider.store.read(move |tx| sessions::look(tx, &cookie, now)).await;
        let (session, account) = match found {
            Ok(found) => found.filter(|(session, _)| session.complete)?,
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                return None;
            }
        };
        if sessions::should_touch(&session, now) {
            let (touched, network, lifetimes) =
                (session.clone(), guard::network(self.visitor.address), provider.settings.lifetimes);
            let write =
                provider.store.write(Locks::none(), move |tx| sessions::touch(tx, &touched, &network, &lifetimes, now));
            if let Err(error) = write.await {
                tracing::warn!(%error, "the use of a session could not be noted");
            }
        }
        Some(Viewer { session, account, token })
    }

    /// The same where how to log in is changed: somebody who logged in lately.
    pub(crate) async fn fresh_viewer(&self) -> Option<Viewer> {
        self.viewer().await.filter(|viewer| is_fresh(viewer, &self.provider))
    }

    /// Whether a form comes from a page that was shown to this viewer.
    pub(crate) fn is_theirs(&self, token: Option<&str>) -> bool {
        guard::is_ours(&self.headers, self.cookie(Cookie::Session).as_deref(), token)
    }

    /// A form from a page that was shown to whoever sends it. Who is not logged in does that first, for `goal`.
    pub(crate) async fn form(&self, body: &[u8], goal: &Goal) -> Result<(Viewer, Form), Response> {
        let Some(viewer) = self.viewer().await else { return Err(log_in::first(&self.provider, goal)) };
        let form = Form::parse(body).unwrap_or_default();
        if self.is_theirs(form.get("token")) { Ok((viewer, form)) } else { Err(not_ours()) }
    }

    /// The same from somebody who logged in lately.
    pub(crate) async fn fresh_form(&self, body: &[u8], goal: &Goal) -> Result<(Viewer, Form), Response> {
        let (viewer, form) = self.form(body, goal).await?;
        if is_fresh(&viewer, &self.provider) { Ok((viewer, form)) } else { Err(log_in::first(&self.provider, goal)) }
    }
}
