//! The zones that a name server serves: their master files, their keys, their part of the settings.

use std::fmt::Write as _;
use std::path::Path;

use crate::run::run;

/// A zone: what the test says is there, and how it is signed. RFC 4033 §5 has the words.
#[derive(Debug, Clone)]
pub struct Zone {
    name: String,
    records: String,
    signing: Signing,
    is_updatable: bool,
}

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signing {
    /// It is not, and its parent says so: an insecure delegation.
    Unsigned,
    /// With NSEC records.
    Nsec,
    /// With NSEC3 records.
    Nsec3,
    /// Its parent names another key than the one that signs.
    WrongKey,
    /// Its parent names a key, but there are no signatures: what an attacker does who takes them out.
    Stripped,
    /// The signatures are those of other records: what an attacker does who puts in their own.
    Tampered,
}

impl Zone {
    /// A zone without signatures, delegated as such. `records` are lines of a master file; names without a final dot are
    /// below the zone's. The name servers of zones below are put in by themselves.
    pub fn unsigned(name: &str, records: &str) -> Zone {
        let name = name.trim_end_matches('.').to_owned();
        Zone { name, records: records.to_owned(), signing: Signing::Unsigned, is_updatable: false }
    }

    /// A signed zone whose denials are NSEC records; wildcards in it are what validators get wrong.
    pub fn signed(name: &str, records: &str) -> Zone {
        Zone { signing: Signing::Nsec, ..Zone::unsigned(name, records) }
    }

    /// A signed zone whose denials are NSEC3 records. Not for the root.
    pub fn signed_with_nsec3(name: &str, records: &str) -> Zone {
        Zone { signing: Signing::Nsec3, ..Zone::unsigned(name, records) }
    }

    /// A signed zone whose parent names another key: everything in it is bogus.
    pub fn with_wrong_key(name: &str, records: &str) -> Zone {
        Zone { signing: Signing::WrongKey, ..Zone::unsigned(name, records) }
    }

    /// A zone that should be signed, for its parent says so, and is not: everything in it is bogus.
    pub fn stripped(name: &str, records: &str) -> Zone {
        Zone { signing: Signing::Stripped, ..Zone::unsigned(name, records) }
    }

    /// A signed zone in which each `192.0.2.1` became `203.0.113.66` after it was signed: such answers are bogus, all
    /// others are fine.
    pub fn tampered(name: &str, records: &str) -> Zone {
        Zone { signing: Signing::Tampered, ..Zone::unsigned(name, records) }
    }

    /// Whoever has [`super::UPDATE_KEY`] may change it.
    pub fn updatable(mut self) -> Zone {
        self.is_updatable = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn replace(&mut self, records: &str) {
        records.clone_into(&mut self.records);
    }

    fn is_signed_by_the_server(&self) -> bool {
        matches!(self.signing, Signing::Nsec | Signing::Nsec3 | Signing::WrongKey)
    }

    fn domain(&self) -> String {
        format!("{}.", self.name)
    }

    pub(super) fn file(&self) -> String {
        if self.name.is_empty() { "root.zone".to_owned() } else { format!("{}.zone", self.name) }
    }

    /// Its part of knotd's settings.
    fn settings(&self, is_tampering: bool) -> String {
        let mut text = format!("  - domain: {}\n    file: {}\n", self.domain(), self.file());
        if self.is_signed_by_the_server() || (is_tampering && self.signing == Signing::Tampered) {
            let policy = if self.signing == Signing::Nsec3 { "nsec3" } else { "nsec" };
            let _ = write!(text, "    dnssec-signing: on\n    dnssec-policy: {policy}\n");
        }
        if self.is_updatable {
            text += "    acl: update\n";
        }
        text
    }
}

/// The `zone` section of knotd's settings.
pub(super) fn settings(zones: &[Zone], broken: &[&str]) -> String {
    let mut text = String::from("zone:\n");
    zones.iter().for_each(|zone| text += &zone.settings(false));
    for name in broken {
        // A zone without its file is known and cannot be answered from.
        let _ = write!(text, "  - domain: {name}.\n    file: missing.zone\n");
    }
    text
}

/// The same while zones are signed that are tampered with afterwards.
pub(super) fn signing_settings(zones: &[Zone]) -> String {
    zones.iter().fold(String::from("zone:\n"), |text, zone| text + &zone.settings(true))
}

/// Makes a key for each zone that has one; what a validator must trust, if the root is signed.
pub(super) fn make_keys(settings: &Path, zones: &[Zone]) -> Option<String> {
    let settings = settings.display().to_string();
    let keymgr = |zone: &Zone, arguments: &[&str]| {
        run(KEYMGR, &[&["-c", &settings, &zone.domain()], arguments].concat(), b"").good()
    };
    for zone in zones.iter().filter(|zone| zone.signing != Signing::Unsigned) {
        keymgr(zone, &["generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes"]);
    }
    let root = zones.iter().find(|zone| zone.name.is_empty() && zone.signing != Signing::Unsigned)?;
    Some(keymgr(root, &["dnskey"]).replacen("DNSKEY", "3600 IN DNSKEY", 1))
}

/// The master file of a zone.
pub(super) fn master_file(settings: &Path, zone: &Zone, zones: &[Zone], serial: u32) -> String {
    let origin = zone.domain();
    let mut text =
        format!("$ORIGIN {origin}\n$TTL 0\n@ SOA ns. hostmaster. {serial} 60 60 3600 0\n@ NS ns.\n{}\n", zone.records);
    if zone.name.is_empty() {
        text += "ns. A 127.0.0.1\n";
    }
    for child in zones.iter().filter(|child| parent(child, zones).is_some_and(|parent| parent.name == zone.name)) {
        let _ = writeln!(text, "{} NS ns.", child.domain());
        if child.signing != Signing::Unsigned {
            let ds = run(KEYMGR, &["-c", &settings.display().to_string(), &child.domain(), "ds"], b"").good();
            text += &match child.signing {
                Signing::WrongKey => ds.lines().map(other_key).collect::<String>(),
                _ => ds,
            };
        }
    }
    text
}

/// What it becomes when somebody puts their own address in.
pub(super) fn tampered(zones: &[Zone], folder: &Path) {
    for zone in zones.iter().filter(|zone| zone.signing == Signing::Tampered) {
        let signed = folder.join("signed").join(zone.file());
        let text = std::fs::read_to_string(signed).expect("knotd wrote it");
        assert!(text.contains("RRSIG"), "{} was not signed", zone.name);
        let text = text.replace("192.0.2.1\n", "203.0.113.66\n");
        std::fs::write(folder.join(zone.file()), text).expect("the folder can be written");
    }
}

pub(super) fn names_to_tamper(zones: &[Zone]) -> Vec<String> {
    zones.iter().filter(|zone| zone.signing == Signing::Tampered).map(Zone::domain).collect()
}

/// The zone that delegates to this one.
fn parent<'a>(child: &Zone, zones: &'a [Zone]) -> Option<&'a Zone> {
    let is_above = |zone: &&Zone| match zone.name.is_empty() {
        true => !child.name.is_empty(),
        false => child.name.ends_with(&format!(".{}", zone.name)),
    };
    zones.iter().filter(is_above).max_by_key(|zone| zone.name.len())
}

/// The same line with another digest.
fn other_key(line: &str) -> String {
    let (head, digest) = line.rsplit_once(' ').expect("a DS record ends with its digest");
    format!("{head} {}\n", "5".repeat(digest.len()))
}

const KEYMGR: &str = "/usr/sbin/keymgr";
