//! One file per group of commands; each parses nothing and decides nothing, calls the engine and prints.

mod atoms;
mod bench;
mod check;
mod files;
mod gc;
mod get;
mod manage;
mod tier;
mod vectors;

use clap::CommandFactory;
use tensoratom::{Error, ErrorKind, KeyRef, Namespace, Options, Result, Store};

use crate::args::{Cli, Command, NamespaceArg, StoreArg, Vectors};
use crate::output::{Outcome, print_raw};

pub(crate) fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Init(args) => manage::init(&args),
        Command::Import(args) => files::import(&args),
        Command::Export(args) => files::export(&args),
        Command::Ls(args) => atoms::ls(&args),
        Command::Get(args) => get::get(&args),
        Command::Put(args) => atoms::put(&args),
        Command::Rm(args) => atoms::rm(&args),
        Command::Vectors(Vectors::Add(args)) => vectors::add(&args),
        Command::Vectors(Vectors::Info(args)) => vectors::info(&args),
        Command::Vectors(Vectors::Ls(args)) => vectors::ls(&args),
        Command::Search(args) => vectors::search(&args),
        Command::Stat(args) => check::stat(&args),
        Command::Verify(args) => check::verify(&args),
        Command::Repair(args) => manage::repair(&args),
        Command::Gc(args) => gc::gc(&args),
        Command::Tier(args) => tier::tier(&args),
        Command::Sql(args) => manage::sql(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Completions { shell } => completions(shell),
    }
}

/// Made in memory first: the generator itself would panic when nobody reads on.
fn completions(shell: clap_complete::Shell) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tensoratom", &mut script);
    print_raw(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}

/// A command is over before reading ahead would pay.
fn options() -> Options {
    Options::new().hot_bytes(0)
}

fn open_to_read(StoreArg { store }: &StoreArg) -> Result<Store> {
    Store::open(store, &options().read_only(true)).map_err(|e| e.with_path(store))
}

fn open_to_write(StoreArg { store }: &StoreArg) -> Result<Store> {
    Store::open(store, &options()).map_err(|e| e.with_path(store))
}

/// For writing; a store that is missing is made where the user asked for that.
fn open_or_create(arg: &StoreArg, create: bool) -> Result<Store> {
    if !create {
        return open_to_write(arg);
    }
    Store::open_or_create(&arg.store, &options()).map_err(|e| e.with_path(&arg.store))
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

/// A key that is not there may be an integer that was taken for a name.
fn advise_int(error: Error, text: &str, int: bool) -> Error {
    let mistaken = error.kind() == ErrorKind::NotFound && !int && text.parse::<i64>().is_ok();
    if mistaken { error.with_advice("integer keys need --int; `ls` shows the keys") } else { error }
}
