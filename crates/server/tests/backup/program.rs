//! The program under test, mail for it, and what an account holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use postroad_testkit::{Process, output, postgres};
use serde_json::Value;

pub(crate) const ALICE: &str = "alice@example.test";
pub(crate) const BOB: &str = "bob@example.test";
const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

/// A server on each database.
pub(crate) fn on_each_database(test: impl Fn(Process)) {
    for more in [Vec::new(), vec!["--database".to_owned(), postgres::fresh_database()]] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        test(Process::quickstart(PROGRAM, "correct horse 9", &more));
    }
}

/// What a command said.
pub(crate) struct Ran {
    code: Option<i32>,
    json: Value,
    pub(crate) err: String,
}

impl Ran {
    /// Its answer; panics with what it said when the code is another.
    pub(crate) fn with_code(self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{} {}", self.json, self.err);
        self.json
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command with `--json`.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    let output = output(command(arguments).arg("--json"), b"");
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ran { code: output.status.code(), json, err: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// Starts a command and leaves it running.
pub(crate) fn start(arguments: &[&str]) -> Child {
    command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// An mbox with so many messages, each hundredth large; `seed` makes them differ from others'.
pub(crate) fn mbox(path: &Path, messages: usize, seed: usize) {
    let mut text = String::new();
    for number in 0..messages {
        let lines = if number % 100 == 99 { 4_000 } else { number % 50 };
        text +=
            &format!("From a@example.org Mon Jan  1 00:00:00 2024\nFrom: a@example.org\nSubject: {seed}-{number}\n");
        text += &format!("Message-ID: <{seed}.{number}@example.org>\n\n");
        for line in 0..lines {
            let noise = (number * 31 + line * 17 + seed).wrapping_mul(2_654_435_761);
            text += &format!("{noise:x} {line} a line that says little\n");
        }
        text += "\n";
    }
    fs::write(path, text).expect("a file can be written");
}

/// What an account holds, as an export writes it: by folder and letters the bytes, sorted.
pub(crate) fn mail_of(data: &str, account: &str) -> BTreeMap<(String, String), Vec<Vec<u8>>> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = folder.path().join("out");
    run(&["export", account, root.to_str().expect("plain"), "--data", data]).with_code(0);
    let mut found: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
    for path in files(&root).into_iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("cur"))) {
        let folder = path.strip_prefix(&root).expect("it is below").parent().expect("cur").display().to_string();
        let letters = path.to_string_lossy().rsplit(":2,").next().expect("a Maildir name").to_owned();
        found.entry((folder, letters)).or_default().push(fs::read(&path).expect("it can be read"));
    }
    found.values_mut().for_each(|bytes| bytes.sort());
    found
}

/// All files below a folder; what goes meanwhile is not among them.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}
