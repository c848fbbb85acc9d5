//! What a client may not do, said over the wire with real tickets by `client.py`.

use super::realm::{Realm, Server, servers};

const CLIENT: &str = include_str!("client.py");

/// What the server said to a client with these wishes (JSON, without braces).
pub(crate) fn talk(server: &Server, service: &str, wishes: &str) -> String {
    talk_by(&server.realm, server, service, 0, wishes)
}

fn talk_by(realm: &Realm, server: &Server, service: &str, hours: u32, wishes: &str) -> String {
    let tls = wishes.contains("\"tls\"");
    let port = server.port(match (service, tls) {
        ("smtp", _) => 587,
        (_, false) => 143,
        (_, true) => 993,
    });
    let comma = if wishes.is_empty() { "" } else { ", " };
    let wish = format!("{{\"service\": \"{service}\", \"port\": {port}{comma}{wishes}}}");
    let ran = realm.tool(hours, "python3", &["-c", CLIENT, &wish], "");
    assert!(ran.success, "{wishes}: {ran:?}");
    ran.out
}

/// Whether the client came in, with the last line.
fn came_in(said: &str) -> (bool, &str) {
    let last = said.lines().rfind(|line| !line.starts_with("* ")).unwrap_or_default();
    (last.starts_with("a OK") || last.starts_with("235 "), last)
}

#[test]
fn who_follows_the_mechanism_comes_in() {
    for server in servers() {
        for (service, wishes) in [
            ("imap", ""),
            ("smtp", ""),
            ("imap", "\"mutual\": false"),
            ("imap", "\"initial\": true"),
            ("smtp", "\"initial\": true, \"mutual\": false"),
            ("smtp", "\"initial\": true, \"form\": \"GSS-SPNEGO\""),
            ("smtp", "\"form\": \"GSS-SPNEGO\""),
            ("imap", "\"form\": \"GSS-SPNEGO\""),
            // Programs of Windows say GSSAPI and negotiate.
            ("imap", "\"spnego\": true"),
            ("smtp", "\"spnego\": true, \"mutual\": false"),
            ("imap", "\"tls\": true, \"binding\": \"right\""),
            ("imap", "\"tls\": true, \"binding\": \"right\", \"form\": \"GSS-SPNEGO\""),
            ("imap", "\"tls\": true"),
            ("imap", "\"authzid\": \"alice@example.test\""),
            ("imap", "\"authzid\": \"alice@EXAMPLE.TEST\""),
        ] {
            let said = talk(server, service, wishes);
            assert!(came_in(&said).0, "{service} {wishes}: {said}");
            // RFC 4752 §3.2: no layer, and so a size of 0.
            assert!(wishes.contains("GSS-SPNEGO") || said.contains("offer 01000000"), "{service} {wishes}: {said}");
        }
    }
}

#[test]
fn who_does_not_is_refused() {
    for server in servers() {
        for (service, wishes) in [
            // The account of another, one that is not there, and what no account is called.
            ("imap", "\"authzid\": \"bob@example.test\""),
            ("smtp", "\"authzid\": \"bob@example.test\""),
            ("imap", "\"authzid\": \"nobody@example.test\""),
            ("imap", "\"authzid\": \"a\\u0000b\""),
            // A layer that was not offered; several; none; and a choice that anybody could have written.
            ("imap", "\"layer\": 2"),
            ("smtp", "\"layer\": 4"),
            ("imap", "\"layer\": 7"),
            ("imap", "\"layer\": 0"),
            ("imap", "\"wrapped\": false"),
            // A ticket for another service of the same host.
            ("imap", "\"target\": \"smtp@localhost\""),
            ("smtp", "\"target\": \"imap@localhost\""),
            ("imap", "\"target\": \"smtp@localhost\", \"form\": \"GSS-SPNEGO\""),
            // Bound to another connection.
            ("imap", "\"tls\": true, \"binding\": \"wrong\""),
            ("imap", "\"tls\": true, \"binding\": \"wrong\", \"form\": \"GSS-SPNEGO\""),
            // Cut off, longer than it says, changed in one bit: of the frame, of the ticket, of the proof at its end.
            ("imap", "\"cut\": 1"),
            ("imap", "\"cut\": 100"),
            ("smtp", "\"cut\": 400"),
            ("imap", "\"pad\": 1"),
            ("imap", "\"turn\": 5"),
            ("imap", "\"turn\": 300"),
            ("imap", "\"turn\": -1"),
            ("imap", "\"cut\": 200, \"form\": \"GSS-SPNEGO\""),
            // Kerberos by itself is no negotiation.
            ("imap", "\"form\": \"GSS-SPNEGO\", \"spnego\": false"),
        ] {
            let said = talk(server, service, wishes);
            let (came_in, last) = came_in(&said);
            let refused = last.starts_with("a NO [AUTHENTICATIONFAILED]") || last.starts_with("535 5.7.");
            assert!(!came_in && refused, "{service} {wishes}: {said}");
        }
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for server in servers() {
        // Nothing, no base64, NTLM by itself, zeros, more than a line holds; and who cancels.
        let long = "A".repeat(13_000);
        for (raw, imap, smtp) in [
            ("", "a NO ", "535 "),
            ("!!", "a BAD ", "501 "),
            ("TlRMTVNTUAABAAAAAAAAAAAAAAAAAAAA", "a NO ", "535 "),
            ("AAAAAAAA", "a NO ", "535 "),
            (&long, "a BAD ", "500 "),
            ("*", "a BAD ", "501 "),
        ] {
            for form in ["GSSAPI", "GSS-SPNEGO"] {
                for (service, expected) in [("imap", imap), ("smtp", smtp)] {
                    let said = talk(server, service, &format!("\"raw\": \"{raw}\", \"form\": \"{form}\""));
                    let last = came_in(&said).1;
                    assert!(last.starts_with(expected), "{service} {form} {} octets: {said}", raw.len());
                }
            }
        }
    }
}

#[test]
fn a_token_opens_once() {
    for server in servers() {
        for wishes in
            ["\"twice\": true", "\"twice\": true, \"mutual\": false", "\"twice\": true, \"form\": \"GSS-SPNEGO\""]
        {
            let said = talk(server, "imap", wishes);
            let (first, again) = said.split_once("again\n").expect("it went on");
            assert!(came_in(first).0, "{wishes}: {said}");
            assert!(again.contains("a NO [AUTHENTICATIONFAILED]"), "{wishes}: {said}");
        }
        assert!(server.printed().contains("Request is a replay"), "{}", server.printed());
    }
}

#[test]
fn an_expired_ticket_is_refused() {
    // The realm, its client and their ticket of an hour are of three hours ago; the server is not.
    let realm = Realm::start(&["alice"], 3);
    realm.tool(3, "kinit", &["alice"], &format!("{}\n", super::program::PASSWORD)).good();
    let server = Server::start(realm, "[\"EXAMPLE.TEST\", \"example.test\"]", &[]);
    for (service, wishes, expected) in
        [("imap", "", "a NO [EXPIRED] "), ("smtp", "", "535 5.7.8 "), ("imap", "\"form\": \"GSS-SPNEGO\"", "a NO ")]
    {
        let said = talk_by(&server.realm, &server, service, 3, wishes);
        assert!(came_in(&said).1.starts_with(expected), "{service} {wishes}: {said}");
    }
}
