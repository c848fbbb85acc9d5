//! Whatever the DNS and senders say: no panic, a bounded number of questions, a verdict that can be shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use postroad_mailauth::results::{AuthenticationResults, MethodResult, is_ours, parse};
use postroad_mailauth::{Failure, Machine, Question, Records, Step, dmarc, iprev, spf};

/// Octets as a source of choices; ends in zeros.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[usize::from(self.octet()) % of.len()]
    }

    fn octets(&mut self) -> Vec<u8> {
        let length = usize::from(self.octet() % 40);
        (0..length).map(|_| self.octet()).collect()
    }

    /// Fragments with some noise between.
    fn text(&mut self, begin: &str, fragments: &[&str]) -> Vec<u8> {
        let mut text = begin.as_bytes().to_vec();
        for _ in 0..self.octet() % 16 {
            match self.octet() % 8 {
                0 => text.extend(self.octets()),
                _ => text.extend(self.pick(fragments).as_bytes()),
            }
        }
        text
    }

    fn name(&mut self) -> String {
        let labels = ["a", "b", "test", "example", "co", "x".repeat(64).leak(), "", "ä"];
        (0..self.octet() % 10).map(|_| *self.pick(&labels)).collect::<Vec<_>>().join(".")
    }

    fn answer(&mut self, question: &Question, begin: &str, fragments: &[&str]) -> Result<Records, Failure> {
        match self.octet() % 12 {
            0 => return Err(Failure::NoSuchName),
            1 => return Err(Failure::NoData),
            2 => return Err(Failure::BadName),
            3 => return Err(Failure::Temporary("down".to_owned())),
            4 => return Ok(Records::Ptr(vec![self.name()])),
            _ => {}
        }
        let many = if self.octet() == 7 { 3000 } else { 1 + usize::from(self.octet() % 3) };
        Ok(match question {
            Question::Txt(_) => Records::Txt((0..many.min(3)).map(|_| self.text(begin, fragments)).collect()),
            Question::Mx(_) => Records::Mx((0..many).map(|n| (0, format!("m{n}.{}", self.name()))).collect()),
            Question::Ipv4(_) => Records::Ipv4(vec![Ipv4Addr::new(192, 0, 2, self.octet()); many]),
            Question::Ipv6(_) => Records::Ipv6(vec![Ipv6Addr::LOCALHOST; many]),
            Question::Ptr(_) => Records::Ptr((0..many).map(|n| format!("p{n}.{}", self.name())).collect()),
        })
    }

    /// Runs a check, sometimes with fewer or more answers than it wants.
    fn run<M: Machine>(&mut self, mut check: M, most: usize, begin: &str, fragments: &[&str]) -> M::Verdict {
        let mut asked = 0;
        loop {
            match check.step() {
                Step::Done(verdict) => return verdict,
                Step::Ask(questions) => {
                    assert!(!questions.is_empty());
                    asked += questions.len();
                    assert!(asked <= most, "{asked} questions");
                    for question in &questions {
                        assert_askable(question);
                        if self.octet() == 1 {
                            break;
                        }
                        check.answer(self.answer(question, begin, fragments));
                        if self.octet() == 2 {
                            check.answer(Err(Failure::NoData));
                        }
                    }
                }
            }
        }
    }
}

fn assert_askable(question: &Question) {
    if let Question::Txt(name) | Question::Mx(name) | Question::Ipv4(name) | Question::Ipv6(name) = question {
        // `_dmarc.` stands before a name that fits; the resolver refuses what then does not.
        let name = name.strip_prefix("_dmarc.").unwrap_or(name);
        assert!(!name.is_empty() && name.len() <= 253 && name.is_ascii(), "{name:?}");
        assert!(name.split('.').all(|label| (1..=63).contains(&label.len())), "{name:?}");
    }
}

