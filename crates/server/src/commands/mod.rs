//! What each command does.

mod administer;
mod authcheck;
mod backup;
mod carry;
mod certificate;
mod check;
mod check_domain;
mod collect;
mod consent;
mod dkim;
mod dns;
mod labels;
mod moving;
mod principal;
mod progress;
mod quickstart;
mod report;
mod restore;
mod route_login;
mod serve;
mod shaping;

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::print;

/// Runs a command; its exit code is 0 when it did what was asked.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve { place, resolver } => serve::command(&place, resolver),
        Command::Quickstart(options) => quickstart::command(&options),
        Command::Check { options, place, output } => match &options.domain {
            Some(domain) => check_domain::command(&options, domain, &place, output),
            None => check::command(&place, output),
        },
        Command::Domain { action, place, output } => administer::domain(action, &place, output),
        Command::Account { action, place, output } => administer::account(action, &place, output),
        Command::Alias { action, place, output } => administer::alias(action, &place, output),
        Command::Forward { action, place, output } => administer::forward(action, &place, output),
        Command::Queue { action, place, output } => administer::queue(action, &place, output),
        Command::Route { action, place, output } => administer::route(action, &place, output),
        Command::Suppression { action, place, output } => shaping::suppression(action, &place, output),
        Command::Limit { action, place, output } => shaping::limit(action, &place, output),
        Command::Egress { action, place, output } => shaping::egress(action, &place, output),
        Command::Report { action, place, output } => report::command(action, &place, output),
        Command::Certificate { action, place, output } => certificate::command(action, &place, output),
        Command::Dkim { action, place, output } => dkim::command(action, &place, output),
        Command::Dns { options, place, output } => dns::command(&options, &place, output),
        Command::Authcheck { what, place, output } => authcheck::command(&what, &place, output),
        Command::MtaSts { action, place, output } => administer::mta_sts(action, &place, output),
        Command::Trusted { action, place, output } => administer::trusted(action, &place, output),
        Command::Index { action, place, output } => administer::index(action, &place, output),
        Command::Ban { action, place, output } => administer::ban(action, &place, output),
        Command::Greylist { action, place, output } => administer::greylist(action, &place, output),
        Command::Oauth { action, place, output } => administer::oauth(action, &place, output),
        Command::AppPassword { action, place, output } => administer::app_password(action, &place, output),
        Command::ClientCertificate { action, place, output } => administer::client_certificate(action, &place, output),
        Command::Principal { action, place, output } => principal::command(action, &place, output),
        Command::Mailbox { action, place, output } => administer::mailbox(action, &place, output),
        Command::Import(options) => carry::import(&options),
        Command::Export(options) => carry::export(&options),
        Command::Migrate(options) => moving::migrate(&options),
        Command::Mirror(options) => moving::mirror(&options),
        Command::Collect { action, place, output } => collect::command(action, &place, output),
        Command::Backup { action, make, place, output } => backup::command(action, &make, &place, output),
        Command::Restore(options) => restore::command(&options),
        Command::Trace { key, since, limit, place, output } => administer::trace(&key, &since, limit, &place, output),
        Command::Settings => {
            print::text(&crate::settings::documented());
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            print::line(&format!(
                "postroad {}\ndatabases: SQLite, PostgreSQL; large messages: folder, S3; TLS: rustls with aws-lc-rs",
                env!("CARGO_PKG_VERSION")
            ));
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "postroad", &mut script);
            print::text(&String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            std::fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(Cli::command(), &folder)?;
            print::line(&format!("the manual pages are in {}", folder.display()));
            Ok(ExitCode::SUCCESS)
        }
    }
}
