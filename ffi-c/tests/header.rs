//! The header that is committed is what cbindgen makes of the code, compiles everywhere, and names what the library exports.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod build;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn header() -> String {
    fs::read_to_string(build::home().join("include/tensoratom.h")).unwrap()
}

/// Names of the functions the header declares.
fn declared() -> BTreeSet<String> {
    let text = header();
    text.lines()
        .filter(|line| !line.starts_with([' ', '/', '*', '#']) && line.contains('('))
        .filter_map(|line| line.split('(').next()?.split([' ', '*']).next_back())
        .filter(|name| name.starts_with("ta_"))
        .map(str::to_owned)
        .collect()
}

// A header that was edited by hand, or forgotten, makes callers pass arguments the library does not take.
#[test]
fn the_header_is_the_one_made_of_the_code() {
    let config = cbindgen::Config::from_file(build::home().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_crate(build::home()).with_config(config).generate().unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = String::from_utf8(made).unwrap();
    if std::env::var_os("TENSORATOM_WRITE_HEADER").is_some() {
        fs::write(build::home().join("include/tensoratom.h"), &made).unwrap();
    }
    assert!(made == header(), "run TENSORATOM_WRITE_HEADER=1 cargo test -p tensoratom-c --test header and commit");
}

// A C++ keyword or a missing include would be found by the first user.
#[test]
fn the_header_compiles_as_c11_and_cpp17_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for (compiler, standard, file) in [("cc", "-std=c11", "twice.c"), ("c++", "-std=c++17", "twice.cpp")] {
        let source = folder.path().join(file);
        fs::write(&source, "#include \"tensoratom.h\"\n#include \"tensoratom.h\"\nint used;\n").unwrap();
        let out = Command::new(compiler)
            .args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"])
            .arg(build::home().join("include"))
            .arg(&source)
            .output()
            .unwrap();
        assert!(out.status.success(), "{compiler}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

// Another symbol that is exported can take the place of one of the host's, and one that is missing breaks loading.
#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let library = build::library();
    let out = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let exported: BTreeSet<String> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next_back())
        .map(str::to_owned)
        .collect();
    assert_eq!(exported, declared());
}
