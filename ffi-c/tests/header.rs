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
    // The program at its head, which is what people copy.
    let shown = header();
    let shown: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix(" *                 ")).collect();
    assert!(shown.iter().any(|line| line.contains("ta_commit(")), "the head of the header shows no program");
    let twice = "#include \"tensoratom.h\"\n#include \"tensoratom.h\"\n";
    let program = format!("#include <stddef.h>\n{twice}void begin(float *floats) {{\n{}\n}}\n", shown.join("\n"));
    let cases = [("cc", "-std=c11", "begin.c", &*program), ("c++", "-std=c++17", "twice.cpp", twice)];
    for (compiler, standard, file, text) in cases {
        let source = folder.path().join(file);
        fs::write(&source, text).unwrap();
        let out = Command::new(compiler)
            .args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"])
            .arg(build::home().join("include"))
            .arg(&source)
            .output()
            .unwrap();
        assert!(out.status.success(), "{compiler}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// Why a call without a cancel handle, and without a longer form that takes one, cannot hold its thread for long.
const ENDS_BY_ITSELF: &[(&str, &str)] = &[
    (
        "answers at once",
        "abi_version aggregate_count aggregate_new aggregate_reset cancel_new close decode_cache isa last_supported \
         projection_axis projection_facts set_decode_cache_bytes snapshot_lsn status_name store_facts version \
         vectors_with_companions",
    ),
    (
        "computes on what is passed",
        "add aggregate_export aggregate_finish aggregate_import aggregate_merge aggregate_push cdist centroid convert \
         cosine_similarity dequantize_i8 digest distance dot fma gguf_dequantize gguf_quantize grid_cells grid_centers hilbert_decode \
         hilbert_encode json_parse json_write json_write_with lerp matmul moments_finish moments_merge moments_push morton_decode \
         morton_encode normalize pca pca_transform project projection_landmarks projection_random quantize_i8 reduce scale softmax sub \
         svd top_k",
    ),
    (
        "touches what is named, and waits for other processes as long as the store was told",
        "begin changes changes_next delete delete_version export_npy get_encoding get_info get_metadata list list_after list_in list_next \
         namespace_create namespaces rename set_metadata snapshot store_lsn store_open store_open_with tier_pin tier_pin_key tier_policy \
         tier_set_policy tier_unpin tier_unpin_key txn_vectors_append txn_vectors_create txn_vectors_delete txn_vectors_drop \
         txn_vectors_upsert vector_sets vector_sets_in vectors_count vectors_facts vectors_find vectors_get vectors_ids \
         vectors_info vectors_open vectors_view",
    ),
];

// One call that cannot be given up is the one in which a thread of a server hangs.
#[test]
fn every_call_takes_a_deadline_or_ends_by_itself() {
    let (text, names) = (header(), declared());
    let short: Vec<String> =
        ENDS_BY_ITSELF.iter().flat_map(|(_, list)| list.split_whitespace()).map(|name| format!("ta_{name}")).collect();
    for name in &names {
        let is_given = |name: &str| {
            let parameters = text.split(&format!(" {name}(")).nth(1).unwrap_or_default().split(");").next().unwrap();
            parameters.contains("uint64_t cancel")
        };
        let takes = is_given(name) || is_given(&format!("{name}_with"));
        let listed = short.iter().filter(|listed| *listed == name).count();
        assert_eq!(listed, usize::from(!takes), "{name}: takes a cancel handle: {takes}");
    }
    assert!(short.iter().all(|name| names.contains(name)), "a function is listed that the header does not have");
}

// A function that no program in C calls with right arguments may never have worked.
#[test]
fn every_function_is_called_by_a_program_in_c() {
    let mut programs = String::new();
    for folder in ["tests/c", "examples"] {
        for file in fs::read_dir(build::home().join(folder)).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|ending| ending == "c") {
                programs += &fs::read_to_string(file).unwrap();
            }
        }
    }
    let called = |name: &&String| {
        let mut uses = programs.match_indices(name.as_str()).map(|(at, _)| &programs[at + name.len()..]);
        uses.any(|rest| rest.starts_with(['(', ',', ' ']))
    };
    let forgotten: Vec<_> = declared().into_iter().filter(|name| !called(&name)).collect();
    assert!(forgotten.is_empty(), "no program in tests/c calls {forgotten:?}");
}

// A body outside the wall lets its first panic into the caller.
#[test]
fn every_exported_body_is_inside_the_wall() {
    let mut bodies = 0;
    for file in fs::read_dir(build::home().join("src")).unwrap().map(|file| file.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        for function in text.split("extern \"C\" fn ta_").skip(1) {
            let (name, rest) = function.split_once('(').unwrap();
            let body = rest.split_once("{\n").unwrap().1.split("\n}\n").next().unwrap().trim_start();
            let first = body.split('(').next().unwrap();
            let walled = ["wall", "crate::wall::wall", "answer", "report::answer", "binary!"].contains(&first)
                && body.ends_with(')');
            let longer = first.starts_with("ta_") && body.ends_with(')') && !body.contains(';');
            assert!(walled || longer || body == "TA_ABI_VERSION", "{file:?}: {name} does something outside the wall");
            bodies += 1;
        }
    }
    // Those that macros make, of the same shape, are not counted.
    assert!(bodies * 10 > declared().len() * 8, "only {bodies} bodies were found");
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
