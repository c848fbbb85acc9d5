//! Speaking to the authority: the account, what it suggests, and revocation.

use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, CertificateIdentifier, ExternalAccountKey, NewAccount, RevocationReason,
    RevocationRequest,
};
use postroad_store::Timestamp;
use postroad_trust::certificates::{self, Certificate, CertificateState, Origin, Secret};

use super::chain::leaf;
use super::problem::Failure;
use super::renewal::{ASK_AGAIN, ASK_LATEST, ASK_SOONEST};
use super::{AGAIN, Keeper};

impl Keeper {
    /// Our account with the authority; made when there is none yet. All nodes use one.
    pub(super) async fn account(&self) -> Result<Account, Failure> {
        let directory = self.settings.directory.clone();
        let kept = self.store.read(move |tx| certificates::account(tx, &directory)).await.map_err(database)?;
        let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
        if let Some(kept) = kept {
            let account = self.known_account(kept.credentials.expose()).await?;
            if kept.contact != self.settings.contact.join(" ") {
                self.tell_contact(&account, &contact).await;
            }
            return Ok(account);
        }
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external =
            self.settings.external.as_ref().map(|(id, key)| ExternalAccountKey::new(id.clone(), key.expose()));
        let made = self.client()?.create(&new, self.settings.directory.clone(), external.as_ref());
        let (account, credentials) = within(made).await.map_err(|error| Failure::of("opening an account", error))?;
        let credentials = serde_json::to_string(&credentials)
            .map_err(|error| Failure::own(format!("the account cannot be kept: {error}"), "please report this"))?;
        let new = certificates::Account {
            directory: self.settings.directory.clone(),
            credentials: Secret::new(credentials),
            contact: self.settings.contact.join(" "),
            created: self.now(),
        };
        let ours = new.credentials.clone();
        let kept = self.write(move |tx| certificates::keep_account(tx, &new)).await.map_err(database)?;
        if kept.credentials == ours {
            tracing::info!(directory = self.settings.directory, "an account with the certificate authority was opened");
            return Ok(account);
        }
        // Another node was quicker: one account is enough.
        self.known_account(kept.credentials.expose()).await
    }

    async fn known_account(&self, credentials: &str) -> Result<Account, Failure> {
        let credentials: AccountCredentials = serde_json::from_str(credentials).map_err(|error| {
            Failure::own(format!("the kept account cannot be read: {error}"), "restore the database from a backup")
        })?;
        let known = self.client()?.from_credentials(credentials);
        within(known).await.map_err(|error| Failure::of("asking the directory", error))
    }

