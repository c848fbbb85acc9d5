//! A provider's consent, got with the network of whoever runs the command: the first token of a grant, for a route or for an
//! account elsewhere.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use postroad_oauth::device::{self, Look};
use postroad_oauth::{Error, Granted, Http, Service};

use crate::cli::Consent;
use crate::elsewhere::Granting;
use crate::print;
use crate::settings::Settings;

/// Whom to ask, and as whom.
pub(super) struct Provider<'a> {
    /// google, microsoft, or an issuer's address.
    pub(super) name: &'a str,
    /// Microsoft's.
    pub(super) tenant: Option<&'a str>,
    /// What this server is called there.
    pub(super) client: &'a str,
    /// The file of its secret there.
    pub(super) secret_file: Option<&'a Path>,
    /// What to ask for in place of what is usual.
    pub(super) scope: Option<&'a str>,
    /// The file of a refresh token that was got in another way.
    pub(super) refresh_token_file: Option<&'a Path>,
    /// Nobody consents: the secret alone is enough.
    pub(super) client_credentials: bool,
}

/// What is usually asked for: everywhere, and at Microsoft's.
pub(super) struct Scopes {
    pub(super) own: &'static str,
    pub(super) microsoft: &'static str,
}

/// What a provider granted, where one is named.
pub(super) fn of(asked: &Consent, scopes: &Scopes, settings: &Settings) -> Result<Option<Granting>> {
    let (Some(name), Some(client)) = (asked.oauth.as_deref(), asked.client_id.as_deref()) else { return Ok(None) };
    let provider = Provider {
        name,
        tenant: asked.tenant.as_deref(),
        client,
        secret_file: asked.client_secret_file.as_deref(),
        scope: asked.scope.as_deref(),
        refresh_token_file: asked.refresh_token_file.as_deref(),
        client_credentials: false,
    };
    got(&provider, scopes, settings).map(Some)
}

/// What the provider granted, when somebody has consented.
pub(super) fn got(asked: &Provider<'_>, scopes: &Scopes, settings: &Settings) -> Result<Granting> {
    let secret = asked.secret_file.map(first_line).transpose()?;
    let http = Http::new(settings.outbound.authorities.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (service, granted) = runtime.block_on(async {
        let service = service(asked, scopes, &http).await?;
        let granted = granted(asked, &http, &service, secret.as_deref()).await?;
        Ok::<_, anyhow::Error>((service, granted))
    })?;
    if granted.refresh.is_none() && !asked.client_credentials {
        bail!(
            "the provider gives no refresh token, so that it would work for an hour: ask for offline_access with --scope"
        );
    }
    Ok(Granting {
        token_url: service.token_url,
        client: asked.client.to_owned(),
        secret,
        scope: service.scope,
        access: granted.access,
        lives_seconds: granted.lives.as_secs(),
        refresh: granted.refresh,
    })
}

async fn service(asked: &Provider<'_>, scopes: &Scopes, http: &Http) -> Result<Service> {
    let found = match Service::preset(asked.name, asked.tenant) {
        Some(preset) => preset,
        None if asked.name.contains("://") => Service::discover(http, asked.name, scopes.own).await?,
        None => bail!("{} is no provider: google, microsoft, or an issuer's address (https://…)", asked.name),
    };
    let scope = match (asked.scope, asked.name, asked.client_credentials) {
        (Some(scope), _, _) => scope.to_owned(),
        // Microsoft grants programs by themselves all that they were allowed beforehand, and only so.
        (None, "microsoft", true) => "https://outlook.office365.com/.default".to_owned(),
        (None, "microsoft", false) => scopes.microsoft.to_owned(),
        (None, _, _) => found.scope.clone(),
    };
    Ok(Service { scope, ..found })
}

async fn granted(asked: &Provider<'_>, http: &Http, service: &Service, secret: Option<&str>) -> Result<Granted> {
    let client = asked.client;
    if let Some(file) = asked.refresh_token_file {
        let refresh = first_line(file)?;
        let got = postroad_oauth::ask(http, &service.token_url, client, secret, Some(&refresh), &service.scope).await?;
        // One that does not rotate is not told again.
        return Ok(Granted { refresh: got.refresh.or(Some(refresh)), ..got });
    }
    if asked.client_credentials {
        return Ok(postroad_oauth::ask(http, &service.token_url, client, secret, None, &service.scope).await?);
    }
    let mut code = device::begin(http, service, client, secret).await?;
    let minutes = code.within.as_secs().div_ceil(60);
    print::complaint(&format!("Open {} and type the code {}", code.place, code.user_code));
    if let Some(complete) = &code.complete {
        print::complaint(&format!("or open {complete}"));
    }
    print::complaint(&format!("Waiting for that, {minutes} minutes at most; Ctrl-C ends it."));
    let (began, within) = (Instant::now(), code.within);
    let shows = std::io::stderr().is_terminal();
    while began.elapsed() < within {
        tokio::time::sleep(code.pause).await;
        if shows {
            let _ = write!(std::io::stderr(), ".");
        }
        match device::look(http, service, client, secret, &mut code).await? {
            Look::Granted(granted) => {
                if shows {
                    let _ = writeln!(std::io::stderr());
                }
                return Ok(granted);
            }
            Look::Waiting | Look::Slower => {}
        }
    }
    Err(Error::SignIn("nobody typed the code in time; run the command again".into()).into())
}

fn first_line(file: impl AsRef<Path>) -> Result<String> {
    let file = file.as_ref();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => bail!("{} is empty", file.display()),
    }
}
