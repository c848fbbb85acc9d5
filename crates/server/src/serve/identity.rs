//! Who may come in without a password: the provider behind the pages, and the end of connections whose log-in was taken
//! away.

use std::time::Duration;

use anyhow::{Context, Result};
use postroad_identity::cuts;
use postroad_login::{Clock, DigestSealer, Logins, NtlmSealer};
use postroad_net::{Cuts, Stop};
use postroad_sasl::digest::Digest;
use postroad_store::seal::Sealer;
use postroad_store::{Store, Timestamp};
use postroad_web::{OauthSettings, Provider};

use crate::place;
use crate::settings::{Registration, Settings};

/// The provider, where there are pages at all.
pub(super) fn provider(settings: &Settings, store: &Store, logins: Logins, clock: Clock) -> Result<Option<Provider>> {
    let Some(issuer) = settings.issuer() else { return Ok(None) };
    let path = place::secret_key(settings);
    let sealer = Sealer::open(&path).with_context(|| format!("the key for secrets, {}", path.display()))?;
    let registration = match settings.oauth.registration {
        Registration::Off => postroad_web::Registration::Off,
        Registration::Open => postroad_web::Registration::Open,
    };
    let oauth = OauthSettings { issuer, lifetimes: settings.oauth.lifetimes(), registration };
    Ok(Some(Provider::new(store.clone(), logins, sealer, clock, oauth)))
}

/// With NTLM, CRAM-MD5 and APOP, where a listener offers them.
pub(super) fn with_sealed_keys(settings: &Settings, logins: Logins) -> Result<Logins> {
    let (ntlm, digests) = (settings.offers("NTLM"), Digest::ALL.iter().any(|digest| settings.offers(digest.name())));
    if !ntlm && !digests {
        return Ok(logins);
    }
    let path = place::secret_key(settings);
    let sealer = Sealer::open(&path).with_context(|| format!("the key for secrets, {}", path.display()))?;
    let logins = match ntlm {
        true => logins.with_ntlm(NtlmSealer::new(sealer.clone()), &settings.hostname),
        false => logins,
    };
    Ok(match digests {
        true => logins.with_digests(DigestSealer::new(sealer), &settings.hostname),
        false => logins,
    })
}

/// Ends connections whose log-in was taken away, on whichever node, until the stop.
pub(super) async fn keep(store: Store, ending: Cuts, clock: Clock, stop: Stop) {
    let mut news = store.hub().subscribe(cuts::NEWS);
    // What was cut off before this server ran has no connections here.
    let mut since = clock();
    // Looks overlap: what ended everything must not do so twice.
    let mut known: Vec<i64> = Vec::new();
    loop {
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EVERY) => {}
            () = stop.stopped() => return,
        }
        news.mark_unchanged();
        let now = clock();
        match read(&store, since).await {
            Ok(gone) => {
                for gone in gone.iter().filter(|gone| !known.contains(&gone.id)) {
                    match gone.delegation() {
                        Some(into) => ending.cut_delegate(gone.account.0, into.0),
                        None if gone.what == cuts::EVERYTHING => ending.cut_account(gone.account.0),
                        None => ending.cut(gone.account.0, gone.what),
                    }
                }
                known = gone.iter().map(|gone| gone.id).collect();
                since = now;
            }
            Err(error) => {
                tracing::warn!(%error, "what was cut off cannot be read; connections end once it can");
            }
        }
    }
}

async fn read(store: &Store, since: Timestamp) -> Result<Vec<cuts::Cut>, postroad_identity::Error> {
    store.read(move |tx| cuts::since(tx, since)).await
}

/// News may be lost; so often it is looked without.
const EVERY: Duration = Duration::from_secs(30);
