//! Base subjects, message ids, thread keys.

use postroad_message::Parser;
use postroad_message::thread::{base_subject, hash, message_ids};

#[test]
fn base_subjects() {
    for (subject, base, is_reply) in [
        ("Hello", "hello", false),
        ("Re: Hello", "hello", true),
        ("RE:hello", "hello", true),
        ("re : Hello", "hello", true),
        ("Re[2]: Hello", "hello", true),
        ("Fwd: Re: Fw: Hello", "hello", true),
        ("Hello (fwd)", "hello", true),
        ("Hello (fwd) (Fwd) ", "hello", true),
        ("[list] Hello", "hello", false),
        ("[list] Re: [other] Hello", "hello", true),
        ("Re: [list] [x] Hello", "hello", true),
        ("[fwd: Hello]", "hello", true),
        ("[Fwd: Re: Hello (fwd)]", "hello", true),
        ("[only a blob]", "[only a blob]", false),
        ("Hello\t  World", "hello world", false),
        ("", "", false),
        ("Re:", "", true),
        ("Regarding: x", "regarding: x", false),
        ("[unclosed Re: x", "[unclosed re: x", false),
        ("[a[b]] x", "[a[b]] x", false),
        ("AW: Hallo", "aw: hallo", false),
    ] {
        let found = base_subject(subject);
        assert_eq!((found.text.as_str(), found.is_reply), (base, is_reply), "{subject}");
    }
    for piece in ["[a]", "re:", "[fwd:", "(fwd)", "[", "re", "[]"] {
        assert!(base_subject(&piece.repeat(100_000)).text.len() <= 1024);
    }
}

#[test]
fn ids() {
    let list = |value: &str, limit| message_ids(value.as_bytes(), limit);
    assert_eq!(list("<a@b> <c@d>", 10), ["a@b", "c@d"]);
    assert_eq!(list("<a@b><c@d>\r\n <e@f>", 2), ["c@d", "e@f"]);
    assert_eq!(list("Your message of today <a@b>", 10), ["a@b"]);
    assert_eq!(list("a@b", 10), ["a@b"]);
    assert_eq!(list("<a@\r\n b>", 10), ["a@b"]);
    assert_eq!(list("<broken <a@b>", 10), ["a@b"]);
    assert_eq!(list("<> <", 10), [""; 0]);
}

fn keys(message: &str) -> Vec<u64> {
    Parser::parse(message.as_bytes()).thread_keys()
}

#[test]
fn replies_share_a_key_with_what_they_answer() {
    let first = keys("Message-ID: <1@x>\r\nSubject: Hello\r\n\r\n");
    let reply =
        keys("Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nReferences: <0@x> <1@x>\r\nSubject: Re: Hello\r\n\r\n");
    let german = keys("Message-ID: <3@x>\r\nReferences: <1@x>\r\nSubject: AW: Hello\r\n\r\n");
    let other = keys("Message-ID: <4@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Something else\r\n\r\n");
    assert_eq!((first.len(), reply.len(), german.len(), other.len()), (1, 3, 2, 2));
    assert_eq!(reply[1], first[0]);
    assert_eq!(german[1], first[0]);
    assert!(!other.contains(&first[0]));
    assert_eq!(keys("Subject: no id\r\n\r\n"), [0; 0]);
}

#[test]
fn long_references_count_from_the_end() {
    let ids: Vec<String> = (0..200).map(|i| format!("<{i}@x>")).collect();
    let summary = Parser::parse(format!("References: {}\r\n\r\n", ids.join("\r\n ")).as_bytes());
    let references = summary.references();
    assert_eq!((references.len(), references[0].as_str(), references[49].as_str()), (50, "150@x", "199@x"));
}

/// On-disk format: these may never change.
#[test]
fn the_hash_is_stable() {
    assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
    assert_eq!(hash(b"a"), hash(b"a"));
    assert_ne!(hash(b"a"), hash(b"b"));
}
