//! Requests to a provider: one form or one look, one JSON object back, bounded in time and size.
//!
//! TLS with a verified certificate, or plain HTTP to this machine itself, which nobody reads along. Redirects are not followed
//! (RFC 9700 §4.12: a form with a secret would be sent wherever the answer says).

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// A client of providers. Clones share connections.
#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

impl Http {
    /// Trusts the authorities in a PEM file, else the system's. Errors: there are none, or none that can be read.
    pub fn new(authorities: Option<&Path>) -> Result<Http> {
        let here = |why: String| Error::Here(format!("TLS with providers cannot be set up: {why}"));
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| here(error.to_string()))?
            .with_root_certificates(roots(authorities)?)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent("Postroad")
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| here(error.to_string()))?;
        Ok(Http(client))
    }

    /// Sends a form. The answer's status and object.
    pub(crate) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<(u16, Map<String, Value>)> {
        let request = self.0.post(checked(url)?).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(url, request.body(encoded(form))).await
    }

    /// Looks.
    pub(crate) async fn get(&self, url: &str) -> Result<(u16, Map<String, Value>)> {
        self.ask(url, self.0.get(checked(url)?)).await
    }

    async fn ask(&self, url: &str, request: reqwest::RequestBuilder) -> Result<(u16, Map<String, Value>)> {
        let failed = |error: reqwest::Error| Error::Passing(format!("{}: {}", host(url), in_words(&error)));
        let mut response = request.header(ACCEPT, "application/json").send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_MAX {
                return Err(Error::Peer(format!("{} answers with more than {ANSWER_MAX} octets", host(url))));
            }
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(object)) => Ok((status, object)),
            // What stands before a provider says such things when it is away.
            Ok(_) | Err(_) if status >= 500 || status == 429 => {
                Err(Error::Passing(format!("{} answers {status}", host(url))))
            }
            Ok(_) | Err(_) => Err(Error::Peer(format!("{} answers {status} without a JSON object", host(url)))),
        }
    }
}

/// `https:`, or `http:` to this machine.
pub(crate) fn checked(url: &str) -> Result<Url> {
    let parsed = Url::parse(url).map_err(|error| Error::Settings(format!("{url} is no URL: {error}")))?;
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if here => Ok(parsed),
        _ => Err(Error::Settings(format!("{url}: secrets are sent by https: only"))),
    }
}

fn host(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| url.to_owned())
}

/// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
fn encoded(form: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form.invalid/").expect("a URL as it is written here");
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// The innermost cause: reqwest's own words repeat the address and name no reason.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file());
    let path = file.map(Path::to_owned).or_else(system).ok_or_else(|| {
        Error::Here("the system has no file of authorities; install ca-certificates or name a file".into())
    })?;
    let bytes =
        std::fs::read(&path).map_err(|error| Error::Here(format!("{} cannot be read: {error}", path.display())))?;
    let mut roots = RootCertStore::empty();
    let (taken, _) =
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).filter_map(std::result::Result::ok));
    match taken {
        0 => Err(Error::Here(format!("{} holds no certificate in PEM form", path.display()))),
        _ => Ok(roots),
    }
}

const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Octets of an answer: tokens of some providers have several kilobytes.
const ANSWER_MAX: usize = 64 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For the whole of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_by_https_or_nowhere() {
        for (url, good) in [
            ("https://login.test/token", true),
            ("http://127.0.0.1:80/token", true),
            ("http://[::1]/token", true),
            ("http://localhost:1/token", true),
            ("http://login.test/token", false),
            ("http://127.0.0.1.login.test/", false),
            ("ftp://login.test/", false),
            ("token", false),
        ] {
            assert_eq!(checked(url).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(encoded(&[("a", "1 2&3"), ("b", "ü+/=")]), "a=1+2%263&b=%C3%BC%2B%2F%3D");
    }
}
