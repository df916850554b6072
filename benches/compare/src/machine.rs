//! What machine this is, in one line.

use std::fs;
use std::process::Command;

/// Processor, cores, memory, kernel, compiler.
pub fn describe() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    let output = |program: &str, args: &[&str]| {
        let out = Command::new(program).args(args).output().map(|out| out.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory: u64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    format!(
        "{}, {cores} cores, {:.0} GiB, Linux {}, {}",
        field("/proc/cpuinfo", "model name"),
        memory as f64 / 1024.0 / 1024.0,
        output("uname", &["-r"]),
        output("rustc", &["--version"]),
    )
}
