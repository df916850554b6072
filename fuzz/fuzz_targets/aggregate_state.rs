//! Feeds `tensoratom::testing::fuzz::aggregate_state`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tensoratom::testing::fuzz::aggregate_state(data));
