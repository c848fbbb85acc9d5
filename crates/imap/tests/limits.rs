//! Every limit of the grammar, command by command, at its border: what is within it is taken, one more is refused as too much.

use postroad_imap::{Limits, Problem, Syntax, parse};

/// The command, what grows in it, a command in which so many of these are, and the limit.
type Row = (&'static str, &'static str, fn(usize) -> String, fn(&Limits) -> usize);

const SET: fn(&Limits) -> usize = |limits| limits.set;
const LIST: fn(&Limits) -> usize = |limits| limits.list;
const DEPTH: fn(&Limits) -> usize = |limits| limits.depth;

/// Entries are counted for the whole command, lists within lists too.
const ROWS: &[Row] = &[
    ("CANCELUPDATE", "tags", |n| format!("a CANCELUPDATE {}", words("\"x\"", n)), LIST),
    ("COMPARATOR", "comparators", |n| format!("a COMPARATOR {}", words("i;octet", n)), LIST),
    ("COPY", "ranges", |n| format!("a COPY {} x", numbers(n)), SET),
    ("CREATE", "uses", |n| format!("a CREATE x (USE ({}))", words("\\Sent", n - 1)), LIST),
    ("CREATE", "octets of a name", |n| format!("a CREATE {}", "x".repeat(n)), |_| 1024),
    ("ENABLE", "capabilities", |n| format!("a ENABLE {}", words("X", n)), LIST),
    ("ESEARCH", "names of mailboxes", |n| format!("a ESEARCH IN (mailboxes ({})) ALL", words("x", n - 2)), LIST),
    ("ESEARCH", "sources", |n| format!("a ESEARCH IN ({}) ALL", words("inboxes", n - 1)), LIST),
    ("EXPUNGE", "ranges", |n| format!("a UID EXPUNGE {}", numbers(n)), SET),
    ("FETCH", "ranges", |n| format!("a FETCH {} FLAGS", numbers(n)), SET),
    ("FETCH", "items", |n| format!("a FETCH 1 ({})", words("FLAGS", n)), LIST),
    ("FETCH", "fields", |n| format!("a FETCH 1 BODY[HEADER.FIELDS ({})]", words("x", n)), LIST),
    ("FETCH", "levels of a part", |n| format!("a FETCH 1 BODY[{}]", vec!["1"; n].join(".")), DEPTH),
    ("GENURLAUTH", "URLs", |n| format!("a GENURLAUTH {}", words("x INTERNAL", n)), LIST),
    ("GETMETADATA", "entries", |n| format!("a GETMETADATA x ({})", different("/shared/", n)), LIST),
    ("GETMETADATA", "octets of an entry", |n| format!("a GETMETADATA x /shared/{}", "x".repeat(n - 8)), |_| 512),
    ("ID", "fields", |n| format!("a ID ({})", words("x y", n)), |_| 30),
    ("LANGUAGE", "tags", |n| format!("a LANGUAGE {}", words("de", n)), LIST),
    ("LIST", "patterns", |n| format!("a LIST \"\" ({})", words("x", n)), LIST),
    ("LIST", "selection options", |n| format!("a LIST ({}) \"\" x", words("REMOTE", n)), LIST),
    ("LIST", "return options", |n| format!("a LIST \"\" x RETURN ({})", words("CHILDREN", n)), LIST),
    ("LIST", "items of STATUS", |n| format!("a LIST \"\" x RETURN (STATUS ({}))", words("SIZE", n - 1)), LIST),
    ("LIST", "entries", |n| format!("a LIST \"\" x RETURN (METADATA ({}))", different("/shared/", n - 1)), LIST),
    ("MOVE", "ranges", |n| format!("a MOVE {} x", numbers(n)), SET),
    ("NOTIFY", "groups", |n| format!("a NOTIFY SET {}", words("(inboxes NONE)", n)), LIST),
    ("NOTIFY", "events", |n| format!("a NOTIFY SET (inboxes ({}))", words("MailboxName", n - 1)), LIST),
    (
        "NOTIFY",
        "events without parentheses",
        |n| format!("a NOTIFY SET (inboxes {})", words("MailboxName", n - 1)),
        LIST,
    ),
    ("NOTIFY", "names", |n| format!("a NOTIFY SET (subtree ({}) NONE)", words("x", n - 1)), LIST),
    ("RESETKEY", "mechanisms", |n| format!("a RESETKEY x {}", words("INTERNAL", n)), LIST),
    ("SEARCH", "ranges", |n| format!("a SEARCH UID {}", numbers(n)), SET),
    ("SEARCH", "keys", |n| format!("a SEARCH {}", words("SEEN", n)), LIST),
    ("SEARCH", "NOT within NOT", |n| format!("a SEARCH {}SEEN", "NOT ".repeat(n)), DEPTH),
    ("SEARCH", "OR within OR", |n| format!("a SEARCH {}SEEN", "OR SEEN ".repeat(n)), DEPTH),
    ("SEARCH", "FUZZY within FUZZY", |n| format!("a SEARCH {}SEEN", "FUZZY ".repeat(n)), DEPTH),
    ("SEARCH", "parentheses", |n| format!("a SEARCH {}SEEN{}", "(".repeat(n), ")".repeat(n)), DEPTH),
    ("SEARCH", "return options", |n| format!("a SEARCH RETURN ({}) ALL", words("COUNT", n - 1)), LIST),
    ("SEARCH", "words of X-GM-RAW", |n| format!("a SEARCH X-GM-RAW \"{}\"", words("x", n)), LIST),
    ("SELECT", "known UIDs", |n| format!("a SELECT x (QRESYNC (1 1 {}))", numbers(n)), SET),
    ("SETMETADATA", "entries", |n| format!("a SETMETADATA x ({})", pairs("/shared/", n)), LIST),
    ("SETQUOTA", "resources", |n| format!("a SETQUOTA x ({})", words("STORAGE 1", n)), LIST),
    ("SORT", "criteria", |n| format!("a SORT ({}) UTF-8 ALL", words("DATE", n - 1)), LIST),
    ("SORT", "keys", |n| format!("a SORT (DATE) UTF-8 {}", words("SEEN", n - 1)), LIST),
    ("STATUS", "items", |n| format!("a STATUS x ({})", words("SIZE", n)), LIST),
    ("STORE", "ranges", |n| format!("a UID STORE {} +FLAGS (x)", numbers(n)), SET),
    ("STORE", "flags", |n| format!("a STORE 1 FLAGS ({})", words("x", n)), LIST),
    ("STORE", "flags without parentheses", |n| format!("a STORE 1 FLAGS {}", words("x", n)), LIST),
    ("STORE", "octets of a keyword", |n| format!("a STORE 1 FLAGS ({})", "x".repeat(n)), |_| 255),
    ("STORE", "labels", |n| format!("a STORE 1 X-GM-LABELS ({})", words("x", n)), LIST),
    ("THREAD", "keys", |n| format!("a THREAD REFERENCES UTF-8 {}", words("SEEN", n)), LIST),
    ("URLFETCH", "URLs", |n| format!("a URLFETCH {}", words("x", n)), LIST),
    ("URLFETCH", "items", |n| format!("a URLFETCH (x {})", words("BINARY", n - 1)), LIST),
];

