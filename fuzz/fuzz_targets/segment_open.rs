//! Feeds `tensoratom::testing::fuzz::segment_open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::segment_open(data));
