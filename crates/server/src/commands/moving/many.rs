//! Many accounts: a line for each in a file, some at a time.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::told::{self, Shown};
use super::{Migrate, one, secret};
use crate::print;

/// `address,url,password-file`
struct Line {
    address: String,
    url: String,
    password: String,
}

pub(super) fn migrate(asked: &Migrate, file: &Path) -> Result<ExitCode> {
    let lines = read(file)?;
    let (next, results) = (Mutex::new(lines.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..asked.at_once {
            scope.spawn(|| {
                loop {
                    let line = next.lock().map_or(None, |mut lines| lines.next());
                    let Some(line) = line else { break };
                    let result = of(asked, line);
                    if let Err(error) = &result {
                        print::complaint(&format!("{}: {error:#}", line.address));
                    }
                    if let Ok(mut results) = results.lock() {
                        results.push((line, result));
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_default();
    let proved = results.iter().filter(|(_, result)| matches!(result, Ok((report, _)) if report.is_proved())).count();
    if asked.moving.output.json {
        let all: Vec<_> = results
            .iter()
            .map(|(line, result)| match result {
                Ok((report, place)) => told::json(&line.address, place, report),
                Err(error) => json!({ "address": line.address, "complete": false, "error": format!("{error:#}") }),
            })
            .collect();
        print::json(&json!(all));
    } else {
        print::line(&format!("{proved} of {} accounts are here with everything, proved by checksums", lines.len()));
    }
    let whole = proved == lines.len() || (asked.dry_run && results.iter().all(|(_, result)| result.is_ok()));
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(super::PARTLY) })
}

fn of(asked: &Migrate, line: &Line) -> Result<(postroad_remote::migrate::Report, postroad_remote::Place)> {
    let password = secret::first_line(Path::new(&line.password))?;
    let mut access = super::access(&line.url, &asked.moving)?;
    access.credential = postroad_remote::Credential::Password(password);
    let mut shown = Shown::new(Some(line.address.clone()), asked.moving.progress_every);
    let report = one(asked, &line.address, &access, &mut shown)?;
    let took = shown.end();
    if !asked.moving.output.json {
        told::text(&line.address, &access.place, &report, took);
    }
    Ok((report, access.place))
}

fn read(file: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        let [address, url, password] = fields.as_slice() else {
            bail!("{} line {}: write address,url,password-file", file.display(), number + 1);
        };
        let [address, url, password] = [address, url, password].map(|field| (*field).to_owned());
        lines.push(Line { address, url, password });
    }
    if lines.is_empty() {
        bail!("{} names no account", file.display());
    }
    Ok(lines)
}
