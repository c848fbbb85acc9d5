//! Replies in the words that providers document and that servers are built with, and what they mean. Those that hosts were
//! seen to give stand in [`super::seen`].

use super::*;

/// `550 5.1.1 text`, the enhanced code where there is one.
pub(super) fn of(reply: &str, host: &str) -> Class {
    let (code, text) = reply.split_once([' ', '-']).expect("a code");
    let enhanced = text.split_once(' ').and_then(|(first, _)| {
        let mut parts = first.split('.').map(|part| part.parse::<u16>().ok());
        match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
            (Some(class), Some(subject), Some(detail), None) => Some(Enhanced(class as u8, subject, detail)),
            _ => None,
        }
    });
    classify(code.parse().ok(), enhanced, text, Some(host).filter(|host| !host.is_empty()))
}

#[test]
fn what_providers_mean() {
    let (google, microsoft, yahoo) =
        ("gmail-smtp-in.l.google.com", "far-test.mail.protection.outlook.com", "mta7.am0.yahoodns.net.");
    for (host, reply, expect) in [
        (
            google,
            "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking - gsmtp",
            "unknown-user",
        ),
        (
            google,
            "452 4.2.2 The recipient's inbox is out of storage space. https://support.google.com/mail/?p=OverQuotaTemp - gsmtp",
            "mailbox-full",
        ),
        (google, "552 5.2.2 The email account that you tried to reach is over quota - gsmtp", "mailbox-full"),
        (google, "550 5.2.1 The email account that you tried to reach is inactive. - gsmtp", "mailbox-disabled"),
        (google, "450 4.2.1 The user you are trying to contact is receiving mail too quickly. - gsmtp", "rate"),
        (
            google,
            "421 4.7.28 Gmail has detected an unusual rate of mail originating from your SPF domain - gsmtp",
            "rate",
        ),
        (
            google,
            "421 4.7.0 This message is suspicious due to the very low reputation of the sending domain - gsmtp",
            "reputation",
        ),
        (google, "550 5.7.1 Gmail has detected that this message is likely unsolicited mail. - gsmtp", "reputation"),
        (
            google,
            "550 5.7.26 This mail has been blocked because the sender is unauthenticated. - gsmtp",
            "authentication",
        ),
        (google, "550 5.7.27 Your email has been blocked because SPF did not pass - gsmtp", "authentication"),
        (
            google,
            "421 4.7.30 Your email has been rate limited because DKIM authentication didn't pass - gsmtp",
            "authentication",
        ),
        (google, "421 4.7.32 no alignment between From: and SPF/DKIM - gsmtp", "authentication"),
        (google, "550 5.7.40 no DMARC - gsmtp", "authentication"),
        (
            google,
            "550 5.7.25 The IP address sending this message does not have a PTR record setup - gsmtp",
            "reverse-dns",
        ),
        (google, "421 4.7.29 This message was not sent over a TLS connection - gsmtp", "tls"),
        (
            google,
            "552 5.7.0 This message was blocked because its content presents a potential security issue. - gsmtp",
            "content",
        ),
        (google, "552 5.3.4 Your message exceeded Google's message size limits. - gsmtp", "size"),
        (
            microsoft,
            "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [AM6EUR05FT021]",
            "unknown-user",
        ),
        (
            microsoft,
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            "unknown-user",
        ),
        (
            microsoft,
            "550 5.7.515 Access denied, sending domain [far.test] does not meet the required authentication level.",
            "authentication",
        ),
        (
            microsoft,
            "550 5.7.509 Access denied, sending domain far.test does not pass DMARC verification",
            "authentication",
        ),
        (
            microsoft,
            "550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal visit https://sender.office.com/",
            "reputation",
        ),
        (
            microsoft,
            "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)",
            "reputation",
        ),
        (microsoft, "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", "rate"),
        (
            microsoft,
            "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on our block list (S3150).",
            "reputation",
        ),
        (microsoft, "450 4.7.323 tlsa-invalid: The domain failed DANE validation", "tls"),
        (microsoft, "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", "rate"),
        (microsoft, "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", "mailbox-full"),
        (microsoft, "552 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient", "size"),
        (
            yahoo,
            "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
            "reputation",
        ),
        (
            yahoo,
            "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list",
            "reputation",
        ),
        (yahoo, "451 4.7.1 [GL01] Message from (192.0.2.1) temporarily deferred", "greylist"),
        (
            yahoo,
            "554 5.7.9 Message not accepted for policy reasons. See https://senders.yahooinc.com/error-codes",
            "authentication",
        ),
        (yahoo, "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com)", "unknown-user"),
        ("mx01.mail.icloud.com", "550 5.7.1 [HM08] Message rejected due to local policy.", "policy"),
        ("mx01.mail.icloud.com", "552 5.2.2 <bob@icloud.com>: user is over quota", "mailbox-full"),
    ] {
        assert_eq!(of(reply, host).category.name(), expect, "{host}: {reply}");
    }
}

