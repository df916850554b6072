//! One runner for every instruction set of this processor: each answers as an oracle of twice the precision does, within
//! the bounds [`distance`](super::distance()) states, for every length, alignment and kind of trouble.

mod bounds;

use half::{bf16, f16};

use super::dispatch::Present;
use super::distance::cross;
use super::{Metric, Rows, companion};
use crate::DType;
use crate::testing::random::Random;

/// Types a query and its data may have.
const TYPES: [(DType, DType); 10] = [
    (DType::F64, DType::F64),
    (DType::F32, DType::F32),
    (DType::F16, DType::F16),
    (DType::Bf16, DType::Bf16),
    (DType::F32, DType::F16),
    (DType::F32, DType::Bf16),
    (DType::F32, DType::I8),
    (DType::I8, DType::I8),
    (DType::U8, DType::U8),
    (DType::B1, DType::B1),
];

/// Kinds of elements that go wrong in ways of their own.
const KINDS: [fn(&mut Random, usize) -> f64; 8] = [
    |random, _| unit(random),
    // Large numbers whose products cancel.
    |random, at| if at % 2 == 0 { 30_000.0 } else { -30_000.0 } + unit(random),
    // Nearly equal vectors.
    |random, at| (at % 13) as f64 + unit(random) * 1e-3,
    // Subnormals of f32 and bf16, and of f16.
    |random, at| unit(random) * if at % 3 == 0 { 1e-40 } else { 1e-7 },
    |random, _| unit(random) * 1e-25,
    // Beyond what squares of f32 can hold.
    |random, _| unit(random) * 3e38,
    // Every magnitude of f32 beside every other.
    |random, _| unit(random) * 2_f64.powi(random.below(250) as i32 - 125),
    // Zeros of both signs, and the same number often.
    |random, _| *random.pick(&[0.0, -0.0, 1.0, -1.0, 127.0, -128.0]),
];

fn unit(random: &mut Random) -> f64 {
    random.below(1 << 24) as f64 / f64::from(1 << 23) - 1.0
}

/// A row in bytes, and the numbers it holds after rounding.
fn encode(dtype: DType, numbers: &[f64]) -> (Vec<u8>, Vec<f64>) {
    let mut bytes = Vec::new();
    let mut held = Vec::new();
    for &x in numbers {
        match dtype {
            DType::F64 => {
                bytes.extend(x.to_le_bytes());
                held.push(x);
            }
            DType::F32 => {
                bytes.extend((x as f32).to_le_bytes());
                held.push(f64::from(x as f32));
            }
            DType::F16 => {
                // Without overflow: an infinity is a test of its own.
                let x = f16::from_f64(if x.is_finite() { x.clamp(-65504.0, 65504.0) } else { x });
                bytes.extend(x.to_le_bytes());
                held.push(f64::from(x));
            }
            DType::Bf16 => {
                bytes.extend(bf16::from_f64(x).to_le_bytes());
                held.push(f64::from(bf16::from_f64(x)));
            }
            DType::I8 => {
                let x = if x.abs() <= 1.0 { x * 127.0 } else { x } as i8;
                bytes.push(x as u8);
                held.push(f64::from(x));
            }
            DType::U8 => {
                let x = if x.abs() <= 1.0 { x.abs() * 255.0 } else { x.abs() } as u8;
                bytes.push(x);
                held.push(f64::from(x));
            }
            _ => held.push(if x > 0.0 { 1.0 } else { 0.0 }),
        }
    }
    if dtype == DType::B1 {
        // Padding is set, so that counting it is noticed.
        bytes = vec![0xff; numbers.len().div_ceil(8)];
        for (at, &bit) in held.iter().enumerate() {
            if bit == 0.0 {
                bytes[at / 8] &= !(1 << (at % 8));
            }
        }
    }
    (bytes, held)
}

/// A sum of twice the precision of f64 (Ogita, Rump, Oishi, *Accurate Sum and Dot Product*, 2005).
#[derive(Default)]
struct Exact {
    high: f64,
    low: f64,
}

impl Exact {
    fn add(&mut self, x: f64) {
        let sum = self.high + x;
        let part = sum - self.high;
        self.low += (self.high - (sum - part)) + (x - part);
        self.high = sum;
    }

    fn add_product(&mut self, a: f64, b: f64) {
        self.add(a * b);
        self.add(libm::fma(a, b, -(a * b))); // exact on every system
    }

    fn value(&self) -> f64 {
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }
}

