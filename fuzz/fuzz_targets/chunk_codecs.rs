//! Feeds `tensoratom::testing::fuzz::chunk_codecs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::chunk_codecs(data));
