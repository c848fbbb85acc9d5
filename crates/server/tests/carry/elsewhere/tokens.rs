//! Signing in elsewhere with tokens: somebody consents once, what is granted is kept sealed and renewed, and later runs, and
//! looks at a place by POP3, sign in with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postroad_testkit::{Process, eventually, run_in};

use super::{OURS, sum};
use crate::program::{ALICE, PROGRAM, count, put, run};

/// Logs in on the pages of a provider and allows the device that shows this address.
fn allow(complete: &str) {
    let jar = tempfile::tempdir().expect("a folder can be made");
    let browse =
        |more: &[&str]| run_in(jar.path(), "curl", &[&["-sSL", "-c", "jar", "-b", "jar"], more].concat(), b"").good();
    let base = complete.split("/device").next().expect("an address");
    let hidden = |page: &str, name: &str| {
        let field = format!("name=\"{name}\" value=\"");
        let at = page.find(&field).unwrap_or_else(|| panic!("no {name} in {page}")) + field.len();
        page[at..].split('"').next().expect("it ends").to_owned()
    };
    let posted = |path: &str, fields: &[(&str, &str)]| {
        let url = format!("{base}{path}");
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let words: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field.as_str()]).collect();
        browse(&[&[url.as_str()], words.as_slice()].concat())
    };
    let page = browse(&[complete]);
    let (ticket, token) = (hidden(&page, "ticket"), hidden(&page, "token"));
    let page = posted("/login", &[("ticket", &ticket), ("token", &token), ("login", ALICE), ("password", OURS)]);
    let (token, code) = (hidden(&page, "token"), hidden(&page, "user_code"));
    let page = posted("/device", &[("token", &token), ("user_code", &code), ("decision", "allow")]);
    assert!(page.contains("<h1>Allowed"), "{page}");
}

/// Runs a command that asks for consent, which is given; its code.
fn consenting(data: &Path, words: &[&str]) -> Option<i32> {
    let mut command = Command::new(PROGRAM);
    command.args(words).arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines.by_ref() {
        said.push(line.clone());
        if let Some(complete) = line.strip_prefix("or open ") {
            allow(complete);
            break;
        }
    }
    said.extend(lines);
    let code = child.wait().expect("it ends").code();
    assert_eq!(code, Some(0), "{said:#?}");
    code
}

/// The provider with tokens that end after a second: everything else is passed on.
struct Hasty {
    port: u16,
    renewed: Arc<AtomicUsize>,
}

impl Hasty {
    fn start(provider: u16) -> Hasty {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let renewed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&renewed);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _ = pass(client, port, provider, &counted);
            }
        });
        Hasty { port, renewed }
    }
}

