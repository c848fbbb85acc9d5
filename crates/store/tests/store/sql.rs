//! Statements, values and rows mean the same on each database.

use crate::each;
use postroad_store::{Error, Locks, Param, Timestamp, TraceId, new_id, params, trace};
use std::ops::ControlFlow;

type Columns<'a> = (Option<i64>, Option<&'a str>, Option<&'a [u8]>);

#[test]
fn values_come_back_as_they_went() {
    let long = "ü".repeat(100_000);
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    each(|test| {
        let table: [Columns<'_>; 6] = [
            (None, None, None),
            (Some(0), Some(""), Some(b"")),
            (Some(i64::MAX), Some("'$1' {id} %_\\"), Some(&[0, 255])),
            (Some(i64::MIN), Some("日本語\u{1F600}"), Some(b"text")),
            (Some(-1), Some(&long), Some(&bytes)),
            (Some(1 << 40), Some("line\nfeed\ttab"), None),
        ];
        for (whole, word, raw) in table {
            let (word_owned, raw_owned) = (word.map(str::to_owned), raw.map(<[u8]>::to_vec));
            let back = test.store.write_blocking(Locks::none(), move |tx| {
                tx.returning(
                    "INSERT INTO kind (whole, word, raw) VALUES ($1, $2, $3) RETURNING whole, word, raw, id",
                    params![whole, word_owned.as_deref(), raw_owned.as_deref()],
                    |row| {
                        assert!(row.int(3)? > 0);
                        Ok((row.int_or_null(0)?, row.text_or_null(1)?, row.bytes_or_null(2)?))
                    },
                )
            });
            let back = back.expect("it is stored").value;
            assert_eq!(back, [(whole, word.map(str::to_owned), raw.map(<[u8]>::to_vec))]);
        }
    });
}

#[test]
fn numbers_of_all_kinds_are_int() {
    each(|test| {
        let found = test.store.write_blocking(Locks::none(), |tx| {
            tx.insert_rows("INSERT INTO number (n)", &[[Param::Int(20_000)], [Param::Int(5)], [Param::Int(-6)]], "")?;
            tx.one(
                "SELECT count(*), sum(n), CAST(sum(n) AS BIGINT), 7, EXISTS(SELECT 1 FROM number WHERE n = $1),
                        {greatest:max(n), $2}, {least:3, CAST($2 AS BIGINT)}, {instr:'haystack','st'}
                 FROM number",
                params![5, 100_000],
                |row| (0..8).map(|column| row.int(column)).collect::<Result<Vec<_>, _>>(),
            )
        });
        assert_eq!(found.expect("it reads").value, [3, 19_999, 19_999, 7, 1, 100_000, 3, 4]);
    });
}

