//! The DMARC policy record.

use std::fmt;

/// What the owner of a domain wants done with mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// Treat with suspicion: Junk.
    Quarantine,
    /// Refuse.
    Reject,
}

impl Policy {
    /// The word of the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How alike two domains must be (`adkim`, `aspf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Alignment {
    /// `r`: the same organisational domain.
    #[default]
    Relaxed,
    /// `s`: the same domain.
    Strict,
}

/// Whether a domain is one below which others register (`psd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Psd {
    /// `y`: it is a public suffix.
    Yes,
    /// `n`: it is not, and it is an organisational domain.
    No,
    /// `u` or nothing: the tree walk decides.
    #[default]
    Unsaid,
}

/// A policy record. RFC 9989 §4.7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `p`: for the domain itself.
    pub policy: Policy,
    /// `sp`: for names below it that exist.
    pub subdomain_policy: Option<Policy>,
    /// `np`: for names below it that do not exist.
    pub nonexistent_policy: Option<Policy>,
    /// `adkim`.
    pub dkim_alignment: Alignment,
    /// `aspf`.
    pub spf_alignment: Alignment,
    /// `psd`.
    pub psd: Psd,
    /// `t=y`: the policy is being tried: one step milder.
    pub testing: bool,
    /// `rua`: where aggregate reports go.
    pub rua: Vec<Place>,
    /// `ruf`: where failure reports go.
    pub ruf: Vec<Place>,
    /// `fo`: letters among `0`, `1`, `d`, `s`.
    pub failure_options: Vec<char>,
}

/// A place that reports go to: an element of `rua` or `ruf`. Written as it is read: `mailto:r@example.org!10m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The URI, without the size.
    pub uri: String,
    /// Octets of the largest letter that is wanted there; RFC 7489 §6.2 wrote it behind an exclamation mark. RFC 9989 has no such
    /// size any more, but records do.
    pub largest: Option<u64>,
}

impl Place {
    /// Reads one element. `None`: it is no URI.
    pub fn parse(text: &str) -> Option<Place> {
        let text = trim(text);
        // RFC 7489 §6.2: an exclamation mark of the URI itself is written `%21`. A size that is none is passed over.
        let (uri, size) = text.split_once('!').map_or((text, None), |(uri, size)| (uri, Some(size)));
        is_uri(uri).then(|| Place { uri: uri.to_owned(), largest: size.and_then(octets) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)?;
        match self.largest {
            Some(largest) => write!(f, "!{largest}"),
            None => Ok(()),
        }
    }
}

/// `1*DIGIT [ "k" / "m" / "g" / "t" ]`, in powers of 1,024.
fn octets(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match size[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1 << unit))
}

impl Record {
    /// Where a record at `DOMAIN._report._dmarc.HOST` wants the reports instead of where the domain's own record names an address at
    /// that host. RFC 7489 §7.1, RFC 9990 §4. `None`: it is no such record, so nothing is agreed to; empty: nothing else is said.
    pub fn consent(text: &[u8]) -> Option<Vec<Place>> {
        Published::parse(text).map(|published| published.record.rua)
    }

    /// Reads a TXT record. `None` if it is not one of DMARC, or one that no policy can be taken from
    /// (RFC 9989 §4.10.1: no usable `p`, and nobody to report to).
    pub fn parse(text: &[u8]) -> Option<Record> {
        let published = Published::parse(text)?;
        published.is_usable.then_some(published.record)
    }
}

/// A record as the tree walk sees it: one whose policy is no good still says where an organisation begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) record: Record,
    pub(super) is_usable: bool,
}

