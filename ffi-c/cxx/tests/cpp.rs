//! Builds the C++ tests with the system's compiler and runs them under AddressSanitizer; installs and uses the package.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tensoratom::{DType, ErrorKind};

const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The static library of this build: the newest one beside this test.
fn library() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let found = fs::read_dir(here.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let archives = found.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libtensoratom_cxx") && name.ends_with(".a")
    });
    archives.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap()).expect("no static library was built")
}

/// Headers as they are installed.
fn include(work: &Path) -> PathBuf {
    let include = work.join("include");
    fs::create_dir_all(include.join("tensoratom")).unwrap();
    fs::copy(source("include/tensoratom.hpp"), include.join("tensoratom.hpp")).unwrap();
    fs::copy(source("include/tensoratom/listener.hpp"), include.join("tensoratom/listener.hpp")).unwrap();
    fs::copy(env!("TENSORATOM_CXX_BRIDGE"), include.join("tensoratom/bridge.h")).unwrap();
    include
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn compiler() -> Command {
    Command::new(std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned()))
}

fn build(work: &Path, file: &Path, flags: &[&str]) -> PathBuf {
    let program = work.join("program");
    run(compiler()
        .args(["-std=c++17", "-g"])
        .args(STRICT)
        .args(flags)
        .arg("-I")
        .arg(include(work))
        .arg(file)
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program));
    program
}

// Lifetimes that are wrong often work by chance, and what is never released is not missed. Leaks are errors here too.
#[test]
fn the_classes_behave_under_address_sanitizer() {
    let work = tempfile::tempdir().unwrap();
    let flags = ["-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = build(work.path(), &source("tests/suite.cpp"), &flags);
    let stores = work.path().join("stores");
    fs::create_dir(&stores).unwrap();
    run(Command::new(&program).arg(&stores));
    let kinds = run(Command::new(&program).arg("--kinds"));
    let expected: String = ErrorKind::ALL.iter().map(|kind| format!("{} {}\n", kind.number(), kind.name())).collect();
    assert_eq!(kinds, expected, "TENSORATOM_ERROR_KINDS in the header differs from the engine's list");
}

// A header that needs another one first, or warns, breaks the builds of its users.
#[test]
fn the_header_compiles_alone_in_both_standards() {
    let work = tempfile::tempdir().unwrap();
    let include = include(work.path());
    let file = work.path().join("alone.cpp");
    fs::write(&file, "#include <tensoratom.hpp>\n").unwrap();
    for standard in ["-std=c++17", "-std=c++20"] {
        run(compiler().arg(standard).args(STRICT).arg("-fsyntax-only").arg("-I").arg(&include).arg(&file));
    }
}

// The example in the README is what people copy.
#[test]
fn the_example_of_the_readme_runs() {
    let readme = fs::read_to_string(source("../../README.md")).unwrap();
    let code = readme.split("```cpp\n").nth(1).and_then(|rest| rest.split("```").next()).expect("no C++ example");
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("example.cpp");
    fs::write(&file, code).unwrap();
    run(Command::new(build(work.path(), &file, &[])).current_dir(work.path()));
}

// A package that only works where it was built is none. The prefix is moved after the installation.
#[test]
fn projects_build_against_an_installed_package() {
    let work = tempfile::tempdir().unwrap();
    let stage = work.path().join("stage");
    run(Command::new(source("package/install.sh"))
        .arg(library())
        .args([env!("TENSORATOM_CXX_BRIDGE"), env!("CARGO_PKG_VERSION")])
        .env("DESTDIR", &stage)
        .env("PREFIX", "/opt/tensoratom"));
    let (prefix, built) = (stage.join("opt/tensoratom"), work.path().join("built"));

    run(Command::new("cmake").arg("-S").arg(source("examples/cmake")).arg("-B").arg(&built).arg({
        let mut prefix_flag = std::ffi::OsString::from("-DCMAKE_PREFIX_PATH=");
        prefix_flag.push(&prefix);
        prefix_flag
    }));
    run(Command::new("cmake").arg("--build").arg(&built));
    let made = work.path().join("made");
    fs::create_dir(&made).unwrap();
    run(Command::new("make")
        .current_dir(&made)
        .arg("-f")
        .arg(source("examples/make/Makefile"))
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", &stage));
    for (program, store) in [(built.join("nearest"), "a"), (made.join("nearest"), "b")] {
        assert_eq!(run(Command::new(program).arg(work.path().join(store))), "8 0.000\n9 0.200\n");
    }
}

// The header numbers its types by position.
#[test]
fn the_header_lists_every_type_in_the_order_of_numbers() {
    let header = fs::read_to_string(source("include/tensoratom.hpp")).unwrap();
    let list = header.split("enum class DType : std::uint8_t {").nth(1).unwrap().split('}').next().unwrap();
    let names: Vec<&str> = list.split(',').map(|name| name.trim().split(' ').next().unwrap()).collect();
    let expected = DType::ALL.iter().map(|dtype| dtype.name().replace("bool", "boolean"));
    assert_eq!(names, expected.collect::<Vec<_>>());
}
