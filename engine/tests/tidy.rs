//! House rules that a program can check. Each message says what to do.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of the engine from the bottom up; each may use those before it, and itself. Those in one line are equals.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["control", "digest", "dtype", "format", "key", "memory"],
    &["element"],
    &["codec", "file", "kernels"],
    &["aggregate", "bytes", "tier"],
    &["tensor"],
    &["segment"],
    &["catalog"],
    &["search"],
    &["store"],
    &["interchange"],
    &["testing"],
];

/// The only places that may say `unsafe`: maps and system calls, SQLite's file interface, vector instructions.
const UNSAFE_HOMES: &[&str] = &[
    "engine/src/file/",
    "engine/src/catalog/vfs.rs",
    "engine/src/kernels/",
    "ffi-c/src/memory.rs",      // memory of C programs
    "ffi-c/cxx/src/bridge.rs",  // what crosses to C++
    "ffi-python/src/buffer.rs", // NumPy's memory, DLPack, the buffer protocol: Python's own C structures
    "ffi-python/src/dlpack.rs",
    "ffi-python/src/foreign.rs",
    "ffi-python/src/memory.rs",
    "sqlclr-shim/extension/src/abi.rs", // the host's memory
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files below a folder with one of these endings, as paths from the root, with their text.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let built = ["target", "results", "corpus", "artifacts", "__pycache__"].contains(&name);
            if name.starts_with('.') || built {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing to check in {folder}");
    found
}

/// The code of a file without its unit tests, which sit at the bottom; what they share with others may be public.
fn without_tests(text: &str) -> &str {
    let starts_tests = |&(at, mark): &(usize, &str)| {
        let line = text[at + mark.len()..].lines().next().unwrap_or_default();
        line.starts_with("mod tests") || (line.starts_with("pub") && line.ends_with(" mod tests {"))
    };
    text.match_indices("#[cfg(test)]\n").find(starts_tests).map_or(text, |(at, _)| &text[..at])
}

/// A line without its comment; rough, but strings with `//` in them are harmless here.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap()
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// First components of every `crate::` path in a text.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        used.insert(name);
    }
    used
}

