//! Search against a full scan with the kernels: the same ids and the same bits of every distance, over all metrics and
//! element types, with data that defeats the bounds, with filters, on any number of threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use half::{bf16, f16};
use proptest::prelude::*;
use tensoratom::kernels::{Metric, Rows, many_to_many};
use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::small_options;
use tensoratom::testing::random::Random;
use tensoratom::{
    CompactOptions, Companions, Control, DType, Durability, ErrorKind, GcOptions, Neighbor, Options, Progress,
    ReadMode, SearchOptions, SqlValue, Store, Tensor, VectorSet,
};

use crate::at::FileExt;

const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::Bf16];
const OTHERS: [DType; 3] = [DType::I8, DType::U8, DType::B1];
const BOUNDED: [Metric; 4] = [Metric::Dot, Metric::Cosine, Metric::SqEuclidean, Metric::Euclidean];

fn store() -> Store {
    Store::open_on(SimDisk::new().process(), &small_options(Durability::Process).threads(2), true).unwrap()
}

fn gauss(random: &mut Random) -> f64 {
    let mut unit = || (random.below(1 << 53) as f64 + 1.0) / (1_u64 << 53) as f64;
    (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()
}

/// Kinds of data, each with its way to break a search that cuts corners.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Gauss,
    Clusters,
    AllEqual,
    NearTies,
    Outliers,
    Zeros,
    HugeNorms,
    TinyNorms,
    FarFromOrigin,
    NonFinite,
    Mixed,
}

const SHAPES: [Shape; 11] = [
    Shape::Gauss,
    Shape::Clusters,
    Shape::AllEqual,
    Shape::NearTies,
    Shape::Outliers,
    Shape::Zeros,
    Shape::HugeNorms,
    Shape::TinyNorms,
    Shape::FarFromOrigin,
    Shape::NonFinite,
    Shape::Mixed,
];

fn row(shape: Shape, n: usize, dim: usize, random: &mut Random) -> Vec<f64> {
    let mut row: Vec<f64> = (0..dim).map(|_| gauss(random)).collect();
    let mut fixed = Random::new(4711);
    let base: Vec<f64> = (0..dim).map(|_| gauss(&mut fixed)).collect();
    match shape {
        Shape::Gauss => {}
        Shape::Clusters => {
            let mut center = Random::new(n as u64 % 7);
            row.iter_mut().for_each(|x| *x = gauss(&mut center) + 0.05 * *x);
        }
        Shape::AllEqual => row = base,
        Shape::NearTies => row.iter_mut().zip(base).for_each(|(x, base)| *x = base * (1.0 + 1e-6 * *x)),
        Shape::Outliers => {
            if dim > 0 {
                row[n % dim] *= 1e4;
            }
        }
        Shape::Zeros => {
            if !n.is_multiple_of(3) {
                row.fill(if n.is_multiple_of(2) { 0.0 } else { -0.0 });
            }
        }
        Shape::HugeNorms => row.iter_mut().for_each(|x| *x *= 10_f64.powi((n % 38) as i32)),
        Shape::TinyNorms => row.iter_mut().for_each(|x| *x *= 10_f64.powi(-((n % 44) as i32))),
        Shape::FarFromOrigin => row.iter_mut().for_each(|x| *x = 1000.0 + 0.01 * *x),
        Shape::NonFinite => {
            if dim > 0 && n.is_multiple_of(4) {
                row[n % dim] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][n / 4 % 3];
            }
        }
        Shape::Mixed => {
            let kind = SHAPES[random.below(10) as usize];
            row = self::row(kind, n, dim, random);
        }
    }
    row
}

