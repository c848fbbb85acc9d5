//! Letters with reports: finding reports in a message, and making messages of them.
//!
//! [`may_be`] looks at a header alone, so that ordinary mail costs nothing; [`read`] looks at a whole message. What looks like a
//! report and cannot be read is told by itself, so that somebody can see why nothing came of it.
//!
//! Standards: RFC 9990 §3 (subject, file names), RFC 7489 §7.2.1.1, RFC 8460 §5, RFC 5965 §2, RFC 6522.

use postroad_message::build::Builder;
use postroad_message::decode::transfer;
use postroad_message::{Content, Parser, Part, header};

use super::feedback::Feedback;
use super::unpack::{gzip, unpack};
use super::{Limits, Result, aggregate, tls};

/// A report in a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// An aggregate report of DMARC.
    Aggregate(aggregate::Report),
    /// A report about TLS.
    Tls(tls::Report),
    /// Feedback about one message.
    Feedback(Feedback),
    /// It looks like a report and is none that can be read: why.
    Unreadable(String),
}

/// Whether a message with this header may carry reports.
pub fn may_be(block: &[u8]) -> bool {
    if header::has(block, "TLS-Report-Domain") {
        return true;
    }
    let value = |name| header::find(block, name).map(|field| header::decode(field.value).to_lowercase());
    let kind = value("Content-Type").unwrap_or_default();
    let subject = value("Subject").unwrap_or_default();
    let is_dmarc = subject.contains("report domain:") || subject.contains("dmarc") && subject.contains("report");
    is_dmarc || ["tlsrpt", "feedback-report"].iter().any(|word| kind.contains(word))
}

/// The reports in a message.
pub fn read(message: &[u8], limits: &Limits) -> Vec<Taken> {
    let summary = Parser::parse(message);
    let mut parts = Vec::new();
    leaves(&summary.structure, &mut parts);
    let mut taken = Vec::new();
    if let Some(at) = parts.iter().position(|part| part.is("message", "feedback-report")) {
        let original = parts.get(at + 1..).unwrap_or_default().iter().find(|part| is_original(part));
        let original = original.map(|part| octets(message, part)).unwrap_or_default();
        taken.extend(Feedback::read(&octets(message, parts[at]), &original, limits).map(Taken::Feedback));
        return taken;
    }
    for part in parts {
        let Some(kind) = kind_of(part) else { continue };
        if taken.len() >= limits.reports {
            taken.push(Taken::Unreadable(format!("there are more than {} reports in one letter", limits.reports)));
            break;
        }
        match files(message, part, limits) {
            Ok(files) => {
                taken.extend(files.iter().take(limits.reports).map(|file| report(file, kind, limits)));
            }
            Err(error) => taken.push(Taken::Unreadable(error.to_string())),
        }
    }
    taken
}

/// What a part seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Aggregate,
    Tls,
    /// An archive of either.
    Archive,
}

fn kind_of(part: &Part) -> Option<Kind> {
    let name = part.file_name().unwrap_or_default().to_lowercase();
    let subtype = part.subtype.as_str();
    match part.content_type.as_str() {
        "application" | "text" => match subtype {
            "tlsrpt+json" | "tlsrpt+gzip" => Some(Kind::Tls),
            _ if name.ends_with(".json") || name.ends_with(".json.gz") => Some(Kind::Tls),
            _ if name.ends_with(".xml") || name.ends_with(".xml.gz") => Some(Kind::Aggregate),
            "xml" => Some(Kind::Aggregate),
            "zip" | "x-zip" | "x-zip-compressed" | "gzip" | "x-gzip" => Some(Kind::Archive),
            _ if name.ends_with(".zip") || name.ends_with(".gz") => Some(Kind::Archive),
            _ => None,
        },
        _ => None,
    }
}

fn files(message: &[u8], part: &Part, limits: &Limits) -> Result<Vec<Vec<u8>>> {
    unpack(&octets(message, part), limits)
}

fn report(file: &[u8], kind: Kind, limits: &Limits) -> Taken {
    let is_json = file.trim_ascii_start().first() == Some(&b'{');
    let read = match kind {
        Kind::Archive | Kind::Aggregate | Kind::Tls if is_json => tls::Report::read(file, limits).map(Taken::Tls),
        Kind::Archive | Kind::Aggregate => aggregate::Report::read(file, limits).map(Taken::Aggregate),
        Kind::Tls => tls::Report::read(file, limits).map(Taken::Tls),
    };
    read.unwrap_or_else(|error| Taken::Unreadable(error.to_string()))
}

