//! A message's way in: the header block can be edited, the body flows, the prefix goes first.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{by, each};
use postroad_mail::intake::{HELD_HEADER_BYTES, MAX_HEADER_BYTES};
use postroad_mail::view::{self, Query, Want};
use postroad_mail::{Error, Fed, Filing, Intake, MailboxId, UidSet, deliver};
use postroad_message::{Limits, Parser, Summary};

#[test]
fn the_header_is_edited_once_and_the_summary_knows_it() {
    each(|world| {
        let mut intake = Intake::new(world.store.upload(), Limits::default());
        assert_eq!(intake.feed(b"Subject: a\r\nBcc: se").unwrap(), Fed::More);
        assert_eq!(intake.feed(b"cret@x\r\n\r\nbo").unwrap(), Fed::HeaderEnded);
        assert_eq!(intake.header(), b"Subject: a\r\nBcc: secret@x\r\n\r\n");
        *intake.header_mut().unwrap() = b"Subject: b\r\nMessage-ID: <1@x>\r\n\r\n".to_vec();
        assert_eq!(intake.feed(b"dy\r\n").unwrap(), Fed::More);
        assert!(intake.header_mut().is_none());
        let arrival = intake.finish(b"Return-Path: <>\r\n".to_vec()).unwrap();
        assert_eq!(arrival.message_id.as_deref(), Some("1@x"));
        let expected = b"Return-Path: <>\r\nSubject: b\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n";
        assert_eq!(arrival.size, expected.len() as u64);
        let alice = world.alice;
        let (bytes, summary) = world
            .write(move |tx| {
                deliver::append(tx, &by(), alice, MailboxId::INBOX, &arrival, &Filing::default())?;
                let all = UidSet::all();
                let query = Query { uids: &all, want: Want::Summary, changed_since: None, limit: 1 };
                let facts = view::entries(tx, alice, MailboxId::INBOX, &query)?.remove(0).facts.unwrap();
                Ok((tx.blob_read(facts.blob, 0..u64::MAX)?, Summary::decode(&facts.summary).unwrap()))
            })
            .unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(summary.envelope.subject.as_deref(), Some("b"));
        let body = usize::try_from(summary.structure.body_start).unwrap();
        assert_eq!(&bytes[body..], b"body\r\n");
    });
}

#[test]
fn what_stays_as_it_is_is_parsed_and_stored_the_same_in_whatever_pieces() {
    each(|world| {
        let head = b"Subject: a\r\nMessage-ID: <1@x>\r\n\r\n";
        let prefix = b"Return-Path: <>\r\n";
        // About what waits in one piece, and what lies in the database.
        let sizes = [0, 20, 5_000, 32_767, 32_768, 32_769, 60_000, 128 * 1024 + 1];
        let pieces = [11_000, 40_000, 200_000];
        for (size, piece) in sizes.into_iter().flat_map(|size| pieces.map(|piece| (size, piece))) {
            let message: Vec<u8> =
                head.iter().copied().chain((0..size).map(|at| b"text\r\n"[at % 6])).take(size).collect();
            for (owned, outside) in [(false, false), (true, false), (true, true)] {
                let mut upload = world.store.upload();
                if outside {
                    upload.outside();
                }
                let mut intake = Intake::as_it_is(upload, Limits::default());
                for piece in message.chunks(piece) {
                    match owned {
                        true => intake.take(piece.to_vec()).unwrap(),
                        false => intake.feed(piece).unwrap(),
                    };
                    assert!(intake.header_mut().is_none() || size > 32 * 1024 || outside);
                }
                assert_eq!(intake.size(), size as u64);
                let arrival = intake.finish(prefix.to_vec()).unwrap();
                let whole = [&prefix[..], &message].concat();
                assert_eq!(arrival.size, whole.len() as u64);
                assert_eq!(arrival.summary, Parser::parse(&whole), "{size} in pieces of {piece}");
                let bytes = world.write(move |tx| {
                    let blob = tx.blob_put(&arrival.blob)?;
                    Ok(tx.blob_read(blob, 0..u64::MAX)?)
                });
                assert!(bytes.unwrap() == whole, "{size} in pieces of {piece}");
            }
        }
    });
}

#[test]
fn messages_without_body_and_of_any_line_ends() {
    each(|world| {
        let cases: [(&str, &str); 5] = [
            ("Subject: a\r\n", "Subject: a\r\n"),
            ("Subject: a\n\nb", "Subject: a\n\n"),
            ("\r\nbody", "\r\n"),
            ("Subject: a\r\n\nb", "Subject: a\r\n\n"),
            ("", ""),
        ];
        for (message, header) in cases {
            let mut intake = Intake::new(world.store.upload(), Limits::default());
            intake.feed(message.as_bytes()).unwrap();
            assert_eq!(intake.header(), header.as_bytes());
            assert_eq!(intake.finish(Vec::new()).unwrap().size, message.len() as u64);
        }
    });
}

#[test]
fn an_endless_header_is_refused() {
    each(|world| {
        let mut intake = Intake::new(world.store.upload(), Limits::default());
        let line = [b'x'; 1024];
        // So much is taken, and no byte more.
        for _ in 0..MAX_HEADER_BYTES / 1024 {
            assert_eq!(intake.feed(&line).unwrap(), Fed::More);
        }
        let refused = intake.feed(b"x").err();
        assert!(matches!(refused, Some(Error::Message(_))));
        let mut intake = Intake::new(world.store.upload(), Limits::default());
        let refused = (0..MAX_HEADER_BYTES / 1024 + 1).find_map(|_| intake.feed(&line).err());
        assert!(matches!(refused, Some(Error::Message(_))));
    });
}

#[test]
fn a_header_of_ten_megabytes_is_stored_byte_for_byte() {
    each(|world| {
        let header = format!("Subject: long\r\n{}", "X-Filler: 0123456789 0123456789 0123456789\r\n".repeat(250_000));
        let message = format!("{header}\r\nthe end\r\n");
        assert!(header.len() > 10 * 1024 * 1024);
        for as_it_is in [false, true] {
            let upload = world.store.upload();
            let mut intake = match as_it_is {
                true => Intake::as_it_is(upload, Limits::default()),
                false => Intake::new(upload, Limits::default()),
            };
            let mut held = 0;
            for piece in message.as_bytes().chunks(64 * 1024) {
                intake.feed(piece).unwrap();
                held = held.max(intake.header().len());
            }
            if as_it_is {
                assert!(held <= HELD_HEADER_BYTES + 64 * 1024, "{held} bytes waited in memory");
            }
            let arrival = intake.finish(b"Return-Path: <>\r\n".to_vec()).unwrap();
            assert_eq!(arrival.size as usize, message.len() + 17);
            assert_eq!(arrival.summary.structure.body_start as usize, header.len() + 2 + 17);
        }
    });
}
