//! Settings as one JSON document whose digest stands in the DNS.
//!
//! The octets follow from the server alone, so that `postroad dns` can tell the digest of what the server will show.
//!
//! Standards: draft-ietf-mailmaint-pacc.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Offers, Protocol, Security};

/// Where programs look on `ua-auto-config.DOMAIN`.
pub const PATH: &str = "/.well-known/user-agent-configuration.json";
/// What stands before the domain in the host's name.
pub const LABEL: &str = "ua-auto-config";

/// The document. None: nothing is where such programs would look, which is the usual ports with TLS from the first octet,
/// or there are no pages on the usual port.
pub fn document(offers: &Offers) -> Option<String> {
    let mut protocols = Map::new();
    for (protocol, name) in [(Protocol::Imap, "imap"), (Protocol::Pop3, "pop3"), (Protocol::Submission, "smtp")] {
        let is_usual = |port: u16, security| security == Security::Tls && port == protocol.usual_port(Security::Tls);
        if offers.of(protocol).any(|offer| is_usual(offer.port, offer.security)) {
            protocols.insert(name.into(), json!({ "host": offers.host }));
        }
    }
    if protocols.is_empty() || offers.https != Some(443) {
        return None;
    }
    let mut authentication = Map::new();
    if let Some(issuer) = offers.issuer.as_ref().filter(|_| offers.services.iter().any(|offer| offer.token)) {
        authentication.insert("oauth-public".into(), json!({ "issuer": issuer }));
    }
    authentication.insert("password".into(), Value::Bool(offers.services.iter().any(|offer| offer.password)));
    let document = json!({
        "protocols": protocols,
        "authentication": authentication,
        "info": {
            "provider": { "name": offers.host, "shortName": offers.host },
            "help": { "documentation": offers.at("/setup") },
        },
    });
    Some(format!("{document}\n"))
}

/// The text at `_ua-auto-config.DOMAIN`.
pub fn record(document: &str) -> String {
    format!("v=UAAC1; a=sha256; d={}", STANDARD.encode(digest(&SHA256, document.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoconfig::sample;

    #[test]
    fn only_what_stands_where_programs_look_is_told() {
        let offers = sample();
        let whole = document(&offers).expect("a document");
        let value: Value = serde_json::from_str(&whole).expect("JSON");
        assert_eq!(value["protocols"]["smtp"]["host"], "mail.example.test");
        assert_eq!(value["authentication"]["oauth-public"]["issuer"], "https://mail.example.test");
        assert_eq!(document(&offers).as_ref(), Some(&whole), "the same octets each time");
        assert_eq!(record("{}\n"), "v=UAAC1; a=sha256; d=yj0WO6sFU4GCciYUBWjzvvfqrBh869doeOC2Pp5EI1Y=".to_owned());
        let mut moved = offers.clone();
        moved.services.retain(|offer| offer.security == Security::StartTls);
        assert_eq!(document(&moved), None);
        assert_eq!(document(&Offers { https: Some(8443), ..offers }), None);
    }
}
