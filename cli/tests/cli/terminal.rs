//! On a terminal and in a pipe: colours and progress only where somebody looks, and no control over the terminal for
//! those who name keys.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Place, many, safetensors};

/// Clears the screen, in three spellings, and turns the writing round.
const EVIL: &str = "\u{1b}[2J\u{9b}2J\r\u{8}\u{202e}";

fn is_evil(c: char) -> bool {
    EVIL.contains(c) && !"[2J".contains(c)
}

/// Runs the program on a terminal of its own; returns exit code and what the terminal was sent.
fn on_terminal(place: &Place, args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 50, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let mut options = File::options();
    options.read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32);
    let slave: OwnedFd = options.open(name).unwrap().into();
    let mut command = place.command(args);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("CI").envs(environment.iter().copied());
    command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
    let mut child = command.spawn().unwrap();
    drop(command); // and with it the last of our own handles on the terminal's other side
    let mut seen = Vec::new();
    let mut master = File::from(master);
    let mut block = [0; 4096];
    // The end of the program shows as an error here, not as an end of file.
    while let Ok(count @ 1..) = master.read(&mut block) {
        seen.extend_from_slice(&block[..count]);
    }
    (child.wait().unwrap().code(), String::from_utf8(seen).unwrap())
}

fn evil_place() -> Place {
    let place = Place::new();
    let json = serde_json::to_string(EVIL).unwrap();
    let header = format!(r#"{{{json}:{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
    place.write(&format!("m{}.safetensors", EVIL.replace('/', "")), safetensors(&header, &[1]));
    place.run(["import", "store", &format!("m{EVIL}.safetensors")]).ok();
    place.write("f", [1]);
    let metadata = format!(r#"{{"note": "\u001b[2J{}"}}"#, "\u{9b}2J\u{202e}");
    place.run(["put", "store", "k", "f", "--metadata", &metadata]).ok();
    place
}

// Whoever may name an atom could otherwise rewrite the screen of whoever lists it.
#[test]
fn keys_metadata_and_file_names_cannot_command_the_terminal() {
    let place = evil_place();
    let query = format!("SELECT key, 'x' AS \"{EVIL}\" FROM atoms");
    let runs: [&[&str]; 9] = [
        &["ls", "store"],
        &["ls", "store", "--json"],
        &["get", "store", EVIL],
        &["get", "store", "k"],
        &["get", "store", "k", "--json"],
        &["get", "store", &format!("{EVIL}x")],
        &["sql", "store", &query],
        &["put", "store", EVIL, "f"],
        &["ls", EVIL],
    ];
    for args in runs {
        let (_, seen) = on_terminal(&place, args, &[]);
        let ours = seen.replace("\r\n", "\n");
        // Colours are ours; they end with `m`. Everything else of theirs must be gone.
        let mut rest = ours.as_str();
        while let Some(at) = rest.find('\u{1b}') {
            let style = &rest[at + 1..];
            let len = style.find(|c: char| !(c == '[' || c == ';' || c.is_ascii_digit())).unwrap();
            assert_eq!(style.as_bytes()[len], b'm', "{args:?}: {seen:?}");
            rest = &style[len..];
        }
        assert!(!ours.chars().any(|c| c != '\u{1b}' && is_evil(c)), "{args:?}: {seen:?}");
        assert!(ours.contains("\\u{9b}") || ours.contains("\\u009b"), "{args:?}: {seen:?}");
    }
}

// Piped JSON must say exactly what the key is, also where it looks like an escape sequence.
#[test]
fn json_keeps_control_characters_exactly() {
    let place = evil_place();
    let mut keys = place.keys();
    keys.sort_by_key(|key| key.to_string().len());
    assert_eq!(keys, ["k", EVIL]);
    let rows = place.run(["sql", "store", "SELECT key FROM atoms WHERE key <> 'k'", "--json"]).json();
    assert_eq!(rows[0]["key"], EVIL);
    let metadata = place.run(["get", "store", "k", "--json"]).json()["metadata"]["note"].clone();
    assert_eq!(metadata, "\u{1b}[2J\u{9b}2J\u{202e}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let place = Place::new();
    let (code, seen) = on_terminal(&place, &["verify", "store"], &[]);
    assert!(code == Some(0) && seen.contains("\u{1b}[32m") || seen.contains("\u{1b}[1m"), "{seen:?}");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let (_, seen) = on_terminal(&place, &["stat", "store"], &[environment]);
        assert!(!seen.contains('\u{1b}'), "{environment:?}: {seen:?}");
    }
    // `ok` refuses control characters, colours included.
    place.run(["verify", "store"]).ok();
    place.run(["stat", "store"]).ok();
    place.run(["--help"]).ok();
    place.run(["ls", "nowhere"]).fails(1);
}

#[test]
fn progress_shows_on_a_terminal_only() {
    let place = Place::new();
    let bytes = 40 << 20;
    let header = format!(r#"{{"t":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    place.write("big.safetensors", safetensors(&header, &vec![1; bytes]));
    let (code, seen) = on_terminal(&place, &["import", "store", "big.safetensors"], &[]);
    assert_eq!(code, Some(0), "{seen:?}");
    assert!(seen.contains("import [") && seen.contains("40.00 MiB") && seen.contains("imported"), "{seen:?}");
    let ran = place.run(["export", "store", "-o", "same.safetensors"]);
    assert_eq!(ran.stderr, b"");
    ran.ok();
    place.run(["verify", "store"]).ok();
}

// `ls | head -1` ended in a panic and a page of backtrace.
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::new();
    place.write("many.safetensors", many("k", 5_000));
    place.run(["import", "store", "many.safetensors"]).ok();
    let query = "SELECT * FROM atoms";
    for command in ["ls store", "ls store --json", &format!("sql store \"{query}\""), "--help", "completions zsh"] {
        let ran = place.shell(&format!("tensoratom {command} | head -1; exit ${{PIPESTATUS[0]}}"));
        assert_eq!((ran.code, String::from_utf8(ran.stderr).unwrap().as_str()), (Some(0), ""), "{command}");
        assert!(!ran.stdout.is_empty(), "{command}");
    }
}

// A million lines must not be waited for: the first ones are there while the rest is still being read.
#[test]
fn a_listing_is_printed_while_it_is_read() {
    let place = Place::new();
    place.write("many.safetensors", many("k", 5_000));
    place.run(["import", "store", "many.safetensors"]).ok();
    let mut child = place.command(["ls", "store", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4096];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"[\n  {\"key\":\"k00000\""));
    // A pipe holds 64 KiB and the list is longer, so the program cannot have gone on to its end.
    assert_eq!(child.try_wait().unwrap(), None);
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
