//! `postroad route login`: a provider's consent is got here, with the network of whoever runs the command; what was granted
//! goes to the running server, or straight to the store, and is sealed there.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use postroad_oauth::device::{self, Look};
use postroad_oauth::{Error, Granted, Http, Service};

use super::administer::{ask, show};
use crate::admin::{LoginWish, Operation};
use crate::cli::{Output, Place, RouteLogin};
use crate::{place, print};

/// What our own provider calls sending, and to stay signed in.
const SCOPE: &str = "mail:smtp offline_access";

pub(super) fn login(asked: &RouteLogin, at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let secret = asked.client_secret_file.as_deref().map(first_line).transpose()?;
    let http = Http::new(settings.outbound.authorities.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (service, granted) = runtime.block_on(async {
        let service = service(asked, &http).await?;
        let granted = granted(asked, &http, &service, secret.as_deref()).await?;
        Ok::<_, anyhow::Error>((service, granted))
    })?;
    if granted.refresh.is_none() && !asked.client_credentials {
        bail!(
            "the provider gives no refresh token, so that the route would work for an hour: ask for offline_access with --scope"
        );
    }
    let login = LoginWish {
        domain: asked.domain.clone(),
        user: asked.user.clone(),
        token_url: service.token_url,
        client: asked.client_id.clone(),
        secret,
        scope: service.scope,
        access: granted.access,
        lives_seconds: granted.lives.as_secs(),
        refresh: granted.refresh,
        key: place::secret_key(&settings),
    };
    Ok(show(&ask(Operation::RouteLogin { login }, &settings)?, output))
}

async fn service(asked: &RouteLogin, http: &Http) -> Result<Service> {
    let found = match Service::preset(&asked.provider, asked.tenant.as_deref()) {
        Some(preset) => preset,
        None if asked.provider.contains("://") => Service::discover(http, &asked.provider, SCOPE).await?,
        None => bail!("{} is no provider: google, microsoft, or an issuer's address (https://…)", asked.provider),
    };
    let scope = match (&asked.scope, asked.client_credentials) {
        (Some(scope), _) => scope.clone(),
        // Microsoft grants programs by themselves all that they were allowed beforehand, and only so.
        (None, true) if asked.provider == "microsoft" => "https://outlook.office365.com/.default".to_owned(),
        (None, _) => found.scope.clone(),
    };
    Ok(Service { scope, ..found })
}

async fn granted(asked: &RouteLogin, http: &Http, service: &Service, secret: Option<&str>) -> Result<Granted> {
    let client = asked.client_id.as_str();
    if let Some(file) = &asked.refresh_token_file {
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