/// What the distance is, and how far from it an answer may be.
fn oracle(metric: Metric, types: (DType, DType), a: &[f64], b: &[f64]) -> (f64, f64) {
    let n = a.len() as f64;
    let whole = types.0.bits() <= 8;
    let (u, least) = match types.0 {
        DType::F64 => (2_f64.powi(-53), f64::from_bits(1)),
        _ => (2_f64.powi(-24), 2_f64.powi(-150)),
    };
    let c = if whole { 0.0 } else { (n.min(16_384.0) / 32.0 + 10.0) * u };
    let rounding = 2_f64.powi(-51);
    let (mut ab, mut aa, mut bb, mut sizes) = (Exact::default(), Exact::default(), Exact::default(), 0.0);
    let (mut squares, mut differences) = (Exact::default(), Exact::default());
    let (mut differ, mut both, mut either) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        ab.add_product(a, b);
        aa.add_product(a, a);
        bb.add_product(b, b);
        sizes += (a * b).abs();
        squares.add_product(a - b, a - b);
        differences.add((a - b).abs());
        differ += f64::from(u8::from(a != b));
        both += f64::from(u8::from(a != 0.0 && b != 0.0));
        either += f64::from(u8::from(a != 0.0 || b != 0.0));
    }
    match metric {
        Metric::Dot => (-ab.value(), c * sizes + if whole { 0.0 } else { n * least }),
        Metric::Cosine => {
            let (aa, bb) = (aa.value(), bb.value());
            let want = match aa == 0.0 || bb == 0.0 {
                true => f64::from(u8::from(aa != bb)),
                false => (1.0 - ab.value() / (aa.sqrt() * bb.sqrt())).clamp(0.0, 2.0),
            };
            (want, 4.0 * c + 4.0 * rounding)
        }
        Metric::SqEuclidean => (squares.value(), (2.0 * c + if whole { 0.0 } else { rounding }) * squares.value()),
        Metric::Euclidean => (squares.value().sqrt(), (c + rounding) * squares.value().sqrt()),
        Metric::Manhattan => {
            (differences.value(), (2.0 * c + if whole { 0.0 } else { rounding }) * differences.value())
        }
        Metric::Hamming => (differ, 0.0),
        Metric::Jaccard => (if either == 0.0 { 0.0 } else { 1.0 - both / either }, 0.0),
    }
}

/// Compares every instruction set with the oracle, at an odd address.
fn check(types: (DType, DType), a: &[f64], b: &[f64], seed: &str) {
    let ((bytes_a, a), (bytes_b, b)) = (encode(types.0, a), encode(types.1, b));
    let odd = |bytes: &[u8]| [&[0xaa], bytes].concat();
    let (bytes_a, bytes_b) = (odd(&bytes_a), odd(&bytes_b));
    let row_a = Rows::new(types.0, 1, a.len(), &bytes_a[1..]).unwrap();
    let row_b = Rows::new(types.1, 1, b.len(), &bytes_b[1..]).unwrap();
    for &metric in Metric::ALL {
        let (want, bound) = oracle(metric, types, &a, &b);
        for isa in Present::all() {
            let mut got = [f64::NAN];
            cross(isa, metric, &row_a, &row_b, &mut got).unwrap();
            let right = match want.is_finite() {
                true => (got[0] - want).abs() <= bound,
                false => got[0].to_bits() == want.to_bits() || (got[0].is_nan() && want.is_nan()),
            };
            assert!(
                right,
                "{metric} of {types:?}, {isa:?}, dimension {}, {seed}: got {:e}, want {want:e} within {bound:e}",
                a.len(),
                got[0]
            );
        }
    }
}

// A wrong tail, a lane added twice or a flushed subnormal changes answers only for some lengths and some numbers.
#[test]
fn every_instruction_set_is_within_the_stated_bounds() {
    for types in TYPES {
        for (kind, element) in KINDS.iter().enumerate() {
            let mut random = Random::new(kind as u64);
            for dim in 0..=257 {
                let mut row = || (0..dim).map(|at| element(&mut random, at)).collect::<Vec<f64>>();
                check(types, &row(), &row(), &format!("kind {kind}"));
            }
        }
    }
}

#[test]
fn long_vectors_stay_within_the_bounds_and_integers_exact() {
    for types in TYPES {
        for dim in [16_383, 16_385, 32_769, 70_001] {
            let mut random = Random::new(dim as u64);
            let mut row = || (0..dim).map(|_| unit(&mut random)).collect::<Vec<f64>>();
            check(types, &row(), &row(), "long");
        }
    }
    let lowest = vec![-128.0; 200_000];
    check((DType::I8, DType::I8), &lowest, &lowest, "lowest");
    let highest = vec![255.0; 200_000];
    check((DType::U8, DType::U8), &highest, &vec![0.0; 200_000], "highest");
}

#[test]
fn zero_vectors_and_equal_vectors_have_the_distances_of_the_definition() {
    for types in TYPES {
        for dim in [1, 7, 64, 100] {
            let zeros = vec![0.0; dim];
            let ones = vec![1.0; dim];
            check(types, &zeros, &zeros, "zeros");
            check(types, &zeros, &ones, "zeros and ones");
            check(types, &ones, &ones, "ones");
        }
    }
}

