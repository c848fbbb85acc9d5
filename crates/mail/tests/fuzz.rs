//! Parsers of outside text: whatever comes in, what comes out keeps its promises.
#![allow(clippy::unwrap_used, missing_docs)]

use postroad_fuzz::check;
use postroad_mail::{Address, Domain, Intake, Keyword, MailboxName, UidSet};
use postroad_message::Limits;
use postroad_store::{BlobPlace, Database, Settings, Store};

#[test]
fn fuzz_addresses_read_back_as_they_are_written() {
    check!(2_000).with_type::<Vec<u8>>().for_each(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(address) = Address::parse(&text) {
            let again = Address::parse(&address.to_string()).unwrap();
            assert_eq!(again, address);
            assert_eq!(again.key(), address.key());
        }
        if let Ok(domain) = Domain::parse(&text) {
            assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain));
            assert_eq!(Domain::parse(&domain.unicode()), Ok(domain));
        }
    });
}

#[test]
fn fuzz_local_parts_keep_their_key() {
    check!(2_000).with_type::<String>().for_each(|local| {
        if let Ok(address) = Address::new(local, "example.test") {
            assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
            if let Ok(folded) = Address::new(&address.key(), "example.test") {
                assert_eq!(folded.key(), address.key(), "{local:?}");
            }
        }
    });
}

#[test]
fn fuzz_mailbox_names_are_stable() {
    check!(2_000).with_type::<String>().for_each(|text| {
        if let Ok(name) = MailboxName::parse(text) {
            assert_eq!(MailboxName::parse(name.as_str()).as_ref(), Ok(&name));
            assert_eq!(name.ancestors().count(), name.as_str().matches('/').count());
            assert!(name.ancestors().all(|above| name.is_below(&above)));
            assert!(name.parent().is_none_or(|parent| name.ancestors().last() == Some(parent)));
        }
    });
}

#[test]
fn fuzz_keywords_survive_the_text_form() {
    check!(2_000).with_type::<Vec<u8>>().for_each(|bytes| {
        if let Some(keyword) = Keyword::parse(&String::from_utf8_lossy(bytes)) {
            let all: postroad_mail::Keywords = [keyword.clone(), keyword.clone()].into_iter().collect();
            assert_eq!(all.iter().collect::<Vec<_>>(), [keyword.as_str()]);
        }
    });
}

#[test]
fn fuzz_uid_sets_are_sets() {
    check!(2_000).with_type::<(Vec<(u16, u8)>, Vec<u16>)>().for_each(|(ranges, single)| {
        let a = UidSet::from_ranges(ranges.iter().map(|(low, n)| (u32::from(*low), u32::from(*low) + u32::from(*n))));
        let b: UidSet = single.iter().map(|uid| u32::from(*uid)).collect();
        let in_a = |uid: u32| {
            uid != 0 && ranges.iter().any(|(low, n)| (u32::from(*low)..=u32::from(*low) + u32::from(*n)).contains(&uid))
        };
        let in_b = |uid: u32| uid != 0 && single.iter().any(|own| u32::from(*own) == uid);
        let edges = a.ranges().iter().chain(b.ranges()).flat_map(|(low, high)| [low - 1, *low, *high, high + 1]);
        let (both, either, without) = (a.intersection(&b), a.union(&b), a.difference(&b));
        for uid in edges.chain([0, 1]) {
            assert_eq!(a.contains(uid), in_a(uid));
            assert_eq!(b.contains(uid), in_b(uid));
            assert_eq!(both.contains(uid), in_a(uid) && in_b(uid));
            assert_eq!(either.contains(uid), in_a(uid) || in_b(uid));
            assert_eq!(without.contains(uid), in_a(uid) && !in_b(uid));
        }
        for set in [&a, &b, &both, &either, &without] {
            assert_eq!(UidSet::parse(&set.to_string()).as_ref(), Some(set));
            assert_eq!(set.iter().count() as u64, set.count());
            assert!(set.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    });
}

#[test]
fn fuzz_uid_set_texts() {
    check!(2_000).with_type::<Vec<u8>>().for_each(|bytes| {
        if let Some(set) = UidSet::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(UidSet::parse(&set.to_string()), Some(set));
        }
    });
}

#[test]
fn fuzz_intake_is_the_same_in_any_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(Database::Memory, BlobPlace::Folder(folder.path().join("blobs")));
    settings.inline_limit = 1 << 20;
    let store = Store::open(settings).unwrap();
    let take = |message: &[u8], piece: usize| {
        let mut intake = Intake::new(store.upload(), Limits::default());
        for piece in message.chunks(piece.max(1)) {
            intake.feed(piece).unwrap();
        }
        assert_eq!(intake.size(), message.len() as u64);
        let arrival = intake.finish(b"Received: here\r\n".to_vec()).unwrap();
        (arrival.size, arrival.summary_bytes)
    };
    check!(500).with_type::<(Vec<u8>, u8)>().for_each(|(message, piece)| {
        let mut message = message.clone();
        message.extend_from_slice(b"\nSubject: x\r\n\r\nbody\n\n");
        let whole = take(&message, message.len());
        assert_eq!(whole.0, message.len() as u64 + 16);
        assert_eq!(take(&message, usize::from(*piece)), whole);
    });
}

#[test]
fn fuzz_pages_of_entries_are_read_or_refused() {
    check!(2_000).with_type::<(u32, String, String)>().for_each(|(page, runs, sizes)| {
        let _ = postroad_mail::read_page(*page, runs, sizes, |entry| assert_eq!(entry.uid / 128, *page));
    });
    // Close to real ones.
    check!(2_000).with_type::<(u8, Vec<(u8, u8, u8, u8)>)>().for_each(|(page, lines)| {
        let line = |(low, high, flags, word): &(u8, u8, u8, u8)| {
            format!("{}-{high} {flags} 7{}\n", low % 128, if word % 2 == 0 { " $Junk " } else { "" })
        };
        let (runs, mut rows) = (lines.iter().map(line).collect::<String>(), 0);
        let sizes = "5 ".repeat(lines.len());
        let read = postroad_mail::read_page((*page).into(), &runs, &sizes, |_| rows += 1);
        assert!(read.is_err() || rows == lines.len());
    });
}
