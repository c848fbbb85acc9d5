//! Parameters of requests: the query of an address, and the body of a form.
//!
//! Standards: the WHATWG's URL standard §5.1 (application/x-www-form-urlencoded), RFC 6749 §3.1 and appendix B.

use std::fmt::Write;

/// Parameters with their values. Those without a value count as absent (RFC 6749 §3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

/// What is no form of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadForm {
    /// More parameters than [`PARAMETERS_MAX`], or longer than [`LENGTH_MAX`].
    TooMuch,
    /// A name that comes twice (RFC 6749 §3.1 forbids it: two readers would each take another).
    Twice,
    /// Octets that are no text, or have a control character where none belongs.
    NoText,
}

impl BadForm {
    pub(crate) fn words(self) -> &'static str {
        match self {
            BadForm::TooMuch => "the request has too many or too long parameters",
            BadForm::Twice => "a parameter comes twice",
            BadForm::NoText => "a parameter is not text",
        }
    }
}

impl Form {
    pub(crate) fn parse(octets: &[u8]) -> Result<Form, BadForm> {
        if octets.len() > LENGTH_MAX {
            return Err(BadForm::TooMuch);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in octets.split(|octet| *octet == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() >= PARAMETERS_MAX {
                return Err(BadForm::TooMuch);
            }
            let split = pair.iter().position(|octet| *octet == b'=').unwrap_or(pair.len());
            let (name, value) = (decode(&pair[..split])?, decode(pair.get(split + 1..).unwrap_or_default())?);
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(BadForm::Twice);
            }
            pairs.push((name, value));
        }
        Ok(Form(pairs))
    }

    /// The same whatever the case of the name: of two that differ in case only, the first.
    pub(crate) fn get_any_case(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known.eq_ignore_ascii_case(name) && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// A value that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

fn decode(text: &[u8]) -> Result<String, BadForm> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'+', _) => octets.push(b' '),
            (b'%', [high, low, further @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                octets.push(digit(*high) << 4 | digit(*low));
                rest = further;
            }
            _ => octets.push(*first),
        }
    }
    let text = String::from_utf8(octets).map_err(|_| BadForm::NoText)?;
    if text.contains(char::is_control) { Err(BadForm::NoText) } else { Ok(text) }
}

fn digit(letter: u8) -> u8 {
    char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}

/// A value as it stands in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(octet)),
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
    }
    out
}

/// An address with parameters behind those it has.
pub(crate) fn with_parameters(address: &str, parameters: &[(&str, &str)]) -> String {
    let mut out = address.to_owned();
    for (name, value) in parameters {
        out.push(if out.contains('?') { '&' } else { '?' });
        let _ = write!(out, "{name}={}", encode(value));
    }
    out
}

const PARAMETERS_MAX: usize = 40;
/// Octets of a form; passwords are at most 1,024.
pub(crate) const LENGTH_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        for (text, name, value) in [
            ("a=b", "a", Some("b")),
            ("a=b&c=d+e%20f", "c", Some("d e f")),
            ("a=%c3%a4", "a", Some("ä")),
            ("a=", "a", None),
            ("a", "a", None),
            ("&&a=b&&", "a", Some("b")),
            ("a=b=c", "a", Some("b=c")),
            ("a=100%", "a", Some("100%")),
            ("a=%zz", "a", Some("%zz")),
            ("%61=b", "a", Some("b")),
        ] {
            assert_eq!(Form::parse(text.as_bytes()).expect("a form").get(name), value, "{text}");
        }
        for (text, why) in [
            ("a=1&a=2", BadForm::Twice),
            ("a=1&%61=2", BadForm::Twice),
            ("a=%ff", BadForm::NoText),
            ("a=%00", BadForm::NoText),
            ("a=%0d%0aSet-Cookie:x", BadForm::NoText),
        ] {
            assert_eq!(Form::parse(text.as_bytes()), Err(why), "{text}");
        }
        let many: String = (0..=PARAMETERS_MAX).map(|number| format!("p{number}=1&")).collect();
        assert_eq!(Form::parse(many.as_bytes()), Err(BadForm::TooMuch));
        assert_eq!(Form::parse(&vec![b'a'; LENGTH_MAX + 1]), Err(BadForm::TooMuch));
    }

    #[test]
    fn fuzz_what_is_written_is_read_again() {
        postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, String)>().for_each(|(octets, text)| {
            let _ = Form::parse(octets);
            let written = with_parameters("", &[("a", text)]);
            let clean = !text.contains(char::is_control) && written.len() <= LENGTH_MAX;
            let read = Form::parse(written.trim_start_matches('?').as_bytes());
            assert_eq!(read.is_ok(), clean, "{text:?}");
            if let Ok(read) = read {
                assert_eq!(read.get("a").unwrap_or_default(), text);
            }
        });
    }
}
