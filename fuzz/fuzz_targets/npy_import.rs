//! Feeds `tensoratom::testing::fuzz::npy_import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::npy_import(data));
