//! Making a passkey, by somebody who logged in lately.
//!
//! Standards: WebAuthn level 2 §7.1.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_identity::passkeys::{self, Made, NAME_MAX};
use postroad_mail::Error;
use postroad_store::Locks;

use super::super::{Asked, Viewer, by, failed, log_in, page_with_passkeys, to};
use super::{Asking, Purpose, REFUSED, making, question, refused};
use crate::oauth::ticket::Goal;
use crate::page::alert;

pub(in super::super) async fn shown(asked: Asked) -> Response {
    match asked.fresh_viewer().await {
        Some(viewer) => form_page(&asked, &viewer, None).await,
        None => log_in::first(&asked.provider, &Goal::Passkey),
    }
}

async fn form_page(asked: &Asked, viewer: &Viewer, wrong: Option<&str>) -> Response {
    let provider = &asked.provider;
    let account = viewer.account.id;
    let found =
        provider.store.read(move |tx| Ok::<_, Error>((passkeys::list(tx, account)?, passkeys::handle(tx, account)?)));
    let made = found.await.and_then(|(known, handle)| {
        let known: Vec<String> = known.into_iter().map(|passkey| passkey.credential).collect();
        let asking = Asking {
            purpose: Purpose::Make,
            action: "/account/passkey",
            token: &viewer.token,
            known: &known,
            fields: &[],
            button: "Make the passkey",
        };
        making(provider, &asking, &viewer.account.address.to_string(), &handle, &name())
    });
    let form = match made {
        Ok(form) => form,
        Err(error) => return failed("a passkey could not be begun", &error),
    };
    let body = format!(
        "{}<p>A passkey is a key that your device, your password manager or a security key keeps. You log in to these pages \
         with it by a finger, a look or a PIN, without the password; nobody can ask it from you on another site.</p>\n\
         <noscript><p>Browsers show passkeys to scripts alone, and here they are switched off. Everything else on these \
         pages works without.</p></noscript>\n{form}<p><a href=\"/account\">To your account</a></p>\n",
        alert(wrong),
    );
    let code = if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page_with_passkeys(code, "Passkey", &body, None)
}

fn name() -> String {
    format!(
        "<label for=\"name\">What you call it, such as the device's name</label>\n\
         <input id=\"name\" name=\"name\" type=\"text\" autocomplete=\"off\" maxlength=\"{NAME_MAX}\" required>\n"
    )
}

pub(in super::super) async fn posted(asked: Asked, body: Bytes) -> Response {
    let provider = &asked.provider;
    let (viewer, form) = match asked.fresh_form(&body, &Goal::Passkey).await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let octets = |name: &str| URL_SAFE_NO_PAD.decode(form.get(name)?).ok();
    let (Some((question, handle)), Some(client_data), Some(attestation)) =
        (question(provider, Purpose::Make, &form), octets("client_data"), octets("attestation"))
    else {
        return form_page(&asked, &viewer, Some(REFUSED)).await;
    };
    let name = form.get("name").unwrap_or_default().trim().to_owned();
    let made = Made { client_data, attestation, handle, name: name.clone() };
    let (account, by) = (viewer.account.id, by(&viewer, provider));
    let done = provider
        .store
        .write(Locks::account(account), move |tx| passkeys::add(tx, &by, account, &question, &made))
        .await;
    match done.map(|done| done.value) {
        Ok(Ok(id)) => {
            tracing::info!(remote = %asked.visitor.address, %account, id, name, "a passkey was made");
            to("/account")
        }
        Ok(Err(why)) => {
            refused(&asked.visitor, &viewer.account.address.to_string(), why);
            form_page(&asked, &viewer, Some(REFUSED)).await
        }
        Err(Error::Exists(_)) => form_page(&asked, &viewer, Some("This passkey is known here already.")).await,
        Err(Error::Refused(why)) => form_page(&asked, &viewer, Some(why)).await,
        Err(error) => failed("a passkey could not be kept", &error),
    }
}