#[test]
fn what_others_mean() {
    for (reply, expect) in [
        ("550 5.1.1 <bob@far.test>: Recipient address rejected: User unknown in virtual mailbox table", "unknown-user"),
        (
            "450 4.2.0 <bob@far.test>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/",
            "greylist",
        ),
        ("451 4.7.1 Graylisting in action", "greylist"),
        ("451 4.7.1 You are on our gray-list, come back", "greylist"),
        ("451 4.7.1 Greylisted: your server is not known here yet.", "greylist"),
        ("554 5.7.1 <bob@far.test>: Relay access denied", "relay"),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "reputation"),
        ("450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]", "reverse-dns"),
        ("450 4.1.8 <a@b.test>: Sender address rejected: Domain not found", "bad-sender"),
        ("552 5.3.4 Message size exceeds fixed limit", "size"),
        (
            "550 5.7.23 <bob@far.test>: Recipient address rejected: Message rejected due to: SPF fail - not authorized",
            "authentication",
        ),
        ("550 5.7.1 rejected by DMARC policy for b.test", "authentication"),
        ("550 Unrouteable address", "unknown-user"),
        ("550 Sender verify failed", "bad-sender"),
        ("550 relay not permitted", "relay"),
        ("451 Temporary local problem - please try later", "temporary"),
        ("421 Too many concurrent SMTP connections; please try again later.", "rate"),
        ("550 sorry, no mailbox here by that name. (#5.1.1)", "unknown-user"),
        ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "relay"),
        ("550 5.1.1 <bob@far.test>... User unknown", "unknown-user"),
        ("552 5.2.2 <bob@far.test> Quota exceeded (mailbox for user is full)", "mailbox-full"),
        ("554 5.7.1 Spam message rejected", "content"),
        ("554 5.7.0 Reject, id=17-2 - VIRUS: Eicar-Test-Signature", "content"),
        ("550 Rejected by header based Anti-Spoofing policy", "authentication"),
        (
            "554 IP=192.0.2.1 - A problem occurred. Ask your postmaster for help or to contact tosa@rx.t-online.de",
            "reputation",
        ),
        ("554-Bad DNS PTR resource record.", "reverse-dns"),
        ("554 5.4.6 Too many hops", "loop"),
        ("530 5.7.0 Must issue a STARTTLS command first", "tls"),
        ("550 5.7.30 REQUIRETLS support required", "tls"),
        ("550 5.7.17 Mailbox owner has changed", "unknown-user"),
        ("556 5.1.10 Recipient address has null MX", "bad-destination"),
        ("553 5.6.7 Internationalised addresses need SMTPUTF8", "form"),
        ("452 4.3.1 Insufficient system storage", "temporary"),
        ("451 4.3.0 Try later", "temporary"),
        ("550 5.7.1 No", "policy"),
        ("550 No", "policy"),
        ("599 Huh", "other"),
    ] {
        assert_eq!(of(reply, "mx.far.test").category.name(), expect, "{reply}");
    }
    let nobody = classify(None, Some(Enhanced(4, 4, 1)), "Connection refused", None);
    assert_eq!(nobody.category, Category::Unreachable);
}

#[test]
fn the_queue_s_replies_are_understood() {
    for (line, expect) in [
        ("550 5.1.1 <bob@far.test>: User unknown (mx.far.test)", Some(Category::UnknownUser)),
        ("421 4.7.28 Our system has detected (something) (gmail-smtp-in.l.google.com)", Some(Category::Rate)),
        ("550 5.7.26 no (mx.google.com)", Some(Category::Authentication)),
        ("451 Try later", Some(Category::Temporary)),
        ("No connection to mx.far.test (mx.far.test)", None),
        ("250 2.0.0 Ok (mx.far.test)", None),
        ("", None),
    ] {
        assert_eq!(classify_line(line).map(|class| class.category), expect, "{line}");
    }
}

#[test]
fn each_class_says_what_it_is_and_where_that_is_known_from() {
    for category in Category::ALL {
        let class = texts::class(category, None, "x");
        assert_eq!(class.what.is_empty(), category == Category::Other, "{category:?}");
        for text in [class.what, class.next, class.remedy] {
            assert!(text.is_empty() || text.ends_with('.'), "{text}");
        }
    }
    // A provider's name inside another's is not the provider's.
    assert_eq!(of("550 5.7.26 no", "notgoogle.com").source, by_enhanced(Enhanced(5, 7, 26)).expect("a row").1);
    assert!(of("550 5.7.26 no", "mx.google.com").source.starts_with("Google"));
}

#[test]
fn fuzz_any_reply_has_a_class() {
    postroad_fuzz::check!(2000).with_type::<(u16, u16, u16, String, String)>().for_each(
        |(code, subject, detail, text, host)| {
            let class = classify(Some(*code), Some(Enhanced(5, *subject, *detail)), text, Some(host));
            assert!(!class.source.is_empty());
        },
    );
}
