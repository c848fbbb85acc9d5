//! Sockets that the service manager keeps: a restart refuses nobody.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use postroad_testkit::{ended, lines};

use crate::client::Client;
use crate::world::{ALICE, PASSWORD, PROGRAM, listener, message, run};

/// A program started as systemd starts it, with two sockets and their names.
struct Service(Child);

impl Service {
    fn start(settings: &Path, smtp: &TcpListener, imap: &TcpListener) -> Service {
        let pass = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().expect("one more descriptor")));
        let mut child = Command::new("/bin/sh")
            .args([
                "-c",
                "exec 3<&0 4>&2 </dev/null 2>>\"$2\"; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=smtp:imap
                 exec \"$0\" serve --settings \"$1\"",
            ])
            .args([Path::new(PROGRAM), settings, &settings.with_extension("log")])
            .stdin(pass(smtp))
            .stderr(pass(imap))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let out = child.stdout.take().expect("piped");
        let mut service = Service(child);
        let ready = lines(out).any(|line| line == "ready");
        assert!(ready, "{:?}: {}", ended(&mut service.0, "a server that is not ready"), log(settings));
        service
    }

    fn stop(mut self) {
        crate::world::program("kill", &["-TERM", &self.0.id().to_string()]);
        assert!(ended(&mut self.0, "the server").success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(settings: &Path) -> String {
    std::fs::read_to_string(settings.with_extension("log")).unwrap_or_default()
}

#[test]
fn a_restart_with_sockets_handed_over_refuses_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (smtp, imap) =
        (TcpListener::bind("127.0.0.1:0").expect("a port"), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let (smtp_at, imap_at) = (smtp.local_addr().expect("bound"), imap.local_addr().expect("bound"));
    // The addresses in the settings could not be bound: the names decide.
    let nowhere = "192.0.2.1:25".parse().expect("an address");
    let settings = folder.path().join("postroad.toml");
    let text = format!(
        "data = \"{}\"\ncleartext-auth = \"loopback\"\n{}{}",
        folder.path().join("data").display(),
        listener("smtp", "smtp", nowhere, "starttls"),
        listener("imap", "imap", nowhere, "starttls"),
    );
    std::fs::write(&settings, text).expect("written");
    let file = settings.display().to_string();
    run(&["domain", "add", "example.test", "--settings", &file]);
    run(&["account", "add", ALICE, "--password", PASSWORD, "--settings", &file]);

    let service = Service::start(&settings, &smtp, &imap);
    let mut client = Client::smtp(smtp_at);
    assert!(client.deliver(ALICE, &message("before", 500)).starts_with("250 "));
    let mut reader = Client::inbox(imap_at, ALICE);
    service.stop();
    // Who was there is told, and finds the way back.
    assert!(client.hear().starts_with("421 4.3.2 "));
    assert!(reader.hear().starts_with("* BYE "));

    // Who comes while nothing runs waits.
    let (mut early, mut early_reader) = (Client::connect(smtp_at), Client::connect(imap_at));
    early.say("EHLO client.example.net");
    let service = Service::start(&settings, &smtp, &imap);
    assert!(early.reply().starts_with("220 "));
    assert!(early.reply().starts_with("250 "));
    assert!(early.deliver(ALICE, &message("between", 500)).starts_with("250 "));
    assert!(early_reader.hear().starts_with("* OK "));
    early_reader.imap(&format!("LOGIN {ALICE} \"{PASSWORD}\"")).good();
    early_reader.imap("SELECT INBOX").good();
    assert_eq!(early_reader.subjects(), ["before", "between"]);
    service.stop();
}
