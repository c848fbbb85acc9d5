//! Anything in: no panic, no unbounded output, and the same for every cut.

mod common;
mod remote;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Drive, offer, peer, settings};
use postroad_smtp::client::{Capabilities, Settings as ClientSettings, TlsWish};
use postroad_smtp::{Address, Role, decode_xtext, encode_xtext, parse_command};

#[test]
fn fuzz_commands() {
    postroad_fuzz::check!(2000).with_type::<Vec<u8>>().for_each(|bytes| {
        for role in [Role::Relay, Role::Submission, Role::Lmtp] {
            for head in ["", "MAIL FROM:<", "RCPT TO:<", "RCPT TO:<a@b> ORCPT=", "AUTH ", "EHLO ", "BDAT "] {
                let line = [head.as_bytes(), bytes].concat();
                if let Err(reply) = parse_command(&line, role, true) {
                    assert!(reply.is_permanent() && reply.enhanced().is_some());
                }
            }
        }
    });
}

#[test]
fn fuzz_addresses_written_and_read_again() {
    postroad_fuzz::check!(2000).with_type::<(String, String)>().for_each(|(local, domain)| {
        if let Ok(address) = Address::new(local, domain) {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        let _ = format!("{local}@{domain}").parse::<Address>();
        if local.chars().all(|c| !c.is_control()) {
            assert_eq!(decode_xtext(&encode_xtext(local)).as_ref(), Some(local));
        }
    });
}

/// Sessions of scraps of SMTP and of noise.
#[test]
fn fuzz_sessions_do_not_depend_on_the_cut() {
    postroad_fuzz::check!(1000).with_type::<(u8, Vec<(u8, Vec<u8>)>)>().for_each(|(cut, words)| {
        // Two of three begin with an envelope, so that bodies are reached.
        let mut bytes = match cut % 3 {
            0 => Vec::new(),
            1 => b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n".to_vec(),
            _ => b"LHLO x\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nBDAT 7\r\n".to_vec(),
        };
        for (word, noise) in words {
            match SCRAPS.get(usize::from(*word) % (SCRAPS.len() + 1)) {
                Some(scrap) => bytes.extend_from_slice(scrap.as_bytes()),
                None => bytes.extend_from_slice(noise),
            }
        }
        for role in ["relay", "submission", "lmtp"] {
            let run = |size: usize| {
                let mut drive =
                    Drive::offering(settings(&[role, "clear"]), peer("192.0.2.9:1"), None, offer(&["offers"]));
                for piece in bytes.chunks(size) {
                    drive.feed(piece);
                }
                let counters = drive.session.counters();
                (drive.output, drive.session.world.log, counters.commands, drive.closed)
            };
            assert_eq!(run(usize::from(*cut).max(1)), run(usize::MAX), "{role}");
        }
    });
}

const SCRAPS: [&str; 37] = [
    "EHLO x.example\r\n",
    "LHLO x.example\r\n",
    "HELO x.example\r\n",
    "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
    "AUTH LOGIN\r\n",
    "YWxpY2U=\r\n",
    "c2VjcmV0\r\n",
    "*\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n",
    "RCPT TO:<c@d.example>\r\n",
    "RCPT TO:<unknown@d.example>\r\n",
    "RCPT TO:<quota@d.example>\r\n",
    "DATA\r\n",
    "BDAT 4\r\n",
    "BDAT 9 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "text\r\n",
    ".\r\n",
    "..x\r\n",
    ".",
    "\r",
    "\n",
    "\r\n",
    "QUIT\r\n",
    "STARTTLS\r\n",
    "GET / ",
    "\0",
    "XCLIENT ADDR=192.0.2.7 LOGIN=alice\r\n",
    "XCLIENT LOGIN=[UNAVAILABLE] HELO=h\r\n",
    "XCLIENT LOGIN=mallory\r\n",
    "XFORWARD ADDR=192.0.2.7\r\n",
    "ETRN example.com\r\n",
    "MAIL FROM:<a@b.example> BY=30;R HOLDFOR=9 MT-PRIORITY=3 SOLICIT=a:b\r\n",
    "RCPT TO:<c@d.example> RRVS=2026-11-22T12:00:00Z\r\n",
];

#[test]
fn fuzz_capabilities() {
    postroad_fuzz::check!(2000).with_type::<Vec<(u8, String)>>().for_each(|words| {
        let keywords =
            ["SIZE", "AUTH=", "LIMITS", "RCPTMAX=", "DELIVERBY", "\n", " ", "PIPELINING", "1000", "BINARYMIME"];
        let mut text = "x\n".to_owned();
        for (word, noise) in words {
            text.push_str(keywords.get(usize::from(*word) % 12).unwrap_or(&noise.as_str()));
        }
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let got = Capabilities::parse(&lines);
        assert!(got.extended && got.auth.len() <= 32 && got.limits.rcpt_max != Some(0));
        assert!(got.size || got.size_limit.is_none());
    });
}

/// A remote that says anything at any time: each transaction has its report, nothing counts as taken before its end was
/// sent, and no line is broken.
#[test]
fn fuzz_a_hostile_remote() {
    let reached = [const { AtomicUsize::new(0) }; 6];
    postroad_fuzz::check!(2000).with_type::<(u16, Vec<(u8, Vec<u8>)>)>().for_each(|(mode, words)| {
        let bit = |number: u16| mode & (1 << number) != 0;
        let mut settings = ClientSettings::new("client.example");
        settings.tls = if bit(0) { TlsWish::IfOffered } else { TlsWish::Never };
        settings.lmtp = bit(1);
        settings.pipelining = bit(2);
        let parameters = if bit(3) { " chunked" } else { "" };
        let cut = if bit(4) { 1 } else { 5 };
        let mut drive = remote::Drive::new(settings, cut);
        let (mut sent, mut asked) = (0, 0);
        let feed = |drive: &mut remote::Drive, bytes: &[u8]| drive.feed(bytes);
        if bit(5) {
            feed(&mut drive, b"220 x\r\n");
            feed(&mut drive, b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
        }
        for (word, noise) in words {
            if drive.handshake {
                drive.secured();
            }
            if drive.ready && drive.body.is_none() && !drive.closed {
                let transaction = remote::transaction(&format!("s@b.example a@d.example c@d.example{parameters}"));
                if drive.client.send(transaction).is_ok() {
                    sent += 1;
                    drive.run();
                }
            }
            if drive.needs_body {
                asked += 1;
                drive.body = Some(b".a\r\n\n.\rb".to_vec());
                drive.run();
            }
            match ANSWERS.get(usize::from(*word) % (ANSWERS.len() + 3)) {
                Some(answer) => feed(&mut drive, answer.as_bytes()),
                None if *word == 255 => drive.client.closed(),
                None if *word == 254 => drive.client.timed_out(),
                None => feed(&mut drive, noise),
            }
            drive.run();
        }
        drive.client.closed();
        drive.run();
        assert!(drive.closed, "the session is over");
        let count = |head: &str| drive.events.iter().filter(|event| event.starts_with(head)).count();
        assert_eq!(count("D: reusable") + count("D: used up"), sent, "each transaction has one report");
        let fates = ["D: accepted ", "D: refused ", "D: deferred ", "D: surplus ", "D: unsent ", "D: unknown "];
        assert_eq!(fates.iter().map(|head| count(head)).sum::<usize>(), 2 * sent);
        for (reached, head) in reached.iter().zip(fates) {
            reached.fetch_add(count(head), Ordering::Relaxed);
        }
        assert!(count("D: accepted ") + count("D: unknown ") <= 2 * asked, "{:?}", drive.events);
        assert!(drive.events.iter().all(|event| !event.contains(char::is_control)));
        let out = &drive.output;
        for (at, byte) in out.iter().enumerate() {
            match byte {
                b'\r' => assert_eq!(out.get(at + 1), Some(&b'\n')),
                b'\n' => assert!(at > 0 && out[at - 1] == b'\r'),
                _ => {}
            }
        }
    });
    assert!(reached.iter().all(|reached| reached.load(Ordering::Relaxed) > 0), "{reached:?}");
}

const ANSWERS: [&str; 22] = [
    "220 x\r\n",
    "220-x\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
    "250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n",
    "250 ok\r\n452 no\r\n550 no\r\n354 go\r\n",
    "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
    "250-x\r\n250-STARTTLS\r\n250 PIPELINING\r\n",
    "354 go\r\n",
    "354 go\r\n",
    "334 \r\n",
    "421 bye\r\n",
    "450 4.2.1 no\r\n",
    "550 5.1.1 no\r\n",
    "552 no\r\n",
    "250-",
    "\r\n",
    "\n",
    "2",
    "text\r\n",
    "999 no\r\n",
];
