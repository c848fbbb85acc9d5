//! What a policy says: the record, the file, and which hosts it names. Pure functions over text.

use std::fmt::Write as _;
use std::time::Duration;

/// What a sender does with a host that the policy does not vouch for. RFC 8461 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does not deliver there.
    Enforce,
    /// It delivers, and reports.
    Testing,
    /// As if there were no policy.
    None,
}

impl Mode {
    /// All, from the strictest.
    pub const ALL: [Mode; 3] = [Mode::Enforce, Mode::Testing, Mode::None];

    /// As it is written in policies, stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// A policy. RFC 8461 §3.2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What is done with other hosts.
    pub mode: Mode,
    /// How long it may be kept, at most [`MAX_AGE`].
    pub max_age: Duration,
    /// The hosts that take mail: names in lower case and ASCII, or `*.example.org` for one label more.
    pub mx: Vec<String>,
}

impl Policy {
    /// Reads the file. The error says what is wrong with it, in words for a trace.
    pub fn parse(file: &[u8]) -> Result<Policy, String> {
        if file.len() > FILE_MAX {
            return Err(format!("it is larger than {FILE_MAX} octets"));
        }
        let text = std::str::from_utf8(file).map_err(|_| "it is not text in UTF-8".to_owned())?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.split('\n').map(|line| line.trim_matches([' ', '\t', '\r'])).filter(|line| !line.is_empty()) {
            // Later versions may have lines that mean nothing to us.
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim_end(), value.trim());
            // RFC 8461 §3.2: but for mx, the first of a field counts.
            match key {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() < MX_MAX => mx.push(value.trim_end_matches('.').to_ascii_lowercase()),
                _ => {}
            }
        }
        match version {
            Some("STSv1") => {}
            Some(other) => return Err(format!("its version is {:?}, not STSv1", shortened(other))),
            None => return Err("it has no version".into()),
        }
        let mode = match mode {
            Some(name) => Mode::from_name(name).ok_or_else(|| format!("there is no mode {:?}", shortened(name)))?,
            None => return Err("it has no mode".into()),
        };
        let seconds = max_age.ok_or("it has no max_age")?;
        if seconds.is_empty() || seconds.len() > 10 || !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("its max_age is {:?}, which is no number of seconds", shortened(seconds)));
        }
        // Ten digits fit.
        let max_age = Duration::from_secs(seconds.parse().unwrap_or(0)).min(MAX_AGE);
        if let Some(bad) = mx.iter().find(|pattern| !is_pattern(pattern)) {
            return Err(format!("{:?} names no host", shortened(bad)));
        }
        if mx.is_empty() && mode != Mode::None {
            return Err("it names no host (mx)".into());
        }
        Ok(Policy { mode, max_age, mx })
    }

    /// Whether it vouches for this host; a name in lower case and ASCII. RFC 8461 §4.1: a wildcard stands for exactly
    /// one label.
    pub fn covers(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => pattern == host,
        })
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", self.mode.name());
        for pattern in &self.mx {
            let _ = write!(text, "mx: {pattern}\r\n");
        }
        let _ = write!(text, "max_age: {}\r\n", self.max_age.as_secs());
        text
    }

    /// Its lines, as reports quote them (RFC 8460 §4.2, policy-string).
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// What the record has as `id`: another one for another policy, the same on every node.
    pub fn id(&self) -> String {
        // FNV-1a: it only has to differ from its predecessor's.
        let hash = self
            .text()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        format!("{hash:016x}")
    }
}

/// The `id` that the TXT records at `_mta-sts.DOMAIN` name; `None` when they are no such record, or more than one
/// (RFC 8461 §3.1).
pub fn record_id(records: &[Vec<u8>]) -> Option<String> {
    let mut found = records.iter().filter_map(|record| {
        let rest = std::str::from_utf8(record).ok()?.strip_prefix("v=STSv1")?;
        // `field-delim = *WSP ";" *WSP`; `v=STSv10` is something else.
        rest.trim_start_matches([' ', '\t']).strip_prefix(';')
    });
    let (Some(fields), None) = (found.next(), found.next()) else { return None };
    let mut fields = fields.split(';').map(|field| field.trim_matches([' ', '\t']));
    let id = fields.find_map(|field| field.strip_prefix("id="))?;
    let fits = (1..=ID_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| id.to_owned())
}

/// The TXT record that announces a policy.
pub fn record(id: &str) -> String {
    format!("v=STSv1; id={id};")
}

/// The host that serves the policy of a domain. RFC 8461 §3.3.
pub fn policy_host(domain: &str) -> String {
    format!("mta-sts.{domain}")
}

