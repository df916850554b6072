//! Feeds `tensoratom::testing::fuzz::ggml_blocks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::ggml_blocks(data));