const TERMS: &[&str] = &[
    " a",
    " mx",
    " ptr",
    " +all",
    " -all",
    " ~all",
    " include:",
    " exists:",
    " redirect=",
    " exp=",
    " ip4:192.0.2.0/24",
    " ip6:::1/128",
    "a.test",
    "b.a.test",
    "%{l}",
    "%{ir}.%{v}",
    "%{p}",
    "%{d2r}",
    "%{S1r-+,}",
    "%%",
    "%_",
    "%-",
    "%{h}",
    "%{o999999999999}",
    "/24",
    "//64",
    ":",
    "=",
    ".",
    " ",
    "-",
    "%{t}%{c}%{r}",
];

#[test]
fn fuzz_spf_ends_with_a_verdict_that_can_be_shown() {
    postroad_fuzz::check!(2000).with_type::<Vec<u8>>().for_each(|octets| {
        let mut choices = Choices(octets);
        let ip: IpAddr = *choices.pick(&[Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::LOCALHOST.into()]);
        let (local, domain, helo) = (choices.octets(), choices.name(), choices.octets());
        let mail_from = format!("{}@{domain}", String::from_utf8_lossy(&local));
        let helo = String::from_utf8_lossy(&helo).into_owned();
        let check = spf::Check::new(spf::Input {
            ip,
            helo: &helo,
            mail_from: if choices.octet() == 3 { None } else { Some(&mail_from) },
            receiver: "mx.test",
            now: 0,
            limits: spf::Limits::default(),
        });
        // Ten terms with eleven questions each, the names of the address, the explanation, the first record.
        let verdict = choices.run(check, 10 * 11 + 11 + 2, "v=spf1", TERMS);
        let printable = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        assert!(verdict.explanation.as_deref().is_none_or(|text| printable(text) && text.len() <= 500));
        assert!(printable(&verdict.why), "{:?}", verdict.why);
        let text =
            AuthenticationResults { authserv_id: "mx.test".into(), results: vec![MethodResult::spf(&verdict)] }.field();
        assert_one_field(&text, &["spf"]);
    });
}

#[test]
fn fuzz_dmarc_ends_with_a_verdict_that_can_be_shown() {
    const TAGS: &[&str] = &[
        ";",
        "p=",
        "sp=",
        "np=",
        "none",
        "quarantine",
        "reject",
        "adkim=",
        "aspf=",
        "s",
        "r",
        "psd=",
        "y",
        "n",
        "t=",
        "rua=",
        "mailto:a@b.test",
        ",",
        "!10m",
        "fo=",
        "0:1:d",
        " ",
        "=",
    ];
    postroad_fuzz::check!(2000).with_type::<Vec<u8>>().for_each(|octets| {
        dmarc::Record::parse(octets);
        let mut choices = Choices(octets);
        let from_domains = (0..choices.octet() % 12).map(|_| choices.name()).collect();
        let outcomes = [dmarc::Outcome::Pass, dmarc::Outcome::TempError, dmarc::Outcome::Other];
        let mut identifier = || dmarc::Identifier { domain: choices.name(), outcome: *choices.pick(&outcomes) };
        let spf = Some(identifier());
        let dkim = (0..4).map(|_| identifier()).collect();
        let check = dmarc::Check::new(dmarc::Input { from_domains, spf, dkim });
        // Eight authors, five who could vouch, a walk of eight names for each; and whether the authors exist.
        let verdict = choices.run(check, (8 + 5) * 8 + 8, "v=DMARC1", TAGS);
        assert_eq!(verdict.result == dmarc::Result::Pass, !verdict.aligned.is_empty());
        assert!(verdict.policy <= verdict.published);
        let text =
            AuthenticationResults { authserv_id: "mx.test".into(), results: vec![MethodResult::dmarc(&verdict)] }
                .field();
        assert_one_field(&text, &["dmarc"]);
    });
}

#[test]
fn fuzz_iprev_ends_with_a_verdict_that_can_be_shown() {
    postroad_fuzz::check!(1000).with_type::<Vec<u8>>().for_each(|octets| {
        let verdict = Choices(octets).run(iprev::Check::new(Ipv6Addr::LOCALHOST.into()), 11, "", &["x"]);
        let text =
            AuthenticationResults { authserv_id: "mx.test".into(), results: vec![MethodResult::iprev(&verdict)] }
                .field();
        assert_one_field(&text, &["iprev"]);
    });
}

