//! What is timed in a mailbox, and what each has to reach.

use crate::bench::mailbox::results::Size;

/// Messages that commands on a part of the mailbox are about.
pub(super) const PART: u32 = 10_000;
/// As many as most reading, and most storing, must be times as fast as Dovecot's mdbox.
const HALF_AS_FAST_AGAIN: f64 = 1.5;
/// TEXT search, COPY and MOVE.
const TENFOLD: f64 = 10.0;

/// One thing that is timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Orders before it; `restart` starts the server again.
    pub(super) before: &'static [&'static str],
    pub(super) order: &'static str,
    pub(super) after: &'static [&'static str],
    /// A capability without which there is nothing to time.
    pub(super) needs: Option<&'static str>,
    /// How often in a round: what changes a server's state for good only once in a run (0).
    pub(super) times: u32,
    pub(super) target: f64,
    /// What is done: messages or commands in one order, where a rate says more than a time.
    pub(super) messages: Option<u32>,
    /// Only in mailboxes of this size, the smallest, whatever the mailbox of the run.
    pub(super) small_only: bool,
}

const READS: Case = Case {
    name: "",
    before: &[],
    order: "",
    after: &[],
    needs: None,
    times: 3,
    target: HALF_AS_FAST_AGAIN,
    messages: None,
    small_only: false,
};

/// In this order: what is cold comes first. `{all}` and `{part}` are sets, `{n}` the number of messages in `{part}`.
pub(super) const CASES: &[Case] = &[
    Case {
        name: "FETCH (ENVELOPE BODYSTRUCTURE), the first ever",
        before: &["restart", "connect", "run SELECT INBOX"],
        order: "run FETCH {part} (ENVELOPE BODYSTRUCTURE)",
        times: 0,
        ..READS
    },
    Case {
        name: "FETCH BODY[], the first ever",
        before: &["restart", "connect", "run SELECT INBOX"],
        order: "run FETCH {part} (BODY.PEEK[])",
        times: 0,
        ..READS
    },
    Case { name: "SELECT, cold", before: &["restart", "connect"], order: "run SELECT INBOX", times: 1, ..READS },
    Case {
        name: "FETCH (FLAGS UID) of all, cold",
        before: &["restart", "connect", "run SELECT INBOX"],
        order: "run FETCH {all} (FLAGS UID)",
        times: 1,
        ..READS
    },
    Case {
        name: "FETCH (ENVELOPE BODYSTRUCTURE), cold",
        before: &["restart", "connect", "run SELECT INBOX"],
        order: "run FETCH {part} (ENVELOPE BODYSTRUCTURE)",
        times: 1,
        ..READS
    },
    Case { name: "SELECT, warm", order: "repeat 200 SELECT INBOX", messages: Some(200), ..READS },
    Case { name: "NOOP", order: "repeat 200 NOOP", messages: Some(200), ..READS },
    Case { name: "FETCH (FLAGS UID) of all", order: "run FETCH {all} (FLAGS UID)", ..READS },
    Case { name: "FETCH (ENVELOPE BODYSTRUCTURE)", order: "run FETCH {part} (ENVELOPE BODYSTRUCTURE)", ..READS },
    Case { name: "FETCH BODY[]", order: "run FETCH {part} (BODY.PEEK[])", ..READS },
    Case {
        name: "FETCH BODY[] one by one",
        order: "each 1 2000 (UID BODY.PEEK[])",
        messages: Some(2_000),
        small_only: true,
        ..READS
    },
    Case { name: "SEARCH of a header", order: "run SEARCH {part} SUBJECT xylophone", ..READS },
    Case { name: "SEARCH FROM", order: "run SEARCH {part} FROM writer17@", ..READS },
    Case { name: "SEARCH TEXT", order: "run SEARCH {part} TEXT xylophone", target: TENFOLD, ..READS },
    Case { name: "SEARCH TEXT, nothing found", order: "run SEARCH {part} TEXT xylophonist", target: TENFOLD, ..READS },
    Case { name: "SEARCH TEXT, in most", order: "run SEARCH {part} TEXT schedule", ..READS },
    Case { name: "SEARCH TEXT of two letters", order: "run SEARCH {part} TEXT xy", ..READS },
    Case { name: "SEARCH BODY", order: "run SEARCH {part} BODY xylophone", target: TENFOLD, ..READS },
    Case { name: "SORT (SUBJECT)", order: "run SORT (SUBJECT) UTF-8 {part}", needs: Some("SORT"), ..READS },
    Case { name: "SORT (REVERSE DATE)", order: "run SORT (REVERSE DATE) UTF-8 {part}", needs: Some("SORT"), ..READS },
    Case {
        name: "THREAD REFERENCES",
        order: "run THREAD REFERENCES UTF-8 {part}",
        needs: Some("THREAD=REFERENCES"),
        ..READS
    },
    Case {
        name: "STORE +FLAGS.SILENT",
        order: "run STORE {part} +FLAGS.SILENT (\\Flagged)",
        after: &["run STORE {part} -FLAGS.SILENT (\\Flagged)"],
        ..READS
    },
    Case {
        name: "STORE +FLAGS with its answers",
        order: "run STORE {part} +FLAGS (\\Flagged)",
        after: &["run STORE {part} -FLAGS.SILENT (\\Flagged)"],
        ..READS
    },
    Case {
        name: "COPY",
        before: &["run CREATE copied"],
        order: "run COPY {part} copied",
        after: &["run DELETE copied"],
        target: TENFOLD,
        ..READS
    },
    Case {
        name: "MOVE",
        before: &["run CREATE here", "run CREATE there", "run COPY {part} here", "run SELECT here"],
        order: "run MOVE 1:* there",
        after: &["run SELECT INBOX", "run DELETE here", "run DELETE there"],
        target: TENFOLD,
        ..READS
    },
    Case {
        name: "APPEND one by one",
        before: &["run CREATE new"],
        order: "append 1 300 single new",
        after: &["run DELETE new"],
        messages: Some(300),
        small_only: true,
        ..READS
    },
    Case {
        name: "APPEND, pipelined",
        before: &["run CREATE new"],
        order: "append 1 2000 pipelined new",
        after: &["run DELETE new"],
        messages: Some(2_000),
        small_only: true,
        ..READS
    },
    Case {
        name: "MULTIAPPEND",
        before: &["run CREATE new"],
        order: "append 1 2000 multi new",
        after: &["run DELETE new"],
        needs: Some("MULTIAPPEND"),
        messages: Some(2_000),
        small_only: true,
        ..READS
    },
    Case {
        name: "POP3 RETR one by one",
        before: &["pop3"],
        order: "retr 1 2000 single",
        after: &["leave-pop3"],
        messages: Some(2_000),
        small_only: true,
        ..READS
    },
    Case {
        name: "POP3 RETR, pipelined",
        before: &["pop3"],
        order: "retr 1 5000 pipelined",
        after: &["leave-pop3"],
        messages: Some(5_000),
        small_only: true,
        ..READS
    },
];

/// An order for a mailbox of this size.
pub(super) fn fitted(order: &str, size: Size) -> String {
    let part = PART.min(size.0);
    order.replace("{all}", "1:*").replace("{part}", &format!("1:{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_fit_the_mailbox() {
        assert_eq!(fitted("run FETCH {part} x", Size(100_000)), "run FETCH 1:10000 x");
        assert_eq!(fitted("run FETCH {part} x", Size(700)), "run FETCH 1:700 x");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }
}
