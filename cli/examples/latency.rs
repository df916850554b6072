//! First touch and repeated read of one atom, and proof that nothing is copied: `latency STORE KEY`.
#![allow(clippy::print_stdout)] // an example talks to the terminal

use std::hint::black_box;
use std::time::Instant;

use tensoratom::{Options, Result, Store};

const REPEATS: u32 = 1_000_000;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(key)) = (args.next(), args.next()) else {
        println!("usage: latency STORE KEY");
        return Ok(());
    };
    let started = Instant::now();
    let store = Store::open(path, &Options::new().read_only(true))?;
    println!("open the store                    {:>10.1?}", started.elapsed());

    let started = Instant::now();
    let payload = store.get(key.as_str())?;
    println!("get, key not seen before          {:>10.1?}", started.elapsed());

    let started = Instant::now();
    let bytes = payload.bytes()?;
    let time = started.elapsed();
    let rate = bytes.len() as f64 / time.as_secs_f64() / 1e9;
    println!("first touch, every byte verified  {time:>10.1?}  {:.1} MB, {rate:.1} GB/s", bytes.len() as f64 / 1e6);

    let started = Instant::now();
    for _ in 0..REPEATS {
        black_box(store.get(key.as_str())?.bytes()?);
    }
    println!("get and bytes, key seen before    {:>10.1?}", started.elapsed() / REPEATS);
    println!("bytes are mapped: {}, at a multiple of 4096: {}", bytes.is_mapped(), bytes.as_ptr().addr() % 4096 == 0);
    Ok(())
}
