//! Collected numbers: printed as they come, written as JSON at the end.

use std::path::Path;

use serde_json::{Value, json};

pub struct Report {
    machine: String,
    rows: Vec<Value>,
    section: String,
}

impl Report {
    pub fn new(machine: String) -> Self {
        println!("{machine}");
        Report { machine, rows: Vec::new(), section: String::new() }
    }

    /// The machine, in one line.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Starts a section.
    pub fn section(&mut self, title: &str) {
        println!("\n{title}");
        self.section = title.to_owned();
    }

    /// One number.
    pub fn row(&mut self, what: &str, who: &str, value: f64, unit: &str) {
        let shown = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        println!("  {what:38} {who:28} {shown:>10} {unit}");
        self.rows.push(json!({
            "section": self.section, "what": what, "who": who, "value": value, "unit": unit,
        }));
    }

    pub fn write(&self, path: &Path) {
        let text = serde_json::to_string_pretty(&json!({
            "machine": self.machine,
            "command": command(),
            "rows": self.rows,
        }));
        std::fs::write(path, text.expect("plain values") + "\n").expect("writing the results");
        println!("\nraw numbers: {}", path.display());
    }
}

/// How this program was called. Of folders of the machine only the last component is kept: they mean nothing elsewhere.
fn command() -> String {
    let last = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let arguments = std::env::args().map(|word| if word.starts_with('/') { last(&word).unwrap_or(word) } else { word });
    arguments.collect::<Vec<_>>().join(" ")
}
