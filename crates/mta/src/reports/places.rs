//! Where reports go: what a domain's record names, and whether those named agree.
//!
//! Anybody can write somebody else's address into their own DNS. A place elsewhere is written to only when its own DNS says that
//! it takes this domain's reports (RFC 9990 §4); what cannot be asked about now is left out.

use std::time::Duration;

use postroad_mailauth::dmarc;
use tokio::time::Instant;

use super::Reporter;
use crate::checks::drive;

/// A place that reports can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By mail.
    Mail { address: String, domain: String },
    /// By HTTPS.
    Https(String),
}

impl Place {
    /// `mailto:` and `https:`; others are not known.
    pub(super) fn parse(uri: &str) -> Option<Place> {
        let (scheme, rest) = uri.split_once(':')?;
        if scheme.eq_ignore_ascii_case("https") {
            return Some(Place::Https(uri.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        // RFC 6068: what follows a question mark would be fields.
        let address = decoded(rest.split('?').next().unwrap_or_default())?;
        let parsed = address.parse::<postroad_smtp::Address>().ok()?;
        let domain = parsed.domain_ascii()?;
        Some(Place::Mail { address, domain })
    }
}

/// An address that a domain's reports go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) address: String,
    /// Of the address.
    pub(super) domain: String,
    /// Octets of the largest letter that is wanted there.
    pub(super) largest: Option<u64>,
}

/// Percent signs undone.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok().filter(|text| !text.chars().any(char::is_control))
}

impl Reporter {
    /// The addresses of a DMARC record that a domain's reports may go to, and what was left out and why.
    pub(super) async fn agreed(&self, domain: &str, wanted: &[dmarc::Place]) -> (Vec<Agreed>, Vec<String>) {
        let (mut agreed, mut left_out): (Vec<Agreed>, _) = (Vec::new(), Vec::new());
        let mut organization = None;
        for place in wanted {
            if agreed.len() >= PLACES_MAX {
                left_out.push(format!("more than {PLACES_MAX} addresses"));
                break;
            }
            let Some(Place::Mail { address, domain: host }) = Place::parse(&place.uri) else {
                left_out.push(format!("{} is no mail address", place.uri));
                continue;
            };
            let mut places = vec![Agreed { address: address.clone(), domain: host.clone(), largest: place.largest }];
            if !is_at_or_below(&host, domain) {
                if organization.is_none() {
                    organization = Some(self.organization(domain).await);
                }
                let same = organization.as_ref().is_some_and(|organization| is_at_or_below(&host, organization));
                if !same {
                    match self.consent(domain, &host).await {
                        None => {
                            let asked = consent_name(domain, &host);
                            left_out.push(format!("{address}: {asked} does not say that it wants them"));
                            continue;
                        }
                        Some(instead) if instead.is_empty() => {}
                        Some(instead) => {
                            let (here, elsewhere) = overridden(&instead, &host);
                            if here.is_empty() {
                                left_out.push(format!("{address}: {elsewhere} is wanted instead, and not at {host}"));
                            }
                            places = here;
                        }
                    }
                }
            }
            for place in places.into_iter().take(PLACES_MAX - agreed.len()) {
                if !agreed.iter().any(|known| known.address == place.address) {
                    agreed.push(place);
                }
            }
        }
        (agreed, left_out)
    }

    /// The organisational domain of a domain, by the tree walk; itself where that is not known.
    async fn organization(&self, domain: &str) -> String {
        let input = dmarc::Input { from_domains: vec![domain.to_owned()], ..dmarc::Input::default() };
        let verdict = drive::run(dmarc::Check::new(input), &*self.dns, Instant::now() + ASK_WITHIN).await;
        verdict.organizational_domain.unwrap_or_else(|| domain.to_owned())
    }

    /// RFC 9990 §4: a record at the place says that it takes reports about the domain. `None`: there is none; else where it wants
    /// them instead, if it says so.
    async fn consent(&self, domain: &str, host: &str) -> Option<Vec<dmarc::Place>> {
        let answer = self.dns.txt(&consent_name(domain, host)).await.ok()?;
        answer.records.iter().find_map(|record| dmarc::Record::consent(record))
    }

