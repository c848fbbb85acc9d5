//! Findings, policies and who is believed as tables, and what is decided.

use std::net::IpAddr;

use postroad_mailauth::{arc, dkim, dmarc, iprev, spf};
use postroad_store::{Timestamp, TraceId};
use postroad_trust::policy::{Key, Policy, Trusted, TrustedKind};

use super::believed::{Believed, speaks_for};
use super::decide::{Action, Decision, Filed, Together, below, decide, together};
use super::early::Facts;
use super::findings::Findings;
use super::signatures::Authors;
use super::summary::{self, Disposition, OverrideKind};

/// `spf=fail:mail.test dkim=pass:bank.test dmarc=fail:reject …`; what is not named is not there. The author is at bank.test.
fn findings(text: &str) -> Findings {
    let mut found = nothing_found();
    for word in text.split_whitespace() {
        let (method, rest) = word.split_once('=').expect("a method");
        let (result, about) = rest.split_once(':').unwrap_or((rest, ""));
        match method {
            "spf" => {
                found.mail_from.result = spf_result(result);
                about.clone_into(&mut found.mail_from.domain);
            }
            "dkim" => found.dkim.push(signature(result, about)),
            "dmarc" => found.dmarc = policy_found(result, about),
            "iprev" => {
                found.iprev.result = match result {
                    "pass" => iprev::Result::Pass,
                    "temperror" => iprev::Result::TempError,
                    _ => iprev::Result::Fail,
                };
                found.iprev.name = Some(about.to_owned());
            }
            "arc" => {
                found.arc.cv = if result == "pass" { arc::Validation::Pass } else { arc::Validation::Fail };
                found.arc.temporary = result == "temperror";
                found.arc.sets = about.split(',').enumerate().map(|(n, set)| seal(n, set)).collect();
            }
            "list" => found.authors.list = Some(result.to_owned()),
            "crowd" => found.authors.crowd = true,
            "from" => found.authors.fields = result.parse().expect("a number"),
            "authors" => found.authors.domains.clear(),
            "sender" => found.mail_from.identity = spf::Identity::Helo,
            other => panic!("{other} is no method"),
        }
    }
    found
}

fn nothing_found() -> Findings {
    let ip = IpAddr::from([192, 0, 2, 1]);
    Findings {
        iprev: iprev::Verdict { result: iprev::Result::PermError, ip, name: None, why: String::new() },
        mail_from: spf::Verdict {
            result: spf::Result::None,
            domain: "bank.test".into(),
            identity: spf::Identity::MailFrom,
            sender: "x@bank.test".into(),
            mechanism: None,
            explanation: None,
            why: String::new(),
        },
        helo: None,
        dkim: Vec::new(),
        ignored: 0,
        arc: arc::Verdict {
            cv: arc::Validation::None,
            temporary: false,
            sets: Vec::new(),
            oldest_pass: None,
            why: String::new(),
        },
        dmarc: policy_found("none", ""),
        authors: Authors { domains: vec!["bank.test".into()], crowd: false, fields: 1, list: None },
    }
}

fn spf_result(word: &str) -> spf::Result {
    let all = [
        spf::Result::None,
        spf::Result::Neutral,
        spf::Result::Pass,
        spf::Result::Fail,
        spf::Result::SoftFail,
        spf::Result::TempError,
        spf::Result::PermError,
    ];
    all.into_iter().find(|result| result.as_str() == word).expect(word)
}

fn signature(word: &str, domain: &str) -> dkim::Outcome {
    let all = [
        dkim::Status::Pass,
        dkim::Status::Fail,
        dkim::Status::Neutral,
        dkim::Status::Policy,
        dkim::Status::TempError,
        dkim::Status::PermError,
    ];
    dkim::Outcome {
        status: all.into_iter().find(|status| status.as_str() == word).expect(word),
        domain: domain.into(),
        selector: "s".into(),
        identity: format!("@{domain}"),
        algorithm: "rsa-sha256".into(),
        key_bits: Some(2048),
        b: "abcdefgh".into(),
        testing: false,
        unsigned_octets: 0,
        tail_is_blank: true,
        signed_at: None,
        expires_at: None,
        why: String::new(),
    }
}

