//! Feeds `tensoratom::testing::fuzz::catalog_rebuild`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::catalog_rebuild(data));