// A NaN that gets lost in a masked lane, or an infinity that a fallback turns into a number, is a silent wrong answer.
#[test]
fn nan_and_infinity_come_out_as_the_definition_says() {
    for types in TYPES.iter().filter(|types| types.0.bits() > 8) {
        for dim in [1, 2, 33, 65, 130] {
            for at in [0, dim / 2, dim - 1] {
                for (x, y) in [
                    (f64::NAN, 1.0),
                    (f64::INFINITY, 1.0),
                    (f64::NEG_INFINITY, 2.0),
                    (f64::INFINITY, 0.0),
                    (f64::INFINITY, f64::INFINITY),
                    (f64::INFINITY, f64::NEG_INFINITY),
                    (f64::NAN, f64::INFINITY),
                ] {
                    let y = if types.1 == DType::I8 && !y.is_finite() { 3.0 } else { y };
                    let (mut a, mut b) = (vec![0.5; dim], vec![0.25; dim]);
                    (a[at], b[at]) = (x, y);
                    nan_check(*types, &a, &b);
                }
            }
        }
    }
}

/// As `check`, against plain arithmetic: of infinities there is nothing to be rounded.
fn nan_check(types: (DType, DType), a: &[f64], b: &[f64]) {
    let ((bytes_a, a), (bytes_b, b)) = (encode(types.0, a), encode(types.1, b));
    let row_a = Rows::new(types.0, 1, a.len(), &bytes_a).unwrap();
    let row_b = Rows::new(types.1, 1, b.len(), &bytes_b).unwrap();
    let sum = |f: fn(f64, f64) -> f64| a.iter().zip(&b).map(|(&a, &b)| f(a, b)).sum::<f64>();
    let squares = sum(|a, b| (a - b) * (a - b));
    for (metric, want) in [
        (Metric::Dot, 0.0 - sum(|a, b| a * b)),
        (Metric::Cosine, f64::NAN),
        (Metric::SqEuclidean, squares),
        (Metric::Euclidean, squares.sqrt()),
        (Metric::Manhattan, sum(|a, b| (a - b).abs())),
    ] {
        for isa in Present::all() {
            let mut got = [0.0];
            cross(isa, metric, &row_a, &row_b, &mut got).unwrap();
            // The look-up of a pair has a way of its own to what sums do not give.
            let is_chosen = isa.level() == super::isa();
            let short = if is_chosen { super::distance(metric, row_a, row_b).unwrap() } else { got[0] };
            for got in [got[0], short] {
                let same = got == want || (got.is_nan() && want.is_nan());
                assert!(same, "{metric} of {types:?}, {isa:?}, dimension {}: got {got:e}, want {want:e}", a.len());
            }
        }
    }
}

// Squares of f64 leave its range; the distance does not.
#[test]
fn extremes_of_f64_neither_overflow_nor_vanish() {
    let distance =
        |metric, a: &[f64], b: &[f64]| super::distance(metric, Rows::one(a).unwrap(), Rows::one(b).unwrap()).unwrap();
    let close = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-14, "{got:e} {want:e}");
    for unit in [1e300, 1e-300] {
        let (a, b) = ([3.0 * unit, 0.0, unit], [0.0, 4.0 * unit, unit]);
        close(distance(Metric::Euclidean, &a, &b), 5.0 * unit);
        close(distance(Metric::Cosine, &a, &b), 1.0 - 1.0 / 170_f64.sqrt());
        assert_eq!(distance(Metric::Cosine, &a, &a), 0.0);
        assert_eq!(distance(Metric::Euclidean, &a, &a), 0.0);
    }
    assert_eq!(distance(Metric::Dot, &[1e300, 1e300], &[1e300, -1e300]), 0.0);
    assert_eq!(distance(Metric::Dot, &[1e300], &[1e300]), f64::NEG_INFINITY);
    close(distance(Metric::Euclidean, &[1.5e308], &[-0.1e308]), 1.6e308);
    assert_eq!(distance(Metric::Euclidean, &[1.5e308], &[-1.5e308]), f64::INFINITY);
}

