//! The table that people read, from the raw results.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::cases::{Case, Measured, kilobytes};
use super::machine::Machine;
use super::results::{Results, Server, Spread};
use super::{ours, theirs};

/// Between these lines of benchmarks/README.md stands what the command wrote.
const BEGIN: &str = "<!-- written by cargo xtask bench -->";
const END: &str = "<!-- end of what cargo xtask bench wrote -->";
/// The case on which the targets are set.
const TARGET_CONNECTIONS: usize = 20;
const TARGET_SIZE: usize = 10_000;
/// CPU that the verification of an ordinary message may take.
const VERIFICATION_MS: f64 = 1.0;

/// All tables, as Markdown that lines up as text too.
pub(super) fn text(results: &Results) -> String {
    let parts = [
        head(results),
        targets(results),
        deliveries(results),
        costs(results),
        verification(results),
        readings(results),
        idle(results),
    ];
    let mut text = parts.into_iter().collect::<String>();
    if !results.failures.is_empty() {
        text += "\nWhat failed:\n\n";
        for failure in &results.failures {
            let _ = writeln!(text, "- {}", failure.replace('\n', " "));
        }
    }
    text
}

/// Puts the text into the README, between its two marks.
pub(super) fn put_into_readme(folder: &Path, text: &str, file: &str) -> Result<()> {
    between(folder, (BEGIN, END), text, file)
}

/// Puts a text between two marks of the README.
pub(super) fn between(folder: &Path, (begin, end): (&str, &str), text: &str, file: &str) -> Result<()> {
    let path = folder.join("README.md");
    let old = std::fs::read_to_string(&path).unwrap_or_else(|_| format!("# Benchmarks\n\n{begin}\n{end}\n"));
    let (before, rest) = old.split_once(begin).with_context(|| format!("benchmarks/README.md has no line {begin}"))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("benchmarks/README.md has no line {end}"))?;
    let new = format!("{before}{begin}\n\n{text}\nRaw: [{file}]({file})\n\n{end}{after}");
    std::fs::write(&path, new)?;
    Ok(())
}

fn head(results: &Results) -> String {
    let text = format!(
        "{} at {}: the median of {} round(s), in each both servers in turn for {} s per case; in brackets the least and \
         the most.\n\n",
        results.date, results.commit, results.rounds, results.seconds_per_case
    );
    text + &facts(&results.machine, &results.floor, &results.servers)
}

/// The machine and the servers.
pub(super) fn facts(machine: &Machine, floor: &serde_json::Value, servers: &[Server]) -> String {
    let floor = |pointer: &str| floor.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    let facts = [
        ("machine", format!("{} cores, {}, {:.0} GiB", machine.cores, machine.processor, machine.memory_gib)),
        ("system", format!("{}, Linux {}", machine.system, machine.kernel)),
        ("file system", machine.file_system.clone()),
        ("load before", machine.load_average.clone()),
        (
            "its floor",
            format!(
                "4 KB append + fdatasync {:.0} µs (p99 {:.0}), loopback TCP round trip {:.0} µs (p99 {:.0})",
                floor("/append_and_fdatasync/p50_us"),
                floor("/append_and_fdatasync/p99_us"),
                floor("/loopback_round_trip/p50_us"),
                floor("/loopback_round_trip/p99_us"),
            ),
        ),
    ];
    let rows = facts.into_iter().map(|(name, fact)| vec![name.to_string(), fact]).collect();
    let mut text = table(&["", "this run"], rows, &[false, false]);
    for server in servers {
        let _ =
            write!(text, "\n{}: {}; counted by {}.\n\n", server.name, server.versions.join(", "), server.counted_by);
        for setting in &server.settings {
            let _ = writeln!(text, "- {setting}");
        }
    }
    text
}

/// The first targets, as ratios in this run.
fn targets(results: &Results) -> String {
    let case = Case::Deliver { connections: TARGET_CONNECTIONS, size: TARGET_SIZE };
    let idle = results.cases().into_iter().find(|case| matches!(case, Case::Idle { .. }));
    let mut rows = Vec::new();
    let mut row = |name: &str, target: &str, ratio: Option<f64>, met: fn(f64) -> bool| {
        let Some(ratio) = ratio else { return };
        let verdict = if met(ratio) { "met" } else { "not met" };
        rows.push(vec![name.to_string(), target.to_string(), format!("{} times", number(ratio)), verdict.to_string()]);
    };
    row("visible messages/s, 20 connections, 10 KB", "at least 5 times", ratio(results, &case, visible), |ratio| {
        ratio >= 5.0
    });
    row("CPU per message, 20 connections, 10 KB", "at most 0.2 times", ratio(results, &case, cpu), |ratio| {
        ratio <= 0.2
    });
    if let Some(idle) = idle {
        let ratio = ratio(results, &idle, Measured::per_connection);
        row("memory per idle IMAP connection", "at most 0.1 times", ratio, |ratio| ratio <= 0.1);
    }
    if rows.is_empty() {
        return String::new();
    }
    let title = format!("\n### Targets: {} as multiples of {}\n\n", ours::NAME, theirs::NAME);
    title + &table(&["", "target", "this run", ""], rows, &[false, false, true, false])
}

