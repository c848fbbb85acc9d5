//! What was found: a line each, with what it means and what to do.

use serde_json::{Value, json};

/// How a matter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    Ok,
    /// Mail flows, but something is lacking, or is not known.
    Warn,
    /// Mail is lost, refused or not believed because of it.
    Fail,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "fail",
        }
    }
}

/// A matter that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) grade: Grade,
    what: &'static str,
    fact: String,
    /// What follows from it; empty when all is well.
    meaning: String,
    remedy: String,
    /// Lines of a zone file to be published.
    records: Vec<String>,
}

impl Line {
    pub(super) fn ok(what: &'static str, fact: impl Into<String>) -> Line {
        let fact = fact.into();
        Line { grade: Grade::Ok, what, fact, meaning: String::new(), remedy: String::new(), records: Vec::new() }
    }

    pub(super) fn warn(
        what: &'static str,
        fact: impl Into<String>,
        meaning: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Line {
        Line { grade: Grade::Warn, meaning: meaning.into(), remedy: remedy.into(), ..Line::ok(what, fact) }
    }

    pub(super) fn fail(
        what: &'static str,
        fact: impl Into<String>,
        meaning: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Line {
        Line { grade: Grade::Fail, ..Line::warn(what, fact, meaning, remedy) }
    }

    /// With records to publish.
    pub(super) fn publish(self, records: Vec<String>) -> Line {
        Line { records, ..self }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "is": self.grade.name(), "what": self.what, "fact": self.fact, "meaning": self.meaning,
            "remedy": self.remedy, "records": self.records,
        })
    }

    /// For people: a line when all is well, else a block.
    pub(super) fn text(&self) -> String {
        let is = match self.grade {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
        };
        let mut text = format!("{is:<5} {:<14} {}\n", self.what, self.fact);
        for (head, words) in [("means:", &self.meaning), ("do:", &self.remedy)] {
            if !words.is_empty() {
                text += &format!("{:20} {head:<7} {words}\n", "");
            }
        }
        for record in &self.records {
            text += &format!("{:20} {:<7} {record}\n", "", "record:");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_with_what_to_do() {
        assert_eq!(Line::ok("MX", "mail.example.org").text(), "ok    MX             mail.example.org\n");
        let line = Line::fail("SPF", "there is none", "mail is refused", "publish this")
            .publish(vec!["example.org. 3600 IN TXT \"v=spf1 mx -all\"".into()]);
        let text = line.text();
        assert!(text.starts_with("FAIL  SPF            there is none\n"), "{text}");
        for words in ["means:  mail is refused\n", "do:     publish this\n", "record: example.org. 3600 IN TXT"] {
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(line.json()["is"], "fail");
    }
}
