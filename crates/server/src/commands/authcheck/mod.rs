//! `postroad authcheck`: what a receiver would find.
//!
//! Works without a server: with `--dns` nothing else is needed. Nothing is kept or changed.

mod message;
mod spf;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use postroad_mta::checks::drive;
use serde_json::Value;
use tokio::time::Instant;

use crate::cli::{Authcheck, AuthcheckMessage, AuthcheckSpf, Output, Place};
use crate::serve::outbound::Names;
use crate::settings::Settings;
use crate::{place, print};

/// How long the answers that SPF wants may take together. RFC 7208 §4.6.4.
const SPF_DEADLINE: Duration = Duration::from_secs(20);
/// How long all answers may take together.
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn command(what: &Authcheck, at: &Place, output: Output) -> Result<ExitCode> {
    match what {
        Authcheck::Spf(options) => of_spf(options, at, output),
        Authcheck::Message(options) => of_message(options, at, output),
    }
}

fn of_spf(options: &AuthcheckSpf, at: &Place, output: Output) -> Result<ExitCode> {
    let (names, hostname) = names(options.dns.as_deref(), at)?;
    let mail_from = options.mail_from.as_deref().map(bare).filter(|address| !address.is_empty());
    let check = spf::check(options.ip, &options.helo, mail_from, &hostname, now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let verdict = runtime.block_on(async { drive::run(check, &*names.dns(), Instant::now() + SPF_DEADLINE).await });
    show(output, &[spf::line(&verdict)], || spf::json(&verdict));
    Ok(ExitCode::SUCCESS)
}

fn of_message(options: &AuthcheckMessage, at: &Place, output: Output) -> Result<ExitCode> {
    let (names, hostname) = names(options.dns.as_deref(), at)?;
    let now = now();
    let message = message::read(&options.file, now)?;
    let envelope = options.ip.map(|ip| message::Envelope {
        ip,
        helo: &options.helo,
        mail_from: options.mail_from.as_deref().map(bare).filter(|address| !address.is_empty()),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(async {
        let dns = names.dns();
        message::look(message, envelope.as_ref(), &hostname, now, &*dns, Instant::now() + DEADLINE).await
    });
    show(output, &found.lines(), || found.json());
    Ok(ExitCode::SUCCESS)
}

fn show(output: Output, lines: &[String], json: impl FnOnce() -> Value) {
    match output.json {
        true => print::json(&json()),
        false => lines.iter().for_each(|line| print::line(line)),
    }
}

/// Who is asked, and our own name: the name server named, that of the settings, or the system's.
fn names(dns: Option<&str>, at: &Place) -> Result<(Names, String)> {
    let is_named = at.settings.is_some() || at.data.is_some();
    let mut settings = match place::settings(at) {
        Ok(settings) => settings,
        Err(error) if is_named => return Err(error),
        Err(_) => Settings::default(),
    };
    if let Some(server) = dns {
        if crate::serve::outbound::server(server).is_none() {
            bail!("--dns: {server} is no address, such as 192.0.2.53 or [2001:db8::53]:53");
        }
        settings.dns.servers = vec![server.to_owned()];
    }
    let names = Names::of(&settings)?;
    if let Names::Nobody(why) = &names {
        bail!("{why}; or with --dns HOST:PORT");
    }
    Ok((names, settings.hostname))
}

/// An address without the angle brackets that people copy along.
fn bare(address: &str) -> &str {
    address.trim().trim_start_matches('<').trim_end_matches('>')
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
