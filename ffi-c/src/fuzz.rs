//! Random sequences of calls, for the fuzzer: bytes choose functions, handles and memory. `fuzz/` takes this crate's root as
//! that of a program; the tests replay its seeds and finds, and some sequences of their own.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use crate::options::{TA_CREATE, TA_NO_SYNC, ta_key, ta_options, ta_tensor};
use crate::put::{ta_encoding, ta_put_options};
use crate::read::ta_info;
use crate::status::{TA_INTERNAL, TA_INVALID_HANDLE, TA_OK, TA_PANIC};
use crate::wall::ta_error;

const ARENA: usize = 4096;

/// Each run works on a store of some runs, which is removed then, for it grows.
#[cfg(fuzzing)]
mod target {
    use std::sync::atomic::{AtomicU64, Ordering};

    const RUNS: u64 = 256;
    static RUN: AtomicU64 = AtomicU64::new(0);

    libfuzzer_sys::fuzz_target!(|data: &[u8]| {
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let folder =
            |number: u64| std::env::temp_dir().join(format!("tensoratom-c-calls-{}-{number}", std::process::id()));
        if run.is_multiple_of(RUNS) {
            drop(std::fs::remove_dir_all(folder((run / RUNS).wrapping_sub(1))));
        }
        super::Sequence::new(data, folder(run / RUNS).to_string_lossy().into_owned()).run();
    });
}

/// What is left of the bytes, the handles that were made, and memory to pass.
struct Sequence<'a> {
    data: &'a [u8],
    path: String,
    handles: Vec<u64>,
    arena: Box<[u64; ARENA]>,
}

