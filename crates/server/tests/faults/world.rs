//! The program under test, places it is put into, and messages.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use postroad_testkit::{PortOffset, Process, output};

use crate::client::Client;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");
pub(crate) const PASSWORD: &str = "stormy weather";
pub(crate) const ALICE: &str = "alice@example.test";
pub(crate) const BOB: &str = "bob@example.test";

/// What is waited for comes within this, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What is logged is written before the client is answered; only the pipe lies between.
const LOGGED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A running program.
pub(crate) struct Server {
    pub(crate) process: Process,
    ports: PortOffset,
}

impl Server {
    /// A quickstart on this folder.
    pub(crate) fn quickstart(data: &Path, more: &[&str]) -> Server {
        let ports = PortOffset::find();
        let offset = ports.offset().to_string();
        let data = data.display().to_string();
        let mut arguments = vec!["quickstart", "--data", &data, "--port-offset", &offset, "--password", PASSWORD];
        arguments.extend(more);
        Server { process: Process::start(PROGRAM, &arguments), ports }
    }

    /// The same, of a program for which files can be made unwritable: a limit on their size
    /// ([`Server::largest_file`]) fails its writes, where the signal would end it, and permissions count for it also
    /// when the tests run as root.
    pub(crate) fn that_may_be_denied(data: &Path) -> Server {
        let ports = PortOffset::find();
        let offset = ports.offset().to_string();
        let data = data.display().to_string();
        let arguments =
            ["-c", DENIABLE, PROGRAM, "quickstart", "--data", &data, "--port-offset", &offset, "--password", PASSWORD];
        Server { process: Process::start("/bin/sh", &arguments), ports }
    }

    /// `postroad serve --settings` in this folder for Alice and Bob. `more` are further sections.
    pub(crate) fn serve(folder: &Path, more: impl FnOnce(&PortOffset) -> String) -> Server {
        let ports = PortOffset::find();
        let mut text = format!(
            "data = \"{}\"\nhostname = \"mx.example.test\"\ncleartext-auth = \"loopback\"\n{}",
            folder.join("data").display(),
            more(&ports)
        );
        for (name, port, tls) in
            [("smtp", 25, "starttls"), ("imap", 143, "starttls"), ("imaps", 993, "implicit"), ("pop3", 110, "starttls")]
        {
            text += &listener(name, name.trim_end_matches('s'), ports.address(port), tls);
        }
        let file = folder.join("postroad.toml");
        std::fs::write(&file, text).expect("the folder can be written");
        let file = file.display().to_string();
        run(&["domain", "add", "example.test", "--settings", &file]);
        for address in [ALICE, BOB] {
            run(&["account", "add", address, "--password", PASSWORD, "--settings", &file]);
        }
        Server { process: Process::start(PROGRAM, &["serve", "--settings", &file]), ports }
    }

    /// Where the service with this standard port listens.
    pub(crate) fn at(&self, standard: u16) -> SocketAddr {
        self.ports.address(standard)
    }

    /// Waits until the log has all of these in one line; the rest of it is in the panic.
    pub(crate) fn logged(&self, words: &[&str]) {
        let start = Instant::now();
        loop {
            let printed = self.process.printed();
            if printed.lines().any(|line| words.iter().all(|word| line.contains(word))) {
                return;
            }
            assert!(start.elapsed() < LOGGED_WITHIN, "no log line with {words:?} in:\n{printed}");
            pause();
        }
    }

    /// Waits until `/healthz` answers with this status.
    pub(crate) fn is_told_by_healthz(&self, status: &str) {
        eventually(&format!("{status} of /healthz"), || {
            let mut client = Client::connect(self.at(8080));
            client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            client.hear().contains(status)
        });
    }

    /// The process id.
    pub(crate) fn id(&self) -> String {
        self.process.id().expect("it runs").to_string()
    }

    /// From now on no file can be written behind this many octets.
    pub(crate) fn largest_file(&self, octets: &str) {
        program("prlimit", &["--pid", &self.id(), &format!("--fsize={octets}:")]);
    }
}

const DENIABLE: &str = r#"
trap '' XFSZ
if [ "$(id -u)" = 0 ]; then
    exec setpriv --bounding-set=-dac_override,-dac_read_search,-fowner "$0" "$@"
fi
exec "$0" "$@"
"#;

/// Starts a program that may be denied files where it cannot serve; what it says before it ends.
pub(crate) fn complaint_of_a_start(data: &Path) -> String {
    let mut command = Command::new("/bin/sh");
    let output = output(command.args(["-c", DENIABLE, PROGRAM, "serve", "--data"]).arg(data), b"");
    assert!(!output.status.success(), "it cannot serve from there");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A section of the settings.
pub(crate) fn listener(name: &str, service: &str, address: SocketAddr, tls: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\nservice = \"{service}\"\naddress = \"{address}\"\ntls = \"{tls}\"\n")
}

/// Runs the program under test to its good end; what it printed.
pub(crate) fn run(arguments: &[&str]) -> String {
    program(PROGRAM, arguments)
}

/// Runs a program to its good end; what it printed.
pub(crate) fn program(name: &str, arguments: &[&str]) -> String {
    postroad_testkit::run(name, arguments, b"").good()
}

/// Looks until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        pause();
    }
}

/// The time between two looks.
pub(crate) fn pause() {
    let (_nobody, silence) = channel::<()>();
    let _ = silence.recv_timeout(LOOK);
}

/// A message of about this many octets, in lines that begin with neither a dot nor a tag.
pub(crate) fn message(subject: &str, size: usize) -> String {
    let mut text = format!(
        "From: carol@elsewhere.test\r\nTo: {ALICE}\r\nSubject: {subject}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{subject}@elsewhere.test>\r\n\r\n"
    );
    let mut noise = Noise::new(subject.len() as u64 + 1);
    while text.len() < size {
        text += &noise.line();
    }
    text + "The end.\r\n"
}

/// Octets that look like base64: nothing much to gain by compressing them.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 76 characters and CRLF.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::with_capacity(78);
        for _ in 0..76 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            line.push(char::from(ALPHABET[(self.0 >> 58) as usize]));
        }
        line + "\r\n"
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
