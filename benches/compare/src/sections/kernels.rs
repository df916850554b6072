//! Distances against NumKong and SimSIMD: pairs of 1536 in cache, then scans against a plain sum of the same bytes.

use std::hint::black_box;
use std::time::Duration;

use tensoratom::DType;
use tensoratom::kernels::{Metric, Rows, distance, dot_i8_many, isa, one_to_many};
use tensoratom_benches::{numbers, plain_sum};

use super::{best_of, rate, timed};
use crate::Settings;
use crate::report::Report;

const DIM: usize = 1536;

pub fn run(settings: &Settings, report: &mut Report) {
    numkong::configure_thread();
    report.section(&format!("distance of a pair of {DIM}, in cache ({})", isa().name()));
    let times = if settings.quick { 3 } else { 15 };
    /// One metric of one type, ours and theirs; the answers must agree.
    macro_rules! pair {
        ($metric:ident $dtype:ident: $numkong:ty, $nk_trait:ident::$nk:ident, $simsimd:ty, $ss_trait:ident::$ss:ident, $sign:literal) => {{
            let (a, b) = (numbers(1, DType::$dtype, 1, DIM), numbers(2, DType::$dtype, 1, DIM));
            let rows = |bytes| Rows::new(DType::$dtype, 1, DIM, bytes).unwrap();
            let (ours_a, ours_b) = (rows(&a), rows(&b));
            let (nk_a, nk_b) = (typed::<$numkong>(&a), typed::<$numkong>(&b));
            let (ss_a, ss_b) = (typed::<$simsimd>(&a), typed::<$simsimd>(&b));
            let ours = || distance(black_box(Metric::$metric), *black_box(&ours_a), *black_box(&ours_b)).unwrap();
            let numkong = || <$numkong as numkong::$nk_trait>::$nk(black_box(nk_a), black_box(nk_b)).unwrap() as f64;
            let simsimd = || <$simsimd as simsimd::$ss_trait>::$ss(black_box(ss_a), black_box(ss_b)).unwrap() as f64;
            for theirs in [numkong(), simsimd()] {
                let error = (ours() - $sign * theirs).abs();
                assert!(error <= 0.02 * (1.0 + theirs.abs()), "{} {theirs}", ours());
            }
            let [ours, numkong, simsimd] = each_in_turn(times, [&ours, &numkong, &simsimd]);
            let what = format!("{} {}", Metric::$metric, DType::$dtype);
            report.row(&what, "tensoratom", ours, "ns");
            report.row(&what, "numkong", numkong, "ns");
            report.row(&what, "simsimd", simsimd, "ns");
            report.row(&what, "numkong / tensoratom", numkong / ours, "x");
        }};
    }
    use numkong::{bf16 as nk_bf16, f16 as nk_f16, u1x8};
    use simsimd::{bf16 as ss_bf16, f16 as ss_f16};
    pair!(Dot F32: f32, Dot::dot, f32, SpatialSimilarity::dot, -1.0);
    pair!(Cosine F32: f32, Angular::angular, f32, SpatialSimilarity::cos, 1.0);
    pair!(SqEuclidean F32: f32, Euclidean::sqeuclidean, f32, SpatialSimilarity::sqeuclidean, 1.0);
    pair!(Dot F16: nk_f16, Dot::dot, ss_f16, SpatialSimilarity::dot, -1.0);
    pair!(Cosine F16: nk_f16, Angular::angular, ss_f16, SpatialSimilarity::cos, 1.0);
    pair!(SqEuclidean F16: nk_f16, Euclidean::sqeuclidean, ss_f16, SpatialSimilarity::sqeuclidean, 1.0);
    pair!(Dot Bf16: nk_bf16, Dot::dot, ss_bf16, SpatialSimilarity::dot, -1.0);
    pair!(Cosine Bf16: nk_bf16, Angular::angular, ss_bf16, SpatialSimilarity::cos, 1.0);
    pair!(SqEuclidean Bf16: nk_bf16, Euclidean::sqeuclidean, ss_bf16, SpatialSimilarity::sqeuclidean, 1.0);
    pair!(Dot I8: i8, Dot::dot, i8, SpatialSimilarity::dot, -1.0);
    pair!(Cosine I8: i8, Angular::angular, i8, SpatialSimilarity::cos, 1.0);
    pair!(SqEuclidean I8: i8, Euclidean::sqeuclidean, i8, SpatialSimilarity::sqeuclidean, 1.0);
    pair!(Hamming B1: u1x8, Hamming::hamming, u8, BinarySimilarity::hamming, 1.0);
    pair!(Jaccard B1: u1x8, Jaccard::jaccard, u8, BinarySimilarity::jaccard, 1.0);

    let bytes = if settings.quick { 64 << 20 } else { 512 << 20 };
    report.section(&format!("one to many, {} MiB of rows of {DIM}, one thread", bytes >> 20));
    for dtype in [DType::F32, DType::F16, DType::Bf16, DType::I8] {
        let rows = bytes / (DIM * dtype.bits() as usize / 8);
        let (query, data) = (numbers(1, dtype, 1, DIM), numbers(2, dtype, rows, DIM));
        let (query, matrix) = (Rows::new(dtype, 1, DIM, &query).unwrap(), Rows::new(dtype, rows, DIM, &data).unwrap());
        let mut out = vec![0.0; rows];
        let mut plain = Duration::MAX;
        let mut best = [Duration::MAX; 3];
        for _ in 0..times {
            plain = plain.min(timed(|| black_box(plain_sum(black_box(&data)))).0);
            for (best, metric) in best.iter_mut().zip([Metric::Dot, Metric::Cosine, Metric::SqEuclidean]) {
                *best = (*best).min(timed(|| one_to_many(metric, query, matrix, &mut out).unwrap()).0);
            }
        }
        report.row(&format!("{dtype}"), "plain sum", rate(data.len() as u64, plain), "GB/s");
        for (best, metric) in best.into_iter().zip([Metric::Dot, Metric::Cosine, Metric::SqEuclidean]) {
            let what = format!("{metric} {dtype}");
            report.row(&what, "tensoratom", rate(data.len() as u64, best), "GB/s");
            report.row(&what, "tensoratom / plain sum", plain.as_secs_f64() / best.as_secs_f64(), "x");
        }
        if dtype == DType::I8 {
            let codes = typed::<i8>(&data);
            let mut out = vec![0; rows];
            let time = best_of(times, || timed(|| dot_i8_many(&codes[..DIM], codes, DIM, &mut out).unwrap()).0);
            report.row("dot_i8_many", "tensoratom", rate(data.len() as u64, time), "GB/s");
            report.row("dot_i8_many", "tensoratom / plain sum", plain.as_secs_f64() / time.as_secs_f64(), "x");
        }
    }
}

/// Nanoseconds of one call of each; the best of several rounds in which they take turns.
fn each_in_turn(times: usize, calls: [&dyn Fn() -> f64; 3]) -> [f64; 3] {
    const CALLS: u32 = 20_000;
    let mut best = [Duration::MAX; 3];
    for _ in 0..times {
        for (best, call) in best.iter_mut().zip(calls) {
            let round = timed(|| (0..CALLS).map(|_| black_box(call())).fold(0.0, f64::max)).0;
            *best = (*best).min(round);
        }
    }
    best.map(|time| time.as_secs_f64() * 1e9 / f64::from(CALLS))
}

/// The bytes as elements of a rival's type.
fn typed<T: Copy>(bytes: &[u8]) -> &[T] {
    // SAFETY: used with numbers only, for which any bytes are valid; what does not fit whole elements is left out.
    let (head, elements, _) = unsafe { bytes.align_to::<T>() };
    assert!(head.is_empty(), "allocations of this size are aligned");
    elements
}
