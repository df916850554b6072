//! Where the library under test is; built on first use, for cargo builds no shared library for tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Path of `libtensoratom.so`.
pub(crate) fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
            let out = Command::new(env!("CARGO"))
                .args(["libraries", "--target-dir"])
                .arg(profile.parent().unwrap())
                .current_dir(home())
                .output()
                .unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            profile.join("libtensoratom.so")
        })
        .clone()
}
