//! `--help` and completions: what they say is true.

use crate::support::{Place, floats, many, npy, safetensors};

const COMMANDS: [&str; 19] = [
    "init",
    "import",
    "export",
    "ls",
    "get",
    "put",
    "rm",
    "vectors add",
    "vectors info",
    "vectors ls",
    "search",
    "stat",
    "verify",
    "repair",
    "tier",
    "gc",
    "sql",
    "bench",
    "completions",
];

/// A directory with the files that the examples speak of.
fn example_place() -> Place {
    let place = Place::empty();
    let rows = floats(&[0.5; 200 * 4]);
    let header = format!(
        r#"{{"embeddings.weight":{{"dtype":"F32","shape":[200,4],"data_offsets":[0,{0}]}},"encoder.layer.0.bias":{{"dtype":"U8","shape":[1],"data_offsets":[{0},{1}]}}}}"#,
        rows.len(),
        rows.len() + 1
    );
    place.write("model.safetensors", safetensors(&header, &[rows, vec![1]].concat()));
    place.write("shard-1.safetensors", many("a", 2));
    place.write("shard-2.safetensors", many("b", 2));
    place.write("queries.npy", npy("<f4", "(1,)", &floats(&[1.0])));
    place.write("one.npy", npy("<f4", "(1,)", &floats(&[2.0])));
    place.write("bias.npy", npy("<f4", "(1,)", &floats(&[3.0])));
    place.write("scale.bin", floats(&[4.0]));
    place.write("table.bin", vec![0; 4096 * 128 * 2]);
    place.write("words.npy", npy("<f4", "(2, 4)", &floats(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0])));
    for name in ["more.npy", "changed.npy"] {
        place.write(name, npy("<f4", "(1, 4)", &floats(&[0.0, 0.0, 1.0, 0.0])));
    }
    for (name, id) in [("more_ids.npy", 70_i64), ("ids.npy", 1)] {
        place.write(name, npy("<i8", "(1,)", &id.to_le_bytes()));
    }
    place.write("query.npy", npy("<f4", "(4,)", &floats(&[1.0, 0.5, 0.0, 0.0])));
    place
}

// An example is what people copy first. One that does not work costs more trust than none.
#[test]
fn every_example_of_every_help_works() {
    let place = example_place();
    let mut ran = 0;
    for command in [""].iter().chain(&COMMANDS) {
        let help = place.run(command.split_whitespace().chain(["--help"])).ok();
        let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  tensoratom ")).collect();
        assert!(!examples.is_empty(), "{command}: no example\n{help}");
        for example in examples {
            assert!(
                example.len() + "  tensoratom ".len() <= 80,
                "{example}: would be broken in two on a small terminal"
            );
            // The one foreign program in them need not be there.
            let line = format!("set -o pipefail; tensoratom {}", example.replace("jq -r '.[].key'", "grep -q key"));
            let outcome = place.shell(&line);
            let message = String::from_utf8_lossy(&outcome.stderr).into_owned();
            assert_eq!((outcome.code, message.as_str()), (Some(0), ""), "{example}");
            ran += 1;
        }
    }
    assert!(ran > 25, "{ran}");
}

#[test]
fn the_help_states_the_exit_codes_and_json_shapes() {
    let place = Place::empty();
    assert!(
        place
            .run(["--help"])
            .ok()
            .contains("0 done, 1 failed, 2 damage found (verify), 64 wrong usage, 130 interrupted")
    );
    for command in COMMANDS.iter().filter(|command| **command != "completions") {
        let help = place.run(command.split(' ').chain(["--help"])).ok();
        assert!(help.contains("--json") && help.contains("JSON: "), "{command}: {help}");
    }
    assert!(place.run(["--version"]).ok().starts_with("tensoratom "));
}

#[test]
fn completions_know_every_command() {
    let place = Place::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run(["completions", shell]);
        assert_eq!(script.code, Some(0), "{shell}");
        let text = String::from_utf8(script.stdout).unwrap();
        assert!(COMMANDS.iter().flat_map(|command| command.split(' ')).all(|word| text.contains(word)), "{shell}");
    }
    place.shell("tensoratom completions bash | bash -n").ok();
    let words = "source <(tensoratom completions bash); COMP_WORDS=(tensoratom ver); COMP_CWORD=1
                 _tensoratom tensoratom ver tensoratom; echo \"${COMPREPLY[@]}\"";
    assert_eq!(place.shell(words).ok(), "verify\n");
}
