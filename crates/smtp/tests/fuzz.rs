//! Anything in: no panic, no unbounded output, and the same for every cut.

mod common;

use common::{Drive, peer, settings};
use postroad_smtp::{Address, Role, decode_xtext, encode_xtext, parse_command};

#[test]
fn fuzz_commands() {
    bolero::check!().with_iterations(2000).with_type::<Vec<u8>>().for_each(|bytes| {
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
    bolero::check!().with_iterations(2000).with_type::<(String, String)>().for_each(|(local, domain)| {
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
    bolero::check!().with_iterations(1000).with_type::<(u8, Vec<(u8, Vec<u8>)>)>().for_each(|(cut, words)| {
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
                let mut drive = Drive::new(settings(&[role, "clear"]), peer("192.0.2.9:1"), None);
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

const SCRAPS: [&str; 30] = [
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
];
