//! SPF for names and addresses in other scripts (RFC 8616 §4), and what a verdict says of its sender.

use std::net::Ipv4Addr;

use postroad_mailauth::spf::{Check, Identity, Input, Limits, Result, Verdict};
use postroad_mailauth::{Failure, Machine, Question, Records, Step};

/// Answers texts and addresses from a table; what is not there does not exist.
fn run(helo: &str, mail_from: Option<&str>, table: &[(&str, &str)]) -> Verdict {
    let ip = Ipv4Addr::new(192, 0, 2, 1);
    let limits = Limits::default();
    let mut check = Check::new(Input { ip: ip.into(), helo, mail_from, receiver: "mx.test", now: 0, limits });
    loop {
        match check.step() {
            Step::Done(verdict) => return verdict,
            Step::Ask(questions) => {
                for question in questions {
                    let found = |name: &str| table.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
                    check.answer(
                        match &question {
                            Question::Txt(name) => found(name).map(|text| Records::Txt(vec![text.into()])),
                            Question::Ipv4(name) => found(name).map(|_| Records::Ipv4(vec![ip])),
                            _ => None,
                        }
                        .ok_or(Failure::NoSuchName),
                    );
                }
            }
        }
    }
}

#[test]
fn names_in_unicode_are_asked_for_in_a_labels() {
    let table = [
        ("xn--mnchen-3ya.example", "v=spf1 exists:%{d}.%{o}.%{h}.ok.test -all"),
        ("xn--mnchen-3ya.example.xn--mnchen-3ya.example.xn--r8jz45g.example.ok.test", ""),
    ];
    let verdict = run("例え.example", Some("ann@münchen.example"), &table);
    assert_eq!((verdict.result, verdict.domain.as_str()), (Result::Pass, "xn--mnchen-3ya.example"), "{}", verdict.why);
    assert_eq!(verdict.sender, "ann@xn--mnchen-3ya.example");
}

#[test]
fn a_local_part_in_unicode_matches_no_term_that_names_it() {
    let record = |text| [("a.test", text), ("x.test", ""), ("ann.x.test", "")];
    let result = |from, text| run("h.test", Some(from), &record(text)).result;
    for macros in ["%{l}", "%{s}", "%{L}"] {
        let text = format!("v=spf1 exists:{macros}.x.test ?all");
        assert_eq!(result("jürgen@a.test", text.leak()), Result::Neutral, "{macros}");
    }
    assert_eq!(result("ann@a.test", "v=spf1 exists:%{l}.x.test ?all"), Result::Pass);
    assert_eq!(result("jürgen@a.test", "v=spf1 exists:x.test -all"), Result::Pass, "other terms do");
    // No explanation rather than one with half a name.
    let explained = [("a.test", "v=spf1 -all exp=why.test"), ("why.test", "%{l} may not")];
    assert_eq!(run("h.test", Some("jürgen@a.test"), &explained).explanation, None);
    assert_eq!(run("h.test", Some("ann@a.test"), &explained).explanation.as_deref(), Some("ann may not"));
}

#[test]
fn the_sender_of_each_identity() {
    let table = [("h.test", "v=spf1 ip4:192.0.2.1"), ("a.test", "v=spf1 ?all")];
    for (mail_from, identity, sender, result) in [
        (Some("ann@a.test"), Identity::MailFrom, "ann@a.test", Result::Neutral),
        (Some("@a.test"), Identity::MailFrom, "postmaster@a.test", Result::Neutral),
        (Some("a.test"), Identity::MailFrom, "postmaster@a.test", Result::Neutral),
        (Some("a@b@a.test"), Identity::MailFrom, "a@b@a.test", Result::Neutral),
        (Some("ann@nodots"), Identity::MailFrom, "ann@nodots", Result::None),
        (Some("postmaster"), Identity::MailFrom, "postmaster@postmaster", Result::None),
        (None, Identity::Helo, "postmaster@h.test", Result::Pass),
        (Some(""), Identity::Helo, "postmaster@h.test", Result::Pass),
    ] {
        let verdict = run("H.test.", mail_from, &table);
        assert_eq!(
            (verdict.identity, verdict.sender.as_str(), verdict.result),
            (identity, sender, result),
            "{mail_from:?}"
        );
    }
}
