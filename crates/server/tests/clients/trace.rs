//! The command line beside a running server: accounts, aliases, app passwords, and the story of a message.

use super::lines::Lines;
use super::program::{PASSWORD, message, postroad, run, servers};

#[test]
fn tells_where_mail_went_and_what_was_refused() {
    for server in servers() {
        let (from, to) = (server.account(), server.account());
        let submission = format!("smtp://127.0.0.1:{}", server.port(587));
        let login = format!("{from}:{PASSWORD}");
        let arguments = ["-sS", &submission, "-u", &login, "--mail-from", &from, "--mail-rcpt", &to, "-T", "-"];
        run("curl", &arguments, message(&from, &to, "a-story").as_bytes()).good();
        let relay = format!("127.0.0.1:{}", server.port(25));
        let stranger = format!("stranger.{to}");
        let refused = run("swaks", &["--server", &relay, "--from", "eve@elsewhere.test", "--to", &stranger], b"");
        assert!(!refused.success);

        let story = postroad(server, &["trace", &to]).good();
        assert!(story.contains("INBOX"), "{story}");
        assert!(story.contains(&from), "{story}");
        let by_id = postroad(server, &["trace", &format!("<a-story.{to}>")]).good();
        assert_eq!(by_id, story);
        let told = postroad(server, &["trace", &stranger]).good();
        assert!(told.contains("5.1.1"), "{told}");
        let json = postroad(server, &["trace", &to, "--json"]).good();
        assert!(json.starts_with("[{"), "{json}");
    }
}

#[test]
fn administers_the_running_server() {
    for server in servers() {
        postroad(server, &["domain", "add", "bücher.test"]).good();
        postroad(server, &["account", "add", "ann@bücher.test", "--name", "Ann", "--password", "pw", "--quota", "1M"])
            .good();
        let again = postroad(server, &["account", "add", "ann@bücher.test", "--password", "pw"]);
        assert!(!again.success && again.err.contains("exists already"), "{again:?}");
        postroad(server, &["alias", "add", "info@bücher.test", "ann@bücher.test"]).good();
        let made =
            postroad(server, &["app-password", "add", "ann@bücher.test", "phone", "--scope", "imap", "--json"]).good();
        let word = made.split('"').skip_while(|part| *part != "password").nth(2).expect("a password").to_string();

        // The app password opens IMAP and nothing else.
        let mut imap = Lines::connect(server.port(143));
        imap.hear();
        imap.imap(&format!("LOGIN {{{}+}}\r\nann@bücher.test {word}", "ann@bücher.test".len()));
        let pop3 = format!("pop3://127.0.0.1:{}/", server.port(110));
        let login = format!("ann@xn--bcher-kva.test:{word}");
        assert!(!run("curl", &["-sS", &pop3, "-u", &login], b"").success);

        // Mail to the alias arrives, by either form of the domain.
        let relay = format!("127.0.0.1:{}", server.port(25));
        run("swaks", &["--server", &relay, "--from", "c@elsewhere.test", "--to", "INFO+x@xn--bcher-kva.test"], b"")
            .good();
        let mailboxes = postroad(server, &["mailbox", "list", "ann@bücher.test"]).good();
        let inbox = mailboxes.lines().find(|line| line.starts_with("INBOX")).expect("INBOX is listed");
        assert!(inbox.split_whitespace().any(|word| word == "1"), "{mailboxes}");

        // Deleted and brought back.
        imap.imap("SELECT INBOX");
        imap.imap("STORE 1 +FLAGS (\\Deleted)");
        imap.imap("EXPUNGE");
        let deleted = postroad(server, &["mailbox", "deleted", "ann@bücher.test", "INBOX"]).good();
        let row = deleted.lines().nth(1).expect("one row");
        assert!(row.contains("c@elsewhere.test") && row.contains("test "), "{deleted}");
        let number = row.split_whitespace().next().expect("a number");
        postroad(server, &["mailbox", "restore", "ann@bücher.test", "INBOX", number]).good();
        let heard = imap.imap("NOOP");
        assert!(heard.contains(&"* 1 EXISTS".to_string()), "{heard:?}");

        // A whole mailbox deleted and brought back under its name.
        imap.imap("CREATE Old");
        imap.imap("MOVE 1 Old");
        imap.imap("DELETE Old");
        let sources = postroad(server, &["mailbox", "deleted", "ann@bücher.test"]).good();
        let row = sources.lines().find(|line| line.contains(" Old ")).expect("Old is listed");
        assert!(row.contains("deleted"), "{sources}");
        let id = row.split_whitespace().next().expect("an id");
        postroad(server, &["mailbox", "restore", "ann@bücher.test", id]).good();
        let status = imap.imap("STATUS Old (MESSAGES)");
        assert!(status[0].contains("MESSAGES 1"), "{status:?}");

        postroad(server, &["account", "suspend", "ann@bücher.test"]).good();
        let suspended =
            run("curl", &["-sS", &format!("imap://127.0.0.1:{}/", server.port(143)), "-u", "ann@bücher.test:pw"], b"");
        assert!(!suspended.success);
        let audit = postroad(server, &["account", "audit"]).good();
        assert!(audit.contains("all counters equal a recount"), "{audit}");
    }
}

#[test]
fn check_finds_a_server_sound() {
    for server in servers() {
        let report = postroad(server, &["check"]);
        assert!(report.success, "{report:?}");
        assert!(report.out.contains("accepts on"), "{}", report.out);
    }
}
