//! Feeds `tensoratom::testing::fuzz::safetensors_import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::safetensors_import(data));
