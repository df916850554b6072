//! One file per group of commands; each parses nothing and decides nothing, calls the engine and prints.

mod atoms;
mod bench;
mod check;
mod files;
mod manage;
mod vectors;

use std::path::Path;

use clap::CommandFactory;
use tensoratom::{Error, KeyRef, Namespace, Options, Result, Store};

use crate::args::{Cli, Command, NamespaceArg, Vectors};
use crate::output::Outcome;

pub(crate) fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Init(args) => manage::init(&args),
        Command::Import(args) => files::import(&args),
        Command::Export(args) => files::export(&args),
        Command::Ls(args) => atoms::ls(&args),
        Command::Get(args) => atoms::get(&args),
        Command::Put(args) => atoms::put(&args),
        Command::Rm(args) => atoms::rm(&args),
        Command::Vectors(Vectors::Add(args)) => vectors::add(&args),
        Command::Vectors(Vectors::Info(args)) => vectors::info(&args),
        Command::Vectors(Vectors::Ls(args)) => vectors::ls(&args),
        Command::Search(args) => vectors::search(&args),
        Command::Stat(args) => check::stat(&args),
        Command::Verify(args) => check::verify(&args),
        Command::Repair(args) => manage::repair(&args),
        Command::Sql(args) => manage::sql(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tensoratom", &mut std::io::stdout());
            Ok(Outcome::Done)
        }
    }
}

fn open_to_read(path: &Path) -> Result<Store> {
    Store::open(path, &Options::new().read_only(true))
}

fn open_to_write(path: &Path) -> Result<Store> {
    Store::open(path, &Options::new())
}

/// The namespace a command means, which must exist.
fn namespace(store: &Store, arg: &NamespaceArg) -> Result<Namespace> {
    store.namespace(&arg.namespace)
}

/// The namespace a command writes to, created if needed.
fn namespace_to_write(store: &Store, arg: &NamespaceArg) -> Result<Namespace> {
    if arg.namespace.is_empty() { store.namespace("") } else { store.create_namespace(&arg.namespace) }
}

/// A key as given: a name, or with `--int` a number.
fn key(text: &str, int: bool) -> Result<KeyRef<'_>> {
    if !int {
        return Ok(KeyRef::Name(text));
    }
    let wrong = |_| Error::invalid_argument(format!("'{}' is no integer key", text.escape_debug()));
    text.parse().map(KeyRef::Int).map_err(wrong)
}
