//! Profiles for iPhones, iPads and Macs: the settings of one account as a property list.
//!
//! No password is in them: the device asks for it. The same address gets the same identifiers from the same server each
//! time, so that a newer profile takes the place of an older one.
//!
//! Standards: Apple's Configuration Profile Reference (com.apple.mail.managed), RFC 9562 §5.8 (UUIDs).

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};

use super::xml::text;
use super::{Offer, Offers, Protocol};

/// What a profile is served as.
pub const MEDIA_TYPE: &str = "application/x-apple-aspen-config";
/// Longest name of a person, in octets.
pub const NAME_MAX: usize = 200;

/// The profile of an address. `name`: what others see beside it. None: the server offers no way to read or none to send.
pub fn profile(offers: &Offers, address: &str, name: Option<&str>) -> Option<String> {
    let (kind, incoming) = match offers.best(Protocol::Imap) {
        Some(imap) => ("EmailTypeIMAP", imap),
        None => ("EmailTypePOP", offers.best(Protocol::Pop3)?),
    };
    let outgoing = offers.best(Protocol::Submission)?;
    let host = &offers.host;
    let outer = uuid(host, address, "profile");
    let inner = uuid(host, address, "mail");
    // Backwards, as Apple's identifiers are.
    let prefix: Vec<&str> = host.split('.').rev().collect();
    let prefix = prefix.join(".");
    let mut account = Plist::default();
    account.string("PayloadType", "com.apple.mail.managed");
    account.number("PayloadVersion", 1);
    account.string("PayloadIdentifier", &format!("{prefix}.mail.{outer}.account"));
    account.string("PayloadUUID", &inner);
    account.string("PayloadDisplayName", address);
    account.string("EmailAccountType", kind);
    account.string("EmailAccountDescription", address);
    account.string("EmailAddress", address);
    if let Some(name) = name {
        account.string("EmailAccountName", name);
    }
    account.server("Incoming", offers, incoming, address);
    account.server("Outgoing", offers, outgoing, address);
    account.truth("OutgoingPasswordSameAsIncomingPassword", true);
    let mut whole = Plist::default();
    whole.string("PayloadType", "Configuration");
    whole.number("PayloadVersion", 1);
    whole.string("PayloadIdentifier", &format!("{prefix}.mail.{outer}"));
    whole.string("PayloadUUID", &outer);
    whole.string("PayloadDisplayName", &format!("Mail for {address}"));
    whole.string("PayloadDescription", &format!("The mail account {address} at {host}."));
    whole.string("PayloadOrganization", host);
    whole.truth("PayloadRemovalDisallowed", false);
    Some(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n{}<key>PayloadContent</key>\n\
         <array>\n<dict>\n{}</dict>\n</array>\n</dict>\n</plist>\n",
        whole.0, account.0
    ))
}

/// Keys and values of a dictionary.
#[derive(Default)]
struct Plist(String);

impl Plist {
    fn string(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "<key>{key}</key>\n<string>{}</string>", text(value));
    }

    fn number(&mut self, key: &str, value: u16) {
        let _ = writeln!(self.0, "<key>{key}</key>\n<integer>{value}</integer>");
    }

    fn truth(&mut self, key: &str, value: bool) {
        let _ = writeln!(self.0, "<key>{key}</key>\n<{value}/>");
    }

    /// On every port it is TLS: by STARTTLS where it does not begin so, which the device finds out.
    fn server(&mut self, way: &str, offers: &Offers, offer: &Offer, address: &str) {
        self.string(&format!("{way}MailServerAuthentication"), "EmailAuthPassword");
        self.string(&format!("{way}MailServerHostName"), &offers.host);
        self.number(&format!("{way}MailServerPortNumber"), offer.port);
        self.truth(&format!("{way}MailServerUseSSL"), true);
        self.string(&format!("{way}MailServerUsername"), address);
    }
}

/// RFC 9562 §5.8: made from a digest, so that it stays the same.
fn uuid(host: &str, address: &str, purpose: &str) -> String {
    let hashed = digest(&SHA256, format!("{host}\n{address}\n{purpose}").as_bytes());
    let mut octets: [u8; 16] = std::array::from_fn(|place| hashed.as_ref()[place]);
    octets[6] = octets[6] & 0x0f | 0x80;
    octets[8] = octets[8] & 0x3f | 0x80;
    let mut out = String::with_capacity(36);
    for (place, octet) in octets.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{octet:02X}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoconfig::sample;

    #[test]
    fn identifiers_stay_and_are_each_ones_own() {
        let one = uuid("a.test", "x@a.test", "mail");
        assert_eq!(one, uuid("a.test", "x@a.test", "mail"));
        assert_ne!(one, uuid("a.test", "y@a.test", "mail"));
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'8'));
        assert!(b"89AB".contains(&one.as_bytes()[19]), "{one}");
    }

    #[test]
    fn a_server_without_imap_has_its_mail_fetched() {
        let mut offers = sample();
        offers.services.retain(|offer| offer.protocol != Protocol::Imap);
        let made = profile(&offers, "x@example.test", Some("X <&> Y")).expect("a profile");
        assert!(made.contains("EmailTypePOP") && made.contains("<string>X &lt;&amp;&gt; Y</string>"), "{made}");
        offers.services.retain(|offer| offer.protocol == Protocol::Pop3);
        assert_eq!(profile(&offers, "x@example.test", None), None);
    }
}