fn deliveries(results: &Results) -> String {
    let mut rows = Vec::new();
    for case in results.cases() {
        let Case::Deliver { connections, size } = case else { continue };
        let mut row = vec![connections.to_string(), kilobytes(size)];
        for server in [theirs::NAME, ours::NAME] {
            row.push(shown(results.spread(&case, server, visible), 1.0));
            row.push(median(results.spread(&case, server, |one| one.found("/accepted_per_second")), 1.0));
        }
        row.push(times(ratio(results, &case, visible)));
        for server in [theirs::NAME, ours::NAME] {
            let percentile = |pointer| median(results.spread(&case, server, |one| one.found(pointer)), 1e3);
            row.push(format!("{} / {}", percentile("/answer_to_data/p50_us"), percentile("/answer_to_data/p99_us")));
        }
        let share = results.measured.iter().filter(|one| one.case == case);
        let share = share.filter_map(|one| one.found("/generator/share_of_a_core")).fold(0.0, f64::max);
        row.push(format!("{:.0} %", share * 100.0));
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads = [
        "connections",
        "size",
        "P+D visible/s",
        "accepted/s",
        "Postroad visible/s",
        "accepted/s",
        "ratio",
        "P+D 250 after, ms (p50 / p99)",
        "Postroad 250 after",
        "generator",
    ];
    let right = [true; 10];
    format!(
        "\n### Mail in: SMTP until an IMAP session sees it\n\n{}\nP+D is {}. The ratio is of visible messages. The \
         last column is the most of one core that the generator used.\n",
        table(&heads, rows, &right),
        theirs::NAME
    )
}

fn costs(results: &Results) -> String {
    let mut rows = Vec::new();
    for case in results.cases() {
        let Case::Deliver { connections, size } = case else { continue };
        let mut row = vec![connections.to_string(), kilobytes(size)];
        let octets = size as f64;
        let figures: [(Figure, f64); 4] = [
            (cpu, 1.0),
            (|one| Some(one.used?.written_bytes / one.messages()?), octets),
            (|one| Some(one.used?.disk_written_bytes? / one.messages()?), octets),
            (|one| Some(one.used?.disk_flushes? / one.messages()?), 1.0),
        ];
        for (figure, unit) in figures {
            for server in [theirs::NAME, ours::NAME] {
                row.push(median(results.spread(&case, server, figure), unit));
            }
        }
        row.push(times(ratio(results, &case, cpu)));
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads = [
        "connections",
        "size",
        "P+D CPU s per 1,000",
        "Postroad CPU s",
        "P+D written",
        "Postroad written",
        "P+D disk",
        "Postroad disk",
        "P+D flushes",
        "Postroad flushes",
        "CPU ratio",
    ];
    format!(
        "\n### What a message costs\n\n{}\nWritten: octets that the server's processes had written, per octet of mail. \
         Disk and flushes: what the whole disk wrote per octet of mail, and its cache flushes per message, the file \
         system's journal and other programs included.\n",
        table(&heads, rows, &[true; 11])
    )
}

/// CPU seconds for a thousand messages are milliseconds for one.
fn verification(results: &Results) -> String {
    let of = |checked| results.spread(&Case::Verify { checked }, ours::NAME, cpu);
    let (Some(on), Some(off)) = (of(true), of(false)) else { return String::new() };
    let more = on.median - off.median;
    let verdict = if more < VERIFICATION_MS { "met" } else { "not met" };
    let rows = vec![vec![
        shown(Some(off), 1.0),
        shown(Some(on), 1.0),
        number(more),
        format!("less than {VERIFICATION_MS}"),
        verdict.to_string(),
    ]];
    format!(
        "\n### What verification costs\n\n{}\nCPU in ms per message of 10 KB with one RSA-2048 signature: taken as it is, and with \
         iprev, SPF of both names, DKIM and DMARC, the DNS in the cache.\n",
        table(&["off", "on", "more", "target", ""], rows, &[true, true, true, false, false])
    )
}

fn readings(results: &Results) -> String {
    let mut rows = Vec::new();
    for case in results.cases() {
        let (name, connections) = match &case {
            Case::Fetch { connections } => ("IMAP FETCH of all", connections),
            Case::Retr { connections } => ("POP3 RETR of all", connections),
            Case::Deliver { .. } | Case::Idle { .. } | Case::Verify { .. } => continue,
        };
        let mut row = vec![name.to_string(), connections.to_string()];
        let rate = |one: &Measured| one.found("/messages_per_second");
        for server in [theirs::NAME, ours::NAME] {
            row.push(shown(results.spread(&case, server, rate), 1.0));
            row.push(median(results.spread(&case, server, cpu), 1.0));
        }
        row.push(times(ratio(results, &case, rate)));
        row.push(times(ratio(results, &case, cpu)));
        let share = results.measured.iter().filter(|one| one.case == case);
        let share = share.filter_map(|one| one.found("/generator/share_of_a_core")).fold(0.0, f64::max);
        row.push(format!("{:.0} %", share * 100.0));
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads = [
        "",
        "connections",
        "P+D messages/s",
        "CPU s per 1,000",
        "Postroad messages/s",
        "CPU s per 1,000",
        "ratio",
        "CPU ratio",
        "generator",
    ];
    let right = [false, true, true, true, true, true, true, true, true];
    format!("\n### Reading messages of 10 KB\n\n{}", table(&heads, rows, &right))
}

fn idle(results: &Results) -> String {
    let mut rows = Vec::new();
    for case in results.cases() {
        let Case::Idle { connections } = case else { continue };
        for server in [theirs::NAME, ours::NAME] {
            let spread = |figure: fn(&Measured) -> Option<f64>| results.spread(&case, server, figure);
            rows.push(vec![
                server.to_string(),
                connections.to_string(),
                shown(spread(Measured::per_connection), 1024.0),
                median(spread(|one| Some(one.memory?.before_bytes)), 1024.0 * 1024.0),
                median(spread(|one| Some(one.memory?.with_bytes)), 1024.0 * 1024.0),
                spread(|one| Some(one.memory?.processes_with as f64))
                    .map_or("-".into(), |all| format!("{:.0}", all.median)),
                median(spread(|one| one.found("/seconds_to_open")), 1.0),
            ]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let heads =
        ["", "connections", "KiB per connection", "MiB before", "MiB with them", "processes", "seconds to open"];
    format!(
        "\n### Idle IMAP connections: logged in, INBOX selected, in IDLE\n\n{}\nMemory is the proportional set size of all \
         processes of a server that was just started and has a hundred connections already; what the kernel holds for processes and sockets is not in it.\n",
        table(&heads, rows, &[false, true, true, true, true, true, true])
    )
}

/// A number that is taken from one measurement.
type Figure = fn(&Measured) -> Option<f64>;

fn visible(one: &Measured) -> Option<f64> {
    one.found("/visible_per_second")
}

/// CPU seconds for a thousand messages.
fn cpu(one: &Measured) -> Option<f64> {
    Some(one.used?.cpu_seconds / one.messages()? * 1e3)
}

/// Ours as a multiple of theirs, of medians.
fn ratio(results: &Results, case: &Case, figure: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
    let theirs = results.spread(case, theirs::NAME, &figure)?.median;
    let ours = results.spread(case, ours::NAME, &figure)?.median;
    Some(ours / theirs)
}

fn shown(spread: Option<Spread>, unit: f64) -> String {
    match spread {
        None => "-".into(),
        Some(Spread { median, least, most }) if least == most => number(median / unit),
        Some(Spread { median, least, most }) => {
            format!("{} ({} - {})", number(median / unit), number(least / unit), number(most / unit))
        }
    }
}

fn median(spread: Option<Spread>, unit: f64) -> String {
    spread.map_or_else(|| "-".into(), |spread| number(spread.median / unit))
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".into(), number)
}

/// Three digits that mean something, and thousands apart.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 3,
    };
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_once('.').map_or((plain.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    let figures = whole.trim_start_matches('-');
    for (index, figure) in figures.chars().enumerate() {
        if index > 0 && (figures.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(figure);
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    rest.map_or_else(|| format!("{sign}{grouped}"), |rest| format!("{sign}{grouped}.{rest}"))
}

/// A Markdown table whose cells are padded to one width; `right` says which columns are aligned to the right.
pub(super) fn table(heads: &[&str], rows: Vec<Vec<String>>, right: &[bool]) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count().max(3)).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<String>| {
        let cells = cells.iter().zip(&widths).zip(right).map(|((cell, &width), &right)| {
            let gap = " ".repeat(width - cell.chars().count().min(width));
            if right { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rules = widths
        .iter()
        .zip(right)
        .map(|(&width, &right)| if right { format!("{}:", "-".repeat(width - 1)) } else { "-".repeat(width) });
    let mut text = line(heads.iter().map(|head| (*head).to_string()).collect());
    text += &line(rules.collect());
    rows.into_iter().for_each(|row| text += &line(row));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (value, expect) in [
            (1_234_567.0, "1,234,567"),
            (999.6, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.0, "0.00"),
            (0.0123, "0.012"),
            (-1500.0, "-1,500"),
        ] {
            assert_eq!(number(value), expect, "{value}");
        }
    }

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["µs".into(), "7".into()], vec!["wider".into(), "1,000".into()]];
        let text = table(&["", "n"], rows, &[false, true]);
        let expect = "\
|       |     n |
| ----- | ----: |
| µs    |     7 |
| wider | 1,000 |
";
        assert_eq!(text, expect);
    }
}
