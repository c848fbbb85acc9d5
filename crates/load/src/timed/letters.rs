//! The letters in a mailbox that is searched, sorted and listed: several authors, threads with references, dates over
//! years, plain text and alternatives. The same number gives the same letter in every run.

/// Letters to a thread: the first and its answers.
const THREAD: u32 = 5;
/// One letter in so many has [`RARE`] in its text, another in its subject.
const RARELY: u32 = 1_000;
/// The word that a search finds.
pub(super) const RARE: &str = "xylophone";
const WORDS: &[&str] = &[
    "the", "of", "and", "to", "meeting", "is", "that", "for", "we", "with", "as", "was", "report", "on", "are", "this",
    "you", "at", "from", "have", "an", "which", "please", "will", "were", "all", "budget", "there", "can", "more",
    "Thursday", "customer", "has", "when", "who", "invoice", "attached", "draft", "about", "would", "question",
    "regards", "schedule", "office", "tomorrow", "letter", "delivery", "answer", "project", "before", "number",
];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Makes letters of about the same size.
#[derive(Debug)]
pub(super) struct Letters {
    size: usize,
}

impl Letters {
    pub(super) fn new(size: usize) -> Letters {
        Letters { size }
    }

    /// Letter `number`, header and body, lines ended by CRLF.
    pub(super) fn letter(&self, number: u32) -> Vec<u8> {
        let mut random = Random(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let first = number - number % THREAD;
        let (author, reader) = (random.below(300), random.below(300));
        let mut topic = Random(u64::from(first).wrapping_mul(0xd1b5_4a32_d192_ed03) | 1);
        let mut subject: Vec<&str> = (0..4).map(|_| WORDS[topic.below(WORDS.len())]).collect();
        if number.is_multiple_of(RARELY) {
            subject.push(RARE);
        }
        let answer = if number == first { "" } else { "Re: " };
        let (day, month) = (number / 37 % 28 + 1, MONTHS[(number / 1_036 % 12) as usize]);
        let (year, hour, minute) = (2015 + number / 12_432 % 12, number % 24, number % 60);
        let mut text = format!(
            "Return-Path: <writer{author}@elsewhere.test>\r\n\
             Received: from mx.elsewhere.test (mx.elsewhere.test [192.0.2.{host}])\r\n\tby mail.example.test with ESMTPS id {number:x};\r\n\
             \t{day} {month} {year} {hour:02}:{minute:02}:07 +0000\r\n\
             From: Writer Number {author} <writer{author}@elsewhere.test>\r\n\
             To: \"Reader, {reader}\" <reader{reader}@example.test>, office@example.test\r\n\
             Subject: {answer}{subject} {first}\r\n\
             Date: {day} {month} {year} {hour:02}:{minute:02}:00 +0000\r\n\
             Message-ID: <{number}.{author}@elsewhere.test>\r\n",
            host = number % 250 + 1,
            subject = subject.join(" "),
        );
        if number != first {
            let before = number - 1;
            let by = Random(u64::from(before).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).below(300);
            let began = Random(u64::from(first).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).below(300);
            text += &format!(
                "In-Reply-To: <{before}.{by}@elsewhere.test>\r\n\
                 References: <{first}.{began}@elsewhere.test> <{before}.{by}@elsewhere.test>\r\n"
            );
        }
        text += "User-Agent: Letters 1.0\r\nMIME-Version: 1.0\r\n";
        let left = self.size.saturating_sub(text.len() + 100);
        let rare = number % RARELY == RARELY / 2;
        match number % 3 {
            0 => {
                text += "Content-Type: multipart/alternative; boundary=\"=_letter\"\r\n\r\n--=_letter\r\n\
                         Content-Type: text/plain; charset=utf-8\r\n\r\n";
                words(&mut random, left / 2, rare, &mut text);
                text += "\r\n--=_letter\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>";
                words(&mut random, left / 2, rare, &mut text);
                text += "</p>\r\n--=_letter--\r\n";
            }
            _ => {
                text += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
                words(&mut random, left, rare, &mut text);
            }
        }
        text.into_bytes()
    }
}

fn words(random: &mut Random, size: usize, rare: bool, out: &mut String) {
    let end = out.len() + size;
    let mut column = 0;
    if rare {
        out.push_str(RARE);
        column = RARE.len();
    }
    while out.len() + 2 < end {
        let word = WORDS[random.below(WORDS.len())];
        if column + word.len() >= 72 {
            out.push_str("\r\n");
            column = 0;
        } else if column > 0 {
            out.push(' ');
        }
        out.push_str(word);
        column += word.len() + 1;
    }
    out.push_str("\r\n");
}

/// A generator that is the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_letters() {
        let letters = Letters::new(2_500);
        for number in 1..3_000 {
            let text = String::from_utf8(letters.letter(number)).expect("UTF-8");
            assert_eq!(text.as_bytes(), letters.letter(number));
            assert!(text.len().abs_diff(2_500) < 200, "{number}: {}", text.len());
            assert_eq!(text.replace("\r\n", "").find(['\r', '\n']), None);
            let (header, body) = text.split_once("\r\n\r\n").expect("a header and a body");
            assert_eq!(header.contains(RARE), number % RARELY == 0, "{number}");
            assert_eq!(body.contains(RARE), number % RARELY == RARELY / 2, "{number}");
            assert_eq!(header.contains("References: "), number % THREAD != 0);
        }
    }

    #[test]
    fn an_answer_names_the_letter_before() {
        let letters = Letters::new(1_000);
        let text = |number| String::from_utf8(letters.letter(number)).expect("UTF-8");
        let id = text(11).lines().find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned)).expect("an id");
        assert!(text(12).contains(&format!("In-Reply-To: {id}")));
    }
}
