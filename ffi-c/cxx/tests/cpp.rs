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

/// What `tensoratom.hpp` is made of.
fn headers() -> Vec<PathBuf> {
    fs::read_dir(source("include/tensoratom")).unwrap().map(|file| file.unwrap().path()).collect()
}

/// Headers as they are installed.
fn include(work: &Path) -> PathBuf {
    let include = work.join("include");
    fs::create_dir_all(include.join("tensoratom")).unwrap();
    fs::copy(source("include/tensoratom.hpp"), include.join("tensoratom.hpp")).unwrap();
    for header in headers() {
        fs::copy(&header, include.join("tensoratom").join(header.file_name().unwrap())).unwrap();
    }
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
    let header = fs::read_to_string(source("include/tensoratom/base.hpp")).unwrap();
    let list = header.split("enum class DType : std::uint8_t {").nth(1).unwrap().split('}').next().unwrap();
    let names: Vec<&str> = list.split(',').map(|name| name.trim().split(' ').next().unwrap()).collect();
    let expected = DType::ALL.iter().map(|dtype| dtype.name().replace("bool", "boolean"));
    assert_eq!(names, expected.collect::<Vec<_>>());
}

/// Functions of the C interface, and the name that C++ has for what they do.
const COUNTERPARTS: &[(&str, &str)] = &[
    ("store_open store_open_with", "Store"),
    ("store_facts", "facts"),
    ("store_lsn snapshot_lsn", "lsn"),
    ("namespace_create", "create_namespace"),
    ("namespaces", "name_spaces"),
    ("snapshot", "snapshot_at_time"),
    ("begin", "begin"),
    ("commit commit_with", "commit"),
    ("put put_with", "put"),
    ("put_stream put_stream_with", "write_rows"),
    ("delete vectors_delete vectors_delete_with", "erase"),
    ("delete_version", "erase_version"),
    ("delete_prefix delete_prefix_with", "erase_prefix"),
    ("rename", "rename"),
    ("set_metadata", "set_metadata"),
    ("get_info get_metadata get_encoding vectors_info", "info"),
    ("read read_with", "read_into"),
    ("map map_with", "bytes"),
    ("read_f32", "floats"),
    ("list list_after list_in list_next", "list"),
    ("changes", "changes"),
    ("changes_next", "next"),
    ("stat stat_with", "stat"),
    ("verify verify_in", "verify"),
    ("query query_with", "query"),
    ("import import_in import_with", "import_file"),
    ("export export_in export_with", "export_file"),
    ("export_npy", "export_npy"),
    ("repair repair_with", "repair"),
    ("decode_cache", "decode_cache"),
    ("set_decode_cache_bytes", "set_decode_cache_bytes"),
    ("set_cold_directory", "set_cold_directory"),
    ("tier_policy", "tier_policy"),
    ("tier_set_policy", "set_tier_policy"),
    ("tier_pin_key", "pin"),
    ("tier_unpin_key", "unpin"),
    ("tier_pin", "pin_prefix"),
    ("tier_unpin", "unpin_prefix"),
    ("tier_plan tier_plan_with", "plan"),
    ("tier_apply", "apply"),
    ("tier_maintain", "maintain"),
    ("move_to_tier move_to_tier_with", "move_to_tier"),
    ("gc", "gc"),
    ("vectors_open vectors_find vectors_view", "vectors"),
    ("vectors_facts", "dim"),
    ("vectors_count", "size"),
    ("vectors_get", "get"),
    ("vectors_append vectors_append_with", "append"),
    ("vectors_upsert vectors_upsert_with", "upsert"),
    ("vectors_compact vectors_compact_with", "compact"),
    ("vectors_ids", "ids"),
    ("vectors_with_companions", "with_companions"),
    ("vectors_build_companions", "build_companions"),
    ("vector_sets vector_sets_in", "vector_sets"),
    ("search search_with search_matrix search_matrix_with", "search"),
    ("txn_vectors_create", "create_vectors"),
    ("txn_vectors_append", "append_vectors"),
    ("txn_vectors_upsert", "upsert_vectors"),
    ("txn_vectors_delete", "erase_vectors"),
    ("txn_vectors_drop", "drop_vectors"),
    ("distance", "distance"),
    ("dot", "dot"),
    ("cosine_similarity", "cosine_similarity"),
    ("cdist", "many_to_many"),
    ("top_k", "top_k"),
    ("reduce", "variance"),
    ("centroid", "centroid"),
    ("add", "add"),
    ("sub", "sub"),
    ("lerp", "lerp"),
    ("fma", "fma"),
    ("scale", "scale"),
    ("normalize", "normalize"),
    ("softmax", "softmax"),
    ("convert", "convert"),
    ("quantize_i8", "quantize"),
    ("dequantize_i8", "dequantize"),
    ("gguf_dequantize", "gguf_dequantize"),
    ("gguf_quantize", "gguf_quantize"),
    ("digest", "digest"),
    ("isa", "isa"),
    ("json_parse", "json_parse"),
    ("json_write json_write_with", "json_write"),
    ("matmul", "matmul"),
    ("svd", "svd"),
    ("pca", "pca"),
    ("pca_transform", "transform"),
    ("projection_landmarks", "landmarks"),
    ("projection_random", "random"),
    ("project", "project"),
    ("projection_facts", "axes"),
    ("projection_axis", "axis"),
    ("morton_encode", "morton_encode"),
    ("morton_decode", "morton_decode"),
    ("hilbert_encode", "hilbert_encode"),
    ("hilbert_decode", "hilbert_decode"),
    ("grid_cells", "cells"),
    ("grid_centers", "centers"),
    ("aggregate_new", "Aggregate"),
    ("aggregate_push moments_push", "push"),
    ("aggregate_merge moments_merge", "merge"),
    ("aggregate_export", "export_state"),
    ("aggregate_import", "import_state"),
    ("aggregate_finish", "finish"),
    ("aggregate_count", "count"),
    ("aggregate_reset", "reset"),
    ("moments_finish", "mean"),
    ("cancel_new", "within"),
    ("cancel_set", "cancel"),
    ("version", "version"),
    ("status_name", "name"),
];

