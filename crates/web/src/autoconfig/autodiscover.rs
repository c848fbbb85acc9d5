//! Settings as Outlook and other programs of Microsoft's look for them.
//!
//! A request is read within bounds and without entities of its own; what cannot be read is answered in the schema, too.
//!
//! Standards: \[MS-OXDSCLI\] (POX), the JSON form that Outlook for phones and Office ask first.

use std::fmt::Write;

use postroad_store::Timestamp;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::json;

use super::xml::text;
use super::{ADDRESS_MAX, Offers, Protocol, Security};

/// Programs write the path in many ways: it is compared without regard to case.
pub const PATH: &str = "/autodiscover/autodiscover.xml";
/// The JSON form; an address may follow behind `/v1.0/`.
pub const JSON_PATH: &str = "/autodiscover/autodiscover.json";

/// Why a request gets no settings: \[MS-OXDSCLI\] §2.2.4.1.1.2.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// 500: mail for this address is not here. Said of each address of a domain that is not ours, and of no other.
    NotHere,
    /// 600: the request is not one.
    Invalid,
    /// 601: what it asks for is not spoken here (ActiveSync, Exchange's own settings).
    NotOffered,
}

impl Refused {
    fn words(self) -> (u16, &'static str) {
        match self {
            Refused::NotHere => (500, "The email address can't be found."),
            Refused::Invalid => (600, "Invalid Request"),
            Refused::NotOffered => (601, "Provider is not available"),
        }
    }
}

