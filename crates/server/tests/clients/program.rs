//! The servers under test and the programs run against them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use postroad_testkit::{Process, postgres};
pub(crate) use postroad_testkit::{Ran, run, run_in};

pub(crate) const PASSWORD: &str = "correct horse 9";
const ACCOUNTS: usize = 60;

/// A running server and accounts that no other test uses.
pub(crate) struct Server {
    process: Mutex<Process>,
    taken: AtomicUsize,
}

impl Server {
    /// A server that no other test uses.
    pub(crate) fn start(more: &[&str]) -> Server {
        let accounts = ACCOUNTS.to_string();
        let mut options = vec!["--accounts", &accounts];
        options.extend(more);
        let process = Process::quickstart(env!("CARGO_BIN_EXE_postroad"), PASSWORD, &options);
        Server { process: Mutex::new(process), taken: AtomicUsize::new(0) }
    }

    /// The same server with more among what it offers: programs that find some of it there try nothing else.
    pub(crate) fn offering(mechanisms: &[&str], more: &[&str]) -> Server {
        Server::changed(more, |text, _| {
            let named: String = mechanisms.iter().map(|name| format!("    \"{name}\",\n")).collect();
            text.replacen("\"EXTERNAL\",\n", &format!("\"EXTERNAL\",\n{named}"), 1)
        })
    }

    /// The same server with other settings, made of those that it had and of its port for pages.
    pub(crate) fn changed(more: &[&str], change: impl FnOnce(&str, u16) -> String) -> Server {
        let server = Server::start(more);
        server.change(change);
        server
    }

    /// Starts it again with other settings.
    pub(crate) fn change(&self, change: impl FnOnce(&str, u16) -> String) {
        let mut process = self.process.lock().expect("nobody else has it");
        let pages = process.address(8080).port();
        assert!(process.stop().success());
        let file = process.data().join("postroad.toml");
        let text = std::fs::read_to_string(&file).expect("quickstart wrote it");
        let changed = change(&text, pages);
        assert_ne!(changed, text, "the setting is there");
        std::fs::write(&file, changed).expect("it can be written");
        process.start_again();
    }

    /// What it printed last.
    pub(crate) fn printed(&self) -> String {
        self.process.lock().expect("no test panics with it").printed()
    }

    /// The address of the next account.
    pub(crate) fn account(&self) -> String {
        let number = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(number <= ACCOUNTS, "the tests use more accounts than were made");
        format!("u{number:04}@example.test")
    }

    /// The port of a service on 127.0.0.1.
    pub(crate) fn port(&self, standard: u16) -> u16 {
        self.process.lock().expect("no test panics with it").address(standard).port()
    }

    /// The lines of its log that warn of something, among the last that it printed. What a trial without a name server,
    /// or the tests' own PostgreSQL, is warned of at its start is not counted, nor that a busy machine was slow.
    pub(crate) fn complaints(&self) -> String {
        let printed = self.process.lock().expect("no test panics with it").printed();
        let worse = printed.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
        let known = ["names cannot be looked up", "PostgreSQL runs with", "a job took longer than its budget"];
        worse.filter(|line| !known.iter().any(|known| line.contains(known))).collect::<Vec<_>>().join("\n")
    }

    /// The data folder.
    pub(crate) fn data(&self) -> String {
        self.process.lock().expect("no test panics with it").data().display().to_string()
    }
}

/// A server on each database, started once for all tests of this binary.
pub(crate) fn servers() -> [&'static Server; 2] {
    static SQLITE: OnceLock<Server> = OnceLock::new();
    static POSTGRES: OnceLock<Server> = OnceLock::new();
    [
        SQLITE.get_or_init(|| Server::start(&[])),
        POSTGRES.get_or_init(|| Server::start(&["--database", &postgres::fresh_database()])),
    ]
}

/// The program under test as a command.
pub(crate) fn postroad(server: &Server, arguments: &[&str]) -> Ran {
    let data = server.data();
    let mut all = arguments.to_vec();
    all.extend(["--data", &data]);
    run(env!("CARGO_BIN_EXE_postroad"), &all, b"")
}

/// A small message.
pub(crate) fn message(from: &str, to: &str, subject: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{subject}.{to}>\r\n\r\nFirst line.\r\n.A line with a dot.\r\n"
    )
}
