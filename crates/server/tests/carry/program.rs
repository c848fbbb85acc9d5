//! The program under test, a tree of mail, and trees compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use postroad_testkit::{Dovecot, Process, output, postgres};
use serde_json::Value;

pub(crate) const ALICE: &str = "alice@example.test";
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

/// A server on each database.
pub(crate) fn on_each_database(test: impl Fn(Process)) {
    for more in [Vec::new(), vec!["--database".to_owned(), postgres::fresh_database()]] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        test(Process::quickstart(PROGRAM, "correct horse 9", &more));
    }
}

/// What a command said.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) json: Value,
    pub(crate) err: String,
}

/// A command on this data; the password of accounts elsewhere is Dovecot's.
pub(crate) fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--data").arg(data).stdin(Stdio::null());
    command.env("POSTROAD_REMOTE_PASSWORD", Dovecot::PASSWORD);
    command
}

/// Runs a command with `--json`.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Ran {
    let output = output(command(data, arguments).arg("--json"), b"");
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ran { status: output.status, json, err: String::from_utf8_lossy(&output.stderr).into_owned() }
}

impl Ran {
    /// Its answer; panics with what it said when the code is another.
    pub(crate) fn with_code(self, code: i32) -> Value {
        assert_eq!(self.status.code(), Some(code), "{} {}", self.json, self.err);
        self.json
    }
}

/// Starts a command and leaves it running.
pub(crate) fn start(data: &Path, arguments: &[&str]) -> Child {
    let mut command = command(data, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Messages of alice.
pub(crate) fn count(data: &Path) -> u64 {
    let listed = run(data, &["mailbox", "list", ALICE]).with_code(0);
    let counted = |row: &Value| row["messages"].as_str().and_then(|text| text.parse::<u64>().ok());
    listed.as_array().expect("a table").iter().filter_map(counted).sum()
}

/// A Maildir with so many messages, with LF and CRLF, flags, keywords and dates.
pub(crate) fn tree(root: &Path, messages: usize) {
    let folders = ["", ".Work", ".Work.2019", ".&ZeVnLIqe-"];
    for folder in folders {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(folder).join(part)).expect("a folder can be made");
        }
        fs::write(root.join(folder).join("dovecot-keywords"), "0 $Label1\n").expect("a file can be written");
    }
    for number in 0..messages {
        let newline = if number % 10 == 3 { "\r\n" } else { "\n" };
        let lines = [
            "From: a@example.org".to_owned(),
            format!("Subject: number {number}"),
            format!("Message-ID: <{number}@example.org>"),
            String::new(),
            "From the first line to the last".to_owned(),
            "b\u{f6}dy ".repeat(number % 400),
            String::new(),
        ];
        let letters = ["", "S", "FS", "RSa"][number % 4];
        let path = root.join(folders[number % folders.len()]).join("cur").join(format!("{number:06}.host:2,{letters}"));
        put(&path, &lines.join(newline), 1_400_000_000 + number as u64);
    }
}

/// A file with this time.
pub(crate) fn put(path: &Path, text: &str, seconds: u64) {
    fs::write(path, text).expect("a file can be written");
    let file = fs::File::options().append(true).open(path).expect("it was just written");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("times can be set");
}

/// Everything in a Maildir: by folder, date and letters the bytes, sorted.
pub(crate) fn contents(root: &Path) -> BTreeMap<(String, SystemTime, String), Vec<Vec<u8>>> {
    let mut found: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .expect("it can be read")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.join("cur").is_dir())
        .collect();
    folders.push(root.to_owned());
    for folder in folders {
        let name = folder.strip_prefix(root).expect("it is below").display().to_string();
        // What has no flag may be in `new`.
        let parts = ["cur", "new"].map(|part| fs::read_dir(folder.join(part)).expect("it can be read"));
        for entry in parts.into_iter().flatten() {
            let path = entry.expect("it can be read").path();
            let letters =
                path.to_string_lossy().split_once(":2,").map_or(String::new(), |(_, letters)| letters.to_owned());
            let date = fs::metadata(&path).expect("it is there").modified().expect("it has a time");
            let bytes = fs::read(&path).expect("it can be read");
            found.entry((name.clone(), date, letters)).or_default().push(bytes);
        }
    }
    found.values_mut().for_each(|bytes| bytes.sort());
    found
}
