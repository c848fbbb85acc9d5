//! What a run found: as JSON for programs, as lines for people.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// Times of answers, in microseconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Latency {
    pub(crate) fn of(mut times: Vec<Duration>) -> Latency {
        times.sort_unstable();
        // The nearest rank: the smallest value that so many hundredths do not exceed.
        let rank = |percent: usize| {
            let at = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(at).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        };
        Latency { p50_us: rank(50), p90_us: rank(90), p99_us: rank(99), max_us: rank(100) }
    }
}

/// The generator's own work, to show that it was not what limited the run.
#[derive(Debug, Serialize)]
pub(crate) struct Own {
    /// CPU seconds, user and system, while the load ran.
    pub(crate) cpu_seconds: f64,
    /// The share of one core that this is.
    pub(crate) share_of_a_core: f64,
}

/// Takes the generator's CPU between two moments.
#[derive(Debug)]
pub(crate) struct OwnMeter {
    began: Instant,
    cpu: f64,
}

impl OwnMeter {
    pub(crate) fn start() -> OwnMeter {
        OwnMeter { began: Instant::now(), cpu: own_cpu() }
    }

    pub(crate) fn stop(&self) -> Own {
        let cpu_seconds = own_cpu() - self.cpu;
        Own { cpu_seconds, share_of_a_core: cpu_seconds / self.began.elapsed().as_secs_f64().max(1e-9) }
    }
}

/// CPU seconds of this process; 0 where there is no /proc.
fn own_cpu() -> f64 {
    // proc(5): the fields after the name in brackets begin with the third; 14 and 15 are utime and stime, in
    // hundredths of a second on every Linux of today.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).map_or(0.0, f64::from);
    (ticks(11) + ticks(12)) / 100.0
}

/// One line of JSON, or one `name value` line for each fact.
pub(crate) fn print(report: &impl Serialize, json: bool) -> Result<String> {
    if json {
        return Ok(serde_json::to_string(report)?);
    }
    let mut lines = Vec::new();
    flatten("", &serde_json::to_value(report)?, &mut lines);
    let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<widest$}  {value}")).collect();
    Ok(lines.join("\n"))
}

fn flatten(name: &str, value: &serde_json::Value, lines: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, lines);
            }
        }
        serde_json::Value::Number(number) if number.is_f64() => {
            lines.push((name.into(), format!("{:.3}", number.as_f64().unwrap_or(0.0))));
        }
        serde_json::Value::String(text) => lines.push((name.into(), text.clone())),
        serde_json::Value::Null => {}
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::Array(_) => {
            lines.push((name.into(), value.to_string()));
        }
    }
}

#[allow(clippy::print_stdout, reason = "a command line's output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

#[allow(clippy::print_stderr, reason = "a command line's remarks")]
pub(crate) fn complain(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times = |values: &[u64]| values.iter().map(|&value| Duration::from_micros(value)).collect::<Vec<_>>();
        let check = |values: &[u64], expect: [u64; 4]| {
            let latency = Latency::of(times(values));
            assert_eq!([latency.p50_us, latency.p90_us, latency.p99_us, latency.max_us], expect, "{values:?}");
        };
        check(&[], [0, 0, 0, 0]);
        check(&[7], [7, 7, 7, 7]);
        check(&[3, 1, 2], [2, 3, 3, 3]);
        let hundred: Vec<u64> = (1..=100).collect();
        check(&hundred, [50, 90, 99, 100]);
    }
}
