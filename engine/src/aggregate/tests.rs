//! Properties of aggregates: parts, order, bytes, and values computed in another way.

use proptest::prelude::*;

use super::{Aggregate, Aggregated};
use crate::DType;
use crate::error::ErrorKind;
use crate::kernels::Rows;
use crate::testing::random::{Random, effort, seed};

const SPECS: &[&str] = &[
    "count",
    "sum",
    "mean",
    "variance",
    "variance ddof=1",
    "min",
    "max",
    "geometric_median points=8",
    "geometric_median",
    "covariance ddof=1",
    "k_means k=3 points=8 seed=5",
    "k_means k=2",
    "pca components=2",
    "log_sum_exp",
    "random_projection axes=2 seed=5",
    "random_projection axes=3 points=8",
];

/// Those whose value is the same to the bit for every order and partition.
fn is_exact(spec: &str) -> bool {
    ["count", "min", "max", "geometric", "k_means", "random"].iter().any(|exact| spec.starts_with(exact))
}

fn empty(spec: &str) -> Aggregate {
    Aggregate::new(spec.parse().unwrap()).unwrap()
}

fn of(spec: &str, dim: usize, data: &[f64]) -> Aggregate {
    let mut state = empty(spec);
    state.push(Rows::of(dim, data).unwrap(), None).unwrap();
    state
}

fn value(spec: &str, dim: usize, data: &[f64]) -> Aggregated {
    of(spec, dim, data).finish().unwrap().unwrap()
}

fn numbers(len: usize, random: &mut Random) -> Vec<f64> {
    (0..len).map(|_| random.below(2_000) as f64 / 100.0 - 10.0).collect()
}

fn check_same(spec: &str, found: &Option<Aggregated>, expected: &Option<Aggregated>) {
    if is_exact(spec) {
        let bits = |value: &Option<Aggregated>| {
            value.as_ref().map(|v| v.values.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(bits(found), bits(expected), "{spec}");
        return;
    }
    let (Some(found), Some(expected)) = (found, expected) else {
        assert_eq!(found, expected, "{spec}");
        return;
    };
    assert_eq!((found.rows, found.dim), (expected.rows, expected.dim), "{spec}");
    // Directions of nearly equal variance turn freely; their variances do not.
    let pairs: Vec<(f64, f64)> = if spec.starts_with("pca") {
        found.beside.iter().copied().zip(expected.beside.iter().copied()).collect()
    } else {
        found.values.iter().copied().zip(expected.values.iter().copied()).collect()
    };
    for (x, y) in pairs {
        assert!((x - y).abs() <= 1e-10 * (1.0 + y.abs()), "{spec}: {x} instead of {y}");
    }
}

// A database spills a group after any row, splits it among workers and merges in any tree; the answer must not show it.
#[test]
fn any_split_spilled_after_every_row_and_merged_in_any_tree_gives_the_value_of_one_pass() {
    let mut random = Random::new(seed(41));
    for round in 0..effort(12) {
        let dim = 2 + random.below(5) as usize;
        let rows = 3 + random.below(40) as usize;
        let data = numbers(rows * dim, &mut random);
        for spec in SPECS {
            let whole = of(spec, dim, &data).finish().unwrap();
            let mut parts: Vec<Aggregate> = (0..1 + random.below(6)).map(|_| empty(spec)).collect();
            for row in data.chunks(dim) {
                let at = random.below(parts.len() as u64) as usize;
                parts[at].push(Rows::one(row).unwrap(), None).unwrap();
                let spilled = Aggregate::from_bytes(&parts[at].to_bytes().unwrap()).unwrap();
                assert_eq!(spilled, parts[at]);
                parts[at] = spilled;
            }
            while parts.len() > 1 {
                let taken = parts.swap_remove(random.below(parts.len() as u64) as usize);
                let at = random.below(parts.len() as u64) as usize;
                parts[at].merge(&taken).unwrap();
            }
            assert_eq!(parts[0].count(), rows as u64, "round {round}");
            check_same(spec, &parts[0].finish().unwrap(), &whole);
        }
    }
}

// A spilled state lies on a disk; whatever happens to it there must not become a wrong centroid or a crash.
#[test]
fn every_truncation_and_bit_flip_of_an_exported_state_is_an_error() {
    let data = numbers(60, &mut Random::new(3));
    for spec in SPECS {
        for state in [empty(spec), of(spec, 3, &data)] {
            let bytes = state.to_bytes().unwrap();
            for len in 0..bytes.len() {
                assert_eq!(Aggregate::from_bytes(&bytes[..len]).unwrap_err().kind(), ErrorKind::Corrupt, "{spec}");
            }
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let kind = Aggregate::from_bytes(&bytes).unwrap_err().kind();
                assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::NewerFormat), "{spec}, bit {bit}: {kind}");
            }
        }
    }
}

