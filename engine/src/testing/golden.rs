//! The golden stores: one of everything a store of the present format can hold. Written once per format version and
//! kept as fixtures; every later version must open them and find the same. The contents never change: a new format adds
//! a fixture beside the old one.

use std::path::Path;

use super::random::Random;
use crate::kernels::{Metric, Rows};
use crate::{
    Companions, Control, DType, Durability, Encoding, Error, ErrorKind, Expect, Key, ListOptions, Options, PutOptions,
    Result, SearchOptions, Snapshot, SqlValue, Store, Tensor, Tier, TierPolicy,
};

/// Atoms of the default namespace after the last commit: key, type, shape, seed of the bytes, metadata.
type Row = (Key, DType, &'static [u64], u64, Option<&'static str>);

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = vec![
        (Key::Int(-7), DType::I64, &[3], 1, None),
        (Key::Int(i64::MAX), DType::U8, &[1], 2, None),
        ("empty".into(), DType::F32, &[0, 4], 3, None),
        ("scalar".into(), DType::F64, &[], 4, None),
        ("embed/weight".into(), DType::F32, &[64, 96], 5, Some(r#"{"layer":0,"name":"Gewicht ä"}"#)),
        ("embed/twin".into(), DType::F32, &[64, 96], 5, None),
        ("streamed".into(), DType::Bf16, &[300, 128], 6, None),
        ("renamed".into(), DType::F16, &[10], 7, None),
        ("child".into(), DType::I8, &[16], 8, None),
    ];
    for (seed, dtype) in (100..).zip(DType::ALL.iter().copied().filter(|&dtype| dtype != DType::Opaque)) {
        rows.push((Key::from(format!("types/{}", dtype.name())), dtype, &[2, 24], seed, None));
    }
    rows
}

/// The bytes of a row: noise, except where a type does not take every value.
fn bytes(dtype: DType, shape: &[u64], seed: u64) -> Result<Vec<u8>> {
    let len = crate::byte_len(dtype, shape, &Encoding::Plain)?;
    let mut bytes = Random::new(seed).bytes(usize::try_from(len).unwrap());
    if dtype == DType::Bool {
        bytes.iter_mut().for_each(|byte| *byte &= 1);
    }
    Ok(bytes)
}

fn put(txn: &mut crate::WriteTxn, (key, dtype, shape, seed, metadata): &Row) -> Result<()> {
    let bytes = bytes(*dtype, shape, *seed)?;
    let options = metadata.iter().fold(PutOptions::new(), |options, text| options.metadata(*text));
    txn.put_with(key, &Tensor::new(*dtype, shape, &bytes)?, &options)
}

/// Writes the golden store into a directory, which must not exist.
pub fn write(path: &Path) -> Result<()> {
    let options = Options::new().segment_bytes(128 << 10).chunk_bytes(16 << 10).durability(Durability::Full);
    let store = Store::create(path, &options)?;
    // 1: what is replaced, renamed and deleted below.
    let mut txn = store.begin()?;
    put(&mut txn, &("embed/weight".into(), DType::F32, &[8, 8], 50, None))?;
    put(&mut txn, &("before".into(), DType::F16, &[10], 7, None))?;
    put(&mut txn, &("deleted".into(), DType::U16, &[5_000], 51, Some("{}")))?;
    txn.commit()?;
    // 2: everything that stays.
    let mut txn = store.begin()?;
    for row in rows() {
        match &row.0 {
            key if *key == Key::from("renamed") => txn.rename("before", "renamed")?,
            key if *key == Key::from("streamed") => {
                let mut writer = txn.writer("streamed", row.1, &[None, Some(128)], &PutOptions::new())?;
                bytes(row.1, row.2, row.3)?.chunks(1_000).try_for_each(|part| writer.append(part))?;
                writer.finish()?;
            }
            key if *key == Key::from("child") => {
                let tensor = bytes(row.1, row.2, row.3)?;
                let parents = PutOptions::new().parents(["embed/weight".into()]).expect(Expect::Absent);
                txn.put_with("child", &Tensor::new(row.1, row.2, &tensor)?, &parents)?;
            }
            _ => put(&mut txn, &row)?,
        }
    }
    txn.delete("deleted")?;
    txn.commit()?;
    // 3: another tenant, with a payload the default one has as well.
    let tenant = store.create_namespace("tenant")?;
    let shared = bytes(DType::F32, &[64, 96], 5)?;
    store.put(tenant.key("embed/weight"), &Tensor::new(DType::F32, &[64, 96], &shared)?)?;
    // 4 and on: a vector set in two parts, with a companion, some of it deleted.
    let words = store.vectors("words", VECTOR_DIM, DType::F32, Metric::Cosine)?.companions(Companions::Always);
    for ids in [0..20, 20..50] {
        let ids: Vec<i64> = ids.collect();
        let matrix: Vec<f32> = ids.iter().flat_map(|&id| vector(id)).collect();
        words.append(&ids, Rows::of(VECTOR_DIM, &matrix)?)?;
    }
    words.delete(&DELETED)?;
    Ok(())
}

/// Writes the golden store with a namespace beside it whose payloads are cold, one in each codec there is. The path must not
/// exist.
pub fn write_cold(path: &Path) -> Result<()> {
    write(path)?;
    let store = Store::open(path, &Options::new().segment_bytes(128 << 10).chunk_bytes(16 << 10))?;
    let frozen = store.create_namespace("frozen")?;
    let rules = [("raw", "raw"), ("lz4", "lz4"), ("zstd", "zstd:19"), ("float", "float")];
    let rules =
        rules.map(|(name, codec)| format!(r#"{{"namespace": "frozen", "prefix": "{name}/", "codec": "{codec}"}}"#));
    let policy = TierPolicy::from_json(&format!(r#"{{"rules": [{}]}}"#, rules.join(",")))?;
    store.set_tier_policy(&policy)?;
    let mut txn = store.begin()?;
    for (key, dtype, bytes) in cold_rows() {
        let parents = if key == DELTA { PutOptions::new().parents([BASE.into()]) } else { PutOptions::new() };
        let count = bytes.len() as u64 / crate::byte_len(dtype, &[1], &Encoding::Plain)?;
        txn.put_with(frozen.key(key.as_str()), &Tensor::new(dtype, &[count], &bytes)?, &parents)?;
    }
    txn.commit()?;
    store.move_to_tier(Some(&frozen), "", Tier::Cold, &Control::new())?;
    Ok(())
}

const BASE: &str = "float/base";
const DELTA: &str = "delta/tuned";

/// Key, type and bytes of what is cold: each codec's name is the first part of the keys it was told to code.
fn cold_rows() -> Vec<(String, DType, Vec<u8>)> {
    // Exponents of few values, as those of weights: sums of four evenly distributed numbers.
    let weights = |seed: u64, count: usize| -> Vec<f32> {
        let mut random = Random::new(seed);
        (0..count)
            .map(|_| (0..4).map(|_| random.below(1 << 20) as f32 - (1 << 19) as f32).sum::<f32>() * 1e-8)
            .collect()
    };
    let f32s = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let base = weights(70, 3_000);
    let mut tuned = base.clone();
    tuned.iter_mut().step_by(9).for_each(|value| *value *= 1.000_5);
    let words: Vec<u8> = (0_i64..2_000).flat_map(|n| (n * n % 30_522).to_le_bytes()).collect();
    let halves: Vec<u8> = weights(71, 3_000).iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect();
    vec![
        ("raw/noise".into(), DType::U8, Random::new(72).bytes(5_000)),
        ("lz4/words".into(), DType::I64, words.clone()),
        ("zstd/words".into(), DType::I64, words.iter().map(|byte| byte ^ 1).collect()),
        (BASE.into(), DType::F32, f32s(&base)),
        ("float/halves".into(), DType::Bf16, halves),
        (DELTA.into(), DType::F32, f32s(&tuned)),
    ]
}

/// Compares a store with what [`write_cold()`] wrote. The error says what differs.
pub fn check_cold(store: &Store) -> Result<()> {
    check(store)?;
    let differs = |what: String| Error::new(ErrorKind::Corrupt, what);
    let frozen = store.snapshot()?.in_namespace(&store.namespace("frozen")?);
    for (key, dtype, bytes) in cold_rows() {
        let atom = frozen.get(key.as_str())?;
        if atom.info().dtype != dtype || *atom.bytes()? != *bytes {
            return Err(differs(format!("'{key}' is not what was stored")));
        }
    }
    Ok(())
}

/// Compares the codecs of a store with those in which [`write_cold()`] left its payloads: a rebuilt catalog must know them too.
pub fn check_codecs(store: &Store) -> Result<()> {
    let sql = "SELECT a.key, p.codec FROM atoms a JOIN payloads p ON p.digest = a.digest \
               WHERE a.namespace = 'frozen' AND p.namespace = 'frozen' AND p.tier = 'cold'";
    let found = store.query(sql, 100)?.rows;
    let text = |value: &SqlValue| if let SqlValue::Text(text) = value { text.clone() } else { format!("{value:?}") };
    let odd = found.iter().find(|row| !text(&row[0]).starts_with(&text(&row[1])));
    match odd {
        None if found.len() == cold_rows().len() => Ok(()),
        odd => Err(Error::new(ErrorKind::Corrupt, format!("{} cold payloads, odd: {odd:?}", found.len()))),
    }
}

const VECTOR_DIM: usize = 8;
const DELETED: [i64; 2] = [3, 41];

/// The vector of an id: numbers in -0.5..0.5 with 24 bits.
fn vector(id: i64) -> [f32; VECTOR_DIM] {
    let mut random = Random::new(900 + id.unsigned_abs());
    std::array::from_fn(|_| (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5)
}

fn check_vectors(store: &Store) -> Result<()> {
    let set = store.vector_set("words")?;
    let mut ids = Vec::new();
    for found in set.snapshot()?.iter() {
        let (id, bytes) = found?;
        let expected: Vec<u8> = vector(id).iter().flat_map(|x| x.to_le_bytes()).collect();
        if *bytes != *expected {
            return Err(Error::new(ErrorKind::Corrupt, format!("vector {id} is not what was stored")));
        }
        ids.push(id);
    }
    let expected: Vec<i64> = (0..50).filter(|id| !DELETED.contains(id)).collect();
    let nearest = set.search(Rows::one(&vector(17))?, 1, &SearchOptions::new())?;
    if ids != expected || nearest[0][0].id != 17 {
        return Err(Error::new(ErrorKind::Corrupt, format!("ids {ids:?}, nearest to 17: {nearest:?}")));
    }
    Ok(())
}

/// Compares a store with what [`write()`] wrote. The error says what differs.
pub fn check(store: &Store) -> Result<()> {
    let differs = |what: String| Error::new(ErrorKind::Corrupt, what);
    let snapshot = store.snapshot()?;
    let mut expected = rows();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let listed = snapshot.list(&ListOptions::new())?;
    let keys: Vec<&Key> = listed.iter().map(|info| &info.key).collect();
    let wanted: Vec<&Key> = expected.iter().map(|row| &row.0).collect();
    if keys != wanted {
        return Err(differs(format!("keys {keys:?} instead of {wanted:?}")));
    }
    for row in &expected {
        check_row(&snapshot, row)?;
    }
    check_row(&store.snapshot_at(crate::AsOf::Lsn(1))?, &("deleted".into(), DType::U16, &[5_000], 51, Some("{}")))?;
    check_row(&store.snapshot_at(crate::AsOf::Lsn(1))?, &("embed/weight".into(), DType::F32, &[8, 8], 50, None))?;
    let tenant = snapshot.in_namespace(&store.namespace("tenant")?);
    check_row(&tenant, &("embed/weight".into(), DType::F32, &[64, 96], 5, None))?;
    if tenant.list(&ListOptions::new())?.len() != 1 {
        return Err(differs("the tenant has other atoms".into()));
    }
    check_vectors(store)?;
    let lineage = store.query("SELECT key, parent_key, parent_lsn FROM lineages WHERE namespace = ''", 10)?;
    let text = |text: &str| SqlValue::Text(text.into());
    if lineage.rows != [vec![text("child"), text("embed/weight"), SqlValue::Integer(2)]] {
        return Err(differs(format!("lineage {:?}", lineage.rows)));
    }
    Ok(())
}

fn check_row(snapshot: &Snapshot, (key, dtype, shape, seed, metadata): &Row) -> Result<()> {
    let payload = snapshot.get(key)?;
    let info = payload.info();
    let same = info.dtype == *dtype
        && info.shape == *shape
        && info.metadata.as_deref() == *metadata
        && *payload.bytes()? == *bytes(*dtype, shape, *seed)?;
    if same { Ok(()) } else { Err(Error::new(ErrorKind::Corrupt, format!("'{key}' is not what was stored: {info:?}"))) }
}
