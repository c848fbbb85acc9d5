//! The table that people read.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::cases::{CASES, Case};
use super::results::{Results, Size};
use super::servers::{MAILDIR, MDBOX, OURS, OURS_POSTGRES};
use crate::bench::results::Spread;
use crate::bench::table::{between, facts, table};

/// Between these lines of benchmarks/README.md stands what the command wrote.
const BEGIN: &str = "<!-- written by cargo xtask bench --only mailbox -->";
const END: &str = "<!-- end of what cargo xtask bench --only mailbox wrote -->";
/// KiB of an idle connection without and with TLS.
const IDLE_MOST: [f64; 2] = [20.0, 40.0];
/// How much slower an active connection may be with idle ones beside it.
const SLOWER_MOST: f64 = 1.2;

pub(super) fn put_into_readme(folder: &Path, text: &str, file: &str) -> Result<()> {
    between(folder, (BEGIN, END), text, file)
}

/// What is said when a case is done.
pub(super) fn line(results: &Results, case: &Case, size: Size) -> String {
    let mut line = format!("{:>9} {:<46}", size.0, case.name);
    for server in &results.servers {
        if let Some(ms) = results.spread(case.name, size, server.name, |one| one.ms) {
            let _ = write!(line, " {} {:.1}", short(server.name), ms.median);
        }
    }
    line
}

fn short(server: &str) -> &str {
    server.rsplit(' ').next().unwrap_or(server)
}

/// All tables, as Markdown that lines up as text too.
pub(super) fn text(results: &Results) -> String {
    let mut text = format!(
        "{} at {}: the median of what a client waits, in ms, in brackets the least; messages of {} octets. The ratio is \
         Dovecot's mdbox to Postroad on SQLite, of the medians; that of CPU counts all processes of a server.\n\n",
        results.date, results.commit, results.message_octets
    );
    text += &facts(&results.machine, &results.floor, &results.servers);
    for size in results.sizes() {
        text += &timings(results, size);
    }
    text += &filled(results);
    text += &idle(results);
    text += &active(results);
    if !results.failures.is_empty() {
        text += "\nWhat failed:\n\n";
        for failure in &results.failures {
            let _ = writeln!(text, "- {}", failure.replace('\n', " "));
        }
    }
    text
}

