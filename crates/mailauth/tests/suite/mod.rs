//! The published test suite of RFC 7208 as data: scenarios with a zone and cases.
//!
//! The suite and its licence stand in `tests/data/spf`. Its notes say how a driver reads it: records of the obsolete type
//! SPF count as TXT where a name has no TXT entry of its own, `NONE` is such an entry without a record, and `TIMEOUT` means that
//! questions about a name that its other entries do not answer are never answered.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use yaml_rust2::{Yaml, YamlLoader};

/// A zone and what must come out.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) description: String,
    pub(crate) cases: Vec<Case>,
    /// By name in lower case.
    pub(crate) zone: BTreeMap<String, Node>,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) helo: String,
    pub(crate) host: IpAddr,
    pub(crate) mail_from: String,
    /// Any of them will do.
    pub(crate) results: Vec<String>,
    /// `DEFAULT`: there must be none.
    pub(crate) explanation: Option<String>,
}

/// What a name has.
#[derive(Debug, Default, Clone)]
pub(crate) struct Node {
    pub(crate) records: Vec<Data>,
    /// What it does not have is not answered.
    pub(crate) is_silent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Txt(Vec<Vec<u8>>),
    /// The obsolete type 99.
    Spf(Vec<Vec<u8>>),
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx(u16, String),
    Ptr(String),
    Cname(String),
}

/// All scenarios of the suite.
pub(crate) fn scenarios(text: &str) -> Vec<Scenario> {
    let documents = YamlLoader::load_from_str(text).expect("the suite is YAML");
    documents.iter().map(scenario).collect()
}

fn scenario(document: &Yaml) -> Scenario {
    let description = document["description"].as_str().expect("a description").to_owned();
    let cases = document["tests"].as_hash().expect("tests").iter().map(|(name, case)| Case {
        name: string(name),
        helo: string(&case["helo"]),
        host: string(&case["host"]).parse().expect("an address"),
        mail_from: string(&case["mailfrom"]),
        results: match &case["result"] {
            Yaml::Array(several) => several.iter().map(string).collect(),
            one => vec![string(one)],
        },
        explanation: case["explanation"].as_str().map(str::to_owned),
    });
    let zone = document["zonedata"].as_hash().expect("zone data").iter().map(|(name, entries)| {
        let entries = entries.as_vec().expect("a list of entries");
        (string(name).trim_end_matches('.').to_lowercase(), node(entries))
    });
    Scenario { description, cases: cases.collect(), zone: zone.collect() }
}

fn node(entries: &[Yaml]) -> Node {
    let mut node = Node::default();
    let mut has_txt = false;
    for entry in entries {
        let Some(entry) = entry.as_hash() else {
            assert_eq!(entry.as_str(), Some("TIMEOUT"), "an entry is a record or TIMEOUT");
            node.is_silent = true;
            continue;
        };
        for (kind, value) in entry {
            let kind = string(kind);
            if kind == "TXT" {
                has_txt = true;
                if value.as_str() == Some("NONE") {
                    continue;
                }
            }
            node.records.push(data(&kind, value));
        }
    }
    if !has_txt {
        let copies = node.records.iter().filter_map(|record| match record {
            Data::Spf(strings) => Some(Data::Txt(strings.clone())),
            _ => None,
        });
        node.records.extend(copies.collect::<Vec<_>>());
    }
    node
}

fn data(kind: &str, value: &Yaml) -> Data {
    match kind {
        "TXT" => Data::Txt(strings(value)),
        "SPF" => Data::Spf(strings(value)),
        "A" => Data::A(string(value).parse().expect("an IPv4 address")),
        "AAAA" => Data::Aaaa(string(value).parse().expect("an IPv6 address")),
        "PTR" => Data::Ptr(string(value)),
        "CNAME" => Data::Cname(string(value)),
        "MX" => {
            let preference = value[0].as_i64().expect("a preference");
            Data::Mx(u16::try_from(preference).expect("a preference"), string(&value[1]))
        }
        other => panic!("the suite has records of type {other}"),
    }
}

fn strings(value: &Yaml) -> Vec<Vec<u8>> {
    match value {
        Yaml::Array(several) => several.iter().map(|one| octets(&string(one))).collect(),
        one => vec![octets(&string(one))],
    }
}

/// The suite writes octets as `\xEF`: each character is one.
fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("an octet")).collect()
}

fn string(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        other => panic!("not a text: {other:?}"),
    }
}

/// Scenarios of the suite, release 2014.04.
pub(crate) const SCENARIOS: usize = 16;

/// Cases of the suite.
pub(crate) const CASES: usize = 203;

impl Case {
    /// What is wrong with a verdict, if anything is.
    pub(crate) fn disagrees(&self, result: &str, explanation: Option<&str>) -> Option<String> {
        if !self.results.iter().any(|expected| expected == result) {
            return Some(format!("{result} instead of {:?}", self.results));
        }
        let expected = match self.explanation.as_deref() {
            None => return None,
            Some("DEFAULT") => None,
            some => some,
        };
        (expected != explanation).then(|| format!("explained by {explanation:?} instead of {expected:?}"))
    }
}

/// The name at which the names of an address stand, in lower case. For whoever answers from memory.
#[allow(dead_code)]
pub(crate) fn reverse(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}
