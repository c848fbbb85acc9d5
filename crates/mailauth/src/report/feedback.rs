//! Feedback about single messages (ARF): complaints of recipients, and failures of DMARC, DKIM and SPF.
//!
//! The reader keeps the fields as a list, and what is repeated of the message as its own fields say: who looks for the message
//! needs its Message-ID and the `Received` lines. The writer writes failure reports.
//!
//! Standards: RFC 5965, RFC 6591, RFC 9991.

use postroad_message::header;

use super::{Limits, clean, domain};

/// What is told about a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Feedback {
    /// `abuse`, `fraud`, `auth-failure`, `not-spam`, `opt-out` .. in lower case.
    pub kind: String,
    /// Who wrote it (`User-Agent`).
    pub agent: String,
    /// MAIL FROM, without brackets.
    pub mail_from: String,
    /// RCPT TO; providers often leave it out or make it unreadable.
    pub recipients: Vec<String>,
    /// When the message came there, as written.
    pub arrived: String,
    /// Who brought it.
    pub source: String,
    /// The domains it is about.
    pub domains: Vec<String>,
    /// What failed, of `auth-failure`: `dmarc`, `dkim`, `signature`, `spf` ..
    pub failure: String,
    /// Their Authentication-Results.
    pub results: String,
    /// Which of `dkim` and `spf` vouched for nobody at the author's domain; `none`: both did (RFC 9991 §4).
    pub alignment: String,
    /// What was done with it: `delivered`, `spam`, `policy`, `reject`, `other`.
    pub delivery: String,
    /// `d=` of a signature that does not hold.
    pub dkim_domain: String,
    /// Its `i=`.
    pub dkim_identity: String,
    /// Its `s=`.
    pub dkim_selector: String,
    /// How many messages (`Incidents`).
    pub incidents: u64,
    /// What is repeated of the message.
    pub original: Original,
}

/// What is repeated of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Original {
    /// Its Message-ID, with angle brackets.
    pub message_id: String,
    /// Its subject, decoded.
    pub subject: String,
    /// Its author, as written.
    pub from: String,
    /// What its `Received` fields call it (`id`), each.
    pub ids: Vec<String>,
}

impl Feedback {
    /// Reads the fields of a `message/feedback-report` part and the header of the message. `None`: it has no kind.
    pub fn read(fields: &[u8], original: &[u8], limits: &Limits) -> Option<Feedback> {
        let mut feedback = Feedback { incidents: 1, ..Feedback::default() };
        for field in header::fields(fields).take(FIELDS_MAX) {
            let value = clean(&header::text(field.value), limits.text);
            let bare = || value.trim_matches(['<', '>']).to_owned();
            match field_name(&field).as_str() {
                "feedback-type" => feedback.kind = value.to_lowercase(),
                "user-agent" => feedback.agent = value,
                "original-mail-from" => feedback.mail_from = bare(),
                "original-rcpt-to" | "removal-recipient" => feedback.recipients.push(bare()),
                "arrival-date" | "received-date" => feedback.arrived = value,
                "source-ip" => feedback.source = value,
                "reported-domain" => feedback.domains.push(domain(&value, limits.text)),
                "auth-failure" => feedback.failure = value.to_lowercase(),
                "authentication-results" => feedback.results = value,
                "identity-alignment" => feedback.alignment = value.to_lowercase(),
                "delivery-result" => feedback.delivery = value.to_lowercase(),
                "dkim-domain" => feedback.dkim_domain = domain(&value, limits.text),
                "dkim-identity" => feedback.dkim_identity = value,
                "dkim-selector" => feedback.dkim_selector = value,
                "incidents" => feedback.incidents = value.parse().unwrap_or(1),
                _ => {}
            }
        }
        feedback.original = Original::read(original, limits);
        (!feedback.kind.is_empty()).then_some(feedback)
    }