fn timings(results: &Results, size: Size) -> String {
    let mut rows = Vec::new();
    let there = |name: &&str| results.servers.iter().any(|server| server.name == *name);
    let others: Vec<&str> = [OURS_POSTGRES, MAILDIR].into_iter().filter(there).collect();
    for case in CASES {
        let ms = |server: &str| results.spread(case.name, size, server, |one| one.ms);
        let Some(ours) = ms(OURS) else { continue };
        let cpu = |server: &str| results.spread(case.name, size, server, |one| one.cpu_ms);
        let ratio = ms(MDBOX).map(|theirs| theirs.median / ours.median);
        let cpu_ratio = cpu(MDBOX).zip(cpu(OURS)).map(|(theirs, ours)| theirs.median / ours.median);
        let mut row = vec![case.name.to_string(), shown(ms(MDBOX), case), shown(Some(ours), case)];
        row.push(ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
        row.push(cpu_ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
        row.push(format!("{} x", case.target));
        row.push(judged(ratio, cpu_ratio, case.target).to_string());
        row.extend(others.iter().map(|server| shown(ms(server), case)));
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut head = vec!["", "mdbox", "Postroad", "ratio", "of CPU", "target", ""];
    head.extend(others.iter().map(|name| if *name == MAILDIR { "Maildir" } else { "Postroad, PostgreSQL" }));
    let right: Vec<bool> = (0..head.len()).map(|column| ![0, 6].contains(&column)).collect();
    format!("\n### {} messages\n\n{}", size.0, table(&head, rows, &right))
}

/// What a ratio of time and one of CPU come to: on a machine that does other work the first says little.
fn judged(time: Option<f64>, cpu: Option<f64>, target: f64) -> &'static str {
    match (time.map(|ratio| ratio >= target), cpu.map(|ratio| ratio >= target)) {
        (None, _) => "",
        (Some(true), Some(true) | None) => "met",
        (Some(true), Some(false)) => "in time",
        (Some(false), Some(true)) => "of CPU",
        (Some(false), Some(false) | None) => "not yet",
    }
}

/// `12.5 (11.9)`, and as a rate what is many messages one by one.
fn shown(spread: Option<Spread>, case: &Case) -> String {
    let Some(Spread { median, least, .. }) = spread else { return String::new() };
    match case.messages {
        Some(messages) => {
            format!("{:.0}/s ({:.0})", f64::from(messages) / median * 1e3, f64::from(messages) / least * 1e3)
        }
        None => format!("{} ({})", short_ms(median), short_ms(least)),
    }
}

fn short_ms(ms: f64) -> String {
    match ms {
        _ if ms < 1.0 => format!("{ms:.2}"),
        _ if ms < 100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

fn filled(results: &Results) -> String {
    let rows: Vec<Vec<String>> = results
        .filled
        .iter()
        .map(|one| {
            let rate = f64::from(one.size.0) / one.seconds;
            vec![one.server.to_string(), one.size.0.to_string(), format!("{:.1}", one.seconds), format!("{rate:.0}")]
        })
        .collect();
    let head = ["filled", "messages", "seconds", "messages/s"];
    format!("\n### Filling, by MULTIAPPEND where it is there\n\n{}", table(&head, rows, &[false, true, true, true]))
}

fn idle(results: &Results) -> String {
    if results.idle.is_empty() {
        return String::new();
    }
    let rows = results.idle.iter().map(|one| {
        let most = IDLE_MOST[usize::from(one.tls)];
        let ours = one.server == OURS;
        vec![
            one.server.to_string(),
            if one.tls { "TLS" } else { "plain" }.to_string(),
            one.connections.to_string(),
            format!("{:.1}", one.kib_each),
            if ours { format!("at most {most}") } else { String::new() },
            if !ours {
                ""
            } else if one.kib_each <= most {
                "met"
            } else {
                "not yet"
            }
            .to_string(),
        ]
    });
    let head = ["", "", "connections", "KiB each", "target", ""];
    let right = [false, false, true, true, true, false];
    format!("\n### Idle connections: logged in, INBOX selected, in IDLE\n\n{}", table(&head, rows.collect(), &right))
}

fn active(results: &Results) -> String {
    if results.active.is_empty() {
        return String::new();
    }
    let number =
        |report: &serde_json::Value, pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_f64);
    let rows = results.active.iter().map(|one| {
        let get = |pointer: &str| number(&one.report, pointer).unwrap_or(f64::NAN);
        let (alone, beside) = (get("/alone/latency/p50_us"), get("/beside/latency/p50_us"));
        vec![
            one.server.to_string(),
            format!("{:.0} / {:.0}", get("/connections"), get("/idle")),
            format!("{:.2} / {:.1}", alone / 1e3, get("/alone/latency/p99_us") / 1e3),
            format!("{:.2} / {:.1}", beside / 1e3, get("/beside/latency/p99_us") / 1e3),
            format!("{:.2}", beside / alone),
            format!("{:.0} / {:.0}", one.cpu_us[0], one.cpu_us[1]),
            format!("{:.2}", one.cpu_us[1] / one.cpu_us[0]),
            format!("at most {SLOWER_MOST}"),
            slower(beside / alone, one.cpu_us[1] / one.cpu_us[0]).to_string(),
        ]
    });
    let head = [
        "",
        "active / idle",
        "alone, ms (p50 / p99)",
        "with the idle ones",
        "slower",
        "CPU of an answer, µs",
        "more",
        "target",
        "",
    ];
    let right = [false, true, true, true, true, true, true, true, false];
    format!("\n### Active connections with idle ones beside them\n\n{}", table(&head, rows.collect(), &right))
}

fn slower(waits: f64, cpu: f64) -> &'static str {
    match (waits <= SLOWER_MOST, cpu <= SLOWER_MOST) {
        (true, _) => "met",
        // What else the machine did made them wait.
        (false, true) => "of CPU",
        (false, false) => "not yet",
    }
}