/// `reject`, `reject-t` (with t=y), or nothing when there is no record.
fn policy_found(result: &str, published: &str) -> dmarc::Verdict {
    let all = [
        dmarc::Result::None,
        dmarc::Result::Pass,
        dmarc::Result::Fail,
        dmarc::Result::TempError,
        dmarc::Result::PermError,
    ];
    let result = all.into_iter().find(|one| one.as_str() == result).expect(result);
    let (published, testing) = published.strip_suffix("-t").map_or((published, false), |policy| (policy, true));
    let (policy, milder) = match published {
        "reject" => (dmarc::Policy::Reject, dmarc::Policy::Quarantine),
        "quarantine" => (dmarc::Policy::Quarantine, dmarc::Policy::None),
        _ => (dmarc::Policy::None, dmarc::Policy::None),
    };
    let record = dmarc::Record {
        policy,
        subdomain_policy: None,
        nonexistent_policy: None,
        dkim_alignment: dmarc::Alignment::Relaxed,
        spf_alignment: dmarc::Alignment::Relaxed,
        psd: dmarc::Psd::Unsaid,
        testing,
        rua: Vec::new(),
        ruf: Vec::new(),
        failure_options: Vec::new(),
    };
    let applied = if testing { milder } else { policy };
    dmarc::Verdict {
        result,
        domain: "bank.test".into(),
        policy_domain: Some("bank.test".into()),
        organizational_domain: Some("bank.test".into()),
        policy: if result == dmarc::Result::Fail { applied } else { dmarc::Policy::None },
        published: policy,
        aligned: Vec::new(),
        record: (!published.is_empty()).then_some(record),
        why: String::new(),
    }
}

/// `relay.test/dmarc`: the sealer, and what it saw pass for bank.test.
fn seal(index: usize, text: &str) -> arc::Set {
    let (domain, saw) = text.split_once('/').unwrap_or((text, "none"));
    let results = match saw {
        "dmarc" => {
            " mx.relay.test; spf=fail smtp.mailfrom=x@evil.test;\r\n dmarc=pass (p=reject) header.from=bank.test"
        }
        "dkim" => " mx.relay.test; dkim=pass header.d=bank.test header.s=x",
        "spf" => " mx.relay.test; spf=pass smtp.mailfrom=x@bank.test",
        "other" => " mx.relay.test; dmarc=pass header.from=bank.test.evil.test; dkim=pass header.d=evil.test",
        "failed" => " mx.relay.test; dmarc=fail header.from=bank.test",
        _ => " mx.relay.test; none",
    };
    arc::Set {
        instance: u8::try_from(index + 1).expect("few"),
        domain: domain.into(),
        selector: "s".into(),
        signer: domain.into(),
        results: results.into(),
        cv: arc::Validation::Pass,
        signature: None,
    }
}

fn policy(text: &str) -> Policy {
    let mut policy = Policy::default();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').expect("a key");
        assert!(policy.set(Key::from_name(key).expect(key), value), "{word}");
    }
    policy
}

fn facts() -> Facts {
    Facts {
        ip: [192, 0, 2, 1].into(),
        helo: "mail.test".into(),
        mail_from: Some("x@bank.test".into()),
        receiver: "mx.example.test".into(),
        now: Timestamp(0),
    }
}

