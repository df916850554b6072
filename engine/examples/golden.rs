//! Writes the golden stores of the present format: `golden DIRECTORY`. See `make golden`.
#![allow(clippy::print_stdout)] // an example talks to the terminal

use std::path::Path;

use tensoratom::testing::golden;

fn main() -> tensoratom::Result<()> {
    let Some(path) = std::env::args().nth(1) else {
        println!("usage: golden DIRECTORY");
        return Ok(());
    };
    let path = Path::new(&path);
    golden::write(&path.join("warm"))?;
    golden::write_cold(&path.join("cold"))?;
    println!("wrote {} and {}", path.join("warm").display(), path.join("cold").display());
    Ok(())
}
