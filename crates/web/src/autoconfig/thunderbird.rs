//! Settings as Thunderbird, K-9, Evolution and others look for them.
//!
//! Standards: draft-ietf-mailmaint-autoconfig (the file format 1.1, which programs of all ages read).

use std::fmt::Write;

use super::xml::text;
use super::{Offer, Offers, Protocol, Security};

/// Where programs look on `autoconfig.DOMAIN`.
pub const PATH: &str = "/mail/config-v1.1.xml";
/// Where they look on `DOMAIN`.
pub const WELL_KNOWN: &str = "/.well-known/autoconfig/mail/config-v1.1.xml";

/// The settings of a domain. `client`: the id of the client that programs shall use when they ask for tokens; without it
/// they can only make themselves known. None: nothing is offered that a program could use.
pub fn config(offers: &Offers, domain: &str, client: Option<&str>) -> Option<String> {
    let incoming = [Protocol::Imap, Protocol::Pop3].into_iter().flat_map(|protocol| offers.of(protocol));
    let incoming: String = incoming.filter_map(|offer| server(offers, offer, client.is_some())).collect();
    if incoming.is_empty() {
        return None;
    }
    let outgoing: String =
        offers.of(Protocol::Submission).filter_map(|offer| server(offers, offer, client.is_some())).collect();
    let shown = text(domain);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  <emailProvider id=\"{shown}\">\n    \
         <domain>{shown}</domain>\n    <displayName>{shown}</displayName>\n    \
         <displayShortName>{shown}</displayShortName>\n{incoming}{outgoing}"
    );
    if let Some(page) = offers.at("/setup") {
        let _ = write!(
            out,
            "    <documentation url=\"{}\">\n      <descr lang=\"en\">The settings of your account</descr>\n    \
             </documentation>\n",
            text(&page)
        );
    }
    out.push_str("  </emailProvider>\n");
    out.push_str(&tokens(offers, client));
    out.push_str("</clientConfig>\n");
    Some(out)
}

/// One server; none when nothing that programs know lets them in there.
fn server(offers: &Offers, offer: &Offer, tokens_first: bool) -> Option<String> {
    let (element, kind) = match offer.protocol {
        Protocol::Imap => ("incomingServer", "imap"),
        Protocol::Pop3 => ("incomingServer", "pop3"),
        Protocol::Submission => ("outgoingServer", "smtp"),
    };
    let socket = match offer.security {
        Security::Tls => "SSL",
        Security::StartTls => "STARTTLS",
    };
    // The first that a program knows is taken. Tokens win only where the program is told how to get one: some would try,
    // and stay out.
    let password = offer.password.then_some("password-cleartext");
    let token = (offer.token && offers.issuer.is_some()).then_some("OAuth2");
    let ways = if tokens_first { [token, password] } else { [password, token] };
    let ways: String =
        ways.into_iter().flatten().map(|way| format!("      <authentication>{way}</authentication>\n")).collect();
    if ways.is_empty() {
        return None;
    }
    Some(format!(
        "    <{element} type=\"{kind}\">\n      <hostname>{}</hostname>\n      <port>{}</port>\n      \
         <socketType>{socket}</socketType>\n{ways}      <username>%EMAILADDRESS%</username>\n    </{element}>\n",
        text(&offers.host),
        offer.port
    ))
}

fn tokens(offers: &Offers, client: Option<&str>) -> String {
    let Some(issuer) = offers.issuer.as_ref().filter(|_| offers.services.iter().any(|offer| offer.token)) else {
        return String::new();
    };
    let issuer = text(issuer);
    let client = client.map(|id| format!("    <clientID>{}</clientID>\n", text(id))).unwrap_or_default();
    format!(
        "  <oAuth2>\n    <issuer>{issuer}</issuer>\n    <scope>{SCOPE}</scope>\n    \
         <authURL>{issuer}/oauth/authorize</authURL>\n    <tokenURL>{issuer}/oauth/token</tokenURL>\n{client}  </oAuth2>\n"
    )
}

/// What a mail program needs, as draft-ietf-mailmaint-oauth-public names it.
const SCOPE: &str = "urn:ietf:params:oauth:scope:mail offline_access";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoconfig::sample;

    #[test]
    fn tokens_come_first_only_when_programs_can_have_one() {
        let offers = sample();
        let ways = |client: Option<&str>| {
            let config = config(&offers, "example.test", client).expect("settings");
            let first = config.split("<authentication>").nth(1).expect("a way").split('<').next().unwrap_or_default();
            (first.to_owned(), config.contains("<clientID>"))
        };
        assert_eq!(ways(None), ("password-cleartext".to_owned(), false));
        assert_eq!(ways(Some("autoconfig")), ("OAuth2".to_owned(), true));
        let none = Offers { issuer: None, ..offers.clone() };
        let config_without = config(&none, "example.test", Some("x")).expect("settings");
        assert!(!config_without.contains("OAuth2") && !config_without.contains("oAuth2"), "{config_without}");
        assert_eq!(config(&Offers { services: Vec::new(), ..offers }, "example.test", None), None);
    }
}