/// Commands with nothing that could be many: what they cost is bounded by the octets of a line and its literals, which
/// `framer.rs` tests, as it tests how many messages, parts and octets APPEND and REPLACE may bring.
const ALONE: &[&str] = &[
    "APPEND",
    "AUTHENTICATE",
    "CAPABILITY",
    "CHECK",
    "CLOSE",
    "COMPRESS",
    "DELETE",
    "DELETEACL",
    "EXAMINE",
    "GETACL",
    "GETQUOTA",
    "GETQUOTAROOT",
    "IDLE",
    "LISTRIGHTS",
    "LOGIN",
    "LOGOUT",
    "LSUB",
    "MYRIGHTS",
    "NAMESPACE",
    "NOOP",
    "RENAME",
    "REPLACE",
    "SETACL",
    "STARTTLS",
    "SUBSCRIBE",
    "UIDBATCHES",
    "UNAUTHENTICATE",
    "UNSELECT",
    "UNSUBSCRIBE",
    "XLIST",
];

fn numbers(count: usize) -> String {
    (1..=count).map(|number| (number * 2).to_string()).collect::<Vec<_>>().join(",")
}

fn words(word: &str, count: usize) -> String {
    vec![word; count].join(" ")
}

/// Different words: doubles are one.
fn different(start: &str, count: usize) -> String {
    (0..count).map(|number| format!("{start}{number}")).collect::<Vec<_>>().join(" ")
}

fn pairs(start: &str, count: usize) -> String {
    (0..count).map(|number| format!("{start}{number} NIL")).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_limit_holds_at_its_border() {
    let syntax = Syntax { utf8: false, limits: Limits { set: 300, list: 200, depth: 50, ..Limits::default() } };
    for (command, what, build, limit) in ROWS {
        let limit = limit(&syntax.limits);
        let within = |count: usize| parse(build(count).as_bytes(), &syntax);
        for count in [9, limit / 2, limit - 1, limit] {
            assert!(within(count).is_ok(), "{command}, {what}: {count} of {limit} are refused: {:?}", within(count));
        }
        for count in [limit + 1, limit + 2, limit * 2, limit * 10] {
            let Err(refused) = within(count) else { panic!("{command}, {what}: {count} of {limit} are taken") };
            assert!(
                matches!(refused.problem, Problem::TooMuch(_)),
                "{command}, {what}: {count} of {limit}: {refused:?}"
            );
        }
    }
}

#[test]
fn no_command_is_forgotten() {
    let table = include_str!("../src/command/table.rs");
    let names = table.lines().filter_map(|line| {
        let row = line.trim().strip_prefix("plain(\"").or_else(|| line.trim().strip_prefix("both(\""))?;
        row.split('"').next()
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 50, "the table of commands is read: {names:?}");
    for name in &names {
        let has_row = ROWS.iter().any(|(command, ..)| command == name);
        assert!(has_row != ALONE.contains(name), "{name} is either in one table or in the other");
    }
    for (command, ..) in ROWS {
        assert!(names.contains(command), "{command} is no command");
    }
}

#[test]
fn no_limit_is_forgotten() {
    // A new one is to be tested too: here, or in `framer.rs` where octets are counted.
    let Limits { line, literal, literals, append, appends, messages, parts, swallow, depth, set, list } =
        Limits::default();
    for octets in [line, literal, literals, messages, parts, depth, set, list] {
        assert!(octets > 0);
    }
    assert!(append > 0 && appends >= append && swallow > 0);
    assert!(Limits::before_login().line <= line && Limits::before_login().literals <= literals);
}
