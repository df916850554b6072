//! `tensoratom`: parses the command line, calls the engine, prints. Decides nothing itself.

mod args;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use output::Outcome;

const EXIT_FAILURE: u8 = 1;
const EXIT_DAMAGE: u8 = 2;
/// Wrong usage; apart from 2, which other programs use for it.
const EXIT_USAGE: u8 = 64;
/// As shells report a program that was stopped by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

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
        Ok(Outcome::DamageFound) => ExitCode::from(EXIT_DAMAGE),
        Ok(Outcome::Incomplete) => ExitCode::from(EXIT_FAILURE),
        Ok(Outcome::Interrupted) => {
            output::print_interrupted();
            ExitCode::from(EXIT_INTERRUPTED)
        }
        // `| head` has what it asked for.
        Err(e) if output::is_reader_gone(&e) => ExitCode::SUCCESS,
        Err(e) => {
            output::print_error(&e);
            ExitCode::from(if e.kind() == tensoratom::ErrorKind::Cancelled { EXIT_INTERRUPTED } else { EXIT_FAILURE })
        }
    }
}
