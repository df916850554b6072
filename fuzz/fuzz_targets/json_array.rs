//! Feeds `tensoratom::testing::fuzz::json_array`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::json_array(data));