// A checksum can be forged or right by chance: what is behind it must not trust a length.
#[test]
fn garbage_with_a_right_checksum_is_refused_or_usable() {
    let mut random = Random::new(seed(9));
    for _ in 0..effort(3_000) {
        let spec = *random.pick(SPECS);
        let mut bytes = of(spec, 2, &numbers(12, &mut Random::new(1))).to_bytes().unwrap();
        for _ in 0..1 + random.below(3) {
            let at = 12 + random.below(bytes.len() as u64 - 12) as usize;
            bytes[at] = *random.pick(&[0, 1, 2, 0x7f, 0x80, 0xff]);
        }
        crate::testing::fuzz::aggregate_state(&crate::testing::fuzz::with_aggregate_checksum(&bytes));
    }
}

#[test]
fn values_are_those_computed_by_hand() {
    let data = [1.0, 2.0, 3.0, 6.0, 5.0, 1.0];
    assert_eq!(value("count", 2, &data).values, [3.0]);
    assert_eq!(value("sum", 2, &data).values, [9.0, 9.0]);
    assert_eq!(value("centroid", 2, &data).values, [3.0, 3.0]);
    assert_eq!(value("min", 2, &data).values, [1.0, 1.0]);
    assert_eq!(value("max", 2, &data).values, [5.0, 6.0]);
    let close = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-9), "{found:?} instead of {expected:?}");
    };
    close(&value("variance ddof=1", 2, &data).values, &[3.0, 3.0, 4.0, 7.0]);
    close(&value("variance", 2, &data).values, &[3.0, 3.0, 8.0 / 3.0, 14.0 / 3.0]);
    close(&value("covariance ddof=1", 2, &data).values, &[4.0, -1.0, -1.0, 7.0]);
    // Of four corners and a point far outside on the diagonal, and of a set with a majority at one point.
    close(&value("geometric_median", 1, &[0.0, 1.0, 2.0, 50.0, 9.0]).values, &[2.0]);
    close(&value("geometric_median", 2, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0]).values, &[0.0, 0.0]);
    close(&value("geometric_median", 2, &[0.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0]).values, &[1.0, 1.0]);
    let clusters = value("k_means k=2", 1, &[0.0, 10.0, 1.0, 11.0, 2.0]);
    close(&clusters.values, &[1.0, 10.5]);
    close(&clusters.beside, &[3.0, 2.0]);
    assert_eq!(value("k_means k=3", 1, &[4.0, 4.0]).rows, 1, "no more centres than distinct points");
    // Exponentials of 710 and more are beyond f64.
    close(&value("log_sum_exp", 1, &[1000.0, 1000.0, 0.0]).values, &[1000.0 + 2.0_f64.ln()]);
    let projected = value("random_projection axes=2 seed=9", 2, &data[..2]);
    let axes = crate::kernels::project::Projection::random(2, 2, 9).unwrap();
    let along = |axis: usize| axes.axis(axis).unwrap().iter().zip(&data).map(|(a, x)| a * x).sum::<f64>();
    assert_eq!((projected.rows, projected.beside[0]), (1, 1.0));
    close(&projected.values, &[along(0), along(1)]);
    let line = value("pca components=1", 2, &[0.0, 0.0, 3.0, 4.0, 6.0, 8.0]);
    close(&line.values, &[3.0, 4.0, 0.6, 0.8]);
    close(&line.beside, &[25.0, 25.0]);
}

// Weights are frequencies: a row of weight 3 is three rows, one of weight 0 is none.
#[test]
fn a_weight_counts_as_so_many_rows() {
    let mut random = Random::new(11);
    let data = numbers(24, &mut random);
    let weights = [1.0, 3.0, 0.0, 2.0, 1.0, 4.0, 0.0, 1.0];
    let repeated: Vec<f64> = data.chunks(3).zip(weights).flat_map(|(row, n)| row.repeat(n as usize)).collect();
    for spec in SPECS.iter().filter(|spec| !spec.contains("points=8")) {
        let mut weighted = empty(spec);
        weighted.push(Rows::of(3, &data).unwrap(), Some(&weights)).unwrap();
        let (found, expected) = (weighted.finish().unwrap().unwrap(), value(spec, 3, &repeated));
        if *spec == "count" {
            assert_eq!((found.values[0], found.beside[0]), (6.0, 12.0));
        } else if spec.starts_with("random") {
            let weight = |value: &Aggregated| value.beside.iter().sum::<f64>();
            assert_eq!((found.rows, weight(&found), weight(&expected)), (6, 12.0, 12.0));
        } else if spec.starts_with("pca") {
            check_same(spec, &Some(found), &Some(expected));
        } else {
            let near = |(x, y): (&f64, &f64)| (x - y).abs() <= 1e-7 * (1.0 + y.abs());
            assert!(found.values.iter().zip(&expected.values).all(near), "{spec}: {found:?} {expected:?}");
        }
    }
}

// A sample that leans to one side would move every centre computed from it.
#[test]
fn a_sample_of_many_points_is_fair() {
    let mut random = Random::new(seed(21));
    let data: Vec<f64> = (0..40_000).map(|_| random.below(1_000_000) as f64 / 1e6).collect();
    let state = of("k_means k=1 points=4000", 1, &data);
    assert!(state.to_bytes().unwrap().len() < 2 * 4000 * 16 + 100, "the budget is kept");
    let found = state.finish().unwrap().unwrap();
    // Five standard deviations of the mean of 4,000.
    assert!((found.values[0] - 0.5).abs() < 5.0 * (1.0_f64 / 12.0 / 4000.0).sqrt(), "{found:?}");
    assert!((found.beside[0] / 40_000.0 - 1.0).abs() < 0.05, "{found:?}");
}