/// The address that a request is about, as it was written. Errors: `Invalid`, `NotOffered`.
pub fn address_of(request: &[u8]) -> Result<String, Refused> {
    if request.len() > REQUEST_MAX {
        return Err(Refused::Invalid);
    }
    let request = std::str::from_utf8(request).map_err(|_| Refused::Invalid)?;
    let mut asked = Asked::default();
    let mut reader = Reader::from_str(request.trim_start_matches('\u{feff}'));
    loop {
        match reader.read_event().map_err(|_| Refused::Invalid)? {
            Event::Start(tag) => asked.open(tag.local_name().as_ref())?,
            Event::End(_) => asked.inside.truncate(asked.inside.len().saturating_sub(1)),
            Event::Text(part) => asked.text(&part)?,
            Event::CData(part) => asked.text(&part)?,
            Event::GeneralRef(name) => {
                let number = || name.resolve_char_ref().ok().flatten().map(String::from);
                let known = std::str::from_utf8(&name).ok().and_then(quick_xml::escape::resolve_xml_entity);
                let part = known.map(str::to_owned).or_else(number).ok_or(Refused::Invalid)?;
                asked.text(part.as_bytes())?;
            }
            // Nobody needs one, and entities are declared there.
            Event::DocType(_) => return Err(Refused::Invalid),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !asked.inside.is_empty() {
        return Err(Refused::Invalid);
    }
    let schema = asked.schema.trim();
    if !schema.is_empty()
        && !schema.trim_start_matches("https").trim_start_matches("http").eq_ignore_ascii_case(OUTLOOK)
    {
        return Err(Refused::NotOffered);
    }
    match asked.address.trim() {
        "" => Err(Refused::Invalid),
        address => Ok(address.to_owned()),
    }
}

/// What has been read of a request.
#[derive(Default)]
struct Asked {
    inside: Vec<Element>,
    seen: Vec<Element>,
    address: String,
    schema: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Address,
    Schema,
    Other,
}

impl Asked {
    fn open(&mut self, name: &[u8]) -> Result<(), Refused> {
        let element = match name {
            b"EMailAddress" => Element::Address,
            b"AcceptableResponseSchema" => Element::Schema,
            _ => Element::Other,
        };
        // Two readers might take two addresses.
        if self.inside.len() >= DEPTH_MAX || (element != Element::Other && self.seen.contains(&element)) {
            return Err(Refused::Invalid);
        }
        if element != Element::Other {
            self.seen.push(element);
        }
        self.inside.push(element);
        Ok(())
    }

    fn text(&mut self, part: &[u8]) -> Result<(), Refused> {
        let place = match self.inside.last() {
            Some(Element::Address) => &mut self.address,
            Some(Element::Schema) => &mut self.schema,
            Some(Element::Other) | None => return Ok(()),
        };
        place.push_str(std::str::from_utf8(part).map_err(|_| Refused::Invalid)?);
        if place.len() > ADDRESS_MAX { Err(Refused::Invalid) } else { Ok(()) }
    }
}

/// The settings for an address. Errors: `NotOffered` when nothing is there that such a program could use.
pub fn settings(offers: &Offers, address: &str) -> Result<String, Refused> {
    let protocols: String = Protocol::ALL.into_iter().filter_map(|one| protocol(offers, one, address)).collect();
    if protocols.is_empty() {
        return Err(Refused::NotOffered);
    }
    Ok(format!(
        "{HEAD}<Autodiscover xmlns=\"{OUTER}\">\n  <Response xmlns=\"http{OUTLOOK}\">\n    <User>\n      \
         <DisplayName>{}</DisplayName>\n    </User>\n    <Account>\n      <AccountType>email</AccountType>\n      \
         <Action>settings</Action>\n{protocols}    </Account>\n  </Response>\n</Autodiscover>\n",
        text(address)
    ))
}

/// One block: the best port, since programs take the first.
fn protocol(offers: &Offers, protocol: Protocol, address: &str) -> Option<String> {
    let offer = offers.best(protocol)?;
    let name = match protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Submission => "SMTP",
    };
    // `Encryption` wins over `SSL` where it is known; both say the same.
    let encryption = match offer.security {
        Security::Tls => "SSL",
        Security::StartTls => "TLS",
    };
    // SPA is NTLM, and on unless it is denied.
    let mut block = format!(
        "      <Protocol>\n        <Type>{name}</Type>\n        <TTL>24</TTL>\n        <Server>{}</Server>\n        \
         <Port>{}</Port>\n        <LoginName>{}</LoginName>\n        <DomainRequired>off</DomainRequired>\n        \
         <SPA>off</SPA>\n        <SSL>on</SSL>\n        <Encryption>{encryption}</Encryption>\n        \
         <AuthRequired>on</AuthRequired>\n",
        text(&offers.host),
        offer.port,
        text(address)
    );
    if protocol == Protocol::Submission {
        let _ = write!(block, "        <UsePOPAuth>on</UsePOPAuth>\n        <SMTPLast>off</SMTPLast>\n");
    }
    block.push_str("      </Protocol>\n");
    Some(block)
}

/// A refusal. It has a number that the server's people could look up; here it says no more than the code.
pub fn refusal(why: Refused, now: Timestamp) -> String {
    let (code, words) = why.words();
    let ticks = now.0.rem_euclid(86_400_000_000);
    let (second, micros) = (ticks / 1_000_000, ticks % 1_000_000);
    format!(
        "{HEAD}<Autodiscover xmlns=\"{OUTER}\">\n  <Response>\n    <Error Time=\"{:02}:{:02}:{:02}.{micros:06}0\" \
         Id=\"{code}\">\n      <ErrorCode>{code}</ErrorCode>\n      <Message>{}</Message>\n      <DebugData/>\n    \
         </Error>\n  </Response>\n</Autodiscover>\n",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        text(words)
    )
}

/// The answer of the JSON form: where the settings are, or its code and text. `here`: whether the address's domain is ours;
/// `None`: it is no address.
pub fn found(offers: &Offers, protocol: Option<&str>, here: Option<bool>) -> (u16, String) {
    let refused =
        |code: u16, name: &str, words: &str| (code, json!({ "ErrorCode": name, "ErrorMessage": words }).to_string());
    let Some(protocol) = protocol else {
        let words = "A valid value must be provided for the query parameter 'Protocol'";
        return refused(400, "MandatoryParameterMissing", words);
    };
    if !protocol.eq_ignore_ascii_case("AutodiscoverV1") {
        let shown: String = protocol.chars().take(PROTOCOL_SHOWN_MAX).collect();
        let words = format!("The given protocol value '{shown}' is invalid. Supported values are 'AutodiscoverV1'");
        return refused(400, "InvalidProtocol", &words);
    }
    match (here, offers.at(PATH)) {
        (Some(true), Some(url)) => (200, json!({ "Protocol": "AutodiscoverV1", "Url": url }).to_string()),
        (Some(false), _) | (_, None) => refused(404, "UserNotFound", "Mail for this address is not here."),
        (None, Some(_)) => refused(400, "InvalidUserId", "The given user is not a mail address."),
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
/// Microsoft's pages show these with `https` since their links were rewritten; the names are those with `http`.
const OUTER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const OUTLOOK: &str = "://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// Longest request, in octets: real ones have some four hundred.
pub const REQUEST_MAX: usize = 16 * 1024;
const DEPTH_MAX: usize = 16;
const PROTOCOL_SHOWN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoconfig::sample;

    fn request(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/\
             autodiscover/outlook/requestschema/2006\"><Request>{inner}</Request></Autodiscover>"
        )
    }

    #[test]
    fn requests_are_read() {
        let schema = |name: &str| format!("<AcceptableResponseSchema>{name}</AcceptableResponseSchema>");
        let outlook = schema("http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a");
        let mobile = schema("http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006");
        let address = "<EMailAddress> u@d.test\n</EMailAddress>";
        let good = Ok("u@d.test".to_owned());
        for (asked, expected) in [
            (request(&format!("{address}{outlook}")), good.clone()),
            (request(&format!("{outlook}{address}")), good.clone()),
            (request(address), good.clone()),
            (format!("\u{feff}{}", request(address)), good.clone()),
            (request(&format!("<x:Y xmlns:x='z'/><!-- c -->{address}")), good.clone()),
            (request("<EMailAddress><![CDATA[u@d.test]]></EMailAddress>"), good.clone()),
            (request("<EMailAddress>u&#64;d.test</EMailAddress>"), good),
            (request("<EMailAddress>a&amp;b@d.test</EMailAddress>"), Ok("a&b@d.test".to_owned())),
            (request(&format!("{address}{}", outlook.replace("http:", "https:"))), Ok("u@d.test".to_owned())),
            (request(&format!("{address}{mobile}")), Err(Refused::NotOffered)),
            (request(&format!("{address}{address}")), Err(Refused::Invalid)),
            (request("<EMailAddress>&me;</EMailAddress>"), Err(Refused::Invalid)),
            (request("<LegacyDN>/o=x</LegacyDN>"), Err(Refused::Invalid)),
            (request("<EMailAddress>u@d.test"), Err(Refused::Invalid)),
            (format!("<!DOCTYPE a [<!ENTITY me 'u@d'>]>{}", request(address)), Err(Refused::Invalid)),
            (request(&format!("<EMailAddress>{}</EMailAddress>", "u".repeat(600))), Err(Refused::Invalid)),
            (request(&"<a>".repeat(100)), Err(Refused::Invalid)),
            (request(&format!("{address}{}", " ".repeat(REQUEST_MAX))), Err(Refused::Invalid)),
            (String::new(), Err(Refused::Invalid)),
            ("{}".into(), Err(Refused::Invalid)),
        ] {
            assert_eq!(address_of(asked.as_bytes()), expected, "{asked}");
        }
        let wide: Vec<u8> = request(address).encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(address_of(&wide), Err(Refused::Invalid));
        assert_eq!(address_of(&[0xff, 0xfe, 0]), Err(Refused::Invalid));
    }

    #[test]
    fn refusals_are_in_the_schema() {
        let at = refusal(Refused::Invalid, Timestamp(1_795_363_261_012_345));
        assert!(at.contains("<Error Time=\"16:01:01.0123450\" Id=\"600\">"), "{at}");
        assert_eq!(settings(&Offers::default(), "u@d.test"), Err(Refused::NotOffered));
    }

    #[test]
    fn the_json_form_leads_to_the_other() {
        let offers = sample();
        let ask = |protocol, here| found(&offers, protocol, here);
        assert_eq!(
            ask(Some("Autodiscoverv1"), Some(true)),
            (
                200,
                r#"{"Protocol":"AutodiscoverV1","Url":"https://mail.example.test/autodiscover/autodiscover.xml"}"#
                    .into()
            )
        );
        for (protocol, here, code, name) in [
            (Some("ActiveSync"), Some(true), 400, "InvalidProtocol"),
            (None, Some(true), 400, "MandatoryParameterMissing"),
            (Some("AutodiscoverV1"), Some(false), 404, "UserNotFound"),
            (Some("AutodiscoverV1"), None, 400, "InvalidUserId"),
        ] {
            let (given, body) = ask(protocol, here);
            assert!(given == code && body.contains(name), "{given} {body}");
        }
    }
}
