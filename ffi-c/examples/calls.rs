//! Cost of calls through the C interface and through the language extension, each against the same work without them, in
//! one run: `make c-measure`. The libraries are loaded at run time, so every call is the one that a C program makes.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a program for people, that fails loudly

use std::ffi::{CString, c_char, c_void};
use std::hint::black_box;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::Instant;

use engine::kernels::{Metric, Rows, distance};
use engine::{DType, Options, Store, Tensor};

const DIM: usize = 768;
const BATCH: usize = 10_000;
const PAYLOAD: usize = 4 << 20;
const ROUNDS: usize = 9;

/// A key as the header lays it out.
#[repr(C)]
struct Key {
    ns: *const c_char,
    ns_length: u64,
    name: *const c_char,
    name_length: u64,
    number: i64,
}

/// A GUID as the host passes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Guid(u32, u16, u16, [u8; 8]);

type Dot = unsafe extern "C" fn(*const c_void, *const c_void, u32, u64, *mut f64, *mut c_void) -> i32;
type Open = unsafe extern "C" fn(*const c_char, u64, *const c_void, *mut u64, *mut c_void) -> i32;
type Read = unsafe extern "C" fn(u64, *const Key, u64, *mut c_void, u64, *mut c_void) -> i32;
type InitSession =
    unsafe extern "C" fn(Guid, u16, u16, *const u8, u64, u16, u16, *const u8, u16, *const u8, u16) -> i16;
type InitColumn = unsafe extern "C" fn(Guid, u16, u16, *const u8, i16, i16, u64, i16, i16, i16, i16) -> i16;
type Execute = unsafe extern "C" fn(Guid, u16, u64, *const *const c_void, *const *const i32, *mut u16) -> i16;
type GetResults = unsafe extern "C" fn(Guid, u16, *mut u64, *mut *mut *mut c_void, *mut *mut *mut i32) -> i16;

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let (c, extension) = (load(&folder, "libtensoratom.so"), load(&folder, "libtensoratom_extension.so"));
    println!("| what | without | with | cost |\n| --- | --- | --- | --- |");
    pairs(c);
    payload(c);
    batch(extension);
}

fn pairs(library: usize) {
    let dot: Dot = function(library, "ta_dot");
    let (a, b) = (vector(1), vector(2));
    let raw = best(1_000_000, || {
        let (a, b) = (Rows::one(black_box(&a)).unwrap(), Rows::one(black_box(&b)).unwrap());
        black_box(distance(Metric::Dot, a, b).unwrap());
    });
    let through = best(1_000_000, || {
        let (mut out, dtype) = (0.0, u32::from(DType::F32.number()));
        let (a, b) = (black_box(&a).as_ptr().cast(), black_box(&b).as_ptr().cast());
        // SAFETY: two vectors of DIM numbers, a place for the result, no error text.
        let status = unsafe { dot(a, b, dtype, DIM as u64, &raw mut out, null_mut()) };
        assert!(status == 0 && black_box(out) != 0.0);
    });
    row("dot of 768 f32, one call through C", raw, through);
}

