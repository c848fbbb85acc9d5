//! `suppression`, `limit`, `egress`: from the command line to operations.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::administer::{act, ask, show};
use crate::admin::{Answer, Operation, ShapingOrder};
use crate::cli::{Egress, EgressBy, Limit, Output, Place, Suppression};
use crate::{place, print};

/// Lines that go in one operation.
const LINES_AT_ONCE: usize = 500;
/// A longer line is no address.
const LINE_MAX: usize = 1_600;

pub(super) fn suppression(action: Suppression, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Suppression::List { limit, after } => ShapingOrder::Suppressed { limit, after },
        Suppression::Show { address } => ShapingOrder::SuppressionShow { address },
        Suppression::Add { address, scope, why, days } => ShapingOrder::Suppress { address, scope, why, days },
        Suppression::Remove { address, scope } => ShapingOrder::Unsuppress { address, scope },
        Suppression::Rule { scope: None, .. } => ShapingOrder::Rules,
        Suppression::Rule { scope: Some(scope), failures, apart_hours, days, usual } => {
            ShapingOrder::Rule { scope, failures, apart_hours, days, usual }
        }
        Suppression::Import { file, scope } => return import(&file, &scope, at, output),
        Suppression::Export => return export(at, output),
    };
    act(Operation::Shaping { order }, at, output)
}

/// Part by part, so that no transaction is long.
fn import(file: &std::path::Path, scope: &str, at: &Place, output: Output) -> Result<ExitCode> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let settings = place::settings(at)?;
    let source = file.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && line.len() <= LINE_MAX).collect();
    let (mut taken, mut refused) = (0, Vec::new());
    for part in lines.chunks(LINES_AT_ONCE) {
        let lines = part.iter().map(|line| (*line).to_owned()).collect();
        let order = ShapingOrder::Import { lines, scope: scope.to_owned(), source: source.clone() };
        let answer = ask(Operation::Shaping { order }, &settings)?;
        if answer.is_refused() {
            return Ok(show(&answer, output));
        }
        let Answer::Report { data, .. } = &answer else { return Ok(show(&answer, output)) };
        taken += data["taken"].as_u64().unwrap_or(0);
        refused.extend(
            data["refused"].as_array().into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)),
        );
    }
    let mut words = format!("{taken} addresses are not written to any more\n");
    if !refused.is_empty() {
        words.push_str(&format!("{} lines are no addresses, or such as are never suppressed:\n", refused.len()));
        refused.iter().take(10).for_each(|line| words.push_str(&format!("  {line}\n")));
    }
    let data = serde_json::json!({ "taken": taken, "refused": refused });
    Ok(show(&Answer::Report { text: words, data }, output))
}

fn export(at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let mut after: Option<(String, String)> = None;
    let mut first = true;
    loop {
        let answer =
            ask(Operation::Shaping { order: ShapingOrder::Export { after: after.clone(), first } }, &settings)?;
        let Answer::Report { text, data } = &answer else { return Ok(show(&answer, output)) };
        print::text(text);
        let next = |at: usize| data["next"][at].as_str().map(str::to_owned);
        match (next(0), next(1)) {
            (Some(address), Some(scope)) => after = Some((address, scope)),
            _ => return Ok(ExitCode::SUCCESS),
        }
        first = false;
    }
}

pub(super) fn limit(action: Limit, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Limit::List => ShapingOrder::Limits,
        Limit::Set(set) => ShapingOrder::LimitSet {
            pattern: set.pattern,
            connections: set.connections,
            per_connection: set.messages_per_connection,
            per_minute: set.messages_per_minute,
            recipients: set.recipients,
        },
        Limit::Remove { pattern } => ShapingOrder::LimitRemove { pattern },
    };
    act(Operation::Shaping { order }, at, output)
}

pub(super) fn egress(action: Egress, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Egress::List => ShapingOrder::Egress,
        Egress::Set { address, pool, weight, helo, new } => {
            ShapingOrder::EgressSet { address, pool, weight, helo, new }
        }
        Egress::Remove { address } => ShapingOrder::EgressRemove { address },
        Egress::Choose { by, name, pool } => {
            let by = match by {
                EgressBy::Destination => "destination",
                EgressBy::Sender => "sender",
                EgressBy::Domain => "domain",
            };
            ShapingOrder::EgressChoose { by: by.to_owned(), name, pool: pool.unwrap_or_default() }
        }
    };
    act(Operation::Shaping { order }, at, output)
}