#[test]
fn lists_and_order() {
    each(|test| {
        let found = test.store.write_blocking(Locks::none(), |tx| {
            let words = ["b", "B", "a", "Z", "ä", "_"];
            let rows: Vec<_> =
                words.iter().enumerate().map(|(n, word)| [Param::Int(n as i64), (*word).into()]).collect();
            tx.insert_rows("INSERT INTO number (n, note)", &rows, "")?;
            let all = |sql: &str, params: &[Param<'_>]| tx.rows(sql, params, |row| row.text(0));
            let none: &[i64] = &[];
            Ok::<_, Error>([
                all("SELECT note FROM number WHERE n {in:$1} ORDER BY n", params![&[4_i64, 0, 99]])?,
                all("SELECT note FROM number WHERE n {in:$1}", params![none])?,
                all("SELECT note FROM number WHERE note {in:$2} AND n > $1 ORDER BY n", params![0, &["b", "a", "Z"]])?,
                all("SELECT note FROM number ORDER BY note", params![])?,
                all("SELECT note FROM number WHERE note LIKE $1", params!["b%"])?,
                all("SELECT note FROM {ints:$1} AS l JOIN number ON n = l.value ORDER BY n", params![vec![3_i64, 1]])?,
                all("SELECT l.value FROM {texts:$1} AS l ORDER BY l.value", params![&["y", "x"]])?,
            ])
        });
        let expected: [&[&str]; 7] =
            [&["b", "ä"], &[], &["a", "Z"], &["B", "Z", "_", "a", "b", "ä"], &["b"], &["B", "Z"], &["x", "y"]];
        assert_eq!(found.expect("it reads").value, expected);
    });
}

#[test]
fn many_rows_at_once() {
    each(|test| {
        for count in [0, 1, 2, 3, 1000, 5001] {
            let touched = test.store.write_blocking(Locks::none(), move |tx| {
                tx.execute("DELETE FROM number", params![])?;
                let notes: Vec<String> = (0..count).map(|n| format!("note {n}")).collect();
                let rows: Vec<_> = notes.iter().enumerate().map(|(n, note)| [(n as i64).into(), note.into()]).collect();
                let first = tx.insert_rows("INSERT INTO number (n, note)", &rows, "")?;
                let again = tx.insert_rows("INSERT INTO number (n, note)", &rows, "ON CONFLICT (n) DO NOTHING")?;
                let right =
                    tx.one("SELECT count(*) FROM number WHERE note = 'note ' || n", params![], |row| row.int(0))?;
                Ok::<_, Error>((first, again, right.unsigned_abs()))
            });
            assert_eq!(touched.expect("it is stored").value, (count, 0, count));
        }
        let uneven = test.store.write_blocking(Locks::none(), |tx| {
            tx.insert_rows("INSERT INTO number (n, note)", &[vec![1.into()], vec![2.into(), "x".into()]], "")
        });
        assert!(matches!(uneven, Err(Error::Bug(_))));
    });
}

#[test]
fn each_row_until_break_and_no_query_inside() {
    each(|test| {
        let shown = test.store.write_blocking(Locks::none(), |tx| {
            let rows: Vec<[Param<'_>; 1]> = (0..1000).map(|n: i64| [n.into()]).collect();
            tx.insert_rows("INSERT INTO number (n)", &rows, "")?;
            let mut sum = 0;
            tx.each("SELECT n FROM number ORDER BY n", params![], |row| {
                sum += row.int(0)?;
                Ok(if sum > 50 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            let inside = tx.each("SELECT n FROM number", params![], |_| {
                tx.one("SELECT 1", params![], |row| row.int(0)).map(|_| ControlFlow::Continue(()))
            });
            assert!(matches!(inside, Err(Error::Bug(_))), "a query in a loop over rows is refused");
            // That was the caller's error and spoils nothing.
            let first = tx.row("SELECT n FROM number ORDER BY n DESC", params![], |row| row.int(0))?;
            let none = tx.row("SELECT n FROM number WHERE n = $1", params![-1], |row| row.int(0))?;
            let missing = tx.one("SELECT n FROM number WHERE n = $1", params![-1], |row| row.int(0));
            assert!(matches!(missing, Err(Error::Missing(_))));
            Ok::<_, Error>((sum, first, none))
        });
        assert_eq!(shown.expect("it commits").value, (55, Some(999), None));
    });
}

#[test]
fn wrong_types_are_defects_not_surprises() {
    each(|test| {
        test.store
            .write_blocking(Locks::none(), |tx| {
                tx.execute("INSERT INTO kind (whole, word, raw) VALUES (1, 'x', $1)", params![b"y"])
            })
            .expect("it is stored");
        let columns = ["whole", "word", "raw", "NULL"];
        for (place, column) in columns.into_iter().enumerate() {
            let outcomes = test.store.read_blocking(move |tx| {
                tx.one(&format!("SELECT {column} FROM kind"), params![], |row| {
                    Ok([row.int(0).is_ok(), row.text(0).is_ok(), row.bytes(0).is_ok(), row.int(5).is_ok()])
                })
            });
            let mut expected = [false; 4];
            if place < 3 {
                expected[place] = true;
            }
            assert_eq!(outcomes, Ok(expected), "{column}");
        }
        for (sql, values) in [("SELECT n FROM number WHERE n = $1", 0), ("SELECT n FROM number", 1)] {
            let miscounted = test.store.read_blocking(move |tx| {
                let params = vec![Param::Int(1); values];
                tx.rows(sql, &params, |row| row.int(0))
            });
            assert!(matches!(miscounted, Err(Error::Bug(_))), "{sql}: {miscounted:?}");
        }
        let nul = test.store.write_blocking(Locks::none(), |tx| {
            tx.execute("INSERT INTO number (n, note) VALUES (1, $1)", params!["a\0b"])
        });
        assert!(matches!(nul, Err(Error::Bug(_))));
    });
}

#[test]
fn a_whole_story_is_two_statements() {
    each(|test| {
        let id = TraceId(new_id());
        let cost = test.store.write_blocking(Locks::none(), move |tx| {
            let event = |at, kind| (Timestamp(at), trace::TraceEvent { kind, detail: "" });
            let events = [event(10, "connected"), event(10, "from"), event(11, "received"), event(12, "stored")];
            let before = tx.statements();
            tx.trace_all(id, &events, &["a@x.example", "b@x.example"])?;
            let cost = tx.statements() - before;
            tx.trace_all(id, &[], &["c@x.example"]).map(|()| cost)
        });
        assert_eq!(cost.expect("it is stored").value, 2);
        let (story, stranger) = test
            .store
            .read_blocking(move |tx| {
                Ok::<_, Error>((trace::story(tx, id)?, trace::find(tx, "c@x.example", Timestamp(0), 9)?))
            })
            .expect("it is read");
        let kinds: Vec<&str> = story.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["connected", "from", "received", "stored"], "in the order in which they were told");
        assert!(stranger.is_empty(), "without an event there is no story to find");
    });
}

const DAY: i64 = 86_400_000_000;

#[test]
fn a_story_is_found_by_its_keys() {
    each(|test| {
        // Numbers as they were made at the moments 10 and 20, and on the next day.
        let (old, new, next) = (TraceId(10 << 10), TraceId(20 << 10), TraceId((DAY + 5) << 10));
        let event = |kind, detail| trace::TraceEvent { kind, detail };
        test.store
            .write_blocking(Locks::none(), move |tx| {
                tx.trace(old, Timestamp(10), &event("connect", "{}"), &[])?;
                tx.trace(old, Timestamp(11), &event("accepted", "{}"), &["a@x.example", "b@x.example", "a@x.example"])?;
                tx.trace(new, Timestamp(20), &event("accepted", "{\"to\":1}"), &["a@x.example", "<1@y>"])?;
                tx.trace(old, Timestamp(30), &event("filed", "INBOX"), &["a@x.example"])?;
                tx.trace(next, Timestamp(DAY + 5), &event("accepted", "{}"), &["c@x.example"])?;
                tx.trace(next, Timestamp(3 * DAY), &event("sent", "{}"), &["c@x.example", "d@x.example"])
            })
            .expect("it is stored");
        let look = |key: &'static str, since, limit| {
            test.store.read_blocking(move |tx| trace::find(tx, key, Timestamp(since), limit)).expect("it is found")
        };
        assert_eq!(look("a@x.example", 0, 10), [new, old]);
        assert_eq!(look("a@x.example", 0, 1), [new]);
        assert_eq!(look("a@x.example", 25, 10), [old], "its latest event with the key counts");
        assert_eq!(look("<1@y>", 0, 10), [new]);
        assert_eq!(look("nobody", 0, 10), []);
        let kinds = |id| {
            let story = test.store.read_blocking(move |tx| trace::story(tx, id)).expect("it is read");
            story.into_iter().map(|event| (event.at.0, event.kind, event.detail)).collect::<Vec<_>>()
        };
        let told = |at, kind: &str, detail: &str| (at, kind.to_owned(), detail.to_owned());
        assert_eq!(kinds(old), [told(10, "connect", "{}"), told(11, "accepted", "{}"), told(30, "filed", "INBOX")]);
        let sweep = |before, limit| {
            let swept = test.store.write_blocking(Locks::none(), move |tx| trace::sweep(tx, Timestamp(before), limit));
            swept.expect("it is swept").value
        };
        assert_eq!(sweep(15, 1), 1);
        assert_eq!(sweep(15, 10), 1);
        assert_eq!(sweep(15, 10), 0);
        assert_eq!(kinds(old), [told(30, "filed", "INBOX")]);
        assert_eq!(look("a@x.example", 0, 10), [new, old]);
        assert_eq!(look("c@x.example", 0, 10), [next], "once, though it has a key of two days");
        assert_eq!(look("c@x.example", 2 * DAY, 10), [next]);
        assert_eq!(sweep(DAY + 1, 10), 4, "keys go when their day is over");
        assert_eq!((kinds(old), kinds(new)), (vec![], vec![]));
        assert_eq!((look("a@x.example", 0, 10), look("b@x.example", 0, 10)), (vec![], vec![]));
        assert_eq!(sweep(DAY + 6, 10), 1);
        assert_eq!(kinds(next), [told(3 * DAY, "sent", "{}")], "a late event outlives the first");
        assert_eq!(look("d@x.example", 0, 10), [next]);
        assert_eq!(sweep(5 * DAY, 10), 3);
        assert_eq!((kinds(next), look("c@x.example", 0, 10)), (vec![], vec![]));
    });
}
