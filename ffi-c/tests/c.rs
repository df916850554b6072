//! Programs in C against the library: the example, threads, and every function with every kind of wrong argument.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod build;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a program, where there is one with the address sanitizer, runs it on a new directory `runs` times, returns what it printed last.
fn run(source: &Path, runs: usize) -> String {
    run_with(source, &vec![vec![]; runs])
}

/// As [`run`], once for each list of further arguments.
fn run_with(source: &Path, runs: &[Vec<String>]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program.exe");
    let valgrind = std::env::var_os("TENSORATOM_C_VALGRIND").is_some(); // it and the sanitizer exclude each other
    let mut compiler = match for_windows() {
        Some(library) => {
            fs::copy(library.join("tensoratom.dll"), folder.path().join("tensoratom.dll")).unwrap();
            let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
            compiler.args(["-static", "-D__USE_MINGW_ANSI_STDIO"]).arg(source);
            compiler.arg(library.join("libtensoratom.dll.a"));
            compiler
        }
        None => {
            let library = build::library();
            let mut compiler = Command::new("cc");
            // The sanitizer reserves more address space than a limit leaves.
            let is_limited = source.ends_with("memory.c");
            let sanitizer: &[&str] = if valgrind || is_limited { &[] } else { &["-fsanitize=address"] };
            compiler.args(sanitizer).arg(source).arg(&library);
            compiler.arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()));
            compiler
        }
    };
    let out = compiler
        .args(["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-lm", "-I"])
        .arg(build::home().join("include"))
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut printed = String::new();
    for arguments in runs {
        let starter = if for_windows().is_some() { "/usr/lib/wine/wine64" } else { "valgrind" };
        let is_started = for_windows().is_some() || valgrind;
        let mut command = Command::new(if is_started { Path::new(starter) } else { program.as_path() });
        if valgrind {
            // Memory of the library's tables is still reachable at the end; what cannot be reached any more is lost.
            // A child made by fork has not the threads of its parent: all that was theirs would count as lost there.
            let leaks = if source.ends_with("fork.c") { "no" } else { "full" };
            command.args(["--quiet", "--error-exitcode=99", "--errors-for-leak-kinds=definite"]);
            command.arg(format!("--leak-check={leaks}"));
        }
        if is_started {
            command.arg(&program);
        }
        let out = command.arg(folder.path().join("store")).args(arguments).output().unwrap();
        assert!(
            out.status.success(),
            "{source:?} {arguments:?}: {:?} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        printed = String::from_utf8(out.stdout).unwrap().replace("\r\n", "\n");
    }
    printed
}

/// The folder of the library for Windows, when that is what is tested: with mingw and wine (`make windows`).
fn for_windows() -> Option<PathBuf> {
    std::env::var_os("TENSORATOM_C_WINDOWS").map(PathBuf::from)
}

fn source(name: &str) -> PathBuf {
    build::home().join(name)
}

// The first program a newcomer copies must work, and the second process must find what the first one stored.
#[test]
fn the_example_stores_and_finds_in_two_processes() {
    assert_eq!(run(&source("examples/search.c"), 2), "4 8 0\n");
}

// A handle closed by one thread while another uses it was the classic way to crash a host.
#[test]
fn threads_that_close_handles_of_one_another_get_statuses() {
    run(&source("tests/c/handles.c"), 1);
}

// Two plug-ins of one host bring a copy of the library each: a handle of one must not close the store of the other.
#[test]
fn a_handle_of_another_copy_of_the_library_is_none() {
    if for_windows().is_some() {
        return; // the program looks for functions as Linux does
    }
    let folder = tempfile::tempdir().unwrap();
    let copies: Vec<String> = (0..3)
        .map(|number| {
            let copy = folder.path().join(format!("copy{number}.so"));
            fs::copy(build::library(), &copy).unwrap();
            copy.to_str().unwrap().to_owned()
        })
        .collect();
    run_with(&source("tests/c/copies.c"), &[copies]);
}

// A child that used the descriptors and locks of its parent would corrupt the store of both.
#[test]
fn a_forked_child_is_told_so_and_threads_open_read_and_close_at_once() {
    if for_windows().is_some() {
        return; // a system without fork
    }
    run(&source("tests/c/fork.c"), 1);
}

// What the engine can and C cannot reach is not there for most of those who would use it.
#[test]
fn options_of_put_cancelling_tiers_geometry_and_algebra_are_reached() {
    run(&source("tests/c/coverage.c"), 1);
}

// What a transaction staged, and what a set held before, could be read in Rust alone.
#[test]
fn sets_and_atoms_are_read_as_of_a_moment_and_inside_a_transaction() {
    run(&source("tests/c/views.c"), 1);
}

// The first large input that a machine has no memory for took the host down, and all its other work with it.
#[test]
fn what_memory_is_too_small_for_is_refused_and_the_store_goes_on() {
    if for_windows().is_some() || std::env::var_os("TENSORATOM_C_VALGRIND").is_some() {
        return; // no limit can be set there, or the limit would be that of the checker
    }
    run(&source("tests/c/memory.c"), 1);
}