    /// RFC 8555 §7.3.2. What the authority does not take is no reason to be without certificates.
    async fn tell_contact(&self, account: &Account, contact: &[&str]) {
        match within(account.update_contacts(contact)).await {
            Ok(()) => {
                let (directory, contact) = (self.settings.directory.clone(), contact.join(" "));
                let kept = self.write(move |tx| certificates::keep_contact(tx, &directory, &contact)).await;
                if let Err(error) = kept {
                    tracing::debug!(%error, "the authority's new contact is told again");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the authority does not take acme.contact; it writes to who was named before")
            }
        }
    }

    fn client(&self) -> Result<instant_acme::AccountBuilder, Failure> {
        let built = match &self.settings.authorities {
            Some(file) => Account::builder_with_root(file),
            None => Account::builder(),
        };
        built.map_err(|error| Failure::of("setting up TLS to the authority (acme.authorities)", error))
    }

    /// Asks for the times at which the authority suggests to renew, where that is due. RFC 9773 §4.3.
    pub(super) async fn windows(&self) -> Result<(), certificates::Error> {
        let now = self.now();
        let there = self.store.read(certificates::certificates).await?;
        let is_due = |one: &&Certificate| {
            one.state == CertificateState::InUse
                && one.origin == Origin::Acme
                && one.directory == self.settings.directory
                && one.window_ask <= now
        };
        let due: Vec<&Certificate> = there.iter().filter(is_due).collect();
        if due.is_empty() {
            return Ok(());
        }
        let account = match self.account().await {
            Ok(account) => account,
            Err(failure) => {
                tracing::debug!(problem = failure.problem, "the authority is not asked for times of renewal now");
                return Ok(());
            }
        };
        for certificate in due {
            let (window, ask) = window(&account, certificate, now).await;
            if let Some((from, to)) = window
                && window != certificate.window
            {
                tracing::info!(
                    line = certificate.line,
                    from = from.0,
                    to = to.0,
                    "the authority suggests when to renew"
                );
            }
            let id = certificate.id;
            self.write(move |tx| certificates::keep_window(tx, id, window, ask)).await?;
        }
        Ok(())
    }

    /// Tells the authority that a certificate is not to be believed any more. RFC 8555 §7.6.
    pub(super) async fn tell_revoked(&self, certificate: &Certificate, reason: u32) -> Result<(), Failure> {
        let account = self.account().await?;
        let leaf = leaf(&certificate.chain)
            .ok_or_else(|| Failure::own("the kept certificate cannot be read", "restore the database from a backup"))?;
        let request = RevocationRequest { certificate: &leaf, reason: Some(reason_of(reason)) };
        match within(account.revoke(&request)).await {
            // Somebody was quicker.
            Err(instant_acme::Error::Api(problem))
                if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":alreadyRevoked")) =>
            {
                Ok(())
            }
            other => other.map_err(|error| Failure::of("revoking", error)),
        }
    }
}

async fn window(
    account: &Account,
    certificate: &Certificate,
    now: Timestamp,
) -> (Option<(Timestamp, Timestamp)>, Timestamp) {
    let Some(leaf) = leaf(&certificate.chain) else { return (None, now.plus(ASK_LATEST)) };
    let Ok(id) = CertificateIdentifier::try_from(&leaf) else { return (None, now.plus(ASK_LATEST)) };
    match within(account.renewal_info(&id)).await {
        Ok((info, again)) => {
            let micros = |time: i128| Timestamp(i64::try_from(time / 1_000).unwrap_or(i64::MAX));
            let from = micros(info.suggested_window.start.unix_timestamp_nanos());
            let to = micros(info.suggested_window.end.unix_timestamp_nanos());
            if let Some(url) = info.explanation_url
                && from <= now
            {
                tracing::warn!(
                    line = certificate.line,
                    url,
                    "the authority wants this certificate renewed and says why"
                );
            }
            (Some((from, to)), now.plus(again.clamp(ASK_SOONEST, ASK_LATEST)))
        }
        // RFC 9773 §4.3.3: what was said stays until it is known to be otherwise.
        Err(instant_acme::Error::Unsupported(_)) => (None, now.plus(ASK_LATEST)),
        Err(error) => {
            tracing::debug!(%error, "the authority says no time of renewal");
            (certificate.window, now.plus(ASK_AGAIN))
        }
    }
}

/// RFC 5280 §5.3.1.
fn reason_of(number: u32) -> RevocationReason {
    match number {
        1 => RevocationReason::KeyCompromise,
        3 => RevocationReason::AffiliationChanged,
        4 => RevocationReason::Superseded,
        5 => RevocationReason::CessationOfOperation,
        _ => RevocationReason::Unspecified,
    }
}

/// One question takes no longer than this: a silent authority must not hold up everything.
pub(super) async fn within<T>(
    asked: impl Future<Output = Result<T, instant_acme::Error>>,
) -> Result<T, instant_acme::Error> {
    tokio::time::timeout(ANSWER_WITHIN, asked).await.unwrap_or(Err(instant_acme::Error::Timeout(None)))
}

pub(super) fn database(error: certificates::Error) -> Failure {
    let mut failure = Failure::own(error.to_string(), "see the state of the database: `postroad check`");
    failure.rest = AGAIN;
    failure
}

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