// A store that reaches into the catalog's SQL, or a segment that knows keys' versions, can no longer be changed alone.
#[test]
fn data_flows_one_way() {
    let mut complaints = Vec::new();
    for (name, text) in files("engine/src", &[".rs"]) {
        if name.ends_with("/tests.rs") {
            continue;
        }
        let module = name["engine/src/".len()..].split(['/', '.']).next().unwrap();
        if module == "lib" {
            continue;
        }
        let Some(own) = rank(module) else {
            complaints.push(format!("{name}: module '{module}' has no place in LAYERS; give it one"));
            continue;
        };
        let code: String =
            without_tests(&text).lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for used in used_modules(&code) {
            let above = rank(&used).is_some_and(|used_rank| used_rank > own || (used_rank == own && used != module));
            if above {
                complaints.push(format!("{name} uses crate::{used}, which lies above it; pass what it needs down"));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn unsafe_has_few_homes_and_proofs() {
    let mut complaints = Vec::new();
    let folders =
        ["engine/src", "cli/src", "ffi-c/src", "ffi-c/cxx/src", "ffi-python/src", "sqlclr-shim/extension/src"];
    for (name, text) in folders.iter().flat_map(|folder| files(folder, &[".rs"])) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let says = code(line).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            // An exported name is no unsafe code: what it does with its arguments is looked at where it does it.
            if !says || line.contains("unsafe_") || line.trim() == "#[unsafe(no_mangle)]" {
                continue;
            }
            if !UNSAFE_HOMES.iter().any(|home| name.starts_with(home)) {
                complaints.push(format!("{name}:{}: unsafe outside its homes; move it behind one of them", number + 1));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn only_the_file_layer_touches_the_file_system_and_only_the_catalog_speaks_sql() {
    let mut complaints = Vec::new();
    for (name, text) in files("engine/src", &[".rs"]) {
        for (number, line) in without_tests(&text).lines().enumerate().map(|(n, line)| (n + 1, code(line))) {
            if line.contains("std::fs") && !name.starts_with("engine/src/file/") {
                complaints.push(format!("{name}:{number}: std::fs outside file/; go through `Volume`"));
            }
            let sql =
                ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"PRAGMA "].iter().any(|s| line.contains(s));
            if sql && !name.starts_with("engine/src/catalog/") && !name.starts_with("engine/src/testing/") {
                complaints.push(format!("{name}:{number}: SQL outside catalog/; add a question or a change there"));
            }
        }
    }
    complain(&complaints);
}

/// Names of functions in the first block of a text that begins with this line: all of a trait's, the public ones of a type.
fn functions_of(text: &str, head: &str) -> BTreeSet<String> {
    let block = text.split(&format!("\n{head} {{\n")).nth(1).unwrap_or_default().split("\n}").next().unwrap();
    let is_trait = head.contains(" for ");
    let names = block.lines().filter_map(|line| {
        let (before, after) = line.strip_prefix("    ")?.split_once("fn ")?;
        let counts = if is_trait { before.is_empty() } else { before.starts_with("pub") && !before.contains("//") };
        counts.then(|| after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    });
    names.collect()
}

// Whoever works on one system builds that half only: what the other lacks would be noticed by the users of that system.
#[test]
fn both_systems_have_the_same_file_layer() {
    let halves = ["engine/src/file/os.rs", "engine/src/file/windows"].map(|place| {
        let of_half = files("engine/src/file", &[".rs"]).into_iter().filter(|(name, _)| name.starts_with(place));
        of_half.map(|(_, text)| without_tests(&text).to_owned()).collect::<String>()
    });
    let mut complaints = Vec::new();
    // Linux alone says who holds a lock; what a type answers only to its own half is not compared.
    for (head, only_linux) in [
        ("impl Volume for OsVolume", None),
        ("impl File for OsFile", Some("lock_holders")),
        ("impl OsVolume", None),
        ("impl Replacement", None),
    ] {
        let [mut linux, windows] = halves.each_ref().map(|text| functions_of(text, head));
        linux.retain(|name| Some(name.as_str()) != only_linux);
        assert!(linux.len() > 1, "{head}: nothing to compare");
        if linux != windows {
            complaints.push(format!("{head}: {linux:?} on Linux, {windows:?} on Windows; give both the same"));
        }
    }
    let seam = fs::read_to_string(root().join("engine/src/file/mod.rs")).unwrap();
    let [linux, windows] = ["unix", "windows"].map(|system| -> BTreeSet<String> {
        let mark = format!("#[cfg({system})]\n");
        let uses = seam.split(&mark).skip(1).filter_map(|rest| {
            let (how, names) = rest.split_once(';')?.0.split_once("use ")?;
            Some((how.trim().to_owned(), names.rsplit("::").next()?.trim_matches(['{', '}']).to_owned()))
        });
        let all = uses.flat_map(|(how, names)| {
            let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            names.into_iter().map(|name| format!("{how} {name}")).collect::<Vec<_>>()
        });
        all.collect()
    });
    assert!(linux.len() > 5, "nothing to compare: {linux:?}");
    if linux != windows {
        complaints.push(format!("file/mod.rs: {linux:?} on Linux, {windows:?} on Windows; give both the same"));
    }
    complain(&complaints);
}

#[test]
fn every_source_file_says_what_lives_there_and_is_part_of_a_crate() {
    let mut complaints = Vec::new();
    let all: Vec<(String, String)> =
        ["engine", "cli", "ffi-c", "ffi-python", "sqlclr-shim/extension", "benches", "fuzz/fuzz_targets"]
            .iter()
            .flat_map(|folder| files(folder, &[".rs"]))
            .collect();
    for (name, text) in &all {
        if !text.starts_with("//!") {
            complaints.push(format!("{name}: the first line must be `//!` and say what lives there"));
        }
        let path = Path::new(name);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let parent = path.parent().unwrap();
        let is_root = ["lib", "main", "build"].contains(&stem)
            || ["tests", "examples", "benches", "fuzz_targets"].iter().any(|folder| parent.ends_with(folder));
        let (module, dir) = if stem == "mod" {
            (parent.file_name().unwrap().to_str().unwrap(), parent.parent().unwrap())
        } else {
            (stem, parent)
        };
        let declared = all.iter().any(|(other, text)| {
            let other = Path::new(other);
            let stem = other.file_stem().unwrap().to_str().unwrap();
            let owns = if ["lib", "main", "mod"].contains(&stem) {
                other.parent().unwrap() == dir
            } else {
                other.with_extension("") == dir || other.parent().unwrap() == dir
            };
            owns && text.lines().any(|line| line.trim_end().ends_with(&format!("mod {module};")))
        });
        if !is_root && !declared {
            complaints.push(format!("{name}: no `mod {module};` names it; delete the file or declare it"));
        }
    }
    complain(&complaints);
}

#[test]
fn nothing_is_left_for_later_or_skipped() {
    let mut complaints = Vec::new();
    let this = "engine/tests/tidy.rs";
    for (name, text) in files("", &[".rs", ".py", ".md", ".sh", ".toml", ".sql", "Makefile"]) {
        if name == this {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for word in ["TODO", "FIXME", "XXX", "#[ignore", "pytest.mark.skip", "todo!(", "unimplemented!("] {
                if line.contains(word) {
                    complaints.push(format!("{name}:{}: '{word}': do it, or delete it", number + 1));
                }
            }
        }
    }
    complain(&complaints);
}

// Advice reaches Python, C and SQL as well: a command of one interface means nothing in another, a whole command line does.
#[test]
fn advice_of_the_engine_is_for_every_language() {
    let mut complaints = Vec::new();
    for (name, text) in files("engine/src", &[".rs"]) {
        for (number, line) in text.lines().enumerate() {
            let Some((_, advice)) = line.split_once(".hint(\"") else { continue };
            let is_command = advice.contains("`tensoratom ");
            if !is_command && (advice.contains('`') || advice.contains("--") || advice.contains("::")) {
                complaints.push(format!("{name}:{}: name the operation, or the whole command line", number + 1));
            }
        }
    }
    complain(&complaints);
}

// A link that leads nowhere tells a newcomer that nobody reads this.
#[test]
fn links_in_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for (name, text) in files("", &[".md"]) {
        let folder = root().join(Path::new(&name).parent().unwrap());
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            if !folder.join(target).exists() {
                complaints.push(format!("{name}: the link to '{target}' leads nowhere; correct it"));
            }
        }
    }
    complain(&complaints);
}

// What the readme says of the error kinds and the views is generated from nothing: compare it.
// The first lines a newcomer copies must be lines that a test compiles and runs: those on the front page of the crate.
#[test]
fn the_readme_shows_the_example_that_is_tested() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let front = fs::read_to_string(root().join("engine/src/lib.rs")).unwrap();
    let tested: BTreeSet<&str> = front.lines().filter_map(|line| line.strip_prefix("//! ")).map(str::trim).collect();
    let examples: Vec<&str> = readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    let missing: Vec<String> = examples
        .iter()
        .flat_map(|example| example.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("use ") && !line.contains("open_or_create"))
        .filter(|line| !tested.contains(line))
        .map(|line| format!("README.md shows a line that the crate's front page does not test: {line}"))
        .collect();
    complain(&missing);
}

#[test]
fn documented_names_exist() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let manifest = fs::read_to_string(root().join("engine/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> =
        dependencies.lines().filter_map(|line| line.split_once('=').map(|(name, _)| name.trim())).collect();
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !architecture.contains(&format!("`{name}`")))
        .map(|name| format!("ARCHITECTURE.md does not say why the engine depends on `{name}`"))
        .collect();
    complain(&missing);
    let schema = fs::read_to_string(root().join("engine/src/catalog/schema.sql")).unwrap();
    let format = fs::read_to_string(root().join("FORMAT.md")).unwrap();
    for line in schema.lines() {
        if let Some(view) = line.strip_prefix("CREATE VIEW ").and_then(|rest| rest.split(' ').next()) {
            assert!(format.contains(&format!("`{view}`")), "FORMAT.md does not mention the public view `{view}`");
        }
    }
}
