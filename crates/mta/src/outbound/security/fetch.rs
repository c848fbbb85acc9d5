//! Fetching the MTA-STS policy of a domain: one GET over HTTPS, from addresses that our DNS names.
//!
//! Nothing larger than a policy is read, and nothing is waited for beyond [`WITHIN`].
//!
//! Standards: RFC 8461 §3.3.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::Body;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Method, StatusCode};
use postroad_trust::sts::{self, Policy};
use postroad_trust::tls_results::FailureKind;
use tokio::time::timeout;

use crate::outbound::https::{Asking, Https, Whole, broke_off, failed};
use crate::outbound::tls::Broken;

/// RFC 8461 §3.3 suggests a minute for the whole; a message waits for it.
const WITHIN: Duration = Duration::from_secs(20);

/// The policy of a domain. The error says what went wrong, for reports and for people.
pub(crate) async fn fetch(https: &Https, domain: &str) -> Result<Policy, Broken> {
    let host = sts::policy_host(domain);
    let asking = Asking {
        method: Method::GET,
        path: sts::PATH,
        field: (ACCEPT, "text/plain"),
        body: Whole(None),
        within: WITHIN,
    };
    match timeout(WITHIN, https.ask(&host, asking, |response| read(&host, response))).await {
        Ok(Ok(file)) => Policy::parse(&file).map_err(|why| Broken {
            why: format!("what {host} serves is no policy: {why}"),
            kind: FailureKind::StsPolicyInvalid,
        }),
        Ok(Err(broken)) => Err(broken),
        Err(_) => Err(failed(format!("{host} did not serve it within {} s", WITHIN.as_secs()))),
    }
}

async fn read(host: &str, response: hyper::Response<hyper::body::Incoming>) -> Result<Vec<u8>, Broken> {
    let status = response.status();
    // RFC 8461 §3.3: 3xx is not followed.
    if status.is_redirection() {
        return Err(failed(format!("{host} leads elsewhere ({status}), which is not followed")));
    }
    if status != StatusCode::OK {
        return Err(failed(format!("{host} answers {status}")));
    }
    // RFC 8461 §3.2: what its users may upload is of another kind.
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("text/plain") {
        let kind: String = kind.chars().take(40).collect();
        return Err(failed(format!("{host} serves {kind:?} and not text/plain")));
    }
    let mut body = response.into_body();
    let mut file = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| broke_off(host, &error))?;
        if let Ok(data) = frame.into_data() {
            if file.len() + data.len() > sts::FILE_MAX {
                return Err(Broken {
                    why: format!("what {host} serves is larger than a policy"),
                    kind: FailureKind::StsPolicyInvalid,
                });
            }
            file.extend_from_slice(&data);
        }
    }
    Ok(file)
}