// Search compares re-ranked pairs with scans and batches: one differing bit is another order.
#[test]
fn a_pair_a_scan_and_a_batch_give_the_same_bits() {
    for types in TYPES {
        for dim in [0, 1, 31, 64, 129, 300] {
            let mut random = Random::new(dim as u64);
            let mut matrix = |dtype, rows: usize| {
                let row = |_| encode(dtype, &(0..dim).map(|_| unit(&mut random)).collect::<Vec<_>>()).0;
                (0..rows).flat_map(row).collect::<Vec<u8>>()
            };
            let (queries, data) = (matrix(types.0, 3), matrix(types.1, 19));
            let queries = Rows::new(types.0, 3, dim, &queries).unwrap();
            let data = Rows::new(types.1, 19, dim, &data).unwrap();
            // So far apart that a scan takes its streams in several groups, the last ones shorter.
            const APART: usize = 150 << 10;
            let mut apart = vec![0; 19 * APART];
            (0..19).for_each(|r| apart[r * APART..][..data.row_bytes(r).len()].copy_from_slice(data.row_bytes(r)));
            let apart = Rows::strided(types.1, 19, dim, APART, &apart).unwrap();
            for isa in Present::all() {
                for &metric in Metric::ALL {
                    let mut batch = [9.0; 57];
                    cross(isa, metric, &queries, &data, &mut batch).unwrap();
                    for q in 0..3 {
                        let mut scan = [9.0; 19];
                        cross(isa, metric, &queries.row(q), &data, &mut scan).unwrap();
                        let mut scan_apart = [9.0; 19];
                        cross(isa, metric, &queries.row(q), &apart, &mut scan_apart).unwrap();
                        assert_eq!(scan_apart.map(f64::to_bits), scan.map(f64::to_bits), "{metric} {types:?} {isa:?}");
                        for r in 0..19 {
                            let mut pair = [9.0];
                            cross(isa, metric, &queries.row(q), &data.row(r), &mut pair).unwrap();
                            let bits = [pair[0], scan[r], batch[q * 19 + r]].map(f64::to_bits);
                            assert!(bits[0] == bits[1] && bits[0] == bits[2], "{metric} {types:?} {isa:?} {dim}");
                            if isa.level() == super::isa() {
                                let short = super::distance(metric, queries.row(q), data.row(r)).unwrap();
                                assert_eq!(short.to_bits(), bits[0], "{metric} {types:?} {dim}: by the table");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn strided_rows_are_read_where_they_lie() {
    let wide: Vec<f32> = (0..70).map(|i| i as f32).collect();
    let bytes = zerocopy::IntoBytes::as_bytes(wide.as_slice());
    let data = Rows::strided(DType::F32, 7, 3, 40, bytes).unwrap();
    let mut out = [0.0; 7];
    super::one_to_many(Metric::Manhattan, Rows::one(&[0.0_f32; 3]).unwrap(), data, &mut out).unwrap();
    assert_eq!(out, [0, 1, 2, 3, 4, 5, 6].map(|r| f64::from(30 * r + 3)));
}

// The search proves its bounds from these products: off by one, and a true neighbour is pruned.
#[test]
fn int8_products_are_exact_for_every_length_and_number_of_queries() {
    let mut random = Random::new(5);
    for dim in (1..=257).chain([32_769, 131_071]) {
        let rows = if dim > 300 { 2 } else { 6 };
        let mut codes = |count: usize| {
            let code = |_| if random.one_in(4) { *random.pick(&[-128, 127]) } else { random.next_u64() as i8 };
            (0..count * dim).map(code).collect::<Vec<i8>>()
        };
        let (queries, data) = (codes(3), codes(rows));
        check_codes(&queries, &data, dim);
    }
    check_codes(&[-128; 131_071], &[-128; 131_071], 131_071);
    check_codes(&[127; 131_071], &[-128; 131_071], 131_071);
}

fn check_codes(queries: &[i8], data: &[i8], dim: usize) {
    let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let pairs = |query| data.chunks(dim).map(move |row| dot(query, row));
    let want: Vec<i32> = queries.chunks(dim).flat_map(pairs).collect();
    for isa in Present::all() {
        let mut got = vec![0; want.len()];
        companion::batch(isa, Rows::of(dim, queries).unwrap(), data, &mut got).unwrap();
        assert_eq!(got, want, "{isa:?} {dim}");
    }
    let rows = data.len() / dim;
    let mut got = vec![0; rows];
    super::dot_i8_many(&queries[..dim], data, dim, &mut got).unwrap();
    assert_eq!(got, want[..rows]);
}

#[test]
fn int8_products_refuse_what_does_not_fit() {
    let kind = |result: crate::Result<()>| result.unwrap_err().kind();
    let long = vec![0; 131_072];
    assert_eq!(kind(super::dot_i8_many(&long, &long, 131_072, &mut [0])), crate::ErrorKind::InvalidShape);
    assert_eq!(kind(super::dot_i8_many(&[1], &[1, 2], 2, &mut [0])), crate::ErrorKind::InvalidShape);
    assert_eq!(kind(super::dot_i8_batch(&[1, 2], &[1, 2], 2, &mut [0; 2])), crate::ErrorKind::InvalidShape);
    let mut empty = [7; 3];
    super::dot_i8_many(&[], &[], 0, &mut empty).unwrap();
    assert_eq!(empty, [0; 3]);
}
