//! Which principal opens which account.

use super::attacks::talk;
use super::realm::{Realm, Server};

/// Whether the owner of the last ticket comes in over IMAP, acting as `authzid`.
fn comes_in(server: &Server, authzid: &str) -> bool {
    let url = format!("imap://localhost:{}/INBOX", server.port(143));
    let first = ["-sS", "-m", "60", &url, "-u", "x@EXAMPLE.TEST:", "--login-options", "AUTH=GSSAPI", "-X", "NOOP"];
    let more: &[&str] = if authzid.is_empty() { &[] } else { &["--sasl-authzid", authzid] };
    server.realm.tool(0, "curl", &[&first[..], more].concat(), "").success
}

#[test]
fn accounts_are_opened_by_realm_or_by_name() {
    let principals = ["alice", "bob", "carol", "alice/admin", "nobody"];
    let server = Server::start(Realm::start(&principals, 0), "[\"EXAMPLE.TEST\", \"example.test\"]", &[]);
    let good = |arguments: &[&str]| server.postroad(arguments).good();
    let mine = |principal: &str, authzid: &str| {
        server.realm.ticket(principal);
        comes_in(&server, authzid)
    };
    assert!(mine("alice", "") && mine("bob", ""));
    assert!(!mine("nobody", "") && !mine("carol", "") && !mine("alice/admin", ""), "there are no such accounts");

    // Somebody with another name, or with two.
    good(&["principal", "add", "alice@example.test", "carol@EXAMPLE.TEST"]);
    good(&["principal", "add", "alice@example.test", "alice/admin@EXAMPLE.TEST"]);
    assert!(mine("carol", "") && mine("alice/admin", "alice@example.test"));
    assert!(!mine("carol", "bob@example.test"));
    let list = good(&["principal", "list", "alice@example.test"]);
    assert!(list.contains("carol@EXAMPLE.TEST") && list.contains("alice/admin@EXAMPLE.TEST"), "{list}");
    let taken = server.postroad(&["principal", "add", "bob@example.test", "carol@EXAMPLE.TEST"]);
    assert!(!taken.success && taken.err.contains("exists already"), "{taken:?}");
    assert!(!server.postroad(&["principal", "add", "bob@example.test", "bob"]).success, "it is no principal");
    // Who is named for somebody is nobody else any more.
    good(&["principal", "add", "alice@example.test", "bob@EXAMPLE.TEST"]);
    assert!(mine("bob", "alice@example.test") && !mine("bob", "bob@example.test"));
    good(&["principal", "remove", "alice@example.test", "bob@EXAMPLE.TEST"]);
    assert!(mine("bob", "bob@example.test") && !mine("bob", "alice@example.test"));
    good(&["principal", "remove", "alice@example.test", "carol@EXAMPLE.TEST"]);
    assert!(!mine("carol", ""));

    // Delegates, and who is suspended.
    good(&["account", "delegate", "add", "alice@example.test", "bob@example.test"]);
    assert!(mine("bob", "alice@example.test") && !mine("alice", "bob@example.test"));
    good(&["account", "suspend", "bob@example.test"]);
    assert!(!mine("bob", "") && !mine("bob", "alice@example.test") && mine("alice", ""));
    good(&["account", "resume", "bob@example.test"]);
    assert!(mine("bob", ""));
}

#[test]
fn a_realm_that_no_setting_names_opens_nothing() {
    let server = Server::start(Realm::start(&["alice"], 0), "", &[]);
    server.realm.ticket("alice");
    assert!(!comes_in(&server, "") && !comes_in(&server, "alice@example.test"));
    server.postroad(&["principal", "add", "alice@example.test", "alice@EXAMPLE.TEST"]).good();
    assert!(comes_in(&server, ""));
}

#[test]
fn a_removed_principal_ends_its_connections() {
    let server = Server::start(Realm::start(&["carol"], 0), "", &[]);
    server.realm.ticket("carol");
    let good = |arguments: &[&str]| server.postroad(arguments).good();
    good(&["principal", "add", "bob@example.test", "carol@EXAMPLE.TEST"]);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| talk(&server, "imap", "\"wait\": true"));
        let came_in = || server.printed().contains("login=\"carol@EXAMPLE.TEST\"");
        // Each look is a program that starts and ends.
        assert!((0..LOOKS).any(|_| good(&["principal", "list", "bob@example.test"]).is_empty() || came_in()));
        good(&["principal", "remove", "bob@example.test", "carol@EXAMPLE.TEST"]);
        let said = client.join().expect("it ends");
        assert!(said.contains("a OK ") && said.contains("* BYE "), "{said}");
    });
    assert!(!comes_in(&server, ""));
}

const LOOKS: usize = 500;
