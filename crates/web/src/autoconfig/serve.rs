//! Who asks for settings, and what they are answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use postroad_identity::clients;
use postroad_mail::{Address, Domain, domains};
use postroad_store::{ReadTx, Timestamp};
use rustls::sign::CertifiedKey;

use super::autodiscover::{self, Refused};
use super::{ADDRESS_MAX, Offers, cms, pacc, page, profile, thunderbird};
use crate::oauth::form::{Form, encode};
use crate::oauth::limiter::Limiter;
use crate::site::{Site, Visitor, not_allowed, unknown};

/// The certificate of the server's name and its key, as they are now.
pub type KeyOf = Arc<dyn Fn() -> Option<Arc<CertifiedKey>> + Send + Sync>;

/// What programs and people are told, and by whose key profiles are signed.
pub struct SetUp {
    pub(crate) offers: Offers,
    key: KeyOf,
    /// Signatures cost something.
    signed: Limiter<IpAddr>,
}

impl SetUp {
    /// Tells of these. Without a key profiles are not signed: devices take them with a warning.
    pub fn new(offers: Offers, key: KeyOf) -> SetUp {
        SetUp { offers, key, signed: Limiter::new(SIGNED, Duration::from_secs(60 * 60)) }
    }
}

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(thunderbird::PATH, get(config))
        .route(thunderbird::WELL_KNOWN, get(config))
        .route(pacc::PATH, get(document))
        .route("/setup", get(settings))
        .route("/setup/mail.mobileconfig", get(mobileconfig))
        .route("/email.mobileconfig", get(mobileconfig))
}

/// Paths that are written in any case: Autodiscover's. All others are unknown.
pub(crate) async fn elsewhere(State(site): State<Arc<Site>>, request: Request) -> Response {
    let path = request.uri().path();
    let below = path.get(..autodiscover::JSON_PATH.len()).unwrap_or_default();
    if path.eq_ignore_ascii_case(autodiscover::PATH) {
        pox(&site, request).await
    } else if below.eq_ignore_ascii_case(autodiscover::JSON_PATH) {
        json(&site, request).await
    } else {
        unknown(request.headers().clone()).await
    }
}

/// Where somebody who looks for settings in clear is sent, if that is what they do: to this server's own name, since its
/// certificate is sure to be there, and that of the name that they asked for may not.
pub(crate) fn in_private(site: &Site, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let offers = &site.set_up.as_ref()?.offers;
    let path = uri.path();
    if path.eq_ignore_ascii_case(autodiscover::PATH) {
        return offers.at(autodiscover::PATH);
    }
    if path != thunderbird::PATH {
        return None;
    }
    let query = query(uri);
    let address = match query.get_any_case("emailaddress") {
        Some(address) => address.to_owned(),
        None => format!("@{}", host(uri, headers)?.strip_prefix("autoconfig.")?),
    };
    offers.at(&format!("{}?emailaddress={}", thunderbird::WELL_KNOWN, encode(&address)))
}

async fn config(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(set_up) = &site.set_up else { return unknown(headers).await };
    let asked = match query(&uri).get_any_case("emailaddress") {
        Some(address) => domain_of(address),
        None => {
            host(&uri, &headers).and_then(|host| Domain::parse(host.strip_prefix("autoconfig.").unwrap_or(&host)).ok())
        }
    };
    let Some(domain) = asked else { return unknown(headers).await };
    let name = domain.clone();
    let looked = site.store.read(move |tx| {
        let ours = domains::ours(tx, &name)?.is_some();
        Ok::<_, postroad_mail::Error>((ours, client(tx)))
    });
    match looked.await {
        Ok((true, client)) => match thunderbird::config(&set_up.offers, domain.as_str(), client) {
            Some(config) => given("text/xml; charset=utf-8", config),
            None => unknown(headers).await,
        },
        Ok((false, _)) => unknown(headers).await,
        Err(error) => failed(&error),
    }
}

/// The client that programs who read the settings shall be, if the administrator made it known.
fn client(tx: &ReadTx) -> Option<&'static str> {
    match clients::find(tx, CLIENT) {
        Ok(found) => found.filter(|client| !client.is_confidential()).map(|_| CLIENT),
        Err(error) => {
            tracing::warn!(%error, "the client of mail programs cannot be looked up; they are told of none");
            None
        }
    }
}

async fn document(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    let offered = site.set_up.as_ref().and_then(|set_up| pacc::document(&set_up.offers));
    let asked = host(&uri, &headers).and_then(|host| {
        let domain = host.strip_prefix(pacc::LABEL)?.strip_prefix('.')?;
        Domain::parse(domain).ok()
    });
    let (Some(offered), Some(domain)) = (offered, asked) else { return unknown(headers).await };
    match is_ours(&site, domain).await {
        Ok(true) => given("application/json", offered),
        Ok(false) => unknown(headers).await,
        Err(error) => failed(&error),
    }
}