/// Values as elements of a type.
fn encode(dtype: DType, dim: usize, values: &[Vec<f64>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in values {
        assert_eq!(row.len(), dim);
        match dtype {
            DType::F64 => row.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
            DType::F32 => row.iter().for_each(|x| bytes.extend((*x as f32).to_le_bytes())),
            DType::F16 => row.iter().for_each(|x| bytes.extend(f16::from_f64(*x).to_le_bytes())),
            DType::Bf16 => row.iter().for_each(|x| bytes.extend(bf16::from_f64(*x).to_le_bytes())),
            DType::I8 => row.iter().for_each(|x| bytes.push((x * 40.0) as i8 as u8)),
            DType::U8 => row.iter().for_each(|x| bytes.push((x * 40.0 + 100.0) as u8)),
            DType::B1 => {
                let start = bytes.len();
                bytes.resize(start + dim.div_ceil(8), 0);
                row.iter().enumerate().for_each(|(i, x)| bytes[start + i / 8] |= u8::from(*x > 0.0) << (i % 8));
            }
            other => panic!("{other}"),
        }
    }
    bytes
}

/// Vectors with ids, some deleted later, and queries.
struct Case {
    dtype: DType,
    dim: usize,
    ids: Vec<i64>,
    bytes: Vec<u8>,
    query_dtype: DType,
    queries: Vec<u8>,
    query_count: usize,
}

impl Case {
    fn new(shape: Shape, dtype: DType, rows: usize, dim: usize, query_count: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let values: Vec<Vec<f64>> = (0..rows).map(|n| row(shape, n, dim, &mut random)).collect();
        // Some queries are rows of the set, some are near, some are anywhere.
        let queries: Vec<Vec<f64>> = (0..query_count)
            .map(|n| match n % 3 {
                0 if rows > 0 => values[random.below(rows as u64) as usize].clone(),
                1 if rows > 0 => {
                    let near = &values[random.below(rows as u64) as usize];
                    near.iter().map(|x| x * (1.0 + 0.01 * gauss(&mut random))).collect()
                }
                _ => row(shape, n, dim, &mut random),
            })
            .collect();
        let mut ids: Vec<i64> = (0..rows as i64).map(|n| n * 3 - rows as i64).collect();
        for i in (1..ids.len()).rev() {
            ids.swap(i, random.below(i as u64 + 1) as usize);
        }
        let mixed = matches!(dtype, DType::F16 | DType::Bf16) && random.one_in(2);
        let query_dtype = if mixed { DType::F32 } else { dtype };
        let (bytes, queries) = (encode(dtype, dim, &values), encode(query_dtype, dim, &queries));
        Case { dtype, dim, ids, bytes, query_dtype, queries, query_count }
    }

    fn rows(&self) -> Rows<'_> {
        Rows::new(self.dtype, self.ids.len(), self.dim, &self.bytes).unwrap()
    }

    fn queries(&self) -> Rows<'_> {
        Rows::new(self.query_dtype, self.query_count, self.dim, &self.queries).unwrap()
    }

    /// The set, in parts of different sizes, some rows deleted. Returns the ids that are left.
    fn fill(&self, set: &VectorSet, parts: usize, random: &mut Random) -> Vec<i64> {
        let mut at = 0;
        for part in 0..parts {
            let end =
                if part + 1 == parts { self.ids.len() } else { (at + self.ids.len() / parts).min(self.ids.len()) };
            set.append(&self.ids[at..end], self.rows().slice(at..end)).unwrap();
            at = end;
        }
        let gone: Vec<i64> = self.ids.iter().copied().filter(|_| random.one_in(10)).collect();
        assert_eq!(set.delete(&gone).unwrap(), gone.len() as u64);
        self.ids.iter().copied().filter(|id| !gone.contains(id)).collect()
    }

    /// What a plain scan finds.
    fn expected(&self, metric: Metric, k: usize, wanted: impl Fn(i64, f64) -> bool) -> Vec<Vec<Neighbor>> {
        let count = self.ids.len();
        let mut distances = vec![0.0; count * self.query_count];
        many_to_many(metric, self.queries(), self.rows(), &mut distances).unwrap();
        (0..self.query_count)
            .map(|q| {
                let all = self.ids.iter().zip(&distances[q * count..(q + 1) * count]);
                let mut all: Vec<(i64, f64)> = all.map(|(id, d)| (*id, *d)).filter(|(id, d)| wanted(*id, *d)).collect();
                all.sort_by(|a, b| {
                    let order = a.1.partial_cmp(&b.1);
                    order.unwrap_or_else(|| a.1.is_nan().cmp(&b.1.is_nan())).then(a.0.cmp(&b.0))
                });
                all.into_iter().take(k).map(|(id, distance)| Neighbor { id, distance }).collect()
            })
            .collect()
    }
}