#[test]
fn what_is_found_meets_the_policy() {
    use Action::{Defer, Deliver, Junk, Reject};
    for (found, chosen, expect) in [
        ("spf=pass:bank.test dmarc=pass:reject", "", Deliver),
        ("spf=fail:bank.test dmarc=fail:reject", "", Reject),
        ("spf=fail:bank.test dmarc=fail:reject", "dmarc-reject=junk", Junk),
        ("spf=fail:bank.test dmarc=fail:reject", "dmarc-reject=tag", Deliver),
        ("spf=fail:bank.test dmarc=fail:reject-t", "", Junk),
        ("spf=fail:bank.test dmarc=fail:quarantine", "", Junk),
        ("spf=fail:bank.test dmarc=fail:quarantine", "dmarc-quarantine=reject", Reject),
        ("spf=fail:bank.test dmarc=fail:quarantine-t", "", Deliver),
        ("spf=fail:bank.test dmarc=fail:none", "", Deliver),
        ("spf=fail:bank.test dmarc=fail:none", "dmarc-none=junk", Junk),
        // Where a DMARC policy speaks, SPF alone does not.
        ("spf=fail:other.test dkim=pass:bank.test dmarc=pass:reject", "spf-fail=reject", Deliver),
        ("spf=fail:bank.test dmarc=fail:none", "spf-fail=reject", Deliver),
        // Without one it does.
        ("spf=fail:bank.test", "", Junk),
        ("spf=fail:bank.test", "spf-fail=reject", Reject),
        ("spf=fail:bank.test", "spf-fail=tag", Deliver),
        ("spf=softfail:bank.test", "spf-fail=reject", Deliver),
        ("spf=permerror:bank.test", "spf-fail=reject", Deliver),
        ("spf=fail:bank.test dkim=pass:mail.bank.test", "", Deliver),
        ("spf=fail:list.test dkim=pass:list.test", "", Deliver),
        ("spf=fail:bank.test dkim=pass:evil.test", "", Junk),
        ("spf=fail:bank.test dmarc=permerror", "", Junk),
        ("dkim=fail:bank.test", "", Deliver),
        ("dkim=fail:bank.test", "dkim-fail=junk", Junk),
        ("dkim=fail:bank.test dkim=pass:list.test", "dkim-fail=reject", Deliver),
        ("dkim=permerror:bank.test", "dkim-fail=reject", Deliver),
        ("dkim=fail:bank.test dkim=temperror:list.test", "dkim-fail=reject", Defer),
        // Nobody knows.
        ("spf=temperror:bank.test dmarc=temperror:reject", "", Defer),
        ("spf=temperror:bank.test dmarc=temperror:reject", "unsure=tag", Deliver),
        ("spf=temperror:bank.test dmarc=temperror:reject", "dmarc-reject=junk", Deliver),
        ("spf=temperror:bank.test dmarc=temperror:reject-t", "", Deliver),
        ("spf=temperror:bank.test dmarc=temperror:quarantine", "", Deliver),
        ("spf=temperror:bank.test dmarc=temperror:quarantine", "dmarc-quarantine=reject", Defer),
        ("spf=temperror:bank.test dmarc=temperror", "", Defer),
        ("spf=pass:other.test dmarc=temperror", "", Defer),
        ("spf=pass:bank.test dmarc=temperror", "", Deliver),
        ("dkim=pass:bank.test dmarc=temperror", "", Deliver),
        ("spf=temperror:bank.test", "", Deliver),
        ("spf=temperror:bank.test", "spf-fail=reject", Defer),
        ("spf=temperror:bank.test dkim=pass:bank.test", "spf-fail=reject", Deliver),
        // Whom nobody looked at.
        ("crowd=yes spf=pass:bank.test dmarc=pass:none", "", Junk),
        ("crowd=yes spf=pass:bank.test dmarc=pass:none", "dmarc-quarantine=tag", Deliver),
        ("crowd=yes spf=fail:bank.test dmarc=fail:reject", "", Reject),
        // RFC 5322: one author's field, with an address.
        ("from=0 authors=none spf=pass:bank.test", "", Reject),
        ("from=0 authors=none spf=pass:bank.test", "from-invalid=junk", Junk),
        ("from=0 authors=none spf=pass:bank.test", "from-invalid=tag", Deliver),
        ("from=2 crowd=yes dkim=pass:bank.test dmarc=pass:reject", "", Reject),
        ("from=2 crowd=yes dkim=pass:bank.test dmarc=pass:reject", "from-invalid=tag", Junk),
        ("from=1 authors=none spf=pass:bank.test", "", Reject),
        ("from=1 authors=none sender=null spf=none:mx.test", "", Deliver),
        ("from=0 authors=none sender=null spf=none:mx.test", "", Reject),
    ] {
        assert_eq!(decide(&findings(found), &policy(chosen), None).action, expect, "{found} / {chosen}");
    }
}