impl Published {
    /// `dmarc-record = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]`. RFC 9989 §4.8. Unknown tags and values are passed over.
    pub(super) fn parse(text: &[u8]) -> Option<Published> {
        if text.len() > MAX_RECORD {
            return None;
        }
        let text = String::from_utf8_lossy(text);
        let mut tags = text.split(';').map(|tag| tag.split_once('=').map(|(name, value)| (trim(name), trim(value))));
        // The version stands first and matches exactly.
        if tags.next()? != Some(("v", "DMARC1")) {
            return None;
        }
        let mut found: Vec<(String, &str)> = Vec::new();
        for (name, value) in tags.flatten() {
            let name = name.to_ascii_lowercase();
            // Of a tag that stands twice the first counts.
            if KNOWN.contains(&name.as_str()) && !found.iter().any(|(known, _)| *known == name) {
                found.push((name, value));
            }
        }
        let tag = |wanted: &str| found.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let is = |wanted: &str, value: &str| tag(wanted).is_some_and(|found| found.eq_ignore_ascii_case(value));
        let policy = |wanted: &str| tag(wanted).map(Policy::parse);
        let rua = tag("rua").map(uris).unwrap_or_default();
        // RFC 9989 §4.10.1: with a word that is none, the owner wants reports at most.
        let is_broken =
            !matches!(policy("p"), Some(Some(_))) || policy("sp") == Some(None) || policy("np") == Some(None);
        let keep = |policy: Option<Option<Policy>>| if is_broken { None } else { policy.flatten() };
        let alignment = |wanted| if is(wanted, "s") { Alignment::Strict } else { Alignment::Relaxed };
        let psd = match () {
            () if is("psd", "y") => Psd::Yes,
            () if is("psd", "n") => Psd::No,
            () => Psd::Unsaid,
        };
        let ruf = tag("ruf").map(uris).unwrap_or_default();
        let record = Record {
            policy: keep(policy("p")).unwrap_or_default(),
            subdomain_policy: keep(policy("sp")),
            nonexistent_policy: keep(policy("np")),
            dkim_alignment: alignment("adkim"),
            spf_alignment: alignment("aspf"),
            psd,
            testing: is("t", "y"),
            failure_options: tag("fo").filter(|_| !ruf.is_empty()).map(failure_options).unwrap_or_else(|| vec!['0']),
            ruf,
            rua,
        };
        Some(Published { is_usable: !is_broken || !record.rua.is_empty(), record })
    }
}

impl Policy {
    fn parse(word: &str) -> Option<Policy> {
        [Policy::None, Policy::Quarantine, Policy::Reject]
            .into_iter()
            .find(|policy| word.eq_ignore_ascii_case(policy.as_str()))
    }

    /// One step milder: what `t=y` asks for. RFC 9989 §4.7.
    pub fn milder(self) -> Policy {
        match self {
            Policy::Reject => Policy::Quarantine,
            Policy::Quarantine | Policy::None => Policy::None,
        }
    }
}

/// `dmarc-urilist`. What is no URI is left out.
fn uris(list: &str) -> Vec<Place> {
    list.split(',').filter_map(Place::parse).take(MAX_URIS).collect()
}

