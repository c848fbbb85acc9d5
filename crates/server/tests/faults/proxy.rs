//! Behind a proxy: the client's own address is what is written down.

use crate::client::Client;
use crate::world::{ALICE, BOB, Server, listener, message, run};

/// RFC 5737 and RFC 3849 addresses, as a client's.
const FOUR: &str = "192.0.2.77";
const SIX: &str = "2001:db8::77";

/// The second version's header: TCP over IPv6 from [`SIX`].
fn second_version() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x21, 0x21, 0, 36]);
    header.extend(SIX.parse::<std::net::Ipv6Addr>().expect("an address").octets());
    header.extend("2001:db8::25".parse::<std::net::Ipv6Addr>().expect("an address").octets());
    header.extend(40_000_u16.to_be_bytes());
    header.extend(25_u16.to_be_bytes());
    header
}

/// A message through a connection that begins with this header.
fn deliver(server: &Server, port: u16, header: &[u8], to: &str) {
    let mut smtp = Client::connect(server.at(port));
    smtp.send(header);
    let greeting = smtp.reply();
    assert!(greeting.starts_with("220 "), "{greeting}");
    assert!(smtp.ask("EHLO client.example.net").starts_with("250 "));
    let reply = smtp.deliver(to, &message("proxied", 500));
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn a_named_proxy_is_believed_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::serve(folder.path(), |ports| {
        let proxied = |name, port, from| {
            format!("{}proxy-from = [\"{from}\"]\n", listener(name, "smtp", ports.address(port), "starttls"))
        };
        // The last is for a proxy elsewhere: not for us.
        proxied("proxied", 24, "127.0.0.1") + &proxied("distant", 587, "127.0.0.9")
    });
    let settings = folder.path().join("postroad.toml").display().to_string();
    let first_version = format!("PROXY TCP4 {FOUR} 203.0.113.25 40000 25\r\n");
    deliver(&server, 24, first_version.as_bytes(), ALICE);
    deliver(&server, 24, &second_version(), BOB);
    for (login, address) in [(ALICE, FOUR), (BOB, SIX)] {
        let mut imap = Client::inbox(server.at(143), login);
        let lines = imap.imap("FETCH 1 BODY.PEEK[HEADER.FIELDS (RECEIVED)]").good();
        assert!(lines.iter().any(|line| line.contains(address)), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("127.0.0.1")), "{lines:?}");
        let story = run(&["trace", login, "--settings", &settings]);
        assert!(story.contains(address), "{story}");
    }

    // A proxy that says nothing of a client is closed, not taken for one.
    let mut mute = Client::connect(server.at(24));
    mute.say("EHLO client.example.net");
    assert_eq!(mute.next(), None);
    // From an address that is no proxy the header is no command, and the address stays.
    let mut liar = Client::connect(server.at(587));
    assert!(liar.reply().starts_with("220 "));
    let reply = liar.ask(first_version.trim_end());
    assert!(reply.starts_with("500 5.5."), "{reply}");
    assert!(liar.ask("EHLO client.example.net").starts_with("250 "));
    let reply = liar.deliver(ALICE, &message("direct", 500));
    assert!(reply.starts_with("250 "), "{reply}");
    let mut imap = Client::inbox(server.at(143), ALICE);
    let lines = imap.imap("FETCH 2 BODY.PEEK[HEADER.FIELDS (RECEIVED)]").good();
    assert!(lines.iter().any(|line| line.contains("127.0.0.1")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(FOUR)), "{lines:?}");
}
