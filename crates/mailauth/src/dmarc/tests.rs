//! Zones as tables, and what comes out of them.

use super::*;

/// `name TXT`, and `name !` for a name that does not answer, `name -` for one that exists without a record.
struct Zone(&'static [(&'static str, &'static str)]);

impl Zone {
    fn answer(&self, question: &Question) -> std::result::Result<Records, Failure> {
        let (Question::Txt(name) | Question::Ipv4(name)) = question else { panic!("nobody wants {question:?}") };
        let below = format!(".{name}");
        let (mut texts, mut exists) = (Vec::new(), false);
        for (owner, text) in self.0 {
            exists |= owner == name || owner.ends_with(&below);
            match *text {
                "!" if owner == name => return Err(Failure::Temporary("down".to_owned())),
                "-" => {}
                text if owner == name => texts.push(text.as_bytes().to_vec()),
                _ => {}
            }
        }
        match (question, exists) {
            (_, false) => Err(Failure::NoSuchName),
            (Question::Txt(_), true) if !texts.is_empty() => Ok(Records::Txt(texts)),
            (_, true) => Err(Failure::NoData),
        }
    }

    fn run(&self, input: Input) -> (Verdict, Vec<Question>) {
        let mut check = Check::new(input);
        let mut asked = Vec::new();
        loop {
            match check.step() {
                Step::Done(verdict) => return (verdict, asked),
                Step::Ask(questions) => {
                    assert!(!questions.is_empty());
                    for question in questions {
                        check.answer(self.answer(&question));
                        asked.push(question);
                    }
                }
            }
        }
    }
}

/// `from`: domains with spaces between; `by`: `spf:a.test dkim:b.test dkim?c.test` (`?`: not finished, `-`: failed).
fn input(from: &str, by: &str) -> Input {
    let mut input = Input { from_domains: from.split_whitespace().map(str::to_owned).collect(), ..Input::default() };
    for word in by.split_whitespace() {
        let at = word.find([':', '?', '-']).expect("a sign");
        let outcome = match &word[at..=at] {
            ":" => Outcome::Pass,
            "?" => Outcome::TempError,
            _ => Outcome::Other,
        };
        let identifier = Identifier { domain: word[at + 1..].to_owned(), outcome };
        match &word[..at] {
            "spf" => input.spf = Some(identifier),
            "dkim" => input.dkim.push(identifier),
            other => panic!("{other} is neither"),
        }
    }
    input
}

/// `result`, and for a failure what is to be done.
fn outcome(verdict: &Verdict) -> String {
    match verdict.result {
        Result::Fail => format!("fail {}", verdict.policy),
        other => other.to_string(),
    }
}

fn check(zone: &[(&'static str, &'static str)], cases: &[(&str, &str, &str)]) {
    let zone = Zone(Vec::leak(zone.to_vec()));
    for (from, by, expected) in cases {
        let (verdict, _) = zone.run(input(from, by));
        assert_eq!(outcome(&verdict), *expected, "{from} by {by}: {}", verdict.why);
    }
}

#[test]
fn alignment_as_in_the_table_of_the_rfc() {
    // RFC 9989 §4.4, table 1.
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=reject")],
        &[
            ("news.example.com", "spf:foo.example.com", "pass"),
            ("news.example.com", "spf:news.example.com", "pass"),
            ("news.example.com", "spf:foo.example.net", "fail reject"),
            ("news.example.com", "dkim:foo.example.com", "pass"),
            ("news.example.com", "dkim:foo.example.net dkim:example.com", "pass"),
            ("example.com", "spf:a.b.c.example.com", "pass"),
            ("News.EXAMPLE.com.", "spf:Foo.Example.COM", "pass"),
            ("news.example.com", "spf-foo.example.com dkim-example.com", "fail reject"),
            ("news.example.com", "", "fail reject"),
            ("news.example.com", "spf:com dkim:notexample.com", "fail reject"),
        ],
    );
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=quarantine; aspf=s; adkim=s")],
        &[
            ("example.com", "spf:example.com", "pass"),
            ("example.com", "spf:a.example.com dkim:b.example.com", "fail quarantine"),
            ("a.example.com", "spf:a.example.com", "pass"),
            ("a.example.com", "spf:example.com", "fail quarantine"),
        ],
    );
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=reject; aspf=s")],
        &[("example.com", "spf:a.example.com", "fail reject"), ("example.com", "dkim:a.example.com", "pass")],
    );
}