fn is_uri(uri: &str) -> bool {
    let (scheme, rest) = uri.split_once(':').unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(fits)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

fn failure_options(value: &str) -> Vec<char> {
    let mut options = Vec::new();
    for letter in value.split(':').map(|option| trim(option).to_ascii_lowercase()) {
        if let Some(letter) = ['0', '1', 'd', 's'].into_iter().find(|known| letter == known.to_string())
            && !options.contains(&letter)
        {
            options.push(letter);
        }
    }
    if options.is_empty() { vec!['0'] } else { options }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// RFC 9989 §4.7; `pct`, `rf` and `ri` are history.
const KNOWN: &[&str] = &["p", "sp", "np", "adkim", "aspf", "psd", "t", "rua", "ruf", "fo"];

/// Octets of a record that is looked at; a longer one counts as none.
const MAX_RECORD: usize = 8 * 1024;

/// Places to report to that are looked at, for each kind of report.
const MAX_URIS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Record {
        Record {
            policy: Policy::None,
            subdomain_policy: None,
            nonexistent_policy: None,
            dkim_alignment: Alignment::Relaxed,
            spf_alignment: Alignment::Relaxed,
            psd: Psd::Unsaid,
            testing: false,
            rua: Vec::new(),
            ruf: Vec::new(),
            failure_options: vec!['0'],
        }
    }

    #[test]
    fn records_are_read() {
        let rua = || vec![Place { uri: "mailto:r@a.test".to_owned(), largest: None }];
        for (text, expected) in [
            ("v=DMARC1; p=none", Some(plain())),
            ("v=DMARC1;p=Reject;", Some(Record { policy: Policy::Reject, ..plain() })),
            (" v = DMARC1 ;\tP = quarantine ; ", Some(Record { policy: Policy::Quarantine, ..plain() })),
            (
                "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=S; psd=y; t=y",
                Some(Record {
                    policy: Policy::Reject,
                    subdomain_policy: Some(Policy::Quarantine),
                    nonexistent_policy: Some(Policy::None),
                    dkim_alignment: Alignment::Strict,
                    spf_alignment: Alignment::Strict,
                    psd: Psd::Yes,
                    testing: true,
                    ..plain()
                }),
            ),
            ("v=DMARC1; p=reject; p=none; pct=0; x=y; =; ;a", Some(Record { policy: Policy::Reject, ..plain() })),
            ("v=DMARC1; p=none; psd=n; adkim=x; t=maybe", Some(Record { psd: Psd::No, ..plain() })),
            // A word that is none: nothing but reports.
            ("v=DMARC1; p=rejct; rua=mailto:r@a.test", Some(Record { rua: rua(), ..plain() })),
            ("v=DMARC1; p=reject; sp=rejct; rua=mailto:r@a.test", Some(Record { rua: rua(), ..plain() })),
            ("v=DMARC1; rua=mailto:r@a.test", Some(Record { rua: rua(), ..plain() })),
            ("v=DMARC1; p=rejct", None),
            ("v=DMARC1; p=reject; np=x", None),
            ("v=DMARC1", None),
            ("v=DMARC1; p=rejct; rua=nobody", None),
            ("v=dmarc1; p=reject", None),
            ("V=DMARC1; p=reject", None),
            ("v=DMARC10; p=reject", None),
            ("p=reject; v=DMARC1", None),
            ("v=DMARC1 p=reject", None),
            ("v=spf1 -all", None),
            ("", None),
        ] {
            assert_eq!(Record::parse(text.as_bytes()), expected, "{text:?}");
        }
        let uris = Record::parse(b"v=DMARC1; p=none; rua=mailto:a@x.test!10m , https://x.test/r,nobody,:x,mailto:; ruf=mailto:f@x.test; fo=1:D:d:7")
            .expect("a record");
        assert_eq!(
            uris.rua.iter().map(Place::to_string).collect::<Vec<_>>(),
            ["mailto:a@x.test!10485760", "https://x.test/r"]
        );
        assert_eq!((uris.ruf.len(), uris.failure_options), (1, vec!['1', 'd']));
        assert_eq!(Record::parse(b"v=DMARC1; p=none; fo=1").expect("a record").failure_options, ['0'], "only with ruf");
    }

    #[test]
    fn places_say_how_much_they_take() {
        for (text, uri, largest) in [
            ("mailto:r@a.test!50", "mailto:r@a.test", Some(50)),
            (" mailto:r@a.test!2K ", "mailto:r@a.test", Some(2_048)),
            ("mailto:r@a.test!1g", "mailto:r@a.test", Some(1 << 30)),
            ("mailto:r@a.test!99999999999999999999t", "mailto:r@a.test", Some(u64::MAX)),
            ("mailto:r@a.test!", "mailto:r@a.test", None),
            ("mailto:r@a.test!m", "mailto:r@a.test", None),
            ("mailto:r@a.test!1x", "mailto:r@a.test", None),
            ("mailto:r@a.test!-1", "mailto:r@a.test", None),
            ("mailto:r%21@a.test", "mailto:r%21@a.test", None),
        ] {
            let place = Place::parse(text).expect("a place");
            assert_eq!((place.uri.as_str(), place.largest), (uri, largest), "{text}");
            assert_eq!(Place::parse(&place.to_string()), Some(place), "{text}");
        }
        assert_eq!(Place::parse("nobody!1m"), None);
        for (text, expected) in [
            ("v=DMARC1", Some("")),
            ("v=DMARC1;", Some("")),
            ("v=DMARC1; rua=mailto:x@there.test", Some("mailto:x@there.test")),
            ("v=spf1 -all", None),
            ("v=DMARC10", None),
        ] {
            let found = Record::consent(text.as_bytes());
            let found = found.map(|places| places.iter().map(Place::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn records_of_any_size_cost_little() {
        let many = format!("v=DMARC1; p=none; rua={}", "mailto:a@x.test,".repeat(200));
        assert_eq!(Record::parse(many.as_bytes()).expect("a record").rua.len(), MAX_URIS);
        let huge = format!("v=DMARC1; p=reject;{}", " ".repeat(MAX_RECORD));
        assert_eq!(Record::parse(huge.as_bytes()), None);
    }
}