fn payload(library: usize) {
    let (open, read): (Open, Read) = (function(library, "ta_store_open"), function(library, "ta_read"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let bytes: Vec<u8> = (0..PAYLOAD).map(|at| (at % 251) as u8).collect();
    let store = Store::create(&path, &Options::new()).unwrap();
    store.put("a", &Tensor::new(DType::U8, &[PAYLOAD as u64], &bytes).unwrap()).unwrap();
    drop(store);
    let (path, mut handle) = (path.to_str().unwrap().to_owned(), 0);
    // SAFETY: a text with its length, default options, a place for the handle.
    let status = unsafe { open(path.as_ptr().cast(), path.len() as u64, null(), &raw mut handle, null_mut()) };
    assert_eq!(status, 0);
    let mut target = vec![0_u8; PAYLOAD];
    let raw = best(200, || black_box(&mut target).copy_from_slice(black_box(&bytes)));
    let key = Key { ns: null(), ns_length: 0, name: c"a".as_ptr(), name_length: 1, number: 0 };
    let through = best(200, || {
        // SAFETY: a key that lives, PAYLOAD bytes to write to.
        let status = unsafe { read(handle, &raw const key, 0, target.as_mut_ptr().cast(), PAYLOAD as u64, null_mut()) };
        assert_eq!(status, 0);
    });
    assert_eq!(target, bytes);
    row("4 MiB into memory of the caller, ta_read against memcpy", raw, through);
}

fn batch(library: usize) {
    let begin: InitSession = function(library, "InitSession");
    let column: InitColumn = function(library, "InitColumn");
    let execute: Execute = function(library, "Execute");
    let results: GetResults = function(library, "GetResults");
    let columns: Vec<Vec<f32>> =
        (0..2).map(|seed| (0..BATCH).flat_map(|row| vector(row as u32 + seed)).collect()).collect();
    let raw = best(10, || {
        let [a, b] = columns.as_slice() else { return };
        for (a, b) in a.chunks(DIM).zip(b.chunks(DIM)) {
            black_box(distance(Metric::Dot, Rows::one(a).unwrap(), Rows::one(b).unwrap()).unwrap());
        }
    });
    let (guid, script) = (Guid(1, 2, 3, [4; 8]), "dot");
    // SAFETY: a text with its length; no names.
    let status = unsafe { begin(guid, 0, 1, script.as_ptr(), 3, 2, 0, null(), 0, null(), 0) };
    assert_eq!(status, 0);
    for number in 0..2 {
        // SAFETY: no name.
        let status = unsafe { column(guid, 0, number, null(), 0, -2, 8000, 0, 1, -1, -1) };
        assert_eq!(status, 0);
    }
    let lengths = vec![i32::try_from(4 * DIM).unwrap(); BATCH];
    let data: Vec<*const c_void> = columns.iter().map(|column| column.as_ptr().cast()).collect();
    let indicators = [lengths.as_ptr(); 2];
    let through = best(10, || {
        let (mut count, mut rows, mut values, mut found) = (0, 0, null_mut(), null_mut());
        // SAFETY: two columns of BATCH values with their lengths, which live.
        let status = unsafe { execute(guid, 0, BATCH as u64, data.as_ptr(), indicators.as_ptr(), &raw mut count) };
        // SAFETY: places for the results.
        let answered = unsafe { results(guid, 0, &raw mut rows, &raw mut values, &raw mut found) };
        assert!((status, answered, count, rows) == (0, 0, 1, BATCH as u64));
    });
    row("dot of 768 f32, per row of 10,000 through the extension", raw / BATCH as f64, through / BATCH as f64);
}

/// Numbers that depend on the seed.
fn vector(seed: u32) -> Vec<f32> {
    (0..DIM as u32).map(|at| ((at * 37 + seed * 101) % 211) as f32 / 211.0 - 0.5).collect()
}

/// Seconds of one call: the fastest of some rounds, each the mean of many calls.
fn best(calls: usize, mut call: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_secs_f64() / calls as f64
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn row(what: &str, without: f64, with: f64) {
    let (without, with) = (without * 1e9, with * 1e9);
    println!("| {what} | {without:.1} ns | {with:.1} ns | {:+.1} ns, {:.2}x |", with - without, with / without);
}

fn load(folder: &str, name: &str) -> usize {
    let path = CString::new(Path::new(folder).join(name).to_str().unwrap()).unwrap();
    // SAFETY: a text with NUL; the library of this build.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "{path:?} cannot be loaded; build it first");
    handle.expose_provenance()
}

fn function<T: Copy>(library: usize, name: &str) -> T {
    let name = CString::new(name).unwrap();
    // SAFETY: a handle that dlopen gave; a text with NUL.
    let found = unsafe { libc::dlsym(std::ptr::with_exposed_provenance_mut(library), name.as_ptr()) };
    assert!(!found.is_null() && size_of::<T>() == size_of::<*mut c_void>(), "{name:?} is missing");
    // SAFETY: T is the type of a pointer to that function, as the header declares it.
    unsafe { std::mem::transmute_copy::<*mut c_void, T>(&found) }
}