#[test]
fn nothing_has_no_value_and_too_little_neither() {
    for spec in SPECS.iter().filter(|spec| **spec != "count") {
        assert_eq!(empty(spec).finish().unwrap(), None, "{spec}");
        let mut skipped = empty(spec);
        skipped.push(Rows::one(&[1.0, 2.0]).unwrap(), Some(&[0.0])).unwrap();
        assert_eq!((skipped.finish().unwrap(), skipped.dim()), (None, Some(2)), "{spec}");
        let lonely = of(spec, 2, &[1.0, 2.0]).finish().unwrap();
        assert_eq!(lonely.is_none(), spec.contains("ddof=1") || spec.starts_with("pca"), "{spec}");
    }
    assert_eq!(empty("count").finish().unwrap().unwrap().values, [0.0]);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut state = of("k_means k=2", 2, &[1.0, 2.0]);
    let before = state.clone();
    let row = [1.0, f64::NAN];
    let cases = [
        (state.push(Rows::one(&[1.0]).unwrap(), None), ErrorKind::InvalidShape),
        (state.push(Rows::one(&row).unwrap(), None), ErrorKind::InvalidArgument),
        (state.push(Rows::one(&[1.0, 2.0]).unwrap(), Some(&[])), ErrorKind::InvalidShape),
        (state.push(Rows::one(&[1.0, 2.0]).unwrap(), Some(&[-1.0])), ErrorKind::InvalidArgument),
        (state.push(Rows::one(&[1.0, 2.0]).unwrap(), Some(&[f64::NAN])), ErrorKind::InvalidArgument),
        (state.push(Rows::new(DType::I64, 1, 2, &[0; 16]).unwrap(), None), ErrorKind::Unsupported),
        (state.merge(&of("k_means k=3", 2, &[1.0, 2.0])), ErrorKind::InvalidArgument),
        (state.merge(&of("k_means k=2", 1, &[1.0])), ErrorKind::InvalidShape),
    ];
    for (index, (result, kind)) in cases.into_iter().enumerate() {
        assert_eq!(result.unwrap_err().kind(), kind, "case {index}");
    }
    assert_eq!(state, before);
    let wide = vec![0.5_f32; 1000];
    let beyond = empty("random_projection axes=20000").push(Rows::one(&wide).unwrap(), None);
    assert_eq!(beyond.unwrap_err().kind(), ErrorKind::InvalidArgument);
    for text in
        ["", "modus", "k_means", "k_means k=0", "k_means k=2 k=3", "mean k=2", "variance ddof=2", "pca components"]
    {
        assert_eq!(text.parse::<super::Aggregation>().unwrap_err().kind(), ErrorKind::InvalidArgument, "{text}");
    }
}

#[test]
fn nan_and_infinity_spread_where_they_are_taken() {
    let data = [f64::NAN, 1.0, 2.0, f64::INFINITY];
    for spec in ["sum", "mean", "min", "max", "log_sum_exp"] {
        let found = value(spec, 2, &data).values;
        assert!(found[0].is_nan(), "{spec}");
        assert_eq!(found[1], if spec == "min" { 1.0 } else { f64::INFINITY }, "{spec}");
    }
    for data in [[1.0, f64::INFINITY, 2.0], [f64::INFINITY, 1.0, 2.0], [f64::INFINITY, 1.0, f64::INFINITY]] {
        let found = value("variance", 1, &data).values;
        assert!(found[0] == f64::INFINITY && found[1].is_nan(), "{data:?}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Bindings keep what to compute as text.
    #[test]
    fn text_gives_the_aggregation_back(k in 1_u32..100, points in 100_u32..5000, seed in any::<u64>(), ddof in 0_u8..2) {
        for spec in [
            super::Aggregation::KMeans { k, points, seed },
            super::Aggregation::GeometricMedian { points },
            super::Aggregation::Variance { ddof },
            super::Aggregation::Pca { components: k },
            super::Aggregation::RandomProjection { axes: k, seed, points },
        ] {
            prop_assert_eq!(spec.to_string().parse::<super::Aggregation>().unwrap(), spec);
        }
    }

    #[test]
    fn element_types_give_what_f64_gives(rows in proptest::collection::vec(-100_i8..100, 4..40)) {
        let rows = &rows[..rows.len() / 2 * 2];
        let wide: Vec<f64> = rows.iter().map(|&x| x.into()).collect();
        macro_rules! same {
            ($convert:expr) => {
                let narrow: Vec<_> = rows.iter().copied().map($convert).collect();
                let mut state = empty("mean");
                state.push(Rows::of(2, &narrow).unwrap(), None).unwrap();
                prop_assert_eq!(state.finish().unwrap().unwrap(), value("mean", 2, &wide));
            };
        }
        same!(|x| x);
        same!(f32::from);
        same!(half::f16::from);
        same!(half::bf16::from);
    }
}