/// Where on that host. RFC 8461 §3.3.
pub const PATH: &str = "/.well-known/mta-sts.txt";
/// Policies are kept for no longer: about a year. RFC 8461 §3.2.
pub const MAX_AGE: Duration = Duration::from_secs(31_557_600);
/// A file that is larger is none.
pub const FILE_MAX: usize = 64 * 1024;
/// Hosts of a policy that are looked at.
const MX_MAX: usize = 256;
/// RFC 8461 §3.1: `sts-id = %s"id=" 1*32(ALPHA / DIGIT)`.
const ID_MAX: usize = 32;

/// `sts-mx = Domain`, with at most one wildcard, which is the first label.
fn is_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// A stranger's text, for a sentence.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read() {
        let good =
            "version: STSv1\r\nmode: enforce\r\nmx: Mail.Example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
        let policy = Policy::parse(good.as_bytes()).expect("a policy");
        assert_eq!((policy.mode, policy.max_age.as_secs()), (Mode::Enforce, 604_800));
        assert_eq!(policy.mx, ["mail.example.com", "*.example.net"]);
        assert_eq!(Policy::parse(policy.text().as_bytes()), Ok(policy.clone()), "and written");
        let table: &[(&str, Result<(), &str>)] = &[
            ("version: STSv1\nmode: testing\nmx: a.test\nmax_age: 1", Ok(())),
            // Fields that later versions add, blanks, and lines that are none.
            ("version:STSv1 \n mode : none\nmax_age: 86400\nnews: yes\nwhat\n\n", Ok(())),
            // The first one counts.
            ("version: STSv1\nmode: none\nmode: bad\nmax_age: 5\nmax_age: x\nversion: 2\n", Ok(())),
            ("version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 9999999999", Ok(())),
            ("", Err("it has no version")),
            ("mode: enforce\nmx: a.test\nmax_age: 1", Err("it has no version")),
            ("version: STSv2\nmode: enforce", Err("its version is \"STSv2\", not STSv1")),
            ("version: STSv1\nmx: a.test\nmax_age: 1", Err("it has no mode")),
            ("version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1", Err("there is no mode \"Enforce\"")),
            ("version: STSv1\nmode: enforce\nmx: a.test\n", Err("it has no max_age")),
            ("version: STSv1\nmode: none\nmax_age: -1\n", Err("its max_age is \"-1\", which is no number of seconds")),
            ("version: STSv1\nmode: enforce\nmax_age: 1\n", Err("it names no host (mx)")),
            ("version: STSv1\nmode: testing\nmx: a.*.test\nmax_age: 1\n", Err("\"a.*.test\" names no host")),
            ("<html>404: not found</html>", Err("it has no version")),
        ];
        for (text, expected) in table {
            let read = Policy::parse(text.as_bytes()).map(|_| ());
            assert_eq!(read, expected.map_err(str::to_owned), "{text}");
        }
        assert!(Policy::parse(&vec![b'a'; FILE_MAX + 1]).is_err());
        let long = "version: STSv1\nmode: none\nmax_age: 9999999999";
        assert_eq!(Policy::parse(long.as_bytes()).map(|policy| policy.max_age), Ok(MAX_AGE));
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let mx = vec!["mx.example.com".to_owned(), "*.example.net".to_owned()];
        let policy = Policy { mode: Mode::Enforce, max_age: MAX_AGE, mx };
        for (host, covered) in [
            ("mx.example.com", true),
            ("a.mx.example.com", false),
            ("example.com", false),
            ("a.example.net", true),
            ("b.a.example.net", false),
            ("example.net", false),
            (".example.net", false),
            ("evil-example.net", false),
        ] {
            assert_eq!(policy.covers(host), covered, "{host}");
        }
    }

    #[test]
    fn a_record_names_its_policy() {
        let long = format!("v=STSv1; id={};", "a".repeat(33));
        for (records, id) in [
            (&["v=STSv1; id=20160831085700Z;"][..], Some("20160831085700Z")),
            (&["v=STSv1;id=1"], Some("1")),
            (&["v=STSv1 ; x=y; id=1"], Some("1")),
            (&["v=spf1 -all", "v=STSv1; id=7;"], Some("7")),
            (&["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
            (&["v=STSv1; id=a b;"], None),
            (&["v=STSv1; id=;"], None),
            (&["v=STSv1"], None),
            (&["v=STSv10; id=1;"], None),
            (&["V=stsv1; id=1;"], None),
            (&[long.as_str()], None),
            (&[], None),
        ] {
            let records: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
            assert_eq!(record_id(&records).as_deref(), id, "{records:?}");
        }
        assert_eq!(record_id(&[record("abc").into_bytes()]).as_deref(), Some("abc"));
    }

    #[test]
    fn another_policy_has_another_id() {
        let policy = |mx: &str| Policy { mode: Mode::Testing, max_age: MAX_AGE, mx: vec![mx.to_owned()] };
        assert_eq!(policy("a.test").id(), policy("a.test").id());
        assert_ne!(policy("a.test").id(), policy("b.test").id());
        assert_eq!(record_id(&[record(&policy("a.test").id()).into_bytes()]), Some(policy("a.test").id()));
    }
}
