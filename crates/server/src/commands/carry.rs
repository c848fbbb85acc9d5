//! `import` and `export`: files are read and written here, with the rights of whoever runs the command; the mail goes
//! through the running server when there is one, else straight to the store.

use std::io::{IsTerminal, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postroad_archive::source::{Format, Problem, Quoting, Reading, Source};
use postroad_archive::{export, import};
use postroad_message::date::Date;
use postroad_store::Timestamp;
use serde_json::json;

use crate::admin::socket;
use crate::admin::stream::{self, Stream};
use crate::cli::{Export, ExportFormat, ExportNewline, Import, ImportFormat, MboxQuoting, Place};
use crate::{place, print};

/// Some of it was not carried.
const PARTLY: u8 = 3;

pub(super) fn import(asked: &Import) -> Result<ExitCode> {
    let source = source(asked)?;
    let (report, result, took) = send(asked, &source, false)?;
    show_import(asked, &source, &report, &result, took, None);
    Ok(code(result.is_ok(), report.problem_count == 0))
}

/// The same, and then everything is read again on both sides and compared.
pub(super) fn import_and_prove(asked: &Import) -> Result<ExitCode> {
    let source = source(asked)?;
    let (report, result, took) = send(asked, &source, false)?;
    if result.is_err() || asked.dry_run {
        show_import(asked, &source, &report, &result, took, None);
        return Ok(code(result.is_ok(), report.problem_count == 0));
    }
    let (proof, proved, _) = send(asked, &source, true)?;
    show_import(asked, &source, &report, &proved, took, Some(&proof));
    Ok(code(proved.is_ok(), proof.is_proved()))
}

fn source(asked: &Import) -> Result<Source> {
    let format = match asked.format {
        ImportFormat::Auto => None,
        ImportFormat::Maildir => Some(Format::Maildir),
        ImportFormat::Mbox => Some(Format::Mbox),
        ImportFormat::Eml => Some(Format::Eml),
    };
    let quoting = match asked.quoting {
        MboxQuoting::Rd => Quoting::Rd,
        MboxQuoting::O => Quoting::O,
        MboxQuoting::None => Quoting::None,
    };
    Ok(Source::find(&asked.path, Reading { format, quoting })?)
}

/// What came of it, and how long it took.
type Sent = (import::Report, postroad_archive::Result<()>, Duration);

/// Takes what the source has, or compares it with what was taken.
fn send(asked: &Import, source: &Source, prove: bool) -> Result<Sent> {
    let options = import::Options {
        into: asked.into.clone(),
        keep_names: asked.keep_names,
        ignore_quota: asked.ignore_quota,
        again: asked.again,
        dry_run: asked.dry_run,
        prove,
    };
    let what = match (prove, asked.dry_run) {
        (true, _) => "messages compared",
        (false, true) => "messages found",
        (false, false) => "messages",
    };
    let line = Connection::open(&asked.place, Stream::Import { address: asked.address.clone(), options })?;
    let mut progress = Progress::new(source.work());
    let (report, result) = import::send(source, &line.stream, &line.stream, || line.shut(), &mut |report| {
        let seen = report.taken + report.known + report.equal + report.removed;
        progress.show(seen, report.worked, what);
    });
    let took = progress.end();
    line.close();
    Ok((report, result, took))
}

fn show_import(
    asked: &Import,
    source: &Source,
    report: &import::Report,
    result: &postroad_archive::Result<()>,
    took: Duration,
    proof: Option<&import::Report>,
) {
    if asked.output.json {
        let mut json = imported_json(report, result, asked);
        if let (Some(proof), Some(map)) = (proof, json.as_object_mut()) {
            map.insert("proved".into(), json!(result.is_ok() && proof.is_proved()));
            map.insert("there".into(), json!(proof.there));
            map.insert("equal".into(), json!(proof.equal));
            map.insert("removed".into(), json!(proof.removed));
            map.insert("differences".into(), json!(problems_json(&proof.problems)));
        }
        return print::json(&json);
    }
    print::text(&imported_text(report, asked, source.format, took));
    complain(&report.problems, report.problem_count, result);
    match proof {
        Some(proof) if result.is_ok() && proof.is_proved() => {
            let removed = match proof.removed {
                0 => String::new(),
                removed => format!("; {} were removed by their owner since", counted(removed)),
            };
            print::line(&format!(
                "PROVED: {} messages arrived, each equal by BLAKE3 over its octets{removed}",
                counted(proof.equal)
            ));
        }
        Some(proof) => {
            complain(&proof.problems, proof.problem_count, &Ok(()));
            print::complaint("NOT PROVED: what is missing or different is named above");
        }
        None => {}
    }
}

pub(super) fn export(asked: &Export) -> Result<ExitCode> {
    let since = asked.since.as_deref().map(|text| since(text, Timestamp::now())).transpose()?;
    let options = export::Options { mailboxes: asked.mailbox.clone(), since: since.map(|time| time.0) };
    let format = match asked.format {
        ExportFormat::Maildir => Format::Maildir,
        ExportFormat::Mbox => Format::Mbox,
    };
    let newline = match asked.newline {
        ExportNewline::Kept => export::Newline::Kept,
        ExportNewline::Lf => export::Newline::Lf,
        ExportNewline::Crlf => export::Newline::Crlf,
    };
    let line = Connection::open(&asked.place, Stream::Export { address: asked.address.clone(), options })?;
    let mut progress = Progress::new(0);
    let (report, result) = export::write(&asked.path, format, newline, &line.stream, &line.stream, &mut |report| {
        let seen = report.written + report.known;
        progress.expect(report.coming.unwrap_or(0));
        progress.show(seen, seen, "messages");
    });
    let took = progress.end();
    line.close();
    if asked.output.json {
        print::json(&exported_json(&report, &result, asked));
    } else {
        let rate = rate(report.written, took);
        let Export { address, path, .. } = asked;
        print::line(&format!(
            "{} messages ({}) of {address} written to {}, {} were there already{rate}",
            counted(report.written),
            size(report.bytes),
            path.display(),
            counted(report.known)
        ));
        complain(&report.problems, report.problems.len() as u64, &result);
    }
    Ok(code(result.is_ok(), report.problems.is_empty()))
}

/// The way to the store: the running server's socket, or a thread of this process.
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Connection {
    pub(super) fn open(at: &Place, request: Stream) -> Result<Connection> {
        let settings = place::settings(at)?;
        if let Some(stream) = socket::open(&settings.data, &request)? {
            return Ok(Connection { stream, thread: None });
        }
        // No server may start on this folder meanwhile: on SQLite both would be the only writer.
        let lock = place::lock(&settings.data).context("no server answers in its data folder, and it is in use")?;
        let store = place::open_store(&settings)?;
        let begun = match stream::begin(&store, request) {
            Ok(begun) => begun,
            Err(why) => bail!(why),
        };
        let (stream, theirs) = UnixStream::pair()?;
        let thread = std::thread::spawn(move || {
            stream::perform(&store, &begun, Timestamp::now(), &theirs);
            store.close();
            drop(lock);
        });
        Ok(Connection { stream, thread: Some(thread) })
    }

    fn shut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Waits until the store is closed.
    pub(super) fn close(self) {
        self.shut();
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

/// A line on standard error that says how far it is: rewritten in place on a terminal, else now and then a new one.
pub(super) struct Progress {
    work: u64,
    begun: Instant,
    shown: Instant,
    terminal: bool,
    drawn: bool,
}

impl Progress {
    pub(super) fn new(work: u64) -> Progress {
        let now = Instant::now();
        Progress { work, begun: now, shown: now, terminal: std::io::stderr().is_terminal(), drawn: false }
    }

    /// What was not known at first: how much work it is.
    fn expect(&mut self, work: u64) {
        self.work = work;
    }

    pub(super) fn show(&mut self, messages: u64, worked: u64, what: &str) {
        let every = if self.terminal { EVERY_ON_TERMINAL } else { EVERY };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let took = self.begun.elapsed();
        let mut text = format!("{} {what}{}", counted(messages), rate(messages, took));
        if worked > 0 && self.work >= worked {
            let left = took.mul_f64((self.work - worked) as f64 / worked as f64);
            let percent = worked.saturating_mul(100) / self.work.max(1);
            text += &format!(", {percent} %, {}:{:02} left", left.as_secs() / 60, left.as_secs() % 60);
        }
        if self.terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
            self.drawn = true;
        } else {
            print::complaint(&text);
        }
    }

    /// How long it took.
    pub(super) fn end(self) -> Duration {
        if self.drawn {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
        self.begun.elapsed()
    }
}

fn imported_text(report: &import::Report, asked: &Import, format: Format, took: Duration) -> String {
    let mut text = String::new();
    for (folder, mailbox, new) in &report.folders {
        if folder != mailbox || asked.dry_run {
            let made = if *new { " (new)" } else { "" };
            text += &format!("{} goes to {mailbox}{made}\n", folder.escape_debug());
        }
    }
    for (count, why) in [
        (report.deleted, "left out: marked as deleted in the files, and only not yet removed from them"),
        (report.internal, "left out: a program's own data, no messages"),
    ] {
        if count > 0 {
            text += &format!("{} {why}\n", counted(count));
        }
    }
    let verb = if asked.dry_run { "would be taken" } else { "taken" };
    text += &format!(
        "{} messages ({}) {verb} from {} {} into {}, {} were there already{}\n",
        counted(report.taken),
        size(report.bytes),
        format.name(),
        asked.path.display(),
        asked.address,
        counted(report.known),
        rate(report.taken, took)
    );
    text
}

fn imported_json(report: &import::Report, result: &postroad_archive::Result<()>, asked: &Import) -> serde_json::Value {
    let folders: Vec<_> = report
        .folders
        .iter()
        .map(|(folder, mailbox, new)| json!({ "folder": folder, "mailbox": mailbox, "new": new }))
        .collect();
    json!({
        "address": asked.address,
        "dry-run": asked.dry_run,
        "complete": result.is_ok(),
        "error": result.as_ref().err().map(ToString::to_string),
        "messages": report.taken,
        "bytes": report.bytes,
        "there-already": report.known,
        "left-out-deleted": report.deleted,
        "left-out-internal": report.internal,
        "folders": folders,
        "problem-count": report.problem_count,
        "problems": problems_json(&report.problems),
    })
}

fn exported_json(report: &export::Report, result: &postroad_archive::Result<()>, asked: &Export) -> serde_json::Value {
    let folders: Vec<_> =
        report.folders.iter().map(|(mailbox, place)| json!({ "mailbox": mailbox, "place": place })).collect();
    json!({
        "address": asked.address,
        "complete": result.is_ok(),
        "error": result.as_ref().err().map(ToString::to_string),
        "messages": report.written,
        "bytes": report.bytes,
        "there-already": report.known,
        "folders": folders,
        "problem-count": report.problems.len(),
        "problems": problems_json(&report.problems),
    })
}

fn problems_json(problems: &[Problem]) -> Vec<serde_json::Value> {
    problems.iter().map(|problem| json!({ "what": problem.label, "why": problem.why })).collect()
}

/// What went wrong, on standard error.
fn complain(problems: &[Problem], count: u64, result: &postroad_archive::Result<()>) {
    if count > 0 {
        print::complaint(&format!("{} problems:", counted(count)));
        for problem in problems.iter().take(PROBLEMS_SHOWN) {
            print::complaint(&format!("  {}: {}", problem.label, problem.why));
        }
        if count > PROBLEMS_SHOWN as u64 {
            print::complaint("  and more; --json names them");
        }
    }
    if let Err(error) = result {
        print::complaint(&format!("error: {error}"));
    }
}

fn code(whole: bool, clean: bool) -> ExitCode {
    match (whole, clean) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(PARTLY),
        (false, _) => ExitCode::FAILURE,
    }
}

/// `7d`, or `2026-11-22` in UTC.
fn since(text: &str, now: Timestamp) -> Result<Timestamp> {
    let parts: Vec<&str> = text.split('-').collect();
    if let [year, month, day] = parts.as_slice() {
        let date = match (year.parse(), month.parse(), day.parse()) {
            (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day),
            _ => None,
        };
        let date = date.with_context(|| format!("{text} is no day; write 2026-11-22"))?;
        return Ok(Timestamp(date.start_micros()));
    }
    let seconds = i64::try_from(super::administer::age(text)?).unwrap_or(i64::MAX);
    Ok(Timestamp(now.0.saturating_sub(seconds.saturating_mul(1_000_000))))
}

/// `12,345`
pub(super) fn counted(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} KB", bytes / 1_000),
        10_000_000.. => format!("{} MB", counted(bytes / 1_000_000)),
    }
}

/// `, 2,345/s`; nothing for what was over at once.
pub(super) fn rate(messages: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if messages == 0 || seconds < 0.5 {
        return String::new();
    }
    format!(", {}/s", counted((messages as f64 / seconds) as u64))
}

const PROBLEMS_SHOWN: usize = 50;
const EVERY_ON_TERMINAL: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(counted), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([17, 20_000, 12_345_678].map(size), ["17 bytes", "20 KB", "12 MB"]);
        assert_eq!(rate(5_000, Duration::from_secs(2)), ", 2,500/s");
        let now = Timestamp(1_795_338_907_000_000);
        assert_eq!(since("1h", now).ok(), Some(Timestamp(1_795_335_307_000_000)));
        assert_eq!(since("1970-01-02", now).ok(), Some(Timestamp(86_400_000_000)));
        assert!(since("2026-13-01", now).is_err() && since("soon", now).is_err());
    }
}