#[test]
fn organisations_begin_where_the_walk_says() {
    // RFC 9989 §4.10.2 and its examples.
    let organization = |zone: &'static [(&'static str, &'static str)], from: &str| {
        Zone(zone).run(input(from, "")).0.organizational_domain
    };
    let of = |name: &str| Some(name.to_owned());
    let two: &[_] = &[("_dmarc.mail.example.com", "v=DMARC1; p=none"), ("_dmarc.example.com", "v=DMARC1; p=none")];
    assert_eq!(organization(two, "a.mail.example.com"), of("example.com"));
    let not: &[_] =
        &[("_dmarc.mail.example.com", "v=DMARC1; p=none; psd=n"), ("_dmarc.example.com", "v=DMARC1; p=none")];
    assert_eq!(organization(not, "a.mail.example.com"), of("mail.example.com"));
    let suffix: &[_] = &[("_dmarc.com", "v=DMARC1; p=none; psd=y")];
    assert_eq!(organization(suffix, "a.mail.example.com"), of("example.com"));
    assert_eq!(organization(suffix, "com"), of("com"));
    let above: &[_] =
        &[("_dmarc.example.com", "v=DMARC1; p=none; psd=y"), ("_dmarc.mail.example.com", "v=DMARC1; p=none")];
    assert_eq!(organization(above, "mail.example.com"), of("mail.example.com"));
    // Two customers of one public suffix are two organisations.
    check(
        &[("_dmarc.co.test", "v=DMARC1; p=reject; psd=y")],
        &[
            ("a.co.test", "spf:b.co.test", "fail reject"),
            ("a.co.test", "spf:x.a.co.test", "pass"),
            ("y.a.co.test", "spf:x.a.co.test", "pass"),
            ("co.test", "spf:a.co.test", "fail reject"),
        ],
    );
    // A part of an organisation that stands for itself.
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=reject"), ("_dmarc.lab.example.com", "v=DMARC1; p=quarantine; psd=n")],
        &[
            ("lab.example.com", "spf:example.com", "fail quarantine"),
            ("lab.example.com", "dkim:x.lab.example.com", "pass"),
            ("example.com", "dkim:lab.example.com", "fail reject"),
        ],
    );
}

#[test]
fn the_walk_of_a_long_name_has_eight_steps() {
    let (verdict, asked) = Zone(&[]).run(input("a.b.c.d.e.f.g.h.i.j.mail.example.com", ""));
    let names = [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ];
    // RFC 9989 §4.10 counts this one with seven labels left.
    let expected: Vec<Question> = names.iter().map(|name| Question::Txt(format!("_dmarc.{name}"))).collect();
    assert_eq!(asked, expected);
    assert_eq!(verdict.result, Result::None);
    for (name, steps) in
        [("com", 1), ("example.com", 2), ("a.b.c.d.e.f.g", 7), ("a.b.c.d.e.f.g.h", 8), ("a.b.c.d.e.f.g.h.i", 8)]
    {
        assert_eq!(walk::names(name).len(), steps, "{name}");
    }
}

#[test]
fn policies_of_names_below() {
    let zone = &[
        ("_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine; np=none"),
        ("mail.example.com", "-"),
        ("_dmarc.own.example.com", "v=DMARC1; p=none; sp=reject"),
    ];
    check(
        zone,
        &[
            ("example.com", "", "fail reject"),
            ("mail.example.com", "", "fail quarantine"),
            ("ghost.example.com", "", "fail none"),
            ("own.example.com", "", "fail none"),
            // RFC 9989 §4.7: `sp` of a name below the organisation is for nobody.
            ("below.own.example.com", "", "fail none"),
        ],
    );
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=quarantine; np=reject"), ("mail.example.com", "-")],
        &[("mail.example.com", "", "fail quarantine"), ("ghost.example.com", "", "fail reject")],
    );
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=none; sp=reject")],
        &[("ghost.example.com", "", "fail reject"), ("example.com", "", "fail none")],
    );
    check(
        &[("_dmarc.example.com", "v=DMARC1; p=none; np=reject"), ("mail.example.com", "!")],
        &[("mail.example.com", "", "temperror"), ("mail.example.com", "spf:example.com", "pass")],
    );
    // A registry speaks for names that nobody registered.
    check(
        &[("_dmarc.bank", "v=DMARC1; p=none; np=reject; psd=y"), ("real.bank", "-")],
        &[("ghost.bank", "", "fail reject"), ("real.bank", "", "fail none")],
    );
}

#[test]
fn a_policy_that_is_tried_is_one_step_milder() {
    check(&[("_dmarc.a.test", "v=DMARC1; p=reject; t=y")], &[("a.test", "", "fail quarantine")]);
    check(&[("_dmarc.a.test", "v=DMARC1; p=quarantine; t=y")], &[("a.test", "", "fail none")]);
    let (verdict, _) = Zone(&[("_dmarc.a.test", "v=DMARC1; p=reject; t=y; pct=0")]).run(input("a.test", ""));
    assert_eq!((verdict.published, verdict.policy), (Policy::Reject, Policy::Quarantine));
}

#[test]
fn no_policy_no_verdict() {
    check(
        &[
            ("_dmarc.two.test", "v=DMARC1; p=reject"),
            ("_dmarc.two.test", "v=DMARC1; p=none"),
            ("_dmarc.bad.test", "v=DMARC1; p=rejct"),
            ("_dmarc.report.test", "v=DMARC1; p=rejct; rua=mailto:r@report.test"),
            ("_dmarc.other.test", "v=spf1 -all"),
            ("_dmarc.noise.test", "hello"),
            ("_dmarc.noise.test", "v=DMARC1; p=reject"),
        ],
        &[
            ("none.test", "spf:none.test", "none"),
            ("two.test", "", "none"),
            ("bad.test", "spf:bad.test", "none"),
            ("report.test", "", "fail none"),
            ("other.test", "", "none"),
            ("noise.test", "", "fail reject"),
            ("", "spf:none.test", "none"),
            ("[192.0.2.1]", "", "permerror"),
            ("a..test", "", "permerror"),
        ],
    );
}

