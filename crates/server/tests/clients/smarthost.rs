//! A second server of ours sends by the first: it signs in with a password, by whatever the first one offers, or with tokens
//! of the first one's own provider, which somebody allowed on its pages, and renews them.

use std::process::{Command, Stdio};

use postroad_testkit::{Hasty, eventually, lines, output_of, postgres};

use super::program::{PASSWORD, Server, message, postroad, run};
use super::provider::allow;

const WHO: &str = "alice@example.test";
const DOMAIN: &str = "far.test";
const TO: &str = "dave@far.test";

/// Where a server has its data.
#[derive(Debug, Clone, Copy)]
enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    const ALL: [Database; 2] = [Database::Sqlite, Database::Postgres];

    /// Options of quickstart for a new one, and these.
    fn and(self, more: &[&str]) -> Vec<String> {
        let own = match self {
            Database::Sqlite => Vec::new(),
            Database::Postgres => vec!["--database".to_owned(), postgres::fresh_database()],
        };
        own.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// A server that sends out; routes lead to addresses, so that nobody asks the resolver.
fn sender(database: Database) -> Server {
    let options = database.and(&["--resolver", "127.0.0.1:9"]);
    Server::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Hands a message in, on its way to the other server.
fn submit(server: &Server, subject: &str) {
    let url = format!("smtp://127.0.0.1:{}", server.port(587));
    let user = format!("{WHO}:{PASSWORD}");
    let more = ["--login-options", "AUTH=PLAIN", "--mail-from", WHO, "--mail-rcpt", TO, "-T", "-"];
    let arguments = [&["-sS", &url, "-k", "--ssl-reqd", "-u", &user], &more[..]].concat();
    run("curl", &arguments, message(WHO, TO, subject).as_bytes()).good();
}

fn route(server: &Server, host: &Server, more: &[&str]) {
    let port = host.port(587).to_string();
    let words = ["route", "add", DOMAIN, "127.0.0.1", "--port", &port, "--tls", "required"];
    postroad(server, &[&words, more].concat()).good();
}

/// The mail waits no more.
fn sent(server: &Server) {
    let queued = || postroad(server, &["queue", "list", "--domain", DOMAIN]).good();
    eventually("the mail is with the smarthost", || (!queued().contains(WHO)).then_some(()));
}

fn trace(server: &Server) -> String {
    postroad(server, &["trace", TO]).good()
}

/// What is in the list of mechanisms, in place of what was.
fn offer(text: &str, mechanisms: &[&str]) -> String {
    let (before, rest) = text.split_once("mechanisms = [").expect("the setting");
    let (_, after) = rest.split_once(']').expect("its end");
    format!("{before}mechanisms = {mechanisms:?}{after}")
}

/// A smarthost that has the other domain, too.
fn smarthost(database: Database, change: impl FnOnce(&str, u16) -> String) -> Server {
    let options = database.and(&[]);
    let host = Server::changed(&options.iter().map(String::as_str).collect::<Vec<_>>(), change);
    postroad(&host, &["domain", "add", DOMAIN]).good();
    postroad(&host, &["account", "add", TO, "--password", PASSWORD]).good();
    host
}

#[test]
fn a_route_signs_in_by_what_the_other_server_offers() {
    Database::ALL.into_iter().for_each(by_offer);
}

fn by_offer(database: Database) {
    let sender = sender(database);
    let host = smarthost(database, |text, _| offer(text, &["NTLM"]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    for mechanism in ["ntlm", "cram-md5"] {
        let words = ["account", mechanism, "on", WHO, "--password-file", &file.display().to_string()];
        postroad(&host, &words).good();
    }
    for mechanism in ["NTLM", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "LOGIN"] {
        // With -PLUS stands the one that it is stronger than: the client has the choice.
        let offered = [mechanism, mechanism.trim_end_matches("-PLUS")];
        let offered = if mechanism.ends_with("-PLUS") { &offered[..] } else { &offered[..1] };
        if mechanism != "NTLM" {
            host.change(|text, _| offer(text, offered));
        }
        route(&sender, &host, &["--user", WHO, "--password", PASSWORD]);
        submit(&sender, &format!("by-{mechanism}"));
        sent(&sender);
        let story = trace(&sender);
        assert!(story.contains("250 2.0.0"), "{mechanism}: {story}");
        let log = host.printed();
        let came_in = |line: &str| line.contains("logged in") && line.contains(mechanism) && line.contains(WHO);
        assert!(log.lines().any(came_in), "{mechanism}: {log}");
    }
    // A wrong password: mail waits, and it is told what to do. Connections that are open do not ask again.
    host.change(|text, _| offer(text, &["PLAIN"]));
    route(&sender, &host, &["--user", WHO, "--password", "wrong"]);
    submit(&sender, "by-nothing");
    let told = "give the right password with `postroad route add 'far.test'";
    eventually("the refusal is told", || sender.printed().contains(told).then_some(()));
    let inbox = format!("imap://127.0.0.1:{}/INBOX?ALL", host.port(143));
    let login = format!("{TO}:{PASSWORD}");
    let found = run("curl", &["-sS", &inbox, "-u", &login], b"").good();
    assert_eq!(found.trim(), "* SEARCH 1 2 3 4 5 6", "one for each, and none that did not sign in");
}

/// Runs `route login`, which waits while somebody types its code.
fn consent(sender: &Server, issuer: &str) {
    let data = sender.data();
    let words =
        ["route", "login", DOMAIN, "--user", WHO, "--provider", issuer, "--client-id", "relay", "--data", &data];
    let mut login = Command::new(env!("CARGO_BIN_EXE_postroad"))
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut words = lines(login.stderr.take().expect("piped"));
    let told: Vec<String> = words.by_ref().take(1).collect();
    let code = told.first().and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("no code: {told:?}"));
    assert!(told[0].contains(&format!("{issuer}/device")), "{told:?}");
    allow(issuer, WHO, code);
    let rest: Vec<String> = words.collect();
    let ended = output_of(login, "`route login`");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains(&format!("as {WHO} with tokens")), "{said} {rest:?}");
}

#[test]
fn a_route_signs_in_with_tokens_that_somebody_allowed_and_renews_them() {
    Database::ALL.into_iter().for_each(by_tokens);
}

fn by_tokens(database: Database) {
    let sender = sender(database);
    let hasty = Hasty::bind();
    let issuer = hasty.issuer();
    let host = smarthost(database, |text, pages| {
        hasty.serve(pages);
        text.replacen("[oauth]\n", &format!("[oauth]\nissuer = \"{issuer}\"\n"), 1)
    });
    postroad(&host, &["oauth", "client", "add", "A relay", "--id", "relay"]).good();
    route(&sender, &host, &[]);
    consent(&sender, &issuer);
    // Tokens end after a second, and the next is asked for before.
    eventually("a token is renewed", || {
        submit(&sender, "by-token");
        sent(&sender);
        (hasty.renewed() >= 1).then_some(())
    });
    let log = host.printed();
    let came_in = |line: &&str| line.contains("logged in") && line.contains("OAUTHBEARER");
    assert!(log.lines().filter(came_in).count() >= 2, "{log}");
    let routes = postroad(&sender, &["route", "list"]).good();
    assert!(routes.contains(&format!("tokens of {issuer}")), "{routes}");

    // It is taken back: mail waits, and the administrator is told what to do.
    postroad(&host, &["oauth", "client", "remove", "relay"]).good();
    submit(&sender, "cut-off");
    let told = "sign in again with `postroad route login 'far.test'`";
    eventually("the refusal is told", || sender.printed().contains(told).then_some(()));
    let queued = postroad(&sender, &["queue", "list", "--domain", DOMAIN]).good();
    assert!(queued.contains(WHO), "it waits: {queued}");
}