/// One field with lines that can be sent, and no result but these.
fn assert_one_field(text: &str, methods: &[&str]) {
    let lines: Vec<&str> = text.strip_suffix("\r\n").expect("an end").split("\r\n").collect();
    for (number, line) in lines.iter().enumerate() {
        assert!(line.len() <= 998 && !line.trim().is_empty(), "{text:?}");
        assert!(!line.contains(|c: char| c.is_control()), "{text:?}");
        assert_eq!(line.starts_with(' '), number > 0, "{text:?}");
    }
    let read = parse(text.split_once(':').expect("a field").1.as_bytes()).expect("an id");
    let found: Vec<&str> = read.results.iter().map(|result| result.method.as_str()).collect();
    assert_eq!(found, methods, "{text}");
}

#[test]
fn fuzz_what_is_written_is_read_again() {
    type Value = (Vec<char>, Vec<char>, Vec<char>, Vec<char>);
    postroad_fuzz::check!(2000).with_type::<Vec<Value>>().for_each(|values| {
        let text = |chars: &[char]| chars.iter().take(60).collect::<String>();
        let results: Vec<MethodResult> = values
            .iter()
            .take(20)
            .map(|(comment, reason, one, other)| {
                MethodResult::new("x-any", "pass")
                    .with_comment(&text(comment))
                    .with_reason(&text(reason))
                    .with("smtp", "mailfrom", &text(one))
                    .with("header", "d", &text(other))
            })
            .collect();
        let written = AuthenticationResults { authserv_id: "mx.test".into(), results };
        let field = written.field();
        assert_one_field(&field, &vec!["x-any"; written.results.len()]);
        let read = parse(field.split_once(':').expect("a field").1.as_bytes()).expect("an id");
        for (read, written) in read.results.iter().zip(&written.results) {
            for (read, written) in read.properties.iter().zip(&written.properties) {
                // Control characters and hidden ones are shown as question marks; everything else is as it was.
                let same =
                    read.value.chars().zip(written.value.chars()).all(|(read, written)| read == written || read == '?');
                assert!(same && read.value.chars().count() == written.value.chars().count(), "{field}");
            }
            assert_eq!(read.properties.len(), written.properties.len(), "{field}");
        }
        // What was read is written and read the same.
        let again = parse(read.body("x: ").as_bytes()).expect("an id");
        assert_eq!(again, read, "{field}");
        assert!(is_ours(field.split_once(':').expect("a field").1.as_bytes(), "MX.test"));
    });
}

#[test]
fn fuzz_fields_of_strangers_are_read_within_bounds() {
    postroad_fuzz::check!(3000).with_type::<Vec<u8>>().for_each(|octets| {
        let noise = parse(octets);
        is_ours(octets, "mx.test");
        let mut choices = Choices(octets);
        let pieces = [
            " ",
            ";",
            "=",
            "(",
            ")",
            "\"",
            "\\",
            "\r\n ",
            "mx.test",
            "spf",
            "dkim",
            "pass",
            "smtp.mailfrom",
            "reason",
            "/1",
            ".",
            "@",
            "a@b.test",
            "=?utf-8?q?",
            "?=",
        ];
        let built = choices.text("", &pieces);
        for read in [noise, parse(&built)].into_iter().flatten() {
            assert!(!read.authserv_id.is_empty());
            let field = read.field();
            assert!(parse(field.split_once(':').expect("a field").1.as_bytes()).is_some(), "{field}");
            // Whatever claims to be ours when it is read, is removed.
            if read.authserv_id.eq_ignore_ascii_case("mx.test") {
                assert!(is_ours(&built, "mx.test") || is_ours(octets, "mx.test"), "{field}");
            }
        }
    });
}