/// Who may have written MAIL FROM: whether anybody is told of failures hangs on it.
#[test]
fn senders_are_vouched_for_unknown_or_forged() {
    use postroad_queue::Standing::{Forged, Unknown, Vouched};
    let list = Believed { kind: OverrideKind::MailingList, comment: "the list".into(), sure: true };
    for (found, believed, expect) in [
        ("spf=pass:bank.test dmarc=pass:reject", None, Vouched),
        ("spf=pass:evil.test dmarc=fail:reject", None, Vouched),
        ("spf=fail:bank.test", None, Forged),
        ("spf=fail:bank.test dmarc=fail:none", None, Forged),
        ("spf=softfail:bank.test dmarc=fail:quarantine", None, Forged),
        ("spf=none:other.test dmarc=fail:reject", None, Forged),
        ("spf=softfail:bank.test", None, Unknown),
        ("spf=none:bank.test", None, Unknown),
        ("spf=temperror:bank.test dmarc=fail:none", None, Unknown),
        // Forwarded: the signature of the sender's own domain holds.
        ("spf=fail:bank.test dkim=pass:bank.test dmarc=pass:reject", None, Unknown),
        ("spf=fail:other.test dkim=pass:bank.test dmarc=pass:reject", None, Forged),
        ("spf=fail:bank.test dmarc=fail:reject", Some(&list), Unknown),
        ("spf=fail:mx.test sender=null dmarc=fail:reject", None, Unknown),
    ] {
        assert_eq!(super::decide::standing(&findings(found), believed), expect, "{found}");
    }
}

#[test]
fn only_who_is_named_and_verified_speaks_for_a_message() {
    let trusted = |kind, name: &str| Trusted { kind, name: name.into(), note: String::new(), since: Timestamp(0) };
    let trusted = [
        trusted(TrustedKind::ArcSealer, "relay.test"),
        trusted(TrustedKind::ArcSealer, "second.test"),
        trusted(TrustedKind::Forwarder, "198.51.100.0/24"),
        trusted(TrustedKind::Forwarder, "uni.test"),
        trusted(TrustedKind::List, "dev.lists.org.test"),
        trusted(TrustedKind::List, "*.many.test"),
    ];
    let failed = "spf=fail:bank.test dmarc=fail:reject";
    for (found, ip, expect) in [
        ("", "192.0.2.1", None),
        ("", "198.51.100.7", Some("trusted_forwarder: 198.51.100.7 is in 198.51.100.0/24")),
        ("iprev=pass:mx.uni.test", "192.0.2.1", Some("trusted_forwarder: mx.uni.test is in uni.test")),
        ("iprev=pass:mx.notuni.test", "192.0.2.1", None),
        ("iprev=fail:mx.uni.test", "192.0.2.1", None),
        ("iprev=temperror:mx.uni.test", "192.0.2.1", Some("unsure trusted_forwarder: 192.0.2.1 may be in uni.test")),
        ("arc=pass:relay.test/dmarc", "192.0.2.1", Some("local_policy: arc=pass as[1].d=relay.test as[1].s=s")),
        ("arc=pass:relay.test/dkim", "192.0.2.1", Some("local_policy: arc=pass as[1].d=relay.test as[1].s=s")),
        ("arc=pass:relay.test/spf", "192.0.2.1", Some("local_policy: arc=pass as[1].d=relay.test as[1].s=s")),
        ("arc=pass:relay.test/other", "192.0.2.1", None),
        ("arc=pass:relay.test/failed", "192.0.2.1", None),
        ("arc=pass:evil.test/dmarc", "192.0.2.1", None),
        ("arc=fail:relay.test/dmarc", "192.0.2.1", None),
        (
            "arc=temperror:relay.test/dmarc",
            "192.0.2.1",
            Some("unsure local_policy: arc=pass as[1].d=relay.test as[1].s=s"),
        ),
        // From the newest down: a stranger in between hides what was seen before.
        (
            "arc=pass:relay.test/dmarc,second.test/failed",
            "192.0.2.1",
            Some("local_policy: arc=pass as[1].d=relay.test as[1].s=s"),
        ),
        ("arc=pass:relay.test/dmarc,evil.test/dmarc", "192.0.2.1", None),
        ("arc=pass:evil.test/dmarc,relay.test/failed", "192.0.2.1", None),
        ("list=dev.lists.org.test", "192.0.2.1", None),
        (
            "list=dev.lists.org.test dkim=pass:lists.org.test",
            "192.0.2.1",
            Some("mailing_list: the list dev.lists.org.test, known as dev.lists.org.test"),
        ),
        ("list=dev.lists.org.test dkim=pass:evil.test", "192.0.2.1", None),
        ("list=dev.lists.org.test dkim=pass:test", "192.0.2.1", None),
        (
            "list=dev.lists.org.test dkim=temperror:org.test",
            "192.0.2.1",
            Some("unsure mailing_list: the list dev.lists.org.test, known as dev.lists.org.test"),
        ),
        (
            "list=a.many.test dkim=pass:many.test",
            "192.0.2.1",
            Some("mailing_list: the list a.many.test, known as *.many.test"),
        ),
        ("list=many.test dkim=pass:many.test", "192.0.2.1", None),
        ("list=a.toomany.test dkim=pass:toomany.test", "192.0.2.1", None),
    ] {
        let found = findings(&format!("{failed} {found}"));
        let facts = Facts { ip: ip.parse().expect("an address"), ..facts() };
        let believed = speaks_for(&trusted, &found, &facts);
        let words = believed.as_ref().map(|one: &Believed| {
            format!("{}{}: {}", if one.sure { "" } else { "unsure " }, one.kind.as_str(), one.comment)
        });
        assert_eq!(words.as_deref(), expect);
        let action = decide(&found, &Policy::default(), believed.as_ref()).action;
        let wanted = match expect {
            None => Action::Reject,
            Some(words) if words.starts_with("unsure") => Action::Defer,
            Some(_) => Action::Deliver,
        };
        assert_eq!(action, wanted, "{expect:?}");
    }
    assert_eq!(speaks_for(&[], &findings("arc=pass:relay.test/dmarc"), &facts()), None);
}