impl<'a> Sequence<'a> {
    fn new(data: &'a [u8], path: String) -> Self {
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
            cold_directory: null(),
            cold_directory_length: 0,
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
        use crate::{
            aggregate, cancel, changes, delete, geometry, handle, math, moments, prefix, put, read, report, sets,
        };
        use crate::{store, tier, transform, txn, txn_vectors, vectors};
        let (mut made, key, from) = (0_u64, self.key(), self.handle());
        let length: *mut u64 = self.memory(7);
        match self.byte() % 72 {
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
            35 => {
                let status = changes::ta_changes(from, null(), 0, self.number(), &mut made, error);
                self.kept(status, made)
            }
            36 => changes::ta_changes_next(
                from,
                self.memory(1),
                self.memory(2),
                self.memory(0),
                self.count(),
                length,
                error,
            ),
            37 => delete::ta_delete_version(from, &key, self.number(), self.memory(1), error),
            38 => {
                let status = geometry::ta_projection_landmarks(self.count(), &mut made, error);
                self.kept(status, made)
            }
            39 => {
                let (axes, bits) = (u32::from(self.byte() & 7), u32::from(self.byte() & 63));
                match self.byte() & 3 {
                    0 => geometry::ta_morton_encode(self.memory(0), axes, bits, length, error),
                    1 => geometry::ta_hilbert_encode(self.memory(0), axes, bits, length, error),
                    2 => geometry::ta_morton_decode(self.number(), axes, bits, self.memory(0), error),
                    _ => geometry::ta_hilbert_decode(self.number(), axes, bits, self.memory(0), error),
                }
            }
            40 => {
                let (low, high) = (f64::from(self.byte()), f64::from(self.byte()));
                let (bits, count) = (u32::from(self.byte() & 63), self.count());
                if self.byte() & 1 == 0 {
                    geometry::ta_grid_cells(low, high, bits, self.memory(0), count, self.memory(1), error)
                } else {
                    geometry::ta_grid_centers(low, high, bits, self.memory(0), count, self.memory(1), error)
                }
            }
            41 => {
                let (a, a_bytes, b) = (self.memory(0), self.count(), self.memory(1));
                let (b_bytes, out) = (self.count(), self.memory(2));
                moments::ta_moments_merge(a, a_bytes, b, b_bytes, out, self.count(), length, error)
            }
            42 => {
                let state = self.memory(0);
                moments::ta_moments_finish(state, self.count(), self.number(), self.memory(1), error)
            }
            43 => {
                let (ns, ns_length, prefix) = (self.memory(1), u64::from(self.byte() & 1), self.memory(0));
                let status = prefix::ta_list_in(from, ns, ns_length, prefix, self.count() & 3, &mut made, error);
                self.kept(status, made)
            }
            44 => {
                let (text, bytes, tier) = (self.memory(0), self.count() & 3, u32::from(self.byte() & 3));
                let (cancel, out) = (self.handle(), self.memory(1));
                prefix::ta_move_to_tier(from, null(), 0, text, bytes, tier, cancel, out, 4096, length, error)
            }
            45 => {
                let (keep, share) = (f64::from(self.byte()) - 64.0, f64::from(self.byte()) / 200.0);
                let (dry, cancel) = (i32::from(self.byte() & 1), self.handle());
                tier::ta_gc(from, keep, share, dry, cancel, self.memory(1), 4096, length, error)
            }
            46 => {
                let prefix = self.memory(0);
                match self.byte() & 7 {
                    0 => tier::ta_tier_policy(from, self.memory(1), 4096, length, error),
                    1 => tier::ta_tier_set_policy(from, prefix, self.count(), error),
                    2 => tier::ta_tier_pin(from, prefix, self.count() & 3, 0, error),
                    3 => tier::ta_tier_unpin(from, prefix, self.count() & 3, 1, error),
                    4 => tier::ta_tier_plan_with(from, self.handle(), self.memory(1), 4096, length, error),
                    5 => {
                        let bytes = self.count();
                        tier::ta_tier_apply(from, prefix, bytes, self.handle(), self.memory(1), 4096, length, error)
                    }
                    _ => tier::ta_tier_maintain(from, self.handle(), self.memory(1), 4096, length, error),
                }
            }
            47 => {
                let (dtype, shape) = (u32::from(self.byte() % 20), [u64::MAX, self.count() & 3]);
                let (rank, mut left) = (u32::from(self.byte() % 3), u64::from(self.byte()));
                let (left, cancel) = ((&raw mut left).cast::<c_void>(), self.handle());
                let shape = shape.as_ptr();
                put::ta_put_stream_with(from, &key, dtype, shape, rank, null(), Some(source), left, cancel, error)
            }
            48 => {
                let queries = [
                    "SELECT count(*) FROM atoms",
                    "SELECT * FROM versions",
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT i FROM n",
                    "DELETE FROM atoms",
                ];
                let sql = queries[usize::from(self.byte() & 3)];
                let (text, bytes, rows) = (sql.as_ptr().cast(), sql.len() as u64, self.number());
                report::ta_query_with(from, text, bytes, rows, self.handle(), self.memory(1), 4096, length, error)
            }
            49 => {
                let (prefix, bytes, cancel) = (self.memory(0), self.count() & 3, self.handle());
                report::ta_verify_in(from, null(), 0, prefix, bytes, cancel, self.memory(1), 4096, length, error)
            }
            50 => match self.byte() & 3 {
                0 => store::ta_namespace_create(from, self.memory(0), self.count() & 3, error),
                1 => store::ta_namespaces(from, self.memory(1), 4096, length, error),
                2 => store::ta_store_lsn(from, length, error),
                _ => report::ta_stat_with(from, self.handle(), self.memory(1), 4096, length, error),
            },
            51 => {
                let (dim, dtype, metric) = (self.count() & 3, u32::from(self.byte() % 18), u32::from(self.byte() % 9));
                txn_vectors::ta_txn_vectors_create(from, &key, dim, dtype, metric, error)
            }
            52 => {
                let (dtype, dim, ids) = (u32::from(self.byte() % 18), self.count() & 3, self.memory(0));
                let (count, data, stride) = (self.count() & 15, self.memory(1), self.number() & 31);
                if self.byte() & 1 == 0 {
                    txn_vectors::ta_txn_vectors_append(from, &key, dtype, dim, ids, count, data, stride, error)
                } else {
                    txn_vectors::ta_txn_vectors_upsert(from, &key, dtype, dim, ids, count, data, stride, error)
                }
            }
            53 => sets::ta_txn_vectors_drop(from, &key, self.memory(1), error),
            54 => {
                let status = vectors::ta_vectors_find(from, &key, &mut made, error);
                self.kept(status, made)
            }
            55 => match self.byte() & 3 {
                0 => vectors::ta_vectors_facts(from, self.memory(0), self.memory(1), self.memory(2), error),
                1 => vectors::ta_vectors_count(from, length, error),
                2 => vectors::ta_vectors_compact(from, self.handle(), length, error),
                _ => sets::ta_vectors_build_companions(from, self.handle(), length, error),
            },
            56 => {
                let (ids, count, data) = (self.memory(0), self.count() & 15, self.memory(1));
                let (stride, cancel) = (self.number() & 31, self.handle());
                match self.byte() & 3 {
                    0 => vectors::ta_vectors_append_with(from, ids, count, data, stride, cancel, error),
                    1 => vectors::ta_vectors_delete_with(from, ids, count, cancel, length, error),
                    _ => vectors::ta_vectors_upsert_with(from, ids, count, data, stride, cancel, error),
                }
            }
            57 => {
                let (metric, data, queries) = (u32::from(self.byte() % 9), self.memory(0), self.count() & 3);
                let (k, cancel, ids) = (self.count(), self.handle(), self.memory(1));
                let (distances, counts) = (self.memory(3), self.memory(5));
                let places = (ids, distances, counts);
                vectors::ta_search_matrix(
                    from, &key, metric, data, queries, k, cancel, places.0, places.1, places.2, error,
                )
            }
            58 => match self.byte() & 1 {
                0 => aggregate::ta_aggregate_count(from, length, error),
                _ => aggregate::ta_aggregate_reset(from, error),
            },
            59 => {
                let (count, block) = (self.count(), self.count());
                if self.byte() & 1 == 0 {
                    let (codes, scale) = (self.memory(1), self.memory(2));
                    transform::ta_quantize_i8(self.memory(0), count, block, codes, scale, self.memory(3), error)
                } else {
                    let (scale, zero) = (self.memory::<f32>(2), self.memory::<i32>(3));
                    transform::ta_dequantize_i8(self.memory(1), count, block, scale, zero, self.memory(0), error)
                }
            }
            60 => {
                let layout = "Q4_0";
                let (text, blocks, bytes) = (layout.as_ptr().cast(), self.memory::<c_void>(0), self.number() & 4095);
                transform::ta_gguf_dequantize(text, 4, blocks, bytes, self.memory(1), self.number() & 1023, error)
            }
            61 => match self.byte() & 1 {
                0 => {
                    let json = b"[1, 2.5, -3e4, 1e999]";
                    let bytes = self.count().min(json.len() as u64);
                    transform::ta_json_parse(json.as_ptr().cast(), bytes, self.memory(1), self.count(), length, error)
                }
                _ => {
                    let (values, count) = (self.memory::<f32>(0), self.count());
                    transform::ta_json_write(values, count, self.memory(1), self.number() & 4095, length, error)
                }
            },
            62 => {
                let (metric, dtype, dim) = (u32::from(self.byte() % 9), u32::from(self.byte() % 18), self.count() & 7);
                let (queries, rows, data) = (self.memory(0), self.count() & 7, self.memory(1));
                let (others, out) = (self.count() & 7, self.memory(2));
                math::ta_cdist(metric, dtype, dim, queries, rows, 0, data, others, 0, out, self.count(), error)
            }
            63 => {
                let (a, b, dtype) = (self.memory::<c_void>(0), self.memory::<c_void>(1), u32::from(self.byte() % 18));
                let (count, factor) = (self.count(), f64::from(self.byte()));
                match self.byte() & 7 {
                    0 => math::ta_distance(u32::from(self.byte() % 9), a, b, dtype, count, self.memory(2), error),
                    1 => math::ta_add(a, b, dtype, count, self.memory(2), error),
                    2 => math::ta_lerp(a, b, factor, dtype, count, self.memory(2), error),
                    3 => math::ta_scale(a, factor, dtype, count, self.memory(2), error),
                    4 => math::ta_normalize(a, dtype, count, self.memory(2), error),
                    5 => math::ta_softmax(a, dtype, count, self.memory(2), error),
                    6 => math::ta_fma(a, b, b, dtype, count, self.memory(2), error),
                    _ => {
                        math::ta_top_k(self.memory(0), count, self.count(), self.memory(1), self.count(), length, error)
                    }
                }
            }
            64 => {
                let status = vectors::ta_vectors_view(from, &key, &mut made, error);
                self.kept(status, made)
            }
            65 => sets::ta_vectors_ids(from, self.memory(0), self.count(), length, error),
            66 => {
                let when = u32::from(self.byte() & 3);
                let status = vectors::ta_vectors_with_companions(from, when, &mut made, error);
                self.kept(status, made)
            }
            67 => {
                let (dead, small, bytes) = (f64::from(self.byte()) / 128.0, self.number(), self.number());
                vectors::ta_vectors_compact_with(from, dead, small, bytes, self.handle(), length, error)
            }
            68 => {
                let (after, prefix) = (self.key(), self.memory(0));
                let bytes = self.count() & 3;
                let status = read::ta_list_after(from, null(), 0, prefix, bytes, &after, &mut made, error);
                self.kept(status, made)
            }
            69 => read::ta_read_f32(from, &key, self.memory(0), self.count(), self.handle(), error),
            70 => match self.byte() & 3 {
                0 => store::ta_store_facts(from, self.memory(1), self.number() & 4095, length, error),
                1 => store::ta_snapshot_lsn(from, length, error),
                2 => cancel::ta_cancel_progress(from, self.memory(1), error),
                _ => report::ta_decode_cache(self.memory(1), self.number() & 4095, length, error),
            },
            71 => match self.byte() & 3 {
                0 => geometry::ta_projection_facts(from, length, self.memory(1), error),
                1 => geometry::ta_projection_axis(from, self.number(), self.memory(1), self.count(), error),
                2 => {
                    let (source, count) = (self.memory(0), self.number() & 1023);
                    let blocks = self.memory(1);
                    transform::ta_gguf_quantize(
                        "Q8_0".as_ptr().cast(),
                        4,
                        source,
                        count,
                        blocks,
                        self.number() & 4095,
                        error,
                    )
                }
                _ => transform::ta_digest(self.memory(0), self.count(), self.memory(1), error),
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

/// A source of as many bytes as the number at `context` says.
extern "C" fn source(context: *mut c_void, buffer: *mut u8, capacity: u64) -> i64 {
    let Ok(left) = crate::memory::output(context.cast::<u64>(), 1) else { return -1 };
    let given = left[0].min(capacity).min(100);
    left[0] -= given;
    let Ok(bytes) = crate::memory::output(buffer, given) else { return -1 };
    bytes.fill(7);
    given as i64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::Sequence;

    fn run(folder: &Path, name: &str, data: &[u8]) {
        Sequence::new(data, folder.join(name).to_str().unwrap().to_owned()).run();
    }

    // A find of the fuzzer that nobody runs again comes back with the next change.
    #[test]
    fn seeds_and_finds_of_the_fuzzer_are_replayed() {
        let folder = tempfile::tempdir().unwrap();
        let mut replayed = 0;
        for kind in ["seeds", "regressions"] {
            let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../fuzz/{kind}/c_calls"));
            for input in std::fs::read_dir(inputs).into_iter().flatten() {
                run(folder.path(), &format!("{kind}-{replayed}"), &std::fs::read(input.unwrap().path()).unwrap());
                replayed += 1;
            }
        }
        assert!(replayed > 1);
    }

    // Functions that were added later are in no seed: their first random calls must not wait for a fuzzer.
    #[test]
    fn random_calls_of_every_kind_are_answered_by_a_status() {
        let folder = tempfile::tempdir().unwrap();
        let effort: u64 = std::env::var("TENSORATOM_TEST_EFFORT").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        let mut state = 1_u64;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        for run_number in 0..60 * effort {
            let data: Vec<u8> = (0..2000).map(|_| byte()).collect();
            run(folder.path(), &(run_number / 20).to_string(), &data);
        }
    }
}
