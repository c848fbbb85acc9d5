//! What real servers say to EHLO, and what is made of it.

use postroad_smtp::client::{Capabilities, Limits};

fn parse(text: &str) -> Capabilities {
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    Capabilities::parse(&lines)
}

#[test]
fn exchange_online() {
    let said = "DB5PEPF00014B8B.mail.protection.outlook.com Hello [192.0.2.1]
        SIZE 157286400
        PIPELINING
        DSN
        ENHANCEDSTATUSCODES
        STARTTLS
        8BITMIME
        BINARYMIME
        CHUNKING
        SMTPUTF8";
    let expected = Capabilities {
        name: "DB5PEPF00014B8B.mail.protection.outlook.com".to_owned(),
        extended: true,
        size: true,
        size_limit: Some(157_286_400),
        pipelining: true,
        eight_bit_mime: true,
        chunking: true,
        binary_mime: true,
        smtputf8: true,
        dsn: true,
        starttls: true,
        enhanced_codes: true,
        ..Capabilities::default()
    };
    assert_eq!(parse(said), expected);
}

#[test]
fn exchange_on_premises_with_its_own_keywords() {
    let said = "mail.example Hello [192.0.2.1]
        SIZE 37748736
        PIPELINING
        X-ANONYMOUSTLS
        AUTH NTLM
        X-EXPS GSSAPI NTLM
        XEXCH50
        XRDST
        XSHADOWREQUEST";
    let got = parse(said);
    assert_eq!((got.size_limit, got.pipelining, got.starttls), (Some(37_748_736), true, false));
    assert_eq!(got.auth, ["NTLM"]);
}

#[test]
fn a_submission_server_of_google() {
    let said = "smtp.gmail.com at your service, [192.0.2.1]
        SIZE 35882577
        8BITMIME
        AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH
        ENHANCEDSTATUSCODES
        PIPELINING
        CHUNKING
        SMTPUTF8";
    let got = parse(said);
    assert_eq!(got.auth, ["LOGIN", "PLAIN", "XOAUTH2", "PLAIN-CLIENTTOKEN", "OAUTHBEARER", "XOAUTH"]);
    assert!(!got.dsn && !got.binary_mime);
}

#[test]
fn keywords_in_any_case_and_form() {
    let said = "x
        pipelining
        Auth=LOGIN plain
        AUTH PLAIN LOGIN
        size=1000
        LIMITS mailmax=5 RCPTMAX=10 RCPTDOMAINMAX=2 FUTURE=1 RCPTMAX
        DELIVERBY 120
        FUTURERELEASE 86400 2026-12-31T00:00:00Z
        REQUIRETLS";
    let got = parse(said);
    assert_eq!(got.auth, ["LOGIN", "PLAIN"]);
    assert_eq!(got.limits, Limits { mail_max: Some(5), rcpt_max: Some(10), rcpt_domain_max: Some(2) });
    assert_eq!((got.size_limit, got.deliver_by, got.future_release), (Some(1_000), Some(120), Some(86_400)));
    assert!(got.pipelining && got.requiretls);
}

#[test]
fn numbers_that_are_none_are_left_out() {
    let said = "x
        SIZE 0
        LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=99999999999999999999999
        DELIVERBY
        FUTURERELEASE soon";
    let got = parse(said);
    assert_eq!((got.size, got.size_limit), (true, None));
    assert_eq!((got.limits, got.deliver_by, got.future_release), (Limits::default(), Some(0), None));
    assert_eq!(parse(""), Capabilities { extended: true, ..Capabilities::default() });
}