/// Parts without parts; of a message inside, the message itself.
fn leaves<'a>(part: &'a Part, found: &mut Vec<&'a Part>) {
    match &part.content {
        Content::Multipart(parts) => parts.iter().for_each(|part| leaves(part, found)),
        Content::Leaf | Content::Message(_) if found.len() < LEAVES_MAX => found.push(part),
        Content::Leaf | Content::Message(_) => {}
    }
}

fn is_original(part: &Part) -> bool {
    part.is("message", "rfc822")
        || part.is("message", "global")
        || part.is("text", "rfc822-headers")
        || part.is("message", "rfc822-headers")
        || part.is("message", "global-headers")
}

fn octets(message: &[u8], part: &Part) -> Vec<u8> {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let body = message.get(place(part.body_start)..place(part.body_end)).unwrap_or_default();
    transfer(&part.encoding, body)
}

/// The frame of a letter that is sent.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// Whose it is: an address.
    pub from: &'a str,
    /// To whom.
    pub to: &'a [String],
    /// RFC 5322.
    pub date: &'a str,
    /// With angle brackets.
    pub message_id: &'a str,
}

impl aggregate::Report {
    /// The letter that carries it. `receiver`: the host that reports.
    pub fn letter(&self, frame: &Frame<'_>, receiver: &str) -> Vec<u8> {
        let about = &self.published.domain;
        // RFC 9990 §3.2: receiver!policy-domain!begin!end!unique.
        let name = format!("{receiver}!{about}!{}!{}.xml.gz", self.begin, self.end);
        let text = format!(
            "This is a DMARC aggregate report of {receiver} about mail in the name of {about}.\r\n\
             The attached file is XML packed with gzip, as RFC 9990 describes it.\r\n",
        );
        let subject = format!("Report Domain: {about} Submitter: {receiver} Report-ID: <{}>", self.id);
        let parts = vec![
            Builder::part().text("plain", &text),
            Builder::part().attachment("application/gzip", Some(&name), &gzip(self.write().as_bytes())),
        ];
        head(frame, &subject).multipart("multipart/mixed", parts).build()
    }
}

impl tls::Report {
    /// The letter that carries it. `domain`: the one it is about; `submitter`: the host that reports; `name`: of the file.
    pub fn letter(&self, frame: &Frame<'_>, domain: &str, submitter: &str, name: &str) -> Vec<u8> {
        let text = format!(
            "This is a report of {submitter} about TLS sessions for mail to {domain}.\r\n\
             The attached file is JSON packed with gzip, as RFC 8460 describes it.\r\n",
        );
        // RFC 8460 §5.3.
        let subject = format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{}>", self.id);
        let parts = vec![
            Builder::part().text("plain", &text),
            Builder::part().attachment("application/tlsrpt+gzip", Some(name), &gzip(self.write().as_bytes())),
        ];
        head(frame, &subject)
            .raw("TLS-Report-Domain", domain)
            .raw("TLS-Report-Submitter", submitter)
            // RFC 8460 §5.3 sets TLS aside for reports about it, so that they arrive where it is broken.
            .raw("TLS-Required", "No")
            .multipart("multipart/report; report-type=\"tlsrpt\"", parts)
            .build()
    }
}

impl Feedback {
    /// A failure report; `original` is the message, or its header alone.
    pub fn letter(&self, frame: &Frame<'_>, original: &[u8], is_whole: bool) -> Vec<u8> {
        let text = format!(
            "This is an authentication failure report about one message from {}.\r\n\
             RFC 6591 and RFC 9991 describe its form.\r\n",
            self.source
        );
        let parts = vec![
            Builder::part().text("plain", &text),
            Builder::part().body("message/feedback-report", self.write().as_bytes()),
            Builder::part().body(if is_whole { "message/rfc822" } else { "text/rfc822-headers" }, original),
        ];
        let subject = format!("Authentication failure report about {}", self.domains.join(", "));
        head(frame, &subject).multipart("multipart/report; report-type=feedback-report", parts).build()
    }
}