async fn pox(site: &Site, request: Request) -> Response {
    let Some(set_up) = &site.set_up else { return unknown(request.headers().clone()).await };
    let (head, body) = request.into_parts();
    let asked = match head.method {
        Method::POST => match body_of(body).await {
            Some(body) => autodiscover::address_of(&body),
            None => Err(Refused::Invalid),
        },
        // Outlook for Android and some others put the address here.
        Method::GET | Method::HEAD => {
            let query = query(&head.uri);
            let address = query.get_any_case("email").or_else(|| query.get_any_case("emailaddress"));
            address.map(str::to_owned).ok_or(Refused::Invalid)
        }
        _ => return not_allowed(head.headers).await,
    };
    let answer = match asked {
        Err(why) => Err(why),
        Ok(address) => match Address::parse(&address) {
            Err(_) => Err(Refused::NotHere),
            Ok(parsed) => match is_ours(site, parsed.domain().clone()).await {
                Ok(true) => autodiscover::settings(&set_up.offers, &address),
                Ok(false) => Err(Refused::NotHere),
                Err(error) => return failed(&error),
            },
        },
    };
    let answer = answer.unwrap_or_else(|why| autodiscover::refusal(why, Timestamp::now()));
    let headers = [(header::CONTENT_TYPE, "application/xml; charset=utf-8"), (header::CACHE_CONTROL, "private")];
    (headers, answer).into_response()
}

async fn json(site: &Site, request: Request) -> Response {
    let Some(set_up) = &site.set_up else { return unknown(request.headers().clone()).await };
    let (head, _) = request.into_parts();
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return not_allowed(head.headers).await;
    }
    let query = query(&head.uri);
    let below = head.uri.path().get(autodiscover::JSON_PATH.len()..).unwrap_or_default();
    let lower = below.to_ascii_lowercase();
    let address = match lower.strip_prefix("/v1.0/") {
        Some(rest) => Form::parse(format!("a={}", rest.replace('+', "%2B")).as_bytes())
            .ok()
            .and_then(|form| form.get("a").map(str::to_owned)),
        None if lower.is_empty() || lower == "/" => query.get_any_case("email").map(str::to_owned),
        None => return unknown(head.headers).await,
    };
    let here = match address.as_deref().and_then(domain_of) {
        None => None,
        Some(domain) => match is_ours(site, domain).await {
            Ok(ours) => Some(ours),
            Err(error) => return failed(&error),
        },
    };
    let (code, body) = autodiscover::found(&set_up.offers, query.get_any_case("protocol"), here);
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::CACHE_CONTROL, "private")];
    (code, headers, body).into_response()
}

/// The page for people.
async fn settings(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(set_up) = &site.set_up else { return unknown(headers).await };
    let query = query(&uri);
    let Some(typed) = query.get_any_case("address") else { return page::asked(&set_up.offers, "", None) };
    match person(&site, &query, typed).await {
        Ok(Some((address, name))) => page::shown(&set_up.offers, &address, name.as_deref()),
        Ok(None) => page::asked(&set_up.offers, typed, Some("This server has no mail for such an address.")),
        Err(error) => failed(&error),
    }
}

async fn mobileconfig(
    State(site): State<Arc<Site>>,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(set_up) = &site.set_up else { return unknown(headers).await };
    let query = query(&uri);
    let Some(typed) = query.get_any_case("address").or_else(|| query.get_any_case("email")) else {
        return unknown(headers).await;
    };
    let (address, name) = match person(&site, &query, typed).await {
        Ok(Some(found)) => found,
        Ok(None) => return unknown(headers).await,
        Err(error) => return failed(&error),
    };
    let Some(plain) = profile::profile(&set_up.offers, &address, name.as_deref()) else {
        return unknown(headers).await;
    };
    let now = Timestamp::now();
    if !set_up.signed.take(whose(visitor.address), now) {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "3600")]).into_response();
    }
    let signed = (set_up.key)().and_then(|key| cms::signed(plain.as_bytes(), &key, now));
    let body = signed.unwrap_or_else(|| plain.into_bytes());
    let headers = [
        (header::CONTENT_TYPE, profile::MEDIA_TYPE),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}

/// The address and name that somebody typed, if the address is of a domain of ours.
async fn person(site: &Site, query: &Form, typed: &str) -> postroad_mail::Result<Option<(String, Option<String>)>> {
    let typed = typed.trim();
    if typed.len() > ADDRESS_MAX {
        return Ok(None);
    }
    let Ok(address) = Address::parse(typed) else { return Ok(None) };
    if !is_ours(site, address.domain().clone()).await? {
        return Ok(None);
    }
    let name =
        query.get_any_case("name").map(str::trim).filter(|name| !name.is_empty() && name.len() <= profile::NAME_MAX);
    Ok(Some((address.to_string(), name.map(str::to_owned))))
}

async fn is_ours(site: &Site, domain: Domain) -> postroad_mail::Result<bool> {
    site.store.read(move |tx| Ok(domains::ours(tx, &domain)?.is_some())).await
}

/// The domain of what may be an address: all that stands behind the last `@`.
fn domain_of(address: &str) -> Option<Domain> {
    if address.len() > ADDRESS_MAX {
        return None;
    }
    Domain::parse(address.trim().rsplit_once('@')?.1).ok()
}

/// The host that is asked for, in lower case and without its port.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let field = || headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = uri.authority().cloned().or_else(field)?;
    Some(authority.host().trim_end_matches('.').to_ascii_lowercase())
}

/// What cannot be read counts as nothing.
fn query(uri: &Uri) -> Form {
    Form::parse(uri.query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

async fn body_of(body: Body) -> Option<axum::body::Bytes> {
    to_bytes(body, autodiscover::REQUEST_MAX).await.ok()
}

/// A network rather than an address where one person has many.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
    }
}

/// Settings that are the same for everybody.
fn given(kind: &'static str, body: String) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, body).into_response()
}

fn failed(error: &postroad_mail::Error) -> Response {
    tracing::warn!(%error, "settings for a mail program cannot be told");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// The id of the client that the administrator makes known for all mail programs that read our settings.
const CLIENT: &str = "autoconfig";
/// Profiles for one network within an hour.
const SIGNED: u32 = 120;
