//! Writing, as RFC 9990 has it.

use std::fmt::Write as _;

use super::{Published, Record, Report};
use crate::dmarc::{Alignment, Policy};

impl Report {
    /// The XML.
    pub fn write(&self) -> String {
        let mut xml = Xml { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 };
        xml.text.push_str("<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n");
        xml.depth = 1;
        xml.leaf("version", "1.0");
        xml.nest("report_metadata", |xml| {
            xml.leaf("org_name", &self.organization);
            xml.leaf("email", &self.email);
            xml.optional("extra_contact_info", &self.contact);
            xml.leaf("report_id", &self.id);
            xml.nest("date_range", |xml| {
                xml.leaf("begin", &self.begin.to_string());
                xml.leaf("end", &self.end.to_string());
            });
            self.errors.iter().for_each(|error| xml.leaf("error", error));
            xml.optional("generator", &self.generator);
        });
        published(&mut xml, &self.published);
        self.records.iter().for_each(|one| record(&mut xml, one));
        xml.text.push_str("</feedback>\n");
        xml.text
    }
}

fn published(xml: &mut Xml, published: &Published) {
    let letter = |alignment| match alignment {
        Alignment::Strict => "s",
        Alignment::Relaxed => "r",
    };
    xml.nest("policy_published", |xml| {
        xml.leaf("domain", &published.domain);
        xml.leaf("p", published.policy.as_str());
        xml.optional("sp", published.subdomains.map_or("", Policy::as_str));
        xml.optional("np", published.nonexistent.map_or("", Policy::as_str));
        xml.leaf("adkim", letter(published.dkim_alignment));
        xml.leaf("aspf", letter(published.spf_alignment));
        xml.leaf("discovery_method", "treewalk");
        xml.optional("fo", &published.failure_options);
        xml.leaf("testing", if published.testing { "y" } else { "n" });
    });
}

fn record(xml: &mut Xml, record: &Record) {
    let word = |passes| if passes { "pass" } else { "fail" };
    xml.nest("record", |xml| {
        xml.nest("row", |xml| {
            xml.leaf("source_ip", &record.source.to_string());
            xml.leaf("count", &record.count.to_string());
            xml.nest("policy_evaluated", |xml| {
                xml.leaf("disposition", record.disposition.as_str());
                xml.leaf("dkim", word(record.dkim));
                xml.leaf("spf", word(record.spf));
                for reason in &record.reasons {
                    xml.nest("reason", |xml| {
                        xml.leaf("type", &reason.kind);
                        xml.optional("comment", &reason.comment);
                    });
                }
            });
        });
        xml.nest("identifiers", |xml| {
            xml.leaf("header_from", &record.header_from);
            xml.leaf("envelope_from", &record.envelope_from);
            xml.optional("envelope_to", &record.envelope_to);
        });
        xml.nest("auth_results", |xml| {
            for signature in &record.signatures {
                xml.nest("dkim", |xml| {
                    xml.leaf("domain", &signature.domain);
                    xml.leaf("selector", &signature.selector);
                    xml.leaf("result", &signature.result);
                    xml.optional("human_result", &signature.words);
                });
            }
            for sender in &record.senders {
                xml.nest("spf", |xml| {
                    xml.leaf("domain", &sender.domain);
                    xml.leaf("scope", if sender.helo { "helo" } else { "mfrom" });
                    xml.leaf("result", &sender.result);
                    xml.optional("human_result", &sender.words);
                });
            }
        });
    });
}

struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn nest(&mut self, name: &str, inside: impl FnOnce(&mut Xml)) {
        let indent = "  ".repeat(self.depth);
        let _ = writeln!(self.text, "{indent}<{name}>");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        let _ = writeln!(self.text, "{indent}</{name}>");
    }

    fn leaf(&mut self, name: &str, value: &str) {
        let indent = "  ".repeat(self.depth);
        // XML 1.0 §2.2 has no way to write control characters.
        let clean: String = value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let _ = writeln!(self.text, "{indent}<{name}>{}</{name}>", quick_xml::escape::escape(clean.as_str()));
    }

    fn optional(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.leaf(name, value);
        }
    }
}