fn head(frame: &Frame<'_>, subject: &str) -> Builder {
    let to: Vec<(Option<&str>, &str)> = frame.to.iter().map(|address| (None, address.as_str())).collect();
    Builder::message()
        .addresses("From", &[(Some("Mail reports"), frame.from)])
        .addresses("To", &to)
        .field("Subject", subject)
        .field("Date", frame.date)
        .raw("Message-ID", frame.message_id)
        // RFC 3834 §5: nobody answers it.
        .field("Auto-Submitted", "auto-generated")
        .field("X-Auto-Response-Suppress", "All")
}

/// Parts of a letter that are looked at.
const LEAVES_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::aggregate::{Published, Report};

    fn frame(to: &[String]) -> Frame<'_> {
        Frame { from: "postmaster@mx.test", to, date: "Sun, 22 Nov 2026 00:10:00 +0000", message_id: "<r.1@mx.test>" }
    }

    fn aggregate() -> Report {
        Report {
            organization: "mx.test".into(),
            email: "postmaster@mx.test".into(),
            contact: String::new(),
            id: "20261121.example.org".into(),
            begin: 1_763_769_600,
            end: 1_763_855_999,
            errors: Vec::new(),
            generator: "Postroad".into(),
            published: Published { domain: "example.org".into(), ..Published::default() },
            records: Vec::new(),
            skipped: 0,
        }
    }

    fn head_of(message: &[u8]) -> &[u8] {
        &message[..memchr::memmem::find(message, b"\r\n\r\n").expect("a header") + 4]
    }

    #[test]
    fn our_letters_are_read_by_us() {
        let (to, limits) = (vec!["dmarc@example.org".to_owned()], Limits::default());
        let letter = aggregate().letter(&frame(&to), "mx.test");
        assert!(may_be(head_of(&letter)));
        assert_eq!(read(&letter, &limits), [Taken::Aggregate(aggregate())]);

        let tls = tls::Report {
            organization: "mx.test".into(),
            contact: "postmaster@mx.test".into(),
            id: "x".into(),
            begin: "2026-11-21T00:00:00Z".into(),
            end: "2026-11-21T23:59:59Z".into(),
            policies: Vec::new(),
        };
        let letter = tls.letter(&frame(&to), "example.org", "mx.test", "mx.test!example.org!1!2!x.json.gz");
        assert!(may_be(head_of(&letter)));
        assert_eq!(read(&letter, &limits), [Taken::Tls(tls)]);

        let feedback = Feedback {
            kind: "auth-failure".into(),
            domains: vec!["example.org".into()],
            incidents: 1,
            ..Feedback::default()
        };
        let letter = feedback.letter(&frame(&to), b"Message-ID: <a@b.test>\r\n", false);
        assert!(may_be(head_of(&letter)));
        let [Taken::Feedback(found)] = &read(&letter, &limits)[..] else { panic!("no feedback") };
        assert_eq!((found.kind.as_str(), found.original.message_id.as_str()), ("auth-failure", "<a@b.test>"));
    }

    #[test]
    fn letters_of_others_are_known() {
        for (header, expected) in [
            (
                "Subject: Report domain: example.org Submitter: big.test Report-ID: 1\r\nContent-Type: application/zip\r\n\r\n",
                true,
            ),
            ("Subject: =?utf-8?q?=5BPreview=5D_Report_Domain=3A_example.org?=\r\n\r\n", true),
            (
                "Subject: complaint\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=a\r\n\r\n",
                true,
            ),
            ("Subject: Dmarc Aggregate Report Domain: {x}\r\n\r\n", true),
            ("Subject: our quarterly report\r\nContent-Type: application/zip\r\n\r\n", false),
            ("Subject: =?utf-8?b?YmFk\r\nContent-Type: multipart/report; report-type=delivery-status\r\n\r\n", false),
        ] {
            assert_eq!(may_be(header.as_bytes()), expected, "{header}");
        }
        let letter = "Subject: Report domain: x\r\nContent-Type: application/zip; name=\"a!b!1!2.zip\"\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n";
        let unreadable = read(letter.as_bytes(), &Limits::default());
        assert!(matches!(unreadable.as_slice(), [Taken::Unreadable(_)]), "{unreadable:?}");
        assert_eq!(read(b"Subject: Report domain: x\r\n\r\nhello\r\n", &Limits::default()), []);
    }
}
