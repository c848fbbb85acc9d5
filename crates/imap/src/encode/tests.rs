use super::*;
use crate::command::{FetchItem, List, Partial, Section, SectionText, StatusItem, Tag};
use crate::date::DateTime;
use crate::flags::{Flag, Keyword};
use crate::mailbox::{MailboxName, SpecialUse};
use crate::set::{NumberSet, Numbering};

fn check(utf8: bool, write: impl FnOnce(&mut Writer<'_>), expected: &str) {
    let mut out = Vec::new();
    write(&mut Writer::new(&mut out, utf8));
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

fn set(text: &str) -> NumberSet {
    text.parse().expect("a set")
}

fn name(text: &str) -> MailboxName {
    MailboxName::from_text(text).expect("a name")
}

#[test]
fn strings_take_the_form_they_need() {
    for (bytes, utf8, string, astring) in [
        (&b"INBOX"[..], false, "\"INBOX\"", "INBOX"),
        (b"", false, "\"\"", "\"\""),
        (b"nil", false, "\"nil\"", "\"nil\""),
        (b"a b", false, "\"a b\"", "\"a b\""),
        (b"a]", false, "\"a]\"", "a]"),
        (b"a\"b\\", false, "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\""),
        (b"a\r\nb", false, "{4}\r\na\r\nb", "{4}\r\na\r\nb"),
        ("\u{fc}".as_bytes(), false, "{2}\r\n\u{fc}", "{2}\r\n\u{fc}"),
        ("\u{fc}".as_bytes(), true, "\"\u{fc}\"", "\"\u{fc}\""),
        (b"a\0b", false, "\"a b\"", "\"a b\""),
        (b"x%", false, "\"x%\"", "\"x%\""),
    ] {
        check(utf8, |w| w.string(bytes), string);
        check(utf8, |w| w.astring(bytes), astring);
    }
    check(true, |w| w.string(&[0xff]), "{1}\r\n\u{fffd}");
    check(false, |w| w.nstring(None), "NIL");
    check(false, |w| w.literal8_head(7), "~{7}\r\n");
    check(false, |w| w.mailbox(&name("Entw\u{fc}rfe")), "Entw&APw-rfe");
    check(true, |w| w.mailbox(&name("Entw\u{fc}rfe")), "\"Entw\u{fc}rfe\"");
    check(false, |w| w.mailbox(&name("R&D")), "R&-D");
    check(true, |w| w.mailbox(&name("R&D")), "R&D");
}

#[test]
fn status_responses() {
    let tag = Tag::new("a1").expect("a tag");
    let cases: Vec<(Option<ResponseCode>, &str)> = vec![
        (None, "OK done"),
        (Some(ResponseCode::Alert), "OK [ALERT] done"),
        (Some(ResponseCode::AppendUid(7, set("3"))), "OK [APPENDUID 7 3] done"),
        (Some(ResponseCode::BadCharset(vec![])), "OK [BADCHARSET] done"),
        (Some(ResponseCode::BadCharset(vec!["UTF-8".into(), "x y".into()])), "OK [BADCHARSET (UTF-8 \"x y\")] done"),
        (Some(ResponseCode::Capability("IMAP4rev1 IDLE".into())), "OK [CAPABILITY IMAP4rev1 IDLE] done"),
        (Some(ResponseCode::CopyUid(7, set("1:3"), set("9:11"))), "OK [COPYUID 7 1:3 9:11] done"),
        (Some(ResponseCode::HighestModSeq(9)), "OK [HIGHESTMODSEQ 9] done"),
        (Some(ResponseCode::MailboxId("F1".into())), "OK [MAILBOXID (F1)] done"),
        (Some(ResponseCode::Modified(set("7,9"))), "OK [MODIFIED 7,9] done"),
        (Some(ResponseCode::PermanentFlags(vec![Flag::Seen], true)), "OK [PERMANENTFLAGS (\\Seen \\*)] done"),
        (Some(ResponseCode::PermanentFlags(vec![], false)), "OK [PERMANENTFLAGS ()] done"),
        (Some(ResponseCode::ReadWrite), "OK [READ-WRITE] done"),
        (Some(ResponseCode::UidNotSticky), "OK [UIDNOTSTICKY] done"),
        (Some(ResponseCode::UnknownCte), "OK [UNKNOWN-CTE] done"),
        (Some(ResponseCode::Unseen(12)), "OK [UNSEEN 12] done"),
    ];
    for (code, expected) in cases {
        check(false, |w| w.tagged(&tag, Status::Ok, code.as_ref(), "done"), &format!("a1 {expected}\r\n"));
        check(false, |w| w.untagged(Status::Ok, code.as_ref(), "done"), &format!("* {expected}\r\n"));
    }
    check(false, |w| w.tagged(&tag, Status::Bad, None, "no \u{fc}\r\nhere"), "a1 BAD no ?  here\r\n");
    check(true, |w| w.untagged(Status::Bye, None, "[x] \u{fc}"), "* BYE (x] \u{fc}\r\n");
    check(false, |w| w.untagged(Status::No, None, ""), "* NO done\r\n");
    check(false, |w| w.continuation("idling"), "+ idling\r\n");
    check(false, |w| w.challenge(b"Username:"), "+ VXNlcm5hbWU6\r\n");
    check(false, |w| w.challenge(b""), "+ \r\n");
}

#[test]
fn mailbox_data() {
    check(false, |w| w.capability(&["IMAP4rev1", "IDLE"]), "* CAPABILITY IMAP4rev1 IDLE\r\n");
    check(false, |w| w.enabled(&[]), "* ENABLED\r\n");
    check(false, |w| w.enabled(&["CONDSTORE"]), "* ENABLED CONDSTORE\r\n");
    let keyword = Flag::Keyword(Keyword::new("$Junk").expect("a keyword"));
    check(false, |w| w.flags(&[Flag::Seen, keyword]), "* FLAGS (\\Seen $Junk)\r\n");
    check(false, |w| w.exists(3), "* 3 EXISTS\r\n");
    check(false, |w| w.recent(0), "* 0 RECENT\r\n");
    check(false, |w| w.expunge(3), "* 3 EXPUNGE\r\n");
    check(false, |w| w.vanished(true, &set("1:3")), "* VANISHED (EARLIER) 1:3\r\n");
    check(false, |w| w.vanished(false, &set("1")), "* VANISHED 1\r\n");
    check(false, |w| w.vanished(false, &set("")), "");
    let foo = name("foo");
    let bare = ListResponse { attributes: &[], name: None, extra: &[] };
    let full = ListResponse {
        attributes: &[MailboxAttribute::HasChildren, MailboxAttribute::Use(SpecialUse::Sent)],
        name: Some(&foo),
        extra: &[ListExtra::ChildInfoSubscribed, ListExtra::OldName(name("b r"))],
    };
    check(false, |w| w.list(&bare), "* LIST () \"/\" \"\"\r\n");
    let rest = "(\\HasChildren \\Sent) \"/\" foo (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"b r\"))\r\n";
    check(false, |w| w.list(&full), &format!("* LIST {rest}"));
    check(false, |w| w.lsub(&full), &format!("* LSUB {rest}"));
    let xlist = List { xlist: true, ..List::default() };
    check(false, |w| w.list_as(&xlist, &full), &format!("* XLIST {rest}"));
    let values = [StatusValue::Number(StatusItem::Messages, 3), StatusValue::MailboxId("F1".to_owned())];
    check(false, |w| w.status(&foo, &values), "* STATUS foo (MESSAGES 3 MAILBOXID (F1))\r\n");
    let spaces = Namespaces { personal: &[""], others: &["~"], shared: &[], translations: &[] };
    check(false, |w| w.namespace(&spaces), "* NAMESPACE ((\"\" \"/\")) ((\"~\" \"/\")) NIL\r\n");
    let spaces = Namespaces { translations: &[("~", "Älter")], ..spaces };
    let said = "* NAMESPACE ((\"\" \"/\")) ((\"~\" \"/\" \"TRANSLATION\" (\"&AMQ-lter\"))) NIL\r\n";
    check(true, |w| w.namespace(&spaces), said);
    check(false, |w| w.id(&[]), "* ID NIL\r\n");
    check(false, |w| w.id(&[("name", "Postroad")]), "* ID (\"name\" \"Postroad\")\r\n");
    let storage = QuotaResource { name: "STORAGE", usage: 10, limit: 512 };
    check(false, |w| w.quota("", &[storage]), "* QUOTA \"\" (STORAGE 10 512)\r\n");
    check(false, |w| w.quota_root(&foo, &[""]), "* QUOTAROOT foo \"\"\r\n");
}

#[test]
fn search_data() {
    let tag = Tag::new("A282").expect("a tag");
    check(false, |w| w.search(&set(""), None), "* SEARCH\r\n");
    check(false, |w| w.search(&set(""), Some(3)), "* SEARCH\r\n");
    check(false, |w| w.search(&set("2,84:85"), None), "* SEARCH 2 84 85\r\n");
    check(false, |w| w.search(&set("2,5"), Some(917)), "* SEARCH 2 5 (MODSEQ 917)\r\n");
    let some = SearchAnswer {
        min: Some(2),
        max: Some(9),
        all: Some(Results::Set(set("2,9"))),
        count: Some(2),
        mod_seq: Some(7),
        ..SearchAnswer::default()
    };
    let full = "* ESEARCH (TAG \"A282\") UID MIN 2 MAX 9 COUNT 2 ALL 2,9 MODSEQ 7\r\n";
    check(false, |w| w.esearch(&tag, Numbering::Uid, &some), full);
    let none = SearchAnswer { all: Some(Results::Set(set(""))), ..SearchAnswer::default() };
    check(false, |w| w.esearch(&tag, Numbering::Sequence, &none), "* ESEARCH (TAG \"A282\")\r\n");
}

#[test]
fn fetch_data() {
    check(
        false,
        |w| {
            w.fetch_begin(12);
            w.fetch_uid(5);
            w.fetch_flags(&[Flag::Seen], true);
            w.fetch_mod_seq(9);
            w.fetch_size(4286);
            w.fetch_internal_date(DateTime { seconds: 0, offset: 0 });
            w.fetch_email_id("M1");
            w.fetch_thread_id(None);
            w.fetch_thread_id(Some("T1"));
            w.fetch_name(&FetchItem::Envelope);
            w.raw(b"(");
            w.fetch_name(&FetchItem::Body);
            w.fetch_end();
        },
        "* 12 FETCH (UID 5 FLAGS (\\Seen \\Recent) MODSEQ (9) RFC822.SIZE 4286 \
         INTERNALDATE \" 1-Jan-1970 00:00:00 +0000\" EMAILID (M1) THREADID NIL THREADID (T1) ENVELOPE ( BODY )\r\n",
    );
    let section = |part: &[u32], text| FetchItem::Section {
        peek: true,
        section: Section { part: part.to_vec(), text },
        partial: Some(Partial { offset: 5, length: 9 }),
    };
    let fields = vec!["Date".to_owned(), "X Y".to_owned()];
    for (item, expected) in [
        (section(&[], None), " BODY[]<5> "),
        (section(&[1, 2], Some(SectionText::Mime)), " BODY[1.2.MIME]<5> "),
        (section(&[], Some(SectionText::Header)), " BODY[HEADER]<5> "),
        (section(&[3], Some(SectionText::Text)), " BODY[3.TEXT]<5> "),
        (section(&[], Some(SectionText::HeaderFields(fields.clone()))), " BODY[HEADER.FIELDS (Date \"X Y\")]<5> "),
        (section(&[], Some(SectionText::HeaderFieldsNot(fields))), " BODY[HEADER.FIELDS.NOT (Date \"X Y\")]<5> "),
        (FetchItem::Binary { peek: true, part: vec![1, 2], partial: None }, " BINARY[1.2] "),
        (FetchItem::BinarySize { part: vec![] }, " BINARY.SIZE[] "),
        (FetchItem::Rfc822Text, " RFC822.TEXT "),
    ] {
        check(false, |w| w.fetch_name(&item), expected);
    }
}

#[test]
fn orders_threads_and_updates_are_written() {
    let order = |numbers: &[u32]| Results::Order(numbers.to_vec());
    // RFC 5267 §3.2: a range only where the numbers rise.
    assert_eq!(order(&[23765, 23764, 23763, 1, 2, 3, 9]).to_string(), "23765,23764,23763,1:3,9");
    check(false, |w| w.sort(&[5, 3, 4], None), "* SORT 5 3 4\r\n");
    check(false, |w| w.sort(&[5], Some(7)), "* SORT 5 (MODSEQ 7)\r\n");
    check(false, |w| w.sort(&[], Some(7)), "* SORT\r\n");
    let tree = |text: &str| {
        text.split_inclusive(|c: char| !c.is_ascii_digit())
            .flat_map(|piece| {
                let number = piece.trim_end_matches(|c: char| !c.is_ascii_digit());
                let number = number.parse().ok().map(ThreadPiece::Number);
                let mark = match piece.chars().last() {
                    Some('(') => Some(ThreadPiece::Open),
                    Some(')') => Some(ThreadPiece::Close),
                    _ => None,
                };
                number.into_iter().chain(mark)
            })
            .collect::<Vec<_>>()
    };
    // RFC 5256 §4.
    for text in ["(2)(3 6 (4 23)(44 7 96))", "(166)((170)(179))(171)", "(300 301 302 (303)(304))"] {
        check(false, |w| w.thread(tree(text)), &format!("* THREAD {text}\r\n"));
    }
    check(false, |w| w.thread([]), "* THREAD\r\n");
    // RFC 5267 §4.3.3: the three ways to say the same.
    let tag = Tag::new("C01").expect("a tag");
    let changes = [ContextChange::Add(1, order(&[2733])), ContextChange::Add(1, order(&[2731, 2732]))];
    let said = "* ESEARCH (TAG \"C01\") UID ADDTO (1 2733 1 2731:2732)\r\n";
    check(false, |w| w.context(&tag, None, Numbering::Uid, &changes), said);
    let changes = [ContextChange::Remove(0, order(&[32768])), ContextChange::Add(0, order(&[5]))];
    let said = "* ESEARCH (TAG \"C01\") REMOVEFROM (0 32768) ADDTO (0 5)\r\n";
    check(false, |w| w.context(&tag, None, Numbering::Sequence, &changes), said);
    check(false, |w| w.context(&tag, None, Numbering::Uid, &[]), "");
    let code = ResponseCode::NoUpdate(tag);
    check(
        false,
        |w| w.untagged(Status::No, Some(&code), "Too many contexts"),
        "* NO [NOUPDATE \"C01\"] Too many contexts\r\n",
    );
    check(false, |w| w.language(&["i-default", "de"]), "* LANGUAGE (i-default de)\r\n");
    check(false, |w| w.comparator("i;octet", &["i;octet"]), "* COMPARATOR i;octet\r\n");
}
