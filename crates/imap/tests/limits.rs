//! Every limit of the grammar, at its border: what is within it is taken, one more is refused as too much.

use postroad_imap::{Limits, Problem, Syntax, parse};

/// What grows, a command of that size, and the limit.
type Row = (&'static str, fn(usize) -> String, fn(&Limits) -> usize);

const ROWS: [Row; 12] = [
    ("ranges of FETCH", |n| format!("a FETCH {} FLAGS", numbers(n)), |limits| limits.set),
    ("ranges of UID STORE", |n| format!("a UID STORE {} +FLAGS (x)", numbers(n)), |limits| limits.set),
    ("ranges of SEARCH", |n| format!("a SEARCH UID {}", numbers(n)), |limits| limits.set),
    ("ranges of COPY", |n| format!("a COPY {} x", numbers(n)), |limits| limits.set),
    ("flags of STORE", |n| format!("a STORE 1 FLAGS ({})", words("x", n)), |limits| limits.list),
    ("items of FETCH", |n| format!("a FETCH 1 ({})", words("FLAGS", n)), |limits| limits.list),
    ("fields of FETCH", |n| format!("a FETCH 1 BODY[HEADER.FIELDS ({})]", words("x", n)), |limits| limits.list),
    ("keys of SEARCH", |n| format!("a SEARCH {}", words("SEEN", n)), |limits| limits.list),
    ("NOT within NOT", |n| format!("a SEARCH {}SEEN", "NOT ".repeat(n)), |limits| limits.depth),
    ("OR within OR", |n| format!("a SEARCH {}SEEN", "OR SEEN ".repeat(n)), |limits| limits.depth),
    (
        "parentheses within each other",
        |n| format!("a SEARCH {}SEEN{}", "(".repeat(n), ")".repeat(n)),
        |limits| limits.depth,
    ),
    ("levels of a part", |n| format!("a FETCH 1 BODY[{}]", vec!["1"; n].join(".")), |limits| limits.depth),
];

fn numbers(count: usize) -> String {
    (1..=count).map(|number| (number * 2).to_string()).collect::<Vec<_>>().join(",")
}

fn words(word: &str, count: usize) -> String {
    vec![word; count].join(" ")
}

#[test]
fn each_limit_holds_at_its_border() {
    let syntax = Syntax { utf8: false, limits: Limits { set: 300, list: 200, depth: 50, ..Limits::default() } };
    for (what, build, limit) in ROWS {
        let limit = limit(&syntax.limits);
        // What holds the others may count as one itself.
        let within = |count: usize| parse(build(count).as_bytes(), &syntax);
        for count in [1, limit / 2, limit - 2] {
            assert!(within(count).is_ok(), "{what}: {count} of {limit} are refused: {:?}", within(count));
        }
        for count in [limit + 2, limit * 2, limit * 10] {
            let refused = within(count).expect_err(what);
            assert!(matches!(refused.problem, Problem::TooMuch(_)), "{what}: {count} of {limit}: {refused:?}");
        }
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
