//! The installed C package: the example built with CMake and with pkg-config against a prefix that was moved.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod build;

use std::process::Command;

fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{command:?}\n{}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

// A package that only works where it was built is none. The prefix is moved after the installation.
#[test]
fn projects_in_c_build_against_an_installed_package() {
    let (work, library) = (tempfile::tempdir().unwrap(), build::library());
    let stage = work.path().join("stage");
    run(Command::new(build::home().join("package/install.sh"))
        .arg(library.parent().unwrap())
        .arg(env!("CARGO_PKG_VERSION"))
        .env("DESTDIR", &stage)
        .env("PREFIX", "/opt/tensoratom"));
    let (prefix, built) = (work.path().join("moved"), work.path().join("built"));
    std::fs::rename(stage.join("opt/tensoratom"), &prefix).unwrap();

    run(Command::new("cmake")
        .arg("-S")
        .arg(build::home().join("examples/cmake"))
        .arg("-B")
        .arg(&built)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())));
    run(Command::new("cmake").arg("--build").arg(&built));

    let pkg_config = |question: &str| {
        let answer = run(Command::new("pkg-config")
            .args([question, "tensoratom", "--define-variable"])
            .arg(format!("prefix={}", prefix.display()))
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
        answer.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let linked = work.path().join("linked");
    run(Command::new("cc")
        .args(pkg_config("--cflags"))
        .arg(build::home().join("examples/search.c"))
        .args(pkg_config("--libs"))
        .arg("-o")
        .arg(&linked));
    for (program, store) in [(built.join("search"), "a"), (linked, "b")] {
        let printed =
            run(Command::new(program).arg(work.path().join(store)).env("LD_LIBRARY_PATH", prefix.join("lib")));
        assert_eq!(printed, "4 8 0\n");
    }
}