// A function that was only ever called with wrong arguments may do nothing at all with right ones.
#[test]
fn numbers_are_those_worked_out_by_hand() {
    run(&source("tests/c/numbers.c"), 1);
}

// A thread of a server that waits in a call cannot be stopped from outside: each call that may be long ends by itself.
#[test]
fn streams_files_and_reports_work_and_end_at_their_deadlines() {
    run(&source("tests/c/files.c"), 1);
}

// A part that travelled as bytes and came back as something else would give a database a wrong mean without a word.
#[test]
fn an_aggregate_in_parts_is_that_of_all_rows() {
    run(&source("tests/c/aggregate.c"), 1);
}

// A filter that is not heeded shows a tenant the vectors of another; a half transaction shows vectors without their text.
#[test]
fn filters_and_transactions_of_vectors_are_heeded() {
    run(&source("tests/c/vectors.c"), 1);
}

// A consumer that misses one change, or sees one twice, keeps another database than the store.
#[test]
fn changes_are_listed_once_each_in_the_order_of_commits() {
    run(&source("tests/c/changes.c"), 1);
}

// A plan that C got as text and gave back was taken for nothing, and the nightly job of a service froze nothing.
#[test]
fn tiers_are_planned_and_moved_through_json() {
    run(&source("tests/c/tier.c"), 1);
}

// Each call alone was right while a closed set, a transaction that outlived its store or a lent byte broke in company.
#[test]
fn any_sequence_of_calls_gets_the_answers_of_the_model() {
    let effort: u64 = std::env::var("TENSORATOM_TEST_EFFORT").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let runs: Vec<Vec<String>> = (0..3 * effort).map(|seed| vec![seed.to_string(), "2000".to_owned()]).collect();
    let succeeded: u64 = run_with(&source("tests/c/sequences.c"), &runs).trim().parse().unwrap();
    assert!(succeeded > 500, "only {succeeded} calls of 2000 succeeded: the sequences test refusals alone");
}

// One function that trusts a length, an alignment or a handle takes the host down with it. Each is called with every kind of
// memory and number, with a stale handle, and with an open one of each type, right or wrong.
#[test]
fn every_function_answers_every_wrong_argument_with_a_status() {
    let header = fs::read_to_string(source("include/tensoratom.h")).unwrap();
    let mut calls = String::new();
    let mut functions = 0;
    for declaration in header.split("\nint32_t ").skip(1) {
        let (name, rest) = declaration.split_once('(').unwrap();
        let parameters: Vec<&str> = rest.split(");").next().unwrap().split(',').map(str::trim).collect();
        functions += 1;
        // The question for a size is asked of those that answer it: no buffer, but a place for the length.
        let asks = parameters.iter().position(|parameter| parameter.ends_with(" capacity"));
        let kinds =
            [("0", "0"), ("A", "0"), ("A", "1"), ("1+A", "1"), ("A", "-1"), ("0", "-1"), ("0", "1"), ("asked", "1")];
        for (pointer, size) in kinds.into_iter().filter(|(pointer, _)| *pointer != "asked" || asks.is_some()) {
            let nothing = asks.filter(|_| pointer == "asked");
            let mut handles = 0;
            let mut arguments = Vec::new();
            for (at, parameter) in parameters.iter().enumerate() {
                let word = parameter.rsplit([' ', '*']).next().unwrap();
                let is_pointer = parameter.contains('*');
                let at_page = if word == "error" { 16 } else { at }; // behind what must stay as it was
                arguments.push(match () {
                    () if !is_pointer && HANDLES.contains(&word) => {
                        handles += 1;
                        if handles == 1 { "handle[h]" } else { "other" }.to_owned()
                    }
                    () if parameter.contains("ta_source") => "NULL".to_owned(),
                    () if is_pointer && (pointer == "0" || nothing == Some(at + 1)) => "NULL".to_owned(),
                    () if nothing == Some(at) => "0".to_owned(),
                    () if pointer == "asked" && is_pointer => format!("(void *)(arena + {at_page} * 4096)"),
                    () if is_pointer => format!("(void *)({} + {at_page} * 4096)", pointer.replace('A', "arena")),
                    () => size.to_owned(),
                });
            }
            // What is closed is not there for the calls that follow.
            let live = if handles == 0 || name == "ta_close" { "1" } else { "OPEN" };
            let (takes, arguments) = (i32::from(handles > 0), arguments.join(", "));
            writeln!(
                calls,
                "    for (int h = 0; h < {live}; h++) {{ uint64_t other = h ? 0 : handle[0]; (void)other; \
                 check(\"{name} {pointer} {size}\", h, {name}({arguments}), {takes}); }}"
            )
            .unwrap();
        }
    }
    assert!(functions > 100, "{functions} functions were found in the header");
    let program = include_str!("c/lattice.c.in").replace("/* calls */", &calls);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lattice.c");
    fs::write(&path, program).unwrap();
    run(&path, 1);
}

/// Names of the header's parameters that are handles; the first of a call may be open, the others are stale or none.
const HANDLES: &[&str] = &[
    "store",
    "txn",
    "snapshot",
    "from",
    "into",
    "list",
    "vectors",
    "handle",
    "cancel",
    "aggregate",
    "other",
    "projection",
];
