//! The engine and its rivals, one after the other in one run on one machine: `compare [--quick] [--only SECTION]...
//! [--disk DIR] [--python FILE] [--model FILE] [--out FILE]`. Prints a table per section and writes the raw numbers as JSON.
//! Every answer is checked.

mod engines;
mod machine;
mod report;
mod sections;

use std::path::PathBuf;

use report::Report;

/// How much to measure, and where.
pub struct Settings {
    /// Smaller sizes, to try the program itself.
    pub quick: bool,
    /// A directory on a real disk.
    pub disk: PathBuf,
    /// A directory in memory.
    pub memory: PathBuf,
    /// The command line of the project, for measurements of whole processes.
    pub cli: PathBuf,
    /// A Python with `numpy`, `faiss-cpu`, `zipnn`, `blosc2` and `zstandard`, for the rivals that are Python libraries.
    pub python: PathBuf,
    /// The file for the raw numbers; plots go beside it.
    pub out: Option<PathBuf>,
    /// Real weights, as a safetensors file: the model of `make demo`.
    pub model: PathBuf,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut settings = Settings {
        quick: false,
        disk: std::env::temp_dir(),
        memory: PathBuf::from("/dev/shm"),
        cli: PathBuf::from("../../target/release/tensoratom"),
        python: PathBuf::from("python3"),
        out: None,
        model: PathBuf::from("../../.demo/model.safetensors"),
    };
    let mut only: Vec<String> = Vec::new();
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--quick" => settings.quick = true,
            "--only" => only.push(value()),
            "--disk" => settings.disk = value().into(),
            "--cli" => settings.cli = value().into(),
            "--python" => settings.python = value().into(),
            "--model" => settings.model = value().into(),
            "--out" => settings.out = Some(PathBuf::from(value())),
            other => panic!("unknown argument {other}; see the first line of the source"),
        }
    }
    let mut report = Report::new(machine::describe());
    let sections: [(&str, fn(&Settings, &mut Report)); 14] = [
        ("get", sections::get::known_keys),
        ("million", sections::million::run),
        ("touch", sections::touch::run),
        ("ingest", sections::ingest::run),
        ("commits", sections::commits::run),
        ("files", sections::files::run),
        ("memory", sections::memory::run),
        ("search", sections::search::run),
        ("wide", sections::search::wide),
        ("growth", sections::growth::run),
        ("codecs", sections::codecs::run),
        ("numpy", sections::numpy::run),
        ("kernels", sections::kernels::run),
        ("codec", sections::codec::run),
    ];
    for (name, run) in sections {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            run(&settings, &mut report);
        }
    }
    if let Some(out) = &settings.out {
        report.write(out);
    }
}
