//! Running the program, and the small files it is fed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a store named `store`, in which the program runs.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// Without the store.
    pub(crate) fn empty() -> Self {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn new() -> Self {
        let place = Place::empty();
        place.run(["init", "store"]).ok();
        place
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tensoratom"));
        command.args(args).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        let mut command = self.command(args);
        let output = command.output().unwrap();
        Ran { what: format!("{command:?}"), code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
    }

    /// Runs a shell line in which `tensoratom` is the program.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let script = format!("tensoratom() {{ '{}' \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_tensoratom"));
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(self.directory.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        Ran { what: line.to_owned(), code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
    }

    /// Stores three numbers under a key.
    pub(crate) fn put(&self, key: &str) {
        self.write("three.bin", [1_u8, 2, 3]);
        self.run(["put", "store", "--", key, "three.bin"]).ok();
    }

    /// The keys that `ls` lists.
    pub(crate) fn keys(&self) -> Vec<Value> {
        self.run(["ls", "store", "--json"]).json().as_array().unwrap().iter().map(|atom| atom["key"].clone()).collect()
    }
}

/// How a run ended.
pub(crate) struct Ran {
    what: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Ran {
    /// What was printed by a run that must have gone well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr).into_owned();
        assert_eq!((self.code, stderr.as_str()), (Some(0), ""), "{}", self.what);
        self.printed()
    }

    /// What was printed on standard output. Nobody's terminal was given anything to obey.
    #[track_caller]
    pub(crate) fn printed(&self) -> String {
        printable(&self.stdout)
    }

    /// The message of a run that must have failed so.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        let message = printable(&self.stderr);
        assert_eq!(self.code, Some(code), "{}: {message}", self.what);
        assert_eq!(printable(&self.stdout), "", "{}: a failure prints nothing on standard output", self.what);
        assert!(!message.contains("panicked"), "{}: {message}", self.what);
        message
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

/// Text without control characters other than line ends.
#[track_caller]
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{text:?}");
    text
}

/// The names of an object's fields, in order.
#[track_caller]
pub(crate) fn fields(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// A safetensors file.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// A safetensors file of many one-byte tensors `prefix` + number.
pub(crate) fn many(prefix: &str, count: usize) -> Vec<u8> {
    let entry = |i| format!(r#""{prefix}{i:05}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1);
    let header = format!("{{{}}}", (0..count).map(entry).collect::<Vec<_>>().join(","));
    safetensors(&header, &vec![7; count])
}

/// An `.npy` file as NumPy writes it.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&(text.len() as u16).to_le_bytes());
    file.extend_from_slice(text.as_bytes());
    file.extend_from_slice(data);
    file
}

/// Bytes of some floats.
pub(crate) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}
