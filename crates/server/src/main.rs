//! The program `postroad`: settings, wiring and the command line. The only crate that knows all the parts.

mod admin;
mod cli;
mod commands;
mod place;
mod print;
mod serve;
mod settings;
mod worlds;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            print::complaint(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
