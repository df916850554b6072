//! Distances of rows of bits: what they count, and a short way for a pair.

use std::marker::PhantomData;

use super::entry::{Finish, Scan};
use super::vector::Isa;

/// Distances of rows of bits. Counts are exact, so that their order is free.
pub(super) struct Bits<T>(PhantomData<T>);

impl<T: Tally> Scan for Bits<T> {
    /// A pair of whole bytes apart: it takes less time than a function spends on keeping registers for a loop over rows.
    #[inline(always)]
    unsafe fn run<I: Isa>(
        isa: I,
        query: *const u8,
        rows: *const u8,
        stride: usize,
        count: usize,
        dim: usize,
        out: *mut f64,
    ) -> f64 {
        if count != 1 || !dim.is_multiple_of(8) {
            let many = isa.entry::<BitRows<T>>();
            // SAFETY: it asks for what the caller promises.
            return unsafe { many(query, rows, stride, count, dim, out) };
        }
        // SAFETY: the caller promises `dim` bits at both.
        let value = T::tally(unsafe { Counts::of_bytes(isa, query, rows, dim / 8) }.map(|count| count as i64 as f64));
        // SAFETY: the caller promises a place for the row.
        unsafe { out.write(value) };
        value
    }
}

/// As [`Bits`], row by row.
struct BitRows<T>(PhantomData<T>);

impl<T: Tally> Scan for BitRows<T> {
    #[inline(always)]
    unsafe fn run<I: Isa>(
        isa: I,
        query: *const u8,
        rows: *const u8,
        stride: usize,
        count: usize,
        dim: usize,
        out: *mut f64,
    ) -> f64 {
        let mut value = 0.0;
        let mut r = 0;
        while r < count {
            let row = rows.wrapping_add(r.wrapping_mul(stride));
            // SAFETY: the caller promises `dim` bits at both.
            let mut counts = unsafe { Counts::of_bytes(isa, query, row, dim / 8) };
            if !dim.is_multiple_of(8) {
                // Bits behind the last element are anything.
                let last = (1_u8 << (dim % 8)) - 1;
                // SAFETY: where `dim` is no multiple of 8 there is a byte behind the whole ones.
                let a = unsafe { query.wrapping_add(dim / 8).read() } & last;
                // SAFETY: as above.
                let b = unsafe { row.wrapping_add(dim / 8).read() } & last;
                counts.both += u64::from((a & b).count_ones());
                counts.differ += u64::from((a ^ b).count_ones());
                counts.first += u64::from(a.count_ones());
                counts.second += u64::from(b.count_ones());
            }
            value = T::tally(counts.map(|count| count as i64 as f64));
            // SAFETY: the caller promises a place for every row below `count`.
            unsafe { out.wrapping_add(r).write(value) };
            r += 1;
        }
        value
    }
}

/// How many bits are set in both of two rows, differ, and are set in the first and in the second.
pub(super) struct Counts<T> {
    both: T,
    differ: T,
    first: T,
    second: T,
}

/// Makes a distance of counts. What it does not ask for is not counted.
pub(super) trait Tally {
    fn tally(counts: Counts<f64>) -> f64;
}

pub(super) struct Differ;
pub(super) struct Jaccard;

impl Tally for Differ {
    #[inline(always)]
    fn tally(counts: Counts<f64>) -> f64 {
        counts.differ
    }
}

impl Tally for Jaccard {
    #[inline(always)]
    fn tally(counts: Counts<f64>) -> f64 {
        jaccard(counts.both, counts.both + counts.differ)
    }
}

impl<F: Finish> Tally for F {
    #[inline(always)]
    fn tally(counts: Counts<f64>) -> f64 {
        F::finish(0.0, counts.both, counts.first, counts.second)
    }
}

/// `1 - both / either`; 0 of nothing.
pub(super) fn jaccard(both: f64, either: f64) -> f64 {
    if either == 0.0 { 0.0 } else { 1.0 - both / either }
}

impl<T> Counts<T> {
    #[inline(always)]
    fn map<U>(self, f: impl Fn(T) -> U) -> Counts<U> {
        let Counts { both, differ, first, second } = self;
        Counts { both: f(both), differ: f(differ), first: f(first), second: f(second) }
    }
}

impl Counts<u64> {
    /// Of two rows of so many bytes.
    ///
    /// # Safety
    /// They are readable at both.
    #[inline(always)]
    unsafe fn of_bytes<I: Isa>(isa: I, query: *const u8, row: *const u8, bytes: usize) -> Self {
        // No closures around what has to be compiled for `I`: they are not always inlined.
        #[inline(always)]
        fn plus<I: Isa>(isa: I, counts: Counts<I::U64>, a: I::Bytes, b: I::Bytes) -> Counts<I::U64> {
            Counts {
                both: isa.u64_count(counts.both, isa.bytes_and(a, b)),
                differ: isa.u64_count(counts.differ, isa.bytes_xor(a, b)),
                first: isa.u64_count(counts.first, a),
                second: isa.u64_count(counts.second, b),
            }
        }
        let zero = isa.u64_zero();
        let mut counts = Counts { both: zero, differ: zero, first: zero, second: zero };
        let mut at = 0;
        while at + I::BYTES <= bytes {
            // SAFETY: so many bytes are readable there.
            let a = unsafe { isa.load(query.wrapping_add(at)) };
            // SAFETY: as above.
            let b = unsafe { isa.load(row.wrapping_add(at)) };
            counts = plus(isa, counts, a, b);
            at += I::BYTES;
        }
        if at < bytes {
            // SAFETY: what is left below `bytes` is readable, and less than a register.
            let a = unsafe { isa.load_part(query.wrapping_add(at), bytes - at) };
            // SAFETY: as above.
            let b = unsafe { isa.load_part(row.wrapping_add(at), bytes - at) };
            counts = plus(isa, counts, a, b);
        }
        Counts {
            both: isa.u64_sum(counts.both),
            differ: isa.u64_sum(counts.differ),
            first: isa.u64_sum(counts.first),
            second: isa.u64_sum(counts.second),
        }
    }
}