#[test]
fn a_dns_that_does_not_answer_makes_no_verdict() {
    check(
        &[("_dmarc.a.test", "!"), ("_dmarc.test", "-")],
        &[("a.test", "spf:a.test", "temperror"), ("b.a.test", "", "temperror")],
    );
    check(
        // The author's own record is known: only who is not the author itself depends on what stands above.
        &[("_dmarc.x.a.test", "v=DMARC1; p=reject"), ("_dmarc.a.test", "!")],
        &[
            ("x.a.test", "spf:x.a.test", "pass"),
            ("x.a.test", "", "fail reject"),
            ("x.a.test", "spf:other.example", "fail reject"),
            ("x.a.test", "spf:y.a.test", "temperror"),
        ],
    );
    check(
        // A top that does not answer, as in closed networks.
        &[("_dmarc.a.test", "v=DMARC1; p=reject"), ("_dmarc.test", "!")],
        &[("a.test", "spf:x.a.test", "pass"), ("a.test", "spf:b.test", "fail reject"), ("x.a.test", "", "fail reject")],
    );
    check(&[("_dmarc.test", "!")], &[("a.test", "", "temperror")]);
    check(
        &[("_dmarc.a.test", "v=DMARC1; p=reject"), ("_dmarc.x.a.test", "!")],
        &[("a.test", "dkim:x.a.test", "temperror"), ("a.test", "dkim:x.a.test dkim:a.test", "pass")],
    );
    check(
        &[("_dmarc.a.test", "v=DMARC1; p=reject")],
        &[
            ("a.test", "spf?a.test", "temperror"),
            ("a.test", "dkim?x.a.test", "temperror"),
            ("a.test", "spf?a.test dkim:a.test", "pass"),
            ("a.test", "spf?other.test", "fail reject"),
        ],
    );
}

#[test]
fn of_several_authors_the_worst_counts() {
    let zone = &[
        ("_dmarc.good.test", "v=DMARC1; p=reject"),
        ("_dmarc.bank.test", "v=DMARC1; p=reject"),
        ("_dmarc.mild.test", "v=DMARC1; p=none"),
        ("_dmarc.down.test", "!"),
    ];
    check(
        zone,
        &[
            ("good.test bank.test", "spf:good.test", "fail reject"),
            ("bank.test good.test", "spf:good.test", "fail reject"),
            ("good.test GOOD.test. good.test", "spf:good.test", "pass"),
            ("good.test mild.test", "spf:good.test", "fail none"),
            ("good.test down.test mild.test", "spf:good.test", "temperror"),
            ("good.test none.test", "spf:good.test", "none"),
            ("good.test a..b", "spf:good.test", "permerror"),
            ("good.test bank.test", "spf:good.test dkim:bank.test", "pass"),
        ],
    );
}

#[test]
fn crowds_of_authors_and_signatures_cost_a_bounded_number_of_questions() {
    let from: Vec<String> = (0..500).map(|n| format!("a.b.c.d.e.f.g.h.a{n}.test")).collect();
    let (verdict, asked) = Zone(&[]).run(input(&from.join(" "), ""));
    assert_eq!(verdict.result, Result::PermError);
    assert!(asked.len() <= MAX_AUTHORS * walk::MAX_STEPS, "{}", asked.len());
    let by: Vec<String> = (0..500).map(|n| format!("dkim:a.b.c.d.e.f.g.s{n}.a.test")).collect();
    let (verdict, asked) = Zone(&[("_dmarc.a.test", "v=DMARC1; p=reject")]).run(input("a.test", &by.join(" ")));
    assert_eq!(verdict.result, Result::Pass);
    assert!(asked.len() <= (MAX_IDENTIFIERS + 1) * walk::MAX_STEPS, "{}", asked.len());
    // Strangers are not asked about at all.
    let by: Vec<String> = (0..500).map(|n| format!("dkim:s{n}.example")).collect();
    let (_, asked) = Zone(&[("_dmarc.a.test", "v=DMARC1; p=reject")]).run(input("a.test", &by.join(" ")));
    assert_eq!(asked.len(), 2);
}

#[test]
fn names_in_unicode_are_the_same_names() {
    let zone = Zone(&[("_dmarc.xn--mnchen-3ya.example", "v=DMARC1; p=reject")]);
    let (verdict, _) = zone.run(input("münchen.example", "dkim:xn--mnchen-3ya.example"));
    assert_eq!((verdict.result, verdict.domain.as_str()), (Result::Pass, "xn--mnchen-3ya.example"));
    assert_eq!(verdict.aligned, [Aligned::Dkim("xn--mnchen-3ya.example".to_owned())]);
}
