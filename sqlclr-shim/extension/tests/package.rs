//! The packages that a server takes: what is in them, and that they can be made again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs a program and returns what it printed.
fn output(program: &str, arguments: &[&Path]) -> String {
    let out = Command::new(program).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

// A package with another byte at each build cannot be compared with what an administrator approved.
#[test]
fn the_same_library_gives_the_same_package_with_it_alone_inside() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("package.sh");
    let library = folder.path().join("libtensoratom_extension.so");
    // Code of this machine stands for it: packing a whole library takes ten seconds and tells no more.
    let code = fs::read(std::env::current_exe().unwrap()).unwrap();
    fs::write(&library, &code[..code.len().min(1 << 20)]).unwrap();
    let dll = folder.path().join("tensoratom_extension.dll");
    fs::write(&dll, b"MZ stands for a library of Windows").unwrap();
    let mut made = Vec::new();
    for name in ["one", "two"] {
        let target = folder.path().join(name);
        for library in [&library, &dll] {
            output(script.to_str().unwrap(), &[library, &target]);
        }
        assert!(target.join("external_language.sql").is_file());
        made.push(
            ["tensoratom_extension.tar.gz", "tensoratom_extension.zip"]
                .map(|file| fs::read(target.join(file)).unwrap()),
        );
    }
    assert!(made[0] == made[1], "a package differs from the one made before");
    let tar = folder.path().join("one/tensoratom_extension.tar.gz");
    assert_eq!(output("tar", &[Path::new("-tzf"), &tar]), "libtensoratom_extension.so\n");
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    output("tar", &[Path::new("-xzf"), &tar, Path::new("-C"), &unpacked]);
    assert!(fs::read(unpacked.join("libtensoratom_extension.so")).unwrap() == fs::read(&library).unwrap());
    let listing =
        "import sys, zipfile; print([(i.filename, i.file_size) for i in zipfile.ZipFile(sys.argv[1]).infolist()])";
    let zip = folder.path().join("one/tensoratom_extension.zip");
    let found = output("python3", &[Path::new("-c"), Path::new(listing), &zip]);
    assert_eq!(found.trim(), "[('tensoratom_extension.dll', 34)]");
}