/// Functions of the C interface that C++ needs none for, and why.
const WITHOUT_COUNTERPART: &[(&str, &str)] = &[
    ("close", "destructors close"),
    ("cancel_progress", "the function of a `Control` is told without being asked"),
    ("abi_version last_supported", "header and library are one package, linked together"),
];

/// Whether a text has a name, and then a list of arguments.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let rest = &text[at + name.len()..];
        before && (rest.starts_with('(') || rest.starts_with('<'))
    })
}

// What C programs can do and C++ programs cannot was found out by the ones who needed it.
#[test]
fn whatever_c_offers_cpp_offers_too_and_the_suite_calls_it() {
    let c = fs::read_to_string(source("../include/tensoratom.h")).unwrap();
    let starts = c.lines().filter(|line| line.starts_with("int32_t ta_") || line.starts_with("uint32_t ta_"));
    let mut declared: Vec<&str> =
        starts.map(|line| line.split(" ta_").nth(1).unwrap().split('(').next().unwrap()).collect();
    let mut listed: Vec<&str> =
        COUNTERPARTS.iter().chain(WITHOUT_COUNTERPART).flat_map(|(names, _)| names.split(' ')).collect();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(
        declared, listed,
        "each function of C belongs into one of the two lists, with its name in C++ or a reason"
    );
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let header = headers().into_iter().map(read).collect::<String>() + &read(source("include/tensoratom.hpp"));
    let suite = read(source("tests/suite.cpp"));
    for (of, name) in COUNTERPARTS {
        assert!(calls(&header, name), "no header of C++ has {name}, for ta_{of}");
        assert!(calls(&suite, name), "tests/suite.cpp does not call {name}");
    }
}