fn pass(mut client: TcpStream, own: u16, provider: u16, renewed: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
        match name.to_ascii_lowercase().as_str() {
            "host" | "connection" | "accept-encoding" => {}
            _ if line == "\r\n" => break,
            _ => head += &line,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if String::from_utf8_lossy(&body).contains("grant_type=refresh_token") {
        renewed.fetch_add(1, Ordering::SeqCst);
    }
    let mut server = TcpStream::connect(("127.0.0.1", provider))?;
    server.write_all(format!("{head}Host: 127.0.0.1:{provider}\r\nConnection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut body = body.replace("\"expires_in\":3600", "\"expires_in\":1");
    if body.contains("token_endpoint") {
        body = body.replace(&format!("127.0.0.1:{provider}"), &format!("127.0.0.1:{own}"));
    }
    let status = head.lines().next().unwrap_or_default();
    let kind = "Content-Type: application/json\r\nConnection: close";
    client.write_all(format!("{status}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

/// An account with mail at a server that is its own provider.
fn there(messages: u64) -> Process {
    let mut server = Process::quickstart(PROGRAM, OURS, &[]);
    // Its pages in TLS would have a certificate of nobody.
    assert!(server.stop().success());
    let file = server.data().join("postroad.toml");
    let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
    let issuer = format!("issuer = \"http://127.0.0.1:{}\"", server.address(8080).port());
    let text = match text.contains("\n[oauth]\n") {
        true => text.replace("\n[oauth]\n", &format!("\n[oauth]\n{issuer}\n")),
        false => format!("{text}\n[oauth]\n{issuer}\n"),
    };
    std::fs::write(&file, text).expect("it can be written");
    server.start_again();
    run(server.data(), &["oauth", "client", "add", "Another server", "--id", "other"]).with_code(0);
    let mail = tempfile::tempdir().expect("a folder can be made");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir(mail.path().join(part)).expect("a folder can be made");
    }
    for number in 0..messages {
        let text = format!("Subject: m{number}\nMessage-ID: <{number}@there.test>\n\nx\n");
        put(&mail.path().join("cur").join(format!("{number}.test:2,S")), &text, 1_500_000_000 + number);
    }
    run(server.data(), &["import", ALICE, mail.path().to_str().expect("plain")]).with_code(0);
    server
}

#[test]
fn a_run_outlives_its_token_and_the_next_needs_no_consent() {
    let (there, here) = (there(20), Process::quickstart(PROGRAM, OURS, &[]));
    let hasty = Hasty::start(there.address(8080).port());
    let issuer = format!("http://127.0.0.1:{}", hasty.port);
    let from = format!("imap+insecure://{ALICE}@127.0.0.1:{}", there.address(143).port());
    consenting(here.data(), &["migrate", ALICE, "--from", &from, "--oauth", &issuer, "--client-id", "other"]);
    assert_eq!(count(here.data()), 20);
    // Without a word about tokens, again and again, each connection with one that is good then.
    eventually("a token is renewed", || {
        let report = bare(here.data(), &["migrate", ALICE, "--from", &from]);
        assert_eq!((&report["proved"], sum(&report, "taken")), (&true.into(), 0), "{report:#}");
        (hasty.renewed.load(Ordering::SeqCst) >= 2).then_some(())
    });
    // Who has no grant is asked for a password: there is none on standard input.
    let stranger = from.replace("alice@", "bob@");
    let mut command = Command::new(PROGRAM);
    command.args(["migrate", ALICE, "--from", &stranger, "--data"]).arg(here.data()).stdin(Stdio::null());
    let said = command.output().expect("the program starts");
    assert!(String::from_utf8_lossy(&said.stderr).contains("no password"), "{said:?}");
    // Cut off there: it says so, and that somebody has to sign in again.
    let sessions = run(there.data(), &["account", "sessions", ALICE]).with_code(0);
    let rows = sessions.as_array().expect("a table");
    let program = rows.iter().find(|row| row.to_string().contains("Another server")).expect("it is there");
    let id = program["id"].as_str().expect("a number").to_owned();
    run(there.data(), &["account", "cut-off", ALICE, &id]).with_code(0);
    eventually("the provider says no", || {
        let report = bare(here.data(), &["migrate", ALICE, "--from", &from, "--tries", "0"]);
        report["error"].as_str().filter(|why| why.contains("sign in") || why.contains("let ")).map(|_| ())
    });
}

/// Runs a command that is told no password.
fn bare(data: &Path, words: &[&str]) -> serde_json::Value {
    let mut command = Command::new(PROGRAM);
    let output = command.args(words).args(["--json", "--data"]).arg(data).stdin(Stdio::null()).output();
    serde_json::from_slice(&output.expect("the program starts").stdout).unwrap_or_default()
}

#[test]
fn mail_is_collected_by_pop3_with_a_token() {
    let (there, here) = (there(30), Process::quickstart(PROGRAM, OURS, &[]));
    let issuer = format!("http://127.0.0.1:{}", there.address(8080).port());
    let from = format!("pop3+insecure://{ALICE}@127.0.0.1:{}", there.address(110).port());
    consenting(
        here.data(),
        &["collect", "add", ALICE, "--from", &from, "--oauth", &issuer, "--client-id", "other", "--delete-after", "0"],
    );
    eventually("the mail is here", || (count(here.data()) == 30).then_some(()));
    eventually("it is gone there", || (count(there.data()) == 0).then_some(()));
    let listed = run(here.data(), &["collect", "list", ALICE]).with_code(0).to_string();
    assert!(listed.contains("good") || listed.contains("removed at once"), "{listed}");
}