    /// Where a domain wants reports about TLS; RFC 8460 §3. Errors: the DNS does not answer.
    pub(super) async fn tls_places(&self, domain: &str) -> Result<Vec<Place>, String> {
        let answer = match self.dns.txt(&format!("_smtp._tls.{domain}")).await {
            Ok(answer) => answer.records,
            Err(error) if error.is_temporary() => return Err(error.to_string()),
            Err(_) => Vec::new(),
        };
        let texts = answer.iter().map(|record| String::from_utf8_lossy(record).into_owned());
        let records: Vec<Vec<Place>> = texts.filter_map(|text| tls_record(&text)).collect();
        // RFC 8460 §3: with several, nobody knows which.
        Ok(match <[Vec<Place>; 1]>::try_from(records) {
            Ok([places]) => places,
            Err(_) => Vec::new(),
        })
    }
}

/// `v=TLSRPTv1; rua=mailto:..,https:..`. `None`: another record.
fn tls_record(text: &str) -> Option<Vec<Place>> {
    let mut tags =
        text.split(';').filter_map(|tag| tag.split_once('=')).map(|(name, value)| (name.trim(), value.trim()));
    if tags.next()? != ("v", "TLSRPTv1") {
        return None;
    }
    let rua = tags.find(|(name, _)| *name == "rua").map(|(_, value)| value).unwrap_or_default();
    Some(rua.split(',').filter_map(|uri| Place::parse(uri.trim())).take(PLACES_MAX).collect())
}

/// Where a place says that it takes reports about a domain.
fn consent_name(domain: &str, host: &str) -> String {
    format!("{domain}._report._dmarc.{host}")
}

/// What a place wants instead, as far as it may say so: at the same host, else whoever agrees to reports could have others get
/// them (RFC 7489 §7.1). Beside it what was passed over.
fn overridden(instead: &[dmarc::Place], host: &str) -> (Vec<Agreed>, String) {
    let at_host = |place: &dmarc::Place| match Place::parse(&place.uri)? {
        Place::Mail { address, domain } if domain == host => Some(Agreed { address, domain, largest: place.largest }),
        Place::Mail { .. } | Place::Https(_) => None,
    };
    let passed_over = instead.iter().filter(|place| at_host(place).is_none()).map(|place| place.uri.as_str());
    (instead.iter().filter_map(at_host).collect(), passed_over.collect::<Vec<_>>().join(", "))
}

fn is_at_or_below(name: &str, above: &str) -> bool {
    name == above || name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

/// Places that one report goes to.
const PLACES_MAX: usize = 5;
/// For a tree walk.
const ASK_WITHIN: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(address: &str, domain: &str) -> Place {
        Place::Mail { address: address.into(), domain: domain.into() }
    }

    #[test]
    fn places_are_read() {
        for (uri, expected) in [
            ("mailto:r@Example.org", Some(mail("r@Example.org", "example.org"))),
            ("MAILTO:r%2Bdmarc@a.test?subject=x", Some(mail("r+dmarc@a.test", "a.test"))),
            ("mailto:r%0d%0a@a.test", None),
            ("mailto:r%zz@a.test", None),
            ("mailto:nobody", None),
            ("https://a.test/r", Some(Place::Https("https://a.test/r".into()))),
            ("http://a.test/r", None),
            ("ftp:x", None),
        ] {
            assert_eq!(Place::parse(uri), expected, "{uri}");
        }
        let both = vec![mail("t@a.test", "a.test"), Place::Https("https://a.test/t".into())];
        for (text, expected) in [
            ("v=TLSRPTv1; rua=mailto:t@a.test,https://a.test/t", Some(both)),
            ("v=TLSRPTv1;", Some(Vec::new())),
            ("v=TLSRPTv2; rua=mailto:t@a.test", None),
            ("v=spf1 -all", None),
        ] {
            assert_eq!(tls_record(text), expected, "{text}");
        }
        assert!(is_at_or_below("a.b.test", "b.test") && !is_at_or_below("ab.test", "b.test"));
    }
}
