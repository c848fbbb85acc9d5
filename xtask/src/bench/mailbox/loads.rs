//! Many connections: the memory of idle ones, and active ones with ten thousand idle ones beside them.

use std::time::Duration;

use anyhow::{Context, Result};

use super::results::{Active, Idle, Results};
use crate::bench::load::Load;
use crate::bench::options::Options;
use crate::bench::rival::{PASSWORD, Rival, users};

/// Accounts that connections are spread over.
pub(super) const ACCOUNTS: u32 = 50;
/// Connections that are open before the idle ones are counted: what a server needs once is there.
const WARM: usize = 100;
/// Idle connections are weighed when they have been idle for a while.
const IDLE_FOR: Duration = Duration::from_secs(3);
/// Connections that work at once.
const ACTIVE: usize = 200;
/// Idle ones beside them.
const BESIDE: usize = 10_000;
/// How long the active ones work, without and with the idle ones.
const WORK_SECONDS: u32 = 4;

/// Those that are wanted: `idle` and `active` are names of cases too.
pub(super) fn measure(options: &Options, load: &Load, rivals: &mut [Rival], results: &mut Results) {
    let wants = |name: &str| options.cases.is_empty() || options.cases.iter().any(|case| case == name);
    for rival in rivals {
        let mut outcomes = Vec::new();
        if wants("idle") {
            outcomes.push(("idle", idle(options, load, rival, false, results)));
            if rival.imaps.is_some() {
                outcomes.push(("idle with TLS", idle(options, load, rival, true, results)));
            }
        }
        // Ten thousand processes would not fit beside each other.
        if wants("active") && rival.imaps.is_some() {
            for _ in 0..options.rounds {
                outcomes.push(("active", active(load, rival, results)));
            }
        }
        for (what, outcome) in outcomes {
            if let Err(error) = outcome {
                let what = format!("{what} on {}: {error:#}", rival.name);
                crate::complain(&what);
                results.failures.push(what);
            }
        }
    }
}

fn idle(options: &Options, load: &Load, rival: &mut Rival, tls: bool, results: &mut Results) -> Result<()> {
    // Memory that earlier cases left free would hide what connections take.
    rival.restart()?;
    let mut arguments = vec!["idle", "--connections"].into_iter().map(str::to_string).collect::<Vec<_>>();
    arguments.extend([options.idle.to_string(), "--warm".into(), WARM.to_string()]);
    let port = if tls { rival.imaps.context("no port with TLS")? } else { rival.imap };
    arguments.extend(place(port));
    if tls {
        arguments.push("--tls".into());
    }
    let mut run = load.start(&arguments)?;
    run.wait_for("ready")?;
    let (before, _) = rival.processes.memory()?;
    run.go()?;
    run.wait_for("held")?;
    std::thread::sleep(IDLE_FOR);
    let (with, _) = rival.processes.memory()?;
    run.go()?;
    run.report()?;
    let kib_each = (with - before) / 1024.0 / options.idle as f64;
    crate::say(&format!("{:<44} {:<22} {kib_each:>9.1} KiB each", if tls { "idle, TLS" } else { "idle" }, rival.name));
    results.idle.push(Idle { server: rival.name, tls, connections: options.idle, kib_each });
    Ok(())
}

fn active(load: &Load, rival: &mut Rival, results: &mut Results) -> Result<()> {
    rival.restart()?;
    let mut arguments: Vec<String> = ["active", "--connections"].map(str::to_string).to_vec();
    arguments.extend([ACTIVE.to_string(), "--beside".into(), BESIDE.to_string()]);
    arguments.extend(["--seconds".into(), WORK_SECONDS.to_string()]);
    // Those that work share the mailbox that the cases before were about.
    let [imap, server, user, _, password, word] = place(rival.imap);
    arguments.extend([imap, server, user, users(1, 1), password, word, "--beside-user".into(), users(1, ACCOUNTS)]);
    let mut run = load.start(&arguments)?;
    run.wait_for("ready")?;
    run.go()?;
    // Alone, beside idle ones, alone again.
    let mut cpu = [0.0; 3];
    for stretch in &mut cpu {
        run.wait_for("begin")?;
        let before = rival.cpu_seconds()?;
        run.go()?;
        run.wait_for("end")?;
        *stretch = rival.cpu_seconds()? - before;
        run.go()?;
    }
    run.wait_for("done")?;
    run.go()?;
    let report = run.report()?;
    let [before, beside, after] = cpu;
    let each = |seconds: f64, answers: &str| {
        report.pointer(answers).and_then(serde_json::Value::as_f64).map_or(f64::NAN, |answers| seconds * 1e6 / answers)
    };
    let (alone, beside) = (each(before + after, "/alone/answers"), each(beside, "/beside/answers"));
    crate::say(&format!("{:<44} {:<22} CPU {alone:.0} and {beside:.0} us, {report}", "active beside idle", rival.name));
    results.active.push(Active { server: rival.name, cpu_us: [alone, beside], report });
    Ok(())
}

fn place(port: u16) -> [String; 6] {
    let place = format!("127.0.0.1:{port}");
    ["--imap".into(), place, "--user".into(), users(1, ACCOUNTS), "--password".into(), PASSWORD.into()]
}
