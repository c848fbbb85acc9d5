//! Flags and keywords in the spellings of Maildir and mbox.

use postroad_mail::{Flags, Keyword};

/// Flags and keywords of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// System flags.
    pub flags: Flags,
    /// Keywords, each once.
    pub keywords: Vec<Keyword>,
}

/// The keyword that Maildir's `P` (passed) stands for.
const FORWARDED: &str = "$Forwarded";

/// Maildir's letters and their flags, in the order in which they are written.
const LETTERS: [(u8, Flags); 5] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];

impl Marks {
    /// Adds a keyword; what cannot be one is made into one or dropped.
    pub fn add(&mut self, text: &str) {
        if let Some(flag) = Flags::from_name(text) {
            self.flags = self.flags | flag;
            return;
        }
        let fitting: String = text
            .trim_start_matches('\\')
            .chars()
            .map(|c| if c.is_ascii_graphic() && !r#"(){%*"\]"#.contains(c) { c } else { '_' })
            .take(Keyword::MAX_BYTES)
            .collect();
        if let Some(keyword) = Keyword::parse(&fitting)
            && !self.keywords.contains(&keyword)
            && self.keywords.len() < KEYWORDS_MAX
        {
            self.keywords.push(keyword);
        }
    }

    /// From Maildir's letters behind `:2,`; `known` are the folder's keywords for `a` to `z`.
    pub fn from_letters(letters: &[u8], known: &[String]) -> Marks {
        let mut marks = Marks::default();
        for letter in letters {
            match letter {
                b'P' => marks.add(FORWARDED),
                b'a'..=b'z' => {
                    if let Some(name) = known.get(usize::from(letter - b'a')).filter(|name| !name.is_empty()) {
                        marks.add(name);
                    }
                }
                other => {
                    if let Some((_, flag)) = LETTERS.iter().find(|(own, _)| own == other) {
                        marks.flags = marks.flags | *flag;
                    }
                }
            }
        }
        marks
    }

    /// Maildir's letters in their order; `letter` gives a keyword its small letter, if there is one left.
    pub fn letters(&self, mut letter: impl FnMut(&Keyword) -> Option<u8>) -> String {
        let mut letters: Vec<u8> =
            LETTERS.iter().filter(|(_, flag)| self.flags.contains(*flag)).map(|(letter, _)| *letter).collect();
        for keyword in &self.keywords {
            match keyword.as_str() {
                FORWARDED => letters.push(b'P'),
                _ => letters.extend(letter(keyword)),
            }
        }
        letters.sort_unstable();
        letters.dedup();
        letters.into_iter().map(char::from).collect()
    }

    /// `Status` and `X-Status` of an mbox.
    pub fn add_status(&mut self, value: &str) {
        for letter in value.chars() {
            let flag = match letter {
                'R' => Flags::SEEN,
                'A' => Flags::ANSWERED,
                'F' => Flags::FLAGGED,
                'D' => Flags::DELETED,
                'T' => Flags::DRAFT,
                _ => Flags::NONE,
            };
            self.flags = self.flags | flag;
        }
    }

    /// The values of `Status` and `X-Status`. Old (`O`) is said of all: they were in a mailbox.
    pub fn status(&self) -> (&'static str, String) {
        let status = if self.flags.contains(Flags::SEEN) { "RO" } else { "O" };
        let more = [('D', Flags::DELETED), ('F', Flags::FLAGGED), ('A', Flags::ANSWERED), ('T', Flags::DRAFT)];
        (status, more.into_iter().filter(|(_, flag)| self.flags.contains(*flag)).map(|(letter, _)| letter).collect())
    }

    /// Thunderbird's `X-Mozilla-Status`, hexadecimal. Says whether the message was deleted there and only not yet
    /// taken out of the file.
    pub fn add_mozilla_status(&mut self, value: &str) -> bool {
        let bits = u32::from_str_radix(value.trim(), 16).unwrap_or(0);
        let flags = [(1, Flags::SEEN), (2, Flags::ANSWERED), (4, Flags::FLAGGED)];
        for (_, flag) in flags.into_iter().filter(|(bit, _)| bits & bit != 0) {
            self.flags = self.flags | flag;
        }
        if bits & 0x1000 != 0 {
            self.add(FORWARDED);
        }
        bits & 8 != 0
    }

    /// Apple's bits in an .emlx.
    pub fn add_apple(&mut self, bits: u64) {
        let flags =
            [(0, Flags::SEEN), (1, Flags::DELETED), (2, Flags::ANSWERED), (4, Flags::FLAGGED), (6, Flags::DRAFT)];
        for (_, flag) in flags.into_iter().filter(|(bit, _)| bits >> bit & 1 == 1) {
            self.flags = self.flags | flag;
        }
        if bits >> 8 & 1 == 1 {
            self.add(FORWARDED);
        }
    }
}

/// Most keywords of one message that are carried.
pub const KEYWORDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_back() {
        let known: Vec<String> = ["$Label1", "", "work"].map(String::from).into();
        for (letters, flags, keywords) in [
            ("", Flags::NONE, vec![]),
            ("S", Flags::SEEN, vec![]),
            ("DFPRST", Flags::ALL, vec!["$Forwarded"]),
            ("Sac", Flags::SEEN, vec!["$Label1", "work"]),
        ] {
            let marks = Marks::from_letters(letters.as_bytes(), &known);
            assert_eq!(marks.flags, flags, "{letters}");
            assert_eq!(marks.keywords.iter().map(Keyword::as_str).collect::<Vec<_>>(), keywords);
            let letter = |keyword: &Keyword| match keyword.as_str() {
                "$Label1" => Some(b'a'),
                "work" => Some(b'c'),
                _ => None,
            };
            assert_eq!(marks.letters(letter), letters);
        }
        assert_eq!(Marks::from_letters(b"bzQ!,", &known), Marks::default(), "unknown letters are nothing");
    }

    #[test]
    fn status_and_back() {
        for bits in 0..32 {
            let marks = Marks { flags: Flags::from_bits(bits), keywords: Vec::new() };
            let (status, more) = marks.status();
            let mut read = Marks::default();
            read.add_status(status);
            read.add_status(&more);
            assert_eq!(read, marks);
        }
        let mut thunderbird = Marks::default();
        assert!(!thunderbird.add_mozilla_status("1003"));
        assert_eq!(thunderbird.flags, Flags::SEEN | Flags::ANSWERED);
        assert_eq!(thunderbird.keywords[0].as_str(), "$Forwarded");
        assert!(Marks::default().add_mozilla_status("0009"));
        let mut apple = Marks::default();
        apple.add_apple(0b1_0001);
        assert_eq!(apple.flags, Flags::SEEN | Flags::FLAGGED);
    }

    #[test]
    fn keywords_are_made_to_fit() {
        let mut marks = Marks::default();
        for text in ["\\Seen", "to do", "TO_DO", "", "ärger", "\\Forwarded", "$forwarded"] {
            marks.add(text);
        }
        let names: Vec<&str> = marks.keywords.iter().map(Keyword::as_str).collect();
        assert_eq!((marks.flags, names), (Flags::SEEN, vec!["to_do", "_rger", "Forwarded", "$Forwarded"]));
    }
}
