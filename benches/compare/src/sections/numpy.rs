//! NumPy on the same kinds of work: pairs, a product of a matrix with a vector, conversions. Rows of a Python program.

use std::process::Command;

use crate::Settings;
use crate::report::Report;

pub fn run(settings: &Settings, report: &mut Report) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/numpy_rows.py");
    let size = if settings.quick { "16" } else { "512" };
    let output = Command::new(&settings.python).arg(script).arg(size).env("OPENBLAS_NUM_THREADS", "1").output();
    let answer = output.ok().and_then(|output| serde_json::from_slice::<serde_json::Value>(&output.stdout).ok());
    let Some(answer) = answer else {
        println!("  NumPy is not there: pip install numpy, and give --python");
        return;
    };
    report.section(&format!("NumPy {}, one thread", answer["numpy"].as_str().unwrap_or("?")));
    for row in answer["rows"].as_array().into_iter().flatten() {
        let text = |name: &str| row[name].as_str().unwrap_or("?").to_owned();
        report.row(&text("what"), "numpy", row["value"].as_f64().unwrap_or(f64::NAN), &text("unit"));
    }
}
