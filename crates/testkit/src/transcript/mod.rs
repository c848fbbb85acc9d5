//! Transcripts: conversations in text files, replayed against sessions.
//!
//! A transcript is read line by line:
//!
//! | line | meaning |
//! |---|---|
//! | `# words` or an empty line | nothing |
//! | `C: text`, `C2: text` | session 1 (or 2) sends the text and CRLF; consecutive lines go in one piece, which is how pipelining is written |
//! | `C!: text` | sends the text with `\r \n \t \0 \\ \xNN` replaced and no CRLF added |
//! | `C<<END` .. `END` | sends the lines between, each with CRLF, without replacing anything |
//! | `C=: name` | sends the bytes of `@block name` |
//! | `S: text`, `S2: text` | session 1 (or 2) answers this line, and no other before it |
//! | `S~: text` | consecutive lines of this kind come in any order |
//! | `S*: text` | skips answers until this one |
//! | `@open 2 words` | opens session 2 with words for the stage; without it a session opens at its first line |
//! | `@closed 2` | session 2 has closed |
//! | `@quiet 2` | session 2 has nothing to say, also after being told of news |
//! | `@interrupt 2 timed-out`, `shutting-down`, `closed` | the loop interrupts session 2 |
//! | `@block name <<END` .. `END` | names a block of lines, each with CRLF |
//! | `@anything words` or with `<<END` .. `END` | a directive for the stage, for example `@deliver alice <<END` |
//!
//! Answer lines match exactly, but for `{*}` (anything), `{name}` (anything but nothing, kept as `name`) and
//! `{=name}` (what `name` kept). Client lines and directives replace `{=name}` too, and `{len=name}` by the
//! bytes in a block or a kept text. A name begins with a small letter, so `{310}` is a literal of IMAP.
//! Bytes of an answer that are no printable UTF-8 are shown as `\xNN`.
//!
//! Every answer must be written down: one left unread when its session sends again, or at the end, is a
//! difference. A difference shows the whole conversation with the line marked; `UPDATE_EXPECT=1` writes what
//! was answered into the file instead.

mod local;
mod pattern;
mod replay;
mod script;
mod tcp;

pub use local::{Local, Stage};
pub use replay::{Outcome, Wire};
pub use tcp::Remote;

use std::net::TcpStream;
use std::path::Path;

use postroad_protocol::Protocol;

/// What `@open` says about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The session's number in the transcript.
    pub session: u32,
    /// The words after the number; empty when the session opens at its first line.
    pub words: Vec<String>,
}

/// A directive for the stage: `@name words`, perhaps with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The word after `@`.
    pub name: String,
    /// The words after it.
    pub words: Vec<String>,
    /// The block's lines, each with CRLF.
    pub block: Option<String>,
}

/// Replays one file in process.
///
/// # Panics
/// When the conversation differs from the file.
pub fn check_file<P: Protocol>(path: impl AsRef<Path>, stage: impl Stage<P>) {
    let path = path.as_ref();
    let outcome = replay::replay(&read(path), &mut Local::new(stage));
    if outcome.problem.is_some()
        && outcome.can_update
        && std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1")
    {
        std::fs::write(path, &outcome.updated).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    expect_same(&path.display().to_string(), &outcome);
}

/// Replays one file over TCP against a running server: see [`Remote::new`]. It is never rewritten: what is
/// right is decided in process.
///
/// # Panics
/// When the conversation differs from the file.
pub fn check_file_tcp(
    path: impl AsRef<Path>,
    connect: impl FnMut(&Open) -> Result<TcpStream, String>,
    directive: impl FnMut(&Directive) -> Result<(), String>,
) {
    let path = path.as_ref();
    let outcome = replay::replay(&read(path), &mut Remote::new(connect, directive));
    expect_same(&path.display().to_string(), &outcome);
}

/// Replays a text in process.
///
/// # Panics
/// When the conversation differs from the text.
pub fn check<P: Protocol>(text: &str, stage: impl Stage<P>) {
    expect_same("the transcript", &replay::replay(text, &mut Local::new(stage)));
}

/// Replays a text in process and gives what happened instead of panicking.
pub fn replay<P: Protocol>(text: &str, stage: impl Stage<P>) -> Outcome {
    replay::replay(text, &mut Local::new(stage))
}

/// Replays a text over TCP against a running server.
///
/// # Panics
/// When the conversation differs from the text.
pub fn check_tcp(text: &str, connect: impl FnMut(&Open) -> Result<TcpStream, String>) {
    let mut remote =
        Remote::new(connect, |directive: &Directive| Err(format!("@{} is not possible over TCP here", directive.name)));
    expect_same("the transcript", &replay::replay(text, &mut remote));
}

/// The transcript files of a folder, sorted by name.
///
/// # Panics
/// When the folder holds none: a test over no files would test nothing.
pub fn files(folder: impl AsRef<Path>, extension: &str) -> Vec<std::path::PathBuf> {
    let folder = folder.as_ref();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .{extension} files in {}", folder.display());
    files
}

/// Checks each transcript file of a folder whose name contains what `TRANSCRIPT` says, all of them without it.
///
/// # Panics
/// With what each of those said that differ.
pub fn each_file(folder: impl AsRef<Path>, extension: &str, mut check: impl FnMut(&Path)) {
    let only = std::env::var("TRANSCRIPT").unwrap_or_default();
    let mut failures = Vec::new();
    for file in files(folder, extension) {
        if !file.file_name().is_some_and(|name| name.to_string_lossy().contains(&only)) {
            continue;
        }
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&file))) {
            failures.push(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| file.display().to_string()));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n\n"));
}

/// Compares text with lines that may have holes, for directives that say what something must look like.
/// The error shows both.
pub fn same_text(expected: &str, found: &str) -> Result<(), String> {
    let (wanted, lines): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let mut kept = pattern::Kept::new();
    let same = wanted.len() == lines.len()
        && wanted.iter().zip(&lines).all(|(wanted, line)| pattern::matches(wanted, line, &mut kept));
    if same {
        return Ok(());
    }
    Err(format!("expected:\n{expected}\nfound:\n{found}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn expect_same(name: &str, outcome: &Outcome) {
    if let Some(problem) = &outcome.problem {
        panic!("{name}: {problem}\n\n{}", outcome.conversation);
    }
}