/// Ids and bits, so that NaN equals itself.
fn bits(found: &[Vec<Neighbor>]) -> Vec<Vec<(i64, u64)>> {
    let number = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
    found.iter().map(|list| list.iter().map(|n| (n.id, number(n.distance))).collect()).collect()
}

fn check(case: &Case, metric: Metric, k: usize, parts: usize, companions: Companions, context: &str) {
    let store = store();
    let set = store.vectors("set", case.dim, case.dtype, metric).unwrap().companions(companions);
    let left = case.fill(&set, parts, &mut Random::new(5));
    let expected = bits(&case.expected(metric, k, |id, _| left.contains(&id)));
    for threads in [1, 2] {
        let found = set.search(case.queries(), k, &SearchOptions::new().threads(threads)).unwrap();
        assert_eq!(bits(&found), expected, "{context}, {metric}, k {k}, {threads} threads, {companions:?}");
    }
    // A query alone asks one level of codes first, and both only of what passes.
    for (q, expected) in expected.iter().enumerate() {
        let found = set.search(case.queries().row(q), k, &SearchOptions::new()).unwrap();
        assert_eq!(bits(&found)[0], *expected, "{context}, {metric}, k {k}, query {q} alone, {companions:?}");
    }
    let full = set.search(case.queries(), k, &SearchOptions::new().full_scan(true)).unwrap();
    assert_eq!(bits(&full), expected, "{context}, {metric}, full scan");
}

// One row skipped by a bound that is a little too tight, and a result is wrong that nobody will ever check.
#[test]
fn pruned_search_equals_a_full_scan_whatever_the_data() {
    for (s, shape) in SHAPES.into_iter().enumerate() {
        for dtype in FLOATS {
            for (d, dim) in [1, 3, 33, 130].into_iter().enumerate() {
                let seed = (s * 100 + d) as u64;
                let case = Case::new(shape, dtype, 700, dim, 5, seed);
                for metric in BOUNDED {
                    let k = [1, 10, 300, 1000][(s + d) % 4];
                    check(&case, metric, k, 2, Companions::Always, &format!("{shape:?} {dtype} x {dim}"));
                }
            }
        }
    }
}

