//! `tensoratom`: parses the command line, calls the engine, prints. Decides nothing itself.
#![allow(clippy::print_stdout)] // this is the program that talks to the terminal

mod args;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use output::Outcome;

/// Wrong usage; apart from 2, which means that damage was found.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version come this way as well.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    match commands::run(cli.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::DamageFound) => ExitCode::from(2),
        Err(e) => {
            output::print_error(&e);
            ExitCode::from(if e.kind() == tensoratom::ErrorKind::Cancelled { 130 } else { 1 })
        }
    }
}
