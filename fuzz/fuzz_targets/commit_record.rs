//! Feeds `tensoratom::testing::fuzz::commit_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::commit_record(data));