#[test]
fn every_metric_and_type_is_searched_exactly() {
    for dtype in FLOATS.into_iter().chain(OTHERS) {
        for &metric in Metric::ALL {
            let case = Case::new(Shape::Mixed, dtype, 150, 17, 4, 9);
            check(&case, metric, 7, 3, Companions::Auto, &format!("{dtype}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_sets_and_options_are_searched_exactly(
        shape in 0..SHAPES.len(), dtype in 0..4_usize, metric in 0..4_usize, rows in 0..900_usize, dim in 1..70_usize,
        queries in 0..40_usize, k in 0..40_usize, parts in 1..4_usize, seed: u64,
        filter in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let case = Case::new(SHAPES[shape], FLOATS[dtype], rows, dim, queries, seed);
        let metric = BOUNDED[metric];
        let store = store();
        let set = store.vectors("set", dim, case.dtype, Metric::Manhattan).unwrap().companions(Companions::Always);
        let mut random = Random::new(seed);
        let left = case.fill(&set, parts, &mut random);
        let some = |random: &mut Random| -> Vec<i64> {
            let keep = 1 + random.below(4);
            case.ids.iter().copied().filter(|_| random.below(4) < keep).chain([i64::MIN, i64::MAX, 1]).collect()
        };
        let (allow, deny) = (some(&mut random), some(&mut random));
        let low = random.below(2 * rows as u64 + 1) as i64 - rows as i64;
        let range = low..=low + random.below(2 * rows as u64 + 1) as i64;
        let unfiltered = case.expected(metric, 5, |id, _| left.contains(&id));
        let distance_max = unfiltered.first().and_then(|list| list.last()).map_or(1.0, |n| n.distance);
        let mut options = SearchOptions::new().metric(metric);
        if filter.0 { options = options.allow(allow.iter().copied()); }
        if filter.1 { options = options.deny(deny.iter().copied()); }
        if filter.2 { options = options.id_range(range.clone()); }
        if filter.3 { options = options.distance_max(distance_max); }
        let expected = case.expected(metric, k, |id, distance| {
            left.contains(&id)
                && (!filter.0 || allow.contains(&id))
                && (!filter.1 || !deny.contains(&id))
                && (!filter.2 || range.contains(&id))
                && (!filter.3 || distance <= distance_max)
        });
        for threads in [0, 1] {
            let found = set.search(case.queries(), k, &options.clone().threads(threads)).unwrap();
            prop_assert_eq!(bits(&found), bits(&expected));
        }
        // A compaction changes where vectors lie, not what is found.
        set.compact(&CompactOptions::new().dead_fraction(0.0), &Control::new()).unwrap();
        let found = set.search(case.queries(), k, &options).unwrap();
        prop_assert_eq!(bits(&found), bits(&expected));
    }
}

// Enough rows for many blocks, so that threads overtake each other and limits are shared among them.
#[test]
fn a_large_set_gives_the_same_on_any_number_of_threads_and_in_both_read_modes() {
    let dir = tempfile::tempdir().unwrap();
    let case = Case::new(Shape::Clusters, DType::F32, 60_000, 48, 20, 3);
    let store = Store::create(dir.path().join("store"), &Options::new().durability(Durability::Process)).unwrap();
    let set = store.vectors("set", 48, DType::F32, Metric::Cosine).unwrap();
    set.append(&case.ids, case.rows()).unwrap();
    assert_eq!(set.info().unwrap().companion_rows, 60_000);
    for metric in BOUNDED {
        let expected = bits(&case.expected(metric, 10, |_, _| true));
        for threads in [1, 2, 3, 64] {
            let found = set.search(case.queries(), 10, &SearchOptions::new().metric(metric).threads(threads)).unwrap();
            assert_eq!(bits(&found), expected, "{metric}, {threads} threads");
        }
        let positioned = Options::new().read_only(true).read_mode(ReadMode::Positioned);
        let positioned = Store::open(dir.path().join("store"), &positioned).unwrap();
        let found = positioned.vector_set("set").unwrap();
        let found = found.search(case.queries(), 10, &SearchOptions::new().metric(metric)).unwrap();
        assert_eq!(bits(&found), expected, "{metric}, positioned");
    }
}

#[test]
fn a_stored_tensor_is_searched_in_place() {
    let case = Case::new(Shape::Gauss, DType::Bf16, 500, 24, 6, 8);
    let store = store();
    store.put("m/weight", &Tensor::new(DType::Bf16, &[500, 24], &case.bytes).unwrap()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let matrix = snapshot.matrix("m/weight", Metric::Dot).unwrap();
    let by_row = Case { ids: (0..500).collect(), ..case };
    let expected = bits(&by_row.expected(Metric::Dot, 9, |_, _| true));
    assert_eq!(bits(&matrix.search(by_row.queries(), 9, &SearchOptions::new()).unwrap()), expected);
    let faster = matrix.clone().with_companion(&Control::new()).unwrap();
    assert_eq!(bits(&faster.search(by_row.queries(), 9, &SearchOptions::new()).unwrap()), expected);
    let some = SearchOptions::new().allow([3, 499, 500, -1]).metric(Metric::Euclidean);
    let found = faster.search(by_row.queries(), 9, &some).unwrap();
    assert_eq!(bits(&found), bits(&by_row.expected(Metric::Euclidean, 9, |id, _| id == 3 || id == 499)));
    assert_eq!(matrix.get(7).unwrap(), store.get("m/weight").unwrap().rows(7..8).unwrap());

    store.put("cube", &Tensor::from_slice(&[2, 2, 2], &[0_f32; 8]).unwrap()).unwrap();
    store.put("whole", &Tensor::from_slice(&[2, 2], &[0_i64; 4]).unwrap()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let kind = |key| snapshot.matrix(key, Metric::Dot).unwrap_err().kind();
    assert_eq!(kind("cube"), ErrorKind::InvalidShape);
    assert_eq!(kind("whole"), ErrorKind::Unsupported);
    assert_eq!(kind("nothing"), ErrorKind::NotFound);
}

#[test]
fn wrong_queries_are_errors_and_empty_ones_are_answers() {
    let store = store();
    let set = store.vectors("set", 3, DType::F32, Metric::Cosine).unwrap();
    let one = [1.0_f32, 2.0, 3.0];
    let query = Rows::of(3, &one).unwrap();
    assert_eq!(set.search(query, 5, &SearchOptions::new()).unwrap(), [vec![]], "an empty set");
    set.append(&[4], query).unwrap();
    assert_eq!(set.search(query, 0, &SearchOptions::new()).unwrap(), [vec![]], "k is 0");
    assert_eq!(set.search(query, usize::MAX, &SearchOptions::new()).unwrap()[0].len(), 1);
    assert!(set.search(query.slice(0..0), 5, &SearchOptions::new()).unwrap().is_empty(), "no queries");
    let kind = |rows: Rows<'_>| set.search(rows, 1, &SearchOptions::new()).unwrap_err().kind();
    assert_eq!(kind(Rows::of(2, &one[..2]).unwrap()), ErrorKind::InvalidShape);
    assert_eq!(kind(Rows::of(3, &[1_u8, 2, 3]).unwrap()), ErrorKind::Unsupported);
}

// A caller whose list of permitted ids comes out empty must not be shown everything, nor one who forbids nothing be shown
// nothing.
#[test]
fn empty_lists_and_ranges_mean_what_they_say_up_to_the_last_id() {
    let store = store();
    let set = store.vectors("set", 1, DType::F32, Metric::Euclidean).unwrap();
    let ids = [i64::MIN, -1, 0, i64::MAX - 1, i64::MAX];
    set.append(&ids, Rows::of(1, &[4.0_f32, 3.0, 2.0, 1.0, 0.0]).unwrap()).unwrap();
    let near = |options: SearchOptions<'_>| -> Vec<i64> {
        let found = set.search(Rows::one(&[0.0_f32]).unwrap(), 9, &options).unwrap();
        found[0].iter().map(|neighbor| neighbor.id).collect()
    };
    let all = [i64::MAX, i64::MAX - 1, 0, -1, i64::MIN];
    let options = SearchOptions::new;
    assert_eq!(near(options()), all);
    assert_eq!(near(options().allow([])), [0; 0]);
    assert_eq!(near(options().deny([])), all);
    assert_eq!(near(options().allow([]).deny([])), [0; 0]);
    assert_eq!(near(options().allow([0, 0, 7]).deny([0])), [0; 0]);
    assert_eq!(near(options().deny(ids)), [0; 0]);
    assert_eq!(near(options().id_range(i64::MIN..=i64::MAX)), all);
    assert_eq!(near(options().id_range(i64::MAX..=i64::MAX)), [i64::MAX]);
    assert_eq!(near(options().id_range(i64::MIN..=i64::MIN)), [i64::MIN]);
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = 1..=0;
    assert_eq!(near(options().id_range(backwards)), [0; 0]);
    assert_eq!(near(options().distance_max(f64::NAN)), [0; 0]);
    assert_eq!(near(options().distance_max(-0.0)), [i64::MAX]);
    assert_eq!(near(options().distance_max(f64::INFINITY)), all);
    let nan = set.search(Rows::one(&[f32::NAN]).unwrap(), 2, &options()).unwrap();
    assert_eq!(bits(&nan), [[i64::MIN, -1].map(|id| (id, f64::NAN.to_bits()))], "by id where no distance is a number");
}

// A search of seconds meets writers of all kinds. What it was given must stay readable to its end, and the same.
#[test]
fn a_snapshot_is_searched_while_its_set_is_changed_compacted_and_dropped() {
    let case = Case::new(Shape::Clusters, DType::F32, 3000, 24, 4, 12);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path().join("store"), &small_options(Durability::Process).threads(2)).unwrap();
    let set = store.vectors("set", 24, DType::F32, Metric::Cosine).unwrap();
    set.append(&case.ids, case.rows()).unwrap();
    let expected = bits(&case.expected(Metric::Cosine, 10, |_, _| true));
    let (snapshot, is_over) = (set.snapshot().unwrap(), AtomicBool::new(false));
    let forget = GcOptions::new().keep_history(Duration::ZERO).dead_share(0.0);
    std::thread::scope(|scope| {
        let searches = scope.spawn(|| {
            let mut searches = 0;
            while !is_over.load(Ordering::Relaxed) || searches == 0 {
                let found = snapshot.search(case.queries(), 10, &SearchOptions::new()).unwrap();
                assert_eq!(bits(&found), expected);
                searches += 1;
            }
        });
        for ids in case.ids.chunks(1000) {
            set.delete(&ids[..500]).unwrap();
            set.upsert(&ids[500..600], case.rows().slice(0..100)).unwrap();
            set.compact(&CompactOptions::new().dead_fraction(0.0), &Control::new()).unwrap();
            store.gc(&forget, &Control::new()).unwrap();
        }
        let mut txn = store.begin().unwrap();
        txn.drop_vectors("set").unwrap();
        txn.commit().unwrap();
        store.gc(&forget, &Control::new()).unwrap();
        is_over.store(true, Ordering::Relaxed);
        searches.join().unwrap();
    });
    assert_eq!(set.search(case.queries(), 1, &SearchOptions::new()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(bits(&snapshot.search(case.queries(), 10, &SearchOptions::new()).unwrap()), expected);
}

// Searches of minutes must be stoppable, and a stopped one must not pretend to have found the nearest.
#[test]
fn searches_report_progress_and_can_be_cancelled() {
    let case = Case::new(Shape::Gauss, DType::F32, 20_000, 16, 3, 1);
    let store = store();
    let set = store.vectors("set", 16, DType::F32, Metric::Dot).unwrap();
    set.append(&case.ids, case.rows()).unwrap();
    let cancel = AtomicBool::new(false);
    let blocks = AtomicU64::new(0);
    let progress = |progress: Progress| {
        assert!(progress.bytes_done <= progress.bytes_total && progress.bytes_total == 20_000 * 64);
        blocks.fetch_add(1, Ordering::Relaxed);
        cancel.store(true, Ordering::Relaxed);
    };
    let control = Control::new().progress(&progress).cancel(&cancel);
    let error = set.search(case.queries(), 3, &SearchOptions::new().threads(1).control(control)).unwrap_err();
    assert_eq!((error.kind(), blocks.load(Ordering::Relaxed)), (ErrorKind::Cancelled, 1));
}

// What the bound excludes is never read: damage there does not disturb a search, and a full scan reports it.
#[test]
fn rows_that_the_bound_excludes_are_never_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut random = Random::new(2);
    let values: Vec<Vec<f64>> =
        (0..20_000).map(|n| (0..48).map(|_| (n / 1000) as f64 + 0.01 * gauss(&mut random)).collect()).collect();
    let bytes = encode(DType::F32, 48, &values);
    let store = Store::create(&path, &small_options(Durability::Process)).unwrap();
    let set = store.vectors("set", 48, DType::F32, Metric::Euclidean).unwrap();
    set.append(&(0..20_000).collect::<Vec<i64>>(), Rows::new(DType::F32, 20_000, 48, &bytes).unwrap()).unwrap();
    let query = Rows::new(DType::F32, 1, 48, &bytes[5 * 192..6 * 192]).unwrap();
    let options = SearchOptions::new().threads(1);
    let expected = set.search(query, 10, &options.clone().full_scan(true)).unwrap();
    drop((set, store));

    let store = Store::open(&path, &Options::new()).unwrap();
    let sql = "SELECT segment, offset, bytes FROM payloads ORDER BY bytes DESC LIMIT 1";
    let place = store.query(sql, 1).unwrap().rows.remove(0);
    drop(store);
    let [SqlValue::Integer(segment), SqlValue::Integer(offset), SqlValue::Integer(len)] = place[..] else {
        panic!("{place:?}")
    };
    assert_eq!(len, 20_000 * 192);
    let file = path.join(format!("segments/{segment:08}.seg"));
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0x55; 100_000], (offset + len / 2) as u64).unwrap();

    let store = Store::open(&path, &Options::new()).unwrap();
    let set = store.vector_set("set").unwrap();
    assert_eq!(set.search(query, 10, &options).unwrap(), expected);
    let error = set.search(query, 10, &options.full_scan(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("set (part 1)"), "{error}");
}