#[test]
fn who_refuses_alone_gets_junk() {
    use Action::{Defer, Deliver, Junk, Reject};
    let decision = |action| Decision { action, cause: super::decide::Cause::Nothing, spoken_for: false };
    let (usual, junk) = (Filed::Usual, Filed::Junk);
    for (actions, expect) in [
        (vec![Reject, Reject], Together::Reject),
        (vec![Defer, Defer], Together::Defer),
        (vec![Reject, Deliver, Junk], Together::Take(vec![junk, usual, junk])),
        (vec![Defer, Deliver], Together::Take(vec![usual, usual])),
        (vec![], Together::Take(vec![])),
    ] {
        let decisions: Vec<Decision> = actions.iter().copied().map(decision).collect();
        assert_eq!(together(&decisions), expect, "{actions:?}");
    }
}

/// RFC 9990: what is told of a message and why its author's domain did not get its way.
#[test]
fn a_report_says_why_a_policy_was_not_applied() {
    let list = Believed { kind: OverrideKind::MailingList, comment: "the list".into(), sure: true };
    for (found, chosen, believed, disposition, expect) in [
        ("dmarc=pass:reject", "", None, Disposition::Pass, &[] as &[&str]),
        ("dmarc=fail:reject", "", None, Disposition::Reject, &[]),
        ("dmarc=fail:reject", "dmarc-reject=junk", None, Disposition::Quarantine, &["local_policy"]),
        ("dmarc=fail:reject-t", "", None, Disposition::Quarantine, &["policy_test_mode"]),
        ("dmarc=fail:none-t", "", None, Disposition::None, &[]),
        ("dmarc=fail:reject", "", Some(&list), Disposition::None, &["mailing_list"]),
        ("dmarc=fail:none", "", Some(&list), Disposition::None, &[]),
        ("spf=fail:bank.test", "", None, Disposition::Quarantine, &[]),
    ] {
        let found = findings(found);
        let decisions = [decide(&found, &policy(chosen), believed)];
        let to = vec!["b.test".to_owned(), "a.test".to_owned(), "b.test".to_owned()];
        let summary = summary::of(&found, &facts(), TraceId(7), to, disposition, &decisions, believed);
        let kinds: Vec<&str> = summary.overrides.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, expect, "{:?} {chosen}", found.dmarc);
        assert_eq!(summary.envelope_from.as_deref(), Some("bank.test"));
        assert_eq!(summary.envelope_to, ["a.test", "b.test"]);
    }
}

#[test]
fn names_are_below_domains_at_dots() {
    for (name, domain, expect) in [
        ("a.test", "a.test", true),
        ("B.A.test", "a.TEST", true),
        ("ba.test", "a.test", false),
        ("test", "a.test", false),
        ("a.test", "", false),
        ("ü.test", "test", true),
    ] {
        assert_eq!(below(name, domain), expect, "{name} {domain}");
    }
}
