//! Reports about TLS: how sessions with a domain's hosts went on a day. JSON, read leniently and written exactly.
//!
//! Standards: RFC 8460 §4.4, RFC 8259.

use serde_json::{Map, Value, json};

use super::{Error, Limits, Result, clean, domain, malformed};

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `organization-name`.
    pub organization: String,
    /// `contact-info`.
    pub contact: String,
    /// `report-id`.
    pub id: String,
    /// `start-datetime` and `end-datetime`, as they are written (RFC 3339).
    pub begin: String,
    /// See there.
    pub end: String,
    /// What was met.
    pub policies: Vec<Policy>,
}

/// A policy that sessions met, and how they went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `tlsa`, `sts` or `no-policy-found`.
    pub kind: String,
    /// `policy-string`.
    pub lines: Vec<String>,
    /// `policy-domain`; lower case.
    pub domain: String,
    /// `mx-host`.
    pub hosts: Vec<String>,
    /// `total-successful-session-count`.
    pub successes: u64,
    /// `total-failure-session-count`.
    pub failures: u64,
    /// In which ways.
    pub details: Vec<Failure>,
}

/// A way in which sessions failed; empty texts are not told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Failure {
    /// `result-type`.
    pub kind: String,
    /// `sending-mta-ip`.
    pub sending_address: String,
    /// `receiving-mx-hostname`.
    pub host: String,
    /// `receiving-ip`.
    pub host_address: String,
    /// `failed-session-count`.
    pub sessions: u64,
    /// `failure-reason-code`.
    pub reason: String,
}

impl Report {
    /// Reads JSON. Missing and unknown members do no harm; numbers may stand in quotes. Errors: it is no report, or has more
    /// than [`Limits`] allow.
    pub fn read(text: &[u8], limits: &Limits) -> Result<Report> {
        if text.len() > limits.inflated.min(JSON_MAX) {
            return Err(Error::TooLarge("the report"));
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let value: Value = serde_json::from_slice(text).map_err(malformed)?;
        let words = |value: &Value, name: &str| clean(member(value, name).as_str().unwrap_or_default(), limits.text);
        let listed = member(&value, "policies").as_array().ok_or_else(|| malformed("it is no report about TLS"))?;
        let mut rows = 0usize;
        let mut policies = Vec::new();
        for one in listed {
            let details = member(one, "failure-details").as_array().map(Vec::as_slice).unwrap_or_default();
            rows = rows.saturating_add(1).saturating_add(details.len());
            if rows > limits.records {
                return Err(Error::TooLarge("rows in the report"));
            }
            let (policy, counts) = (member(one, "policy"), member(one, "summary"));
            policies.push(Policy {
                kind: words(policy, "policy-type").to_lowercase(),
                lines: texts(member(policy, "policy-string"), limits),
                domain: domain(&words(policy, "policy-domain"), limits.text),
                hosts: texts(member(policy, "mx-host"), limits),
                successes: count(member(counts, "total-successful-session-count")),
                failures: count(member(counts, "total-failure-session-count")),
                details: details
                    .iter()
                    .map(|failure| Failure {
                        kind: words(failure, "result-type").to_lowercase(),
                        sending_address: words(failure, "sending-mta-ip"),
                        host: domain(&words(failure, "receiving-mx-hostname"), limits.text),
                        host_address: words(failure, "receiving-ip"),
                        sessions: count(member(failure, "failed-session-count")),
                        reason: words(failure, "failure-reason-code"),
                    })
                    .collect(),
            });
        }
        let range = member(&value, "date-range");
        let report = Report {
            organization: words(&value, "organization-name"),
            contact: words(&value, "contact-info"),
            id: words(&value, "report-id"),
            begin: words(range, "start-datetime"),
            end: words(range, "end-datetime"),
            policies,
        };
        match report.id.is_empty() && report.organization.is_empty() {
            true => Err(malformed("it says not whose it is")),
            false => Ok(report),
        }
    }

    /// The JSON.
    pub fn write(&self) -> String {
        let policies: Vec<Value> = self.policies.iter().map(Policy::json).collect();
        let report = json!({
            "organization-name": self.organization,
            "date-range": { "start-datetime": self.begin, "end-datetime": self.end },
            "contact-info": self.contact,
            "report-id": self.id,
            "policies": policies,
        });
        format!("{report:#}\n")
    }
}

impl Policy {
    fn json(&self) -> Value {
        let mut policy = Map::new();
        policy.insert("policy-type".into(), self.kind.clone().into());
        if !self.lines.is_empty() {
            policy.insert("policy-string".into(), self.lines.clone().into());
        }
        policy.insert("policy-domain".into(), self.domain.clone().into());
        if !self.hosts.is_empty() {
            policy.insert("mx-host".into(), self.hosts.clone().into());
        }
        let details: Vec<Value> = self.details.iter().map(Failure::json).collect();
        let mut whole = Map::new();
        whole.insert("policy".into(), Value::Object(policy));
        whole.insert(
            "summary".into(),
            json!({
                "total-successful-session-count": self.successes,
                "total-failure-session-count": self.failures,
            }),
        );
        if !details.is_empty() {
            whole.insert("failure-details".into(), details.into());
        }
        Value::Object(whole)
    }
}

impl Failure {
    fn json(&self) -> Value {
        let mut failure = Map::new();
        let texts = [
            ("result-type", &self.kind),
            ("sending-mta-ip", &self.sending_address),
            ("receiving-mx-hostname", &self.host),
            ("receiving-ip", &self.host_address),
            ("failure-reason-code", &self.reason),
        ];
        for (name, text) in texts {
            if !text.is_empty() {
                failure.insert(name.into(), text.clone().into());
            }
        }
        failure.insert("failed-session-count".into(), self.sessions.into());
        Value::Object(failure)
    }
}

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn count(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).unwrap_or(0)
}

