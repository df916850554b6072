//! Random sequences of calls, for the fuzzer: bytes choose functions, handles and memory. Built by `fuzz/` alone, which takes
//! this crate's root as that of a program.

use std::ffi::c_void;
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::{TA_CREATE, TA_NO_SYNC, ta_key, ta_options, ta_tensor};
use crate::put::{ta_encoding, ta_put_options};
use crate::read::ta_info;
use crate::status::{TA_INTERNAL, TA_INVALID_HANDLE, TA_OK, TA_PANIC};
use crate::wall::ta_error;

const ARENA: usize = 4096;
/// Runs on one store; then it is removed, for it grows.
const RUNS: u64 = 256;
static RUN: AtomicU64 = AtomicU64::new(0);

libfuzzer_sys::fuzz_target!(|data: &[u8]| Sequence::new(data).run());

/// What is left of the bytes, the handles that were made, and memory to pass.
struct Sequence<'a> {
    data: &'a [u8],
    path: String,
    handles: Vec<u64>,
    arena: Box<[u64; ARENA]>,
}

impl<'a> Sequence<'a> {
    fn new(data: &'a [u8]) -> Self {
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let folder = |number: u64| -> PathBuf {
            std::env::temp_dir().join(format!("tensoratom-c-calls-{}-{number}", std::process::id()))
        };
        if run.is_multiple_of(RUNS) {
            drop(std::fs::remove_dir_all(folder((run / RUNS).wrapping_sub(1))));
        }
        let path = folder(run / RUNS).to_string_lossy().into_owned();
        Sequence { data, path, handles: Vec::new(), arena: Box::new([0; ARENA]) }
    }

    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        first
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX,
            254 => u64::from(self.byte()) << 56,
            small => u64::from(small),
        }
    }

    /// A handle that was made, or one that resembles it, or none.
    fn handle(&mut self) -> u64 {
        let choice = self.byte();
        let known = self.handles.get(usize::from(choice & 15)).copied().unwrap_or(0);
        if choice & 0xF0 == 0xF0 { known ^ 1 << (self.byte() & 63) } else { known }
    }

    /// Memory for `bytes` bytes at most, in a slot of its own so that outputs do not meet; or NULL; or misaligned.
    fn memory<T>(&mut self, slot: usize) -> *mut T {
        let base = self.arena.as_mut_ptr().cast::<u8>().wrapping_add(slot * 4096);
        match self.byte() {
            0 => null_mut(),
            1 => base.wrapping_add(1).cast(),
            _ => base.cast(),
        }
    }

    /// A number of elements that fits a slot.
    fn count(&mut self) -> u64 {
        u64::from(self.byte() & 63)
    }

    fn key(&mut self) -> ta_key {
        const NAMES: &[u8] = b"abcdefgh";
        let length = u64::from(self.byte() & 7);
        let name = if self.byte() & 3 == 0 { null() } else { NAMES.as_ptr().cast() };
        let number = i64::from(self.byte());
        ta_key { ns: null(), ns_length: 0, name, name_length: if name.is_null() { 0 } else { length }, number }
    }

    fn kept(&mut self, status: i32, handle: u64) -> i32 {
        if status == TA_OK && self.handles.len() < 16 {
            self.handles.push(handle);
        } else if status == TA_OK {
            crate::handle::ta_close(handle, null_mut());
        }
        status
    }

    fn run(mut self) {
        let open = ta_options {
            flags: TA_CREATE | TA_NO_SYNC,
            chunk_bytes: 0,
            segment_bytes: 1 << 20,
            cache_bytes: 0,
            threads: 1,
            lock_timeout_ms: 0,
        };
        let mut made = 0;
        let path = self.path.clone();
        let opened = crate::store::ta_store_open(path.as_ptr().cast(), path.len() as u64, &open, &mut made, null_mut());
        self.kept(opened, made);
        while !self.data.is_empty() {
            let mut text = [0_u8; 64];
            let mut error = ta_error { text: text.as_mut_ptr().cast(), capacity: 64, length: 0 };
            let status = self.step(&mut error);
            assert!(status != TA_PANIC && status != TA_INTERNAL, "{}", String::from_utf8_lossy(&text));
            assert_eq!(status == TA_OK, error.length == 0, "status {status} and its text do not agree");
        }
        for handle in std::mem::take(&mut self.handles) {
            crate::handle::ta_close(handle, null_mut());
            assert_eq!(crate::handle::ta_close(handle, null_mut()), TA_INVALID_HANDLE, "closed twice");
        }
    }

    fn step(&mut self, error: &mut ta_error) -> i32 {
        use crate::{aggregate, cancel, geometry, handle, math, moments, prefix, put, read, report, sets};
        use crate::{store, transform, txn, txn_vectors, vectors};
        let (mut made, key, from) = (0_u64, self.key(), self.handle());
        let length: *mut u64 = self.memory(7);
        match self.byte() % 35 {
            0 => {
                let status = txn::ta_begin(from, &mut made, error);
                self.kept(status, made)
            }
            1 => {
                let status = store::ta_snapshot(from, u32::from(self.byte() & 3), self.number(), &mut made, error);
                self.kept(status, made)
            }
            2 => {
                let status = cancel::ta_cancel_new(self.number(), &mut made, error);
                self.kept(status, made)
            }
            3 => cancel::ta_cancel_set(from, error),
            4 => handle::ta_close(from, error),
            5 | 6 => {
                let shape = [self.count(), 1];
                let (dtype, rank) = (u32::from(self.byte() % 20), u32::from(self.byte() % 3));
                let tensor = ta_tensor {
                    data: self.memory::<c_void>(0),
                    bytes: self.count(),
                    shape: shape.as_ptr(),
                    rank,
                    dtype,
                };
                let encoding = ta_encoding {
                    kind: u32::from(self.byte() & 3),
                    block: u32::from(self.byte() & 7),
                    scale: self.memory(1),
                    scale_count: self.count(),
                    zero_point: self.memory(2),
                    zero_point_count: self.count(),
                    layout: self.memory(3),
                    layout_length: self.count(),
                    block_elements: u32::from(self.byte()),
                    block_bytes: u32::from(self.byte()),
                };
                let parent = self.key();
                let options = ta_put_options {
                    metadata: b"{}".as_ptr().cast(),
                    metadata_length: u64::from(self.byte() & 2),
                    parents: &parent,
                    parent_count: u64::from(self.byte() & 1),
                    encoding: if self.byte() & 1 == 0 { null() } else { &encoding },
                    expect: u32::from(self.byte() & 3),
                    expect_lsn: self.number(),
                };
                let cancel = self.handle();
                put::ta_put_with(from, &key, &tensor, &options, cancel, error)
            }
            7 => put::ta_commit_with(from, self.handle(), length, error),
            8 => txn::ta_delete(from, &key, self.memory(1), error),
            9 => {
                let to = self.key();
                txn::ta_rename(from, &key, &to, error)
            }
            10 => txn::ta_set_metadata(from, &key, self.memory(0), self.count(), error),
            11 => {
                let mut info = std::mem::MaybeUninit::<ta_info>::uninit();
                read::ta_get_info(from, &key, info.as_mut_ptr(), error)
            }
            12 => read::ta_get_metadata(from, &key, self.memory(0), self.count(), length, error),
            13 => put::ta_get_encoding(from, &key, self.memory(0), self.count(), length, error),
            14 => read::ta_read_with(from, &key, self.number(), self.memory(0), self.count(), self.handle(), error),
            15 => {
                let (mut data, mut bytes) = (null(), 0);
                let (offset, count) = (self.number(), self.number());
                let status = read::ta_map(from, &key, offset, count, &mut data, &mut bytes, &mut made, error);
                self.kept(status, made)
            }
            16 => {
                let status = read::ta_list(from, self.memory(0), self.count(), &mut made, error);
                self.kept(status, made)
            }
            17 => {
                let mut info = std::mem::MaybeUninit::<ta_info>::uninit();
                read::ta_list_next(from, info.as_mut_ptr(), self.memory(0), self.count(), length, error)
            }
            18 => {
                let (dim, dtype, metric) = (self.count() & 3, u32::from(self.byte() % 18), u32::from(self.byte() % 9));
                let status = vectors::ta_vectors_open(from, &key, dim, dtype, metric, &mut made, error);
                self.kept(status, made)
            }
            19 => vectors::ta_vectors_upsert(
                from,
                self.memory(0),
                self.count(),
                self.memory(1),
                self.number() & 63,
                error,
            ),
            20 => vectors::ta_vectors_delete(from, self.memory(0), self.count(), length, error),
            21 => {
                let (queries, k) = (self.count() & 7, self.count());
                let (data, cancel) = (self.memory(0), self.handle());
                vectors::ta_search(
                    from,
                    data,
                    queries,
                    k,
                    cancel,
                    self.memory(1),
                    self.memory(3),
                    self.memory(5),
                    error,
                )
            }
            22 => sets::ta_vectors_get(
                from,
                self.memory(0),
                self.count(),
                self.memory(1),
                self.count(),
                self.memory(2),
                error,
            ),
            23 => sets::ta_vectors_info(from, self.memory(0), self.number() & 4095, length, error),
            24 => {
                let kinds = ["mean", "variance ddof=1", "k_means k=2 points=4", "pca", "covariance", "x"];
                let kind = kinds[usize::from(self.byte()) % kinds.len()];
                let status = aggregate::ta_aggregate_new(kind.as_ptr().cast(), kind.len() as u64, &mut made, error);
                self.kept(status, made)
            }
            25 => {
                let (dtype, dim) = (u32::from(self.byte() % 18), self.count() & 7);
                let (data, rows, stride) = (self.memory(0), self.count() & 15, self.number() & 31);
                aggregate::ta_aggregate_push(from, dtype, dim, data, rows, stride, self.memory(2), error)
            }
            26 => aggregate::ta_aggregate_merge(from, self.handle(), error),
            27 => {
                let (bytes, mut taken) = ([0_u8; 2048], 0);
                let mut bytes = bytes;
                let status = aggregate::ta_aggregate_export(from, bytes.as_mut_ptr().cast(), 2048, &mut taken, error);
                if status != TA_OK {
                    return status;
                }
                bytes[usize::from(self.byte()) * 8] ^= self.byte();
                let status = aggregate::ta_aggregate_import(bytes.as_ptr().cast(), taken, &mut made, error);
                self.kept(status, made)
            }
            28 => {
                let (values, beside) = (self.count(), self.count());
                aggregate::ta_aggregate_finish(
                    from,
                    self.memory(0),
                    values,
                    self.memory(1),
                    beside,
                    length,
                    self.memory(6),
                    error,
                )
            }
            29 => {
                let status = geometry::ta_projection_random(self.count(), self.count(), 7, &mut made, error);
                self.kept(status, made)
            }
            30 => geometry::ta_project(from, self.memory(0), self.count(), self.memory(1), self.count(), error),
            31 => moments::ta_moments_push(
                self.memory(0),
                self.count(),
                2,
                self.count() & 7,
                self.memory(1),
                self.count() & 7,
                0,
                self.memory(2),
                self.count(),
                length,
                error,
            ),
            32 => {
                let (mut deleted, ns) = (0, null());
                prefix::ta_delete_prefix(from, ns, 0, self.memory(0), self.count() & 3, &mut deleted, error)
            }
            33 => match self.byte() & 3 {
                0 => report::ta_stat(from, self.memory(0), self.number() & 4095, length, error),
                1 => {
                    math::ta_reduce(u32::from(self.byte() & 15), self.memory(0), 2, self.count(), self.memory(1), error)
                }
                2 => txn_vectors::ta_txn_vectors_delete(from, &key, self.memory(0), self.count(), length, error),
                _ => transform::ta_convert(
                    self.memory(0),
                    u32::from(self.byte() & 7),
                    self.memory(1),
                    u32::from(self.byte() & 7),
                    self.count(),
                    0,
                    error,
                ),
            },
            _ => {
                // Values for the calls that follow.
                let (at, value) = (usize::from(self.byte()) * 8, self.number());
                self.arena[at % ARENA] = value;
                error.length = 0;
                TA_OK
            }
        }
    }
}
