//! The program `postroad`: settings, wiring and the command line. The only crate that knows all the parts.

mod admin;
mod cli;
mod commands;
mod domain_records;
mod elsewhere;
mod offers;
mod place;
mod print;
mod serve;
mod settings;
mod signing;
mod worlds;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Whatever is made, the database, messages, keys, the administration socket from its first moment: for the user alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            print::complaint(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
