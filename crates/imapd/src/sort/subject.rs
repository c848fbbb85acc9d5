//! Base subjects, exactly by RFC 5256 §2.1, in the case they are written in.
//!
//! Not those of conversations (`postroad_message::thread`), which know the marks of other languages too.

/// A base subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BaseSubject {
    /// What is left.
    pub(crate) text: String,
    /// Something was taken away that marks a reply or a forward.
    pub(crate) is_reply: bool,
}

/// The base subject of a decoded subject. Linear in its length, of which only so much counts as
/// [`SUBJECT_MAX`] says.
pub(crate) fn base_subject(subject: &str) -> BaseSubject {
    // (1) Tabs and line breaks to spaces, several spaces to one.
    let text = spaces_collapsed(subject);
    let mut is_reply = false;
    let mut rest = text.as_str();
    loop {
        // (2) subj-trailer = "(fwd)" / WSP
        loop {
            rest = rest.trim_end_matches(' ');
            match strip_suffix(rest, "(fwd)") {
                Some(shorter) => (rest, is_reply) = (shorter, true),
                None => break,
            }
        }
        // (3) to (5) subj-leader = (*subj-blob subj-refwd) / WSP; subj-blob where something is left behind it.
        loop {
            rest = rest.trim_start_matches(' ');
            let (last, behind) = behind_blobs(rest);
            match strip_mark(behind) {
                Some(shorter) => (rest, is_reply) = (shorter, true),
                // Behind the blobs there is no mark: none either after fewer of them.
                None => {
                    rest = if behind.is_empty() { last } else { behind };
                    break;
                }
            }
        }
        // (6) subj-fwd-hdr = "[fwd:", subj-fwd-trl = "]"
        match strip_prefix(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => (rest, is_reply) = (inner, true),
            None => return BaseSubject { text: rest.to_owned(), is_reply },
        }
    }
}

fn spaces_collapsed(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len().min(SUBJECT_MAX));
    for character in subject.chars() {
        let character = if matches!(character, '\t' | '\r' | '\n') { ' ' } else { character };
        if character == ' ' && text.ends_with(' ') {
            continue;
        }
        if text.len() + character.len_utf8() > SUBJECT_MAX {
            break;
        }
        text.push(character);
    }
    text
}

/// `*subj-blob`: the text from the last of them on, and the text behind it.
fn behind_blobs(text: &str) -> (&str, &str) {
    let (mut last, mut rest) = (text, text);
    while let Some(shorter) = strip_blob(rest) {
        (last, rest) = (rest, shorter);
    }
    (last, rest)
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`.
fn strip_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner[end..].strip_prefix(']').map(|rest| rest.trim_start_matches(' '))
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`.
fn strip_mark(text: &str) -> Option<&str> {
    ["re", "fwd", "fw"].iter().find_map(|mark| {
        let rest = strip_prefix(text, mark)?.trim_start_matches(' ');
        strip_blob(rest).unwrap_or(rest).strip_prefix(':')
    })
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    text.get(at..)?.eq_ignore_ascii_case(suffix).then(|| &text[..at])
}

/// Octets of a subject that are looked at.
pub(crate) const SUBJECT_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_subjects_are_those_of_the_rfc() {
        for (subject, text, is_reply) in [
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("re:hello", "hello", true),
            ("RE  : Hello", "Hello", true),
            ("Fw: Fwd: fW:Re: x", "x", true),
            ("Re[2]: x", "x", true),
            ("re [blob] : x", "x", true),
            ("re [blob]: x", "x", true),
            ("Re[2][3]: x", "Re[2][3]: x", false),
            ("[list] x", "x", false),
            ("[list] Re: x", "x", true),
            ("[a] [b] Re: [c] x", "x", true),
            ("[only]", "[only]", false),
            ("[a] [b]", "[b]", false),
            ("[a][b]", "[b]", false),
            ("[a] re: [b]", "[b]", true),
            ("x (fwd)", "x", true),
            ("x (FWD) (fwd)  ", "x", true),
            ("(fwd)", "", true),
            ("Re:", "", true),
            ("Re: re: ", "", true),
            ("[fwd: x]", "x", true),
            ("[Fwd: [fwd: Re: x]]", "x", true),
            ("[fwd: x", "[fwd: x", false),
            ("[fwd: x] y", "y", false),
            ("a \t  b\r\n c", "a b c", false),
            ("  a  ", "a", false),
            ("", "", false),
            ("AW: x", "AW: x", false),
            ("Re x", "Re x", false),
            ("reply: x", "reply: x", false),
            ("[broken re: x", "[broken re: x", false),
            ("[[x]] y", "[[x]] y", false),
            ("ré: x", "ré: x", false),
            ("[ä] Re: ö", "ö", true),
        ] {
            let base = base_subject(subject);
            assert_eq!((base.text.as_str(), base.is_reply), (text, is_reply), "{subject:?}");
        }
    }

    /// The steps of the RFC, one at a time.
    fn plainly(subject: &str) -> (String, bool) {
        let mut text = subject.replace('\t', " ");
        while text.contains("  ") {
            text = text.replace("  ", " ");
        }
        let mut is_reply = false;
        loop {
            loop {
                if let Some(shorter) = strip_suffix(&text, "(fwd)") {
                    (text, is_reply) = (shorter.to_owned(), true);
                } else if let Some(shorter) = text.strip_suffix(' ') {
                    text = shorter.to_owned();
                } else {
                    break;
                }
            }
            loop {
                let mut behind = text.as_str();
                while let Some(shorter) = strip_blob(behind) {
                    behind = shorter;
                }
                if let Some(shorter) = strip_mark(behind) {
                    (text, is_reply) = (shorter.to_owned(), true);
                } else if let Some(shorter) = text.strip_prefix(' ') {
                    text = shorter.to_owned();
                } else if let Some(shorter) = strip_blob(&text).filter(|shorter| !shorter.is_empty()) {
                    text = shorter.to_owned();
                } else {
                    break;
                }
            }
            match strip_prefix(&text, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
                Some(inner) => (text, is_reply) = (inner.to_owned(), true),
                None => return (text, is_reply),
            }
        }
    }

    #[test]
    fn random_subjects_lose_what_the_steps_take() {
        const WORDS: [&str; 12] = ["re", "Fw", "fwd", ":", "[", "]", " ", "(fwd)", "[fwd:", "x", "[a]", "\t"];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            let mut subject = String::new();
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let mut rest = seed;
            while rest > 1 << 30 {
                subject.push_str(WORDS[(rest % 12) as usize]);
                rest /= 12;
            }
            let base = base_subject(&subject);
            assert_eq!((base.text, base.is_reply), plainly(&subject), "{subject:?}");
        }
    }

    #[test]
    fn a_subject_of_blobs_costs_its_length() {
        let subject = "[x]".repeat(100_000);
        assert_eq!(base_subject(&subject).text, "[", "cut in the middle of a blob");
        let nested = format!("{}x{}", "[fwd:".repeat(100), "]".repeat(100));
        assert_eq!(base_subject(&nested).text, "x");
    }
}