/// A list of texts; some write one alone.
fn texts(value: &Value, limits: &Limits) -> Vec<String> {
    let all = match value {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    all.iter().filter_map(Value::as_str).take(LINES_MAX).map(|text| clean(text, limits.text)).collect()
}

/// Octets of JSON: in memory it is many times as large.
const JSON_MAX: usize = 4 << 20;
/// Lines or hosts of one policy.
const LINES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8460 App. B, its facts.
    const EXAMPLE: &str = r#"{"organization-name":"Company-X",
        "date-range":{"start-datetime":"2016-04-01T00:00:00Z","end-datetime":"2016-04-01T23:59:59Z"},
        "contact-info":"sts-reporting@company-x.example","report-id":"5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies":[{"policy":{"policy-type":"sts","policy-string":["version: STSv1","mode: testing","mx: *.mail.company-y.example","max_age: 86400"],
            "policy-domain":"Company-Y.example","mx-host":"*.mail.company-y.example"},
          "summary":{"total-successful-session-count":5326,"total-failure-session-count":"303"},
          "failure-details":[
            {"result-type":"certificate-expired","sending-mta-ip":"2001:db8:abcd:0012::1","receiving-mx-hostname":"mx1.mail.company-y.example","failed-session-count":100},
            {"result-type":"starttls-not-supported","receiving-ip":"203.0.113.58","failed-session-count":200,"additional-information":"https://x.test"},
            {"result-type":"validation-failure","failed-session-count":3,"failure-reason-code":"X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}]}]}"#;

    #[test]
    fn the_example_is_read_and_written() {
        let report = Report::read(EXAMPLE.as_bytes(), &Limits::default()).expect("a report");
        let [policy] = report.policies.as_slice() else { panic!("{report:?}") };
        assert_eq!((policy.successes, policy.failures, policy.details.len()), (5_326, 303, 3));
        assert_eq!(
            (policy.domain.as_str(), policy.hosts.as_slice()),
            ("company-y.example", &["*.mail.company-y.example".to_owned()][..])
        );
        assert_eq!((policy.lines.len(), policy.details[2].sessions), (4, 3));
        assert_eq!(Report::read(report.write().as_bytes(), &Limits::default()), Ok(report));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let few = Limits { records: 3, ..Limits::default() };
        assert_eq!(Report::read(EXAMPLE.as_bytes(), &few), Err(Error::TooLarge("rows in the report")));
        for text in ["", "{}", "[]", "{\"policies\":[]}", &"[".repeat(10_000)] {
            assert!(Report::read(text.as_bytes(), &Limits::default()).is_err(), "{text}");
        }
    }
}