    /// The fields of a `message/feedback-report` part.
    pub fn write(&self) -> String {
        let mut text = String::new();
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                text.push_str(&header::fold(name, &clean(value, usize::MAX)));
            }
        };
        put("Feedback-Type", &self.kind);
        put("User-Agent", &self.agent);
        put("Version", "1");
        put("Original-Mail-From", &format!("<{}>", self.mail_from));
        self.recipients.iter().for_each(|one| put("Original-Rcpt-To", &format!("<{one}>")));
        put("Arrival-Date", &self.arrived);
        put("Source-IP", &self.source);
        self.domains.iter().for_each(|one| put("Reported-Domain", one));
        put("Auth-Failure", &self.failure);
        put("Identity-Alignment", &self.alignment);
        put("Delivery-Result", &self.delivery);
        put("DKIM-Domain", &self.dkim_domain);
        put("DKIM-Identity", &self.dkim_identity);
        put("DKIM-Selector", &self.dkim_selector);
        put("Authentication-Results", &self.results);
        if self.incidents != 1 {
            put("Incidents", &self.incidents.to_string());
        }
        text
    }

    /// Whether a person complained.
    pub fn is_complaint(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "abuse" | "fraud" | "virus" | "opt-out" | "opt-out-list" | "other" | "miscategorized"
        )
    }
}

impl Original {
    /// Reads a header block, or a message from its beginning.
    pub fn read(block: &[u8], limits: &Limits) -> Original {
        let mut original = Original::default();
        for field in header::fields(block).take(FIELDS_MAX) {
            let value = || clean(&header::text(field.value), limits.text);
            match field_name(&field).as_str() {
                "message-id" if original.message_id.is_empty() => original.message_id = value(),
                "subject" => original.subject = clean(&header::decode(field.value), limits.text),
                "from" => original.from = clean(&header::decode(field.value), limits.text),
                "received" if original.ids.len() < IDS_MAX => original.ids.extend(received_id(&value())),
                _ => {}
            }
        }
        original
    }
}

fn field_name(field: &header::Field<'_>) -> String {
    String::from_utf8_lossy(field.name).to_ascii_lowercase()
}

/// What stands behind `id` in a `Received` field.
fn received_id(value: &str) -> Option<String> {
    let clauses = value.split(';').next()?;
    let mut words = clauses.split(' ').skip_while(|word| !word.eq_ignore_ascii_case("id"));
    let id = words.nth(1)?.trim_matches(['<', '>', ',']);
    (!id.is_empty()).then(|| id.to_owned())
}

/// Fields that are looked at.
const FIELDS_MAX: usize = 500;
/// `Received` fields of the message that are kept.
const IDS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_read() {
        let fields = b"Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n\
            Original-Mail-From: <somespammer@example.net>\r\nOriginal-Rcpt-To: <user@example.com>\r\n\
            Received-Date: Thu, 8 Mar 2005 14:00:00 EDT\r\nSource-IP: 192.0.2.1\r\nReported-Domain: Example.net\r\n\
            Authentication-Results: mail.example.com;\r\n spf=fail smtp.mail=somespammer@example.com\r\n";
        let original = b"From: <a@example.net>\r\nReceived: from x by mail.example.net with ESMTPS id T4k;\r\n Thu, 8 Mar 2005\r\n\
            Subject: =?utf-8?q?gr=C3=BCn?=\r\nMessage-ID: <8787@example.net>\r\n\r\nbody";
        let feedback = Feedback::read(fields, original, &Limits::default()).expect("feedback");
        assert!(feedback.is_complaint());
        assert_eq!((feedback.kind.as_str(), feedback.mail_from.as_str()), ("abuse", "somespammer@example.net"));
        assert_eq!((feedback.domains.as_slice(), feedback.incidents), (&["example.net".to_owned()][..], 1));
        let original = Original {
            message_id: "<8787@example.net>".into(),
            subject: "grün".into(),
            from: "<a@example.net>".into(),
            ids: vec!["T4k".into()],
        };
        assert_eq!(feedback.original, original);
        let again = Feedback::read(feedback.write().as_bytes(), b"", &Limits::default()).expect("feedback");
        assert_eq!(Feedback { original, ..again }, feedback);
        assert_eq!(Feedback::read(b"Version: 1\r\n", b"", &Limits::default()), None);
        let failure = Feedback {
            kind: "auth-failure".into(),
            failure: "dmarc".into(),
            alignment: "dkim, spf".into(),
            delivery: "reject".into(),
            dkim_domain: "bank.test".into(),
            dkim_identity: "@bank.test".into(),
            dkim_selector: "s".into(),
            incidents: 1,
            ..Feedback::default()
        };
        assert_eq!(Feedback::read(failure.write().as_bytes(), b"", &Limits::default()), Some(failure));
    }
}
