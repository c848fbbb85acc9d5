//! Clients that want more than there is.

use crate::client::Client;
use crate::world::{ALICE, BOB, Server, listener, message};

/// Of a message, at most; it becomes a file before it is found to be too large.
const SIZE: usize = postroad_store::BLOB_INLINE_MAX + 20_000;

fn start(folder: &std::path::Path) -> Server {
    Server::serve(folder, |ports| {
        let proxied = listener("proxied", "smtp", ports.address(24), "starttls");
        format!(
            "[limits]\nrecipients = 2\nmessage-size = {SIZE}\nconnections-per-address = 4\n\
             {proxied}proxy-from = [\"127.0.0.1\"]\n"
        )
    })
}

#[test]
fn too_many_recipients_and_too_large_messages_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let mut smtp = Client::smtp(server.at(25));
    let ask = |smtp: &mut Client, command: &str, expected: &str| {
        let reply = smtp.ask(command);
        assert!(reply.starts_with(expected), "{command}: {reply}");
    };
    // Recipients: what was taken goes, the rest is told to come again (RFC 5321 §4.5.3.1.10).
    ask(&mut smtp, "MAIL FROM:<carol@elsewhere.test>", "250 ");
    for (to, expected) in [(ALICE, "250 "), (BOB, "250 "), ("alice+x@example.test", "452 4.5.3 ")] {
        ask(&mut smtp, &format!("RCPT TO:<{to}>"), expected);
    }
    ask(&mut smtp, "DATA", "354 ");
    smtp.send(message("two", 500).as_bytes());
    ask(&mut smtp, ".", "250 2.0.0 ");

    // Size: announced, found on the way, and in chunks. The session goes on each time.
    ask(&mut smtp, &format!("MAIL FROM:<carol@elsewhere.test> SIZE={}", SIZE + 1), "552 5.3.4 ");
    let reply = smtp.deliver(ALICE, &message("large", 20 * SIZE));
    assert!(reply.starts_with("552 5.3.4 "), "{reply}");
    ask(&mut smtp, "MAIL FROM:<carol@elsewhere.test>", "250 ");
    ask(&mut smtp, &format!("RCPT TO:<{ALICE}>"), "250 ");
    let large = message("chunks", 2 * SIZE);
    smtp.send(format!("BDAT {}\r\n{large}", large.len()).as_bytes());
    let reply = smtp.reply();
    assert!(reply.starts_with("552 5.3.4 "), "{reply}");
    ask(&mut smtp, "RSET", "250 ");
    let reply = smtp.deliver(ALICE, &message("fits", SIZE / 2));
    assert!(reply.starts_with("250 "), "{reply}");

    let mut imap = Client::inbox(server.at(143), ALICE);
    // RFC 4469 §4.3: with a literal that is not waited for the answer comes all the same.
    let answer = imap.append(&message("appended", 2 * SIZE));
    assert!(answer.tagged.starts_with("NO [TOOBIG] "), "{answer:?}");
    imap.append(&message("appended", SIZE / 2)).good();
    assert_eq!(imap.subjects(), ["two", "fits", "appended"]);
}

#[test]
fn who_only_makes_mistakes_is_sent_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    for (port, greeting, mistake, last) in [
        (25, "220 ", "FROBNICATE", "421 4.7.0 "),
        (143, "* OK ", "a1 FROBNICATE", "* BYE "),
        (110, "+OK", "FROBNICATE", "-ERR"),
    ] {
        let mut client = Client::connect(server.at(port));
        assert!(client.hear().starts_with(greeting));
        let mut heard = Vec::new();
        loop {
            // The write may meet a connection that was just closed.
            if heard.len() > 500 {
                panic!("port {port}: nobody loses patience");
            }
            client.say(mistake);
            match client.next() {
                Some(line) => heard.push(line),
                None => break,
            }
            if heard.last().is_some_and(|line| line.starts_with("421 ") || line.starts_with("* BYE ")) {
                break;
            }
        }
        assert!(heard.last().is_some_and(|line| line.starts_with(last)), "port {port}: {heard:?}");
    }
    // A browser that was led astray is not talked to.
    let mut browser = Client::connect(server.at(25));
    browser.reply();
    browser.say("POST / HTTP/1.1\r\nHost: mx.example.test\r\n");
    let mut heard = Vec::new();
    while let Some(line) = browser.next() {
        heard.push(line);
    }
    assert!(heard.len() <= 1, "{heard:?}");
}

/// A client behind a proxy: loopback itself may have as many connections as it likes.
fn proxied(server: &Server, client: &str) -> Client {
    let mut connection = Client::connect(server.at(24));
    connection.say(&format!("PROXY TCP4 {client} 203.0.113.25 40000 25"));
    connection
}

#[test]
fn one_address_cannot_take_all_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path());
    let greeted = |client: &str| {
        let mut connection = proxied(&server, client);
        let greeting = connection.hear();
        (connection, greeting)
    };
    let mut held: Vec<_> = (0..4).map(|_| greeted("192.0.2.1")).collect();
    assert!(held.iter().all(|(_, greeting)| greeting.starts_with("220 ")));
    let (mut refused, said) = greeted("192.0.2.1");
    assert!(said.starts_with("421 4.7.0 "), "{said}");
    assert_eq!(refused.next(), None);
    assert!(greeted("192.0.2.2").1.starts_with("220 "), "another address has its own places");
    let (mut last, _) = held.pop().expect("one of four");
    assert!(last.ask("QUIT").starts_with("221 "));
    drop(last);
    crate::world::eventually("a place", || greeted("192.0.2.1").1.starts_with("220 "));
}
