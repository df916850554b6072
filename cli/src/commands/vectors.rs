//! `vectors add | info | ls | compact | drop` and `search`.

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tensoratom::kernels::convert::Overflow;
use tensoratom::kernels::{Metric, Rows};
use tensoratom::{
    CompactOptions, DType, Error, ErrorKind, Neighbor, NpyArray, Result, SearchOptions, VectorSetInfo, VectorSnapshot,
};

use crate::args::{Search, VectorsAdd, VectorsCompact, VectorsDrop, VectorsInfo, VectorsLs};
use crate::output::{Align, FAINT, GOOD, JsonList, Outcome, Table, count, grouped, plain_text, print_json, say, size};
use crate::progress::Follow;

/// Bytes of vectors that make one part.
const PART_BYTES: usize = 256 << 20;

/// A matrix from a file, as elements of the type that is wanted.
struct Matrix {
    dtype: DType,
    rows: usize,
    dim: usize,
    bytes: Vec<u8>,
}

impl Matrix {
    /// Reads a matrix; a single vector counts as a matrix of one row.
    fn read(path: &Path, wanted: Option<DType>) -> Result<Self> {
        Self::of(&NpyArray::read(path)?, path, wanted)
    }

    /// Reads queries for vectors of a type. Those of floats stay f32 where vectors of fewer bits are compared with that.
    fn read_queries(path: &Path, vectors: DType) -> Result<Self> {
        let array = NpyArray::read(path)?;
        let is_float = matches!(array.dtype(), DType::F32 | DType::F64);
        let wanted = match vectors {
            DType::F16 | DType::Bf16 | DType::I8 if is_float => DType::F32,
            other => other,
        };
        Self::of(&array, path, Some(wanted))
    }

    fn of(array: &NpyArray, path: &Path, wanted: Option<DType>) -> Result<Self> {
        let number = |n: u64| usize::try_from(n).map_err(|_| Error::invalid_argument("the array is too large"));
        let (rows, dim) = match *array.shape() {
            [dim] => (1, number(dim)?),
            [rows, dim] => (number(rows)?, number(dim)?),
            _ => {
                let what = format!("an array of shape {:?} is no matrix of vectors", array.shape());
                return Err(Error::invalid_argument(what).with_path(path));
            }
        };
        let dtype = wanted.unwrap_or(array.dtype());
        let bytes = convert(array.dtype(), dtype, array.bytes()).map_err(|e| e.with_path(path))?.into_owned();
        let dim = if dtype == DType::B1 { dim * 8 } else { dim };
        Ok(Matrix { dtype, rows, dim, bytes })
    }

    fn rows(&self) -> Result<Rows<'_>> {
        Rows::new(self.dtype, self.rows, self.dim, &self.bytes)
    }
}

/// Elements of another type: floats are rounded, bytes taken as packed bits, 16-bit integers as the bits of bf16.
fn convert(from: DType, to: DType, bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let is_float = |dtype| matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::Bf16);
    match (from, to) {
        (DType::U8, DType::B1) | (DType::U16, DType::Bf16) => Ok(bytes.into()),
        (from, to) if from == to => Ok(bytes.into()),
        (from, to) if is_float(from) && is_float(to) => {
            let count = bytes.len() * 8 / from.bits() as usize;
            let mut target = vec![0; count * to.bits() as usize / 8];
            tensoratom::kernels::convert::convert(bytes, from, &mut target, to, Overflow::Infinity)?;
            Ok(target.into())
        }
        (from, to) => Err(Error::invalid_argument(format!("an array of {from} does not become vectors of {to}"))),
    }
}

/// Integers from a file.
fn read_ids(path: &Path) -> Result<Vec<i64>> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> i64) -> Vec<i64> {
        bytes.as_chunks::<N>().0.iter().map(|element| value(*element)).collect()
    }
    let array = NpyArray::read(path)?;
    let bytes = array.bytes();
    Ok(match array.dtype() {
        DType::I64 => each(bytes, i64::from_le_bytes),
        DType::I32 => each(bytes, |b| i32::from_le_bytes(b).into()),
        DType::U32 => each(bytes, |b| u32::from_le_bytes(b).into()),
        DType::U64 => {
            let ids = each(bytes, |b| u64::from_le_bytes(b).cast_signed());
            if ids.iter().any(|&id| id < 0) {
                return Err(Error::invalid_argument("an id is larger than 2^63 - 1").with_path(path));
            }
            ids
        }
        other => return Err(Error::invalid_argument(format!("ids are integers, not {other}")).with_path(path)),
    })
}

pub(crate) fn add(args: &VectorsAdd) -> Result<Outcome> {
    let started = Instant::now();
    let store = super::open_or_create(&args.store, args.create)?;
    let namespace = super::namespace_to_write(&store, &args.namespace)?;
    let name = namespace.key(args.set.as_str());
    let mut txn = store.begin()?;
    let existing = match txn.vectors(name).map(std::mem::drop) {
        Err(e) if e.kind() == ErrorKind::NotFound && args.create => None,
        Err(e) => return Err(e),
        Ok(()) => Some(store.vector_set(name)?),
    };
    let matrix = Matrix::read(&args.data, existing.as_ref().map(|set| set.dtype()).or(args.dtype))?;
    if let Some(set) = &existing {
        let differs = |wanted: bool, what: &str| match wanted {
            true => Ok(()),
            false => Err(Error::invalid_argument(format!("the vector set is there, of another {what}"))),
        };
        differs(args.dtype.is_none_or(|dtype| dtype == set.dtype()), "element type")?;
        differs(args.metric.is_none_or(|metric| metric == set.metric()), "metric")?;
    }
    let ids = match &args.ids {
        Some(path) => read_ids(path)?,
        None => {
            let last = existing.as_ref().map(|set| set.snapshot()?.id_max()).transpose()?.flatten();
            let first = last.map_or(Some(0), |last| last.checked_add(1));
            let end = first.and_then(|first| first.checked_add(i64::try_from(matrix.rows).ok()?));
            match first.zip(end) {
                Some((first, end)) => (first..end).collect(),
                None => return Err(Error::invalid_argument("no ids are left behind the largest; give --ids")),
            }
        }
    };
    let mut writer = match existing {
        Some(_) => txn.vectors(name)?,
        None => txn.create_vectors(name, matrix.dim, matrix.dtype, args.metric.unwrap_or(Metric::Cosine))?,
    };
    let rows = matrix.rows()?;
    if ids.len() != rows.rows() {
        return Err(Error::invalid_argument(format!("{} ids for {} vectors", ids.len(), rows.rows())));
    }
    let step = (PART_BYTES / rows.stride_bytes().max(1)).max(1);
    for start in (0..ids.len()).step_by(step) {
        let range = start..(start + step).min(ids.len());
        let (ids, rows) = (&ids[range.clone()], rows.slice(range));
        if args.replace { writer.upsert(ids, rows)? } else { writer.append(ids, rows)? }
    }
    let lsn = txn.commit()?;
    let info = store.vector_set(name)?.info()?;
    if args.json {
        print_json(&json!({ "added": ids.len(), "lsn": lsn, "set": info_json(&info) }))?;
        return Ok(Outcome::Done);
    }
    say!(
        "{GOOD}added{GOOD:#} {} to {} in {:.2} s {FAINT}({} of {} x {}, by {}){FAINT:#}",
        count(ids.len() as u64, "vector"),
        plain_text(&args.set),
        started.elapsed().as_secs_f64(),
        count(info.vectors, "vector"),
        info.dim,
        info.dtype,
        info.metric,
    )?;
    Ok(Outcome::Done)
}

fn info_json(info: &VectorSetInfo) -> Value {
    json!({
        "name": info.name,
        "dim": info.dim,
        "dtype": info.dtype.name(),
        "metric": info.metric.name(),
        "vectors": info.vectors,
        "parts": info.parts,
        "deleted_rows": info.deleted_rows,
        "vector_bytes": info.vector_bytes,
        "id_bytes": info.id_bytes,
        "companion_bytes": info.companion_bytes,
        "companion_rows": info.companion_rows,
        "created_lsn": info.created_lsn,
    })
}

pub(crate) fn info(args: &VectorsInfo) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let Some(name) = &args.set else {
        return list(store.snapshot()?.in_namespace(&namespace).vector_sets()?, args.json);
    };
    let info = store.vector_set(namespace.key(name.as_str()))?.info()?;
    if args.json {
        print_json(&info_json(&info))?;
        return Ok(Outcome::Done);
    }
    let bytes = |n: u64| format!("{} ({})", grouped(n), size(n));
    let rows = [
        ("name", plain_text(&info.name)),
        ("vectors", grouped(info.vectors)),
        ("dim", grouped(info.dim as u64)),
        ("dtype", info.dtype.to_string()),
        ("metric", info.metric.to_string()),
        ("parts", grouped(info.parts)),
        ("deleted rows", grouped(info.deleted_rows)),
        ("vector bytes", bytes(info.vector_bytes)),
        ("id bytes", bytes(info.id_bytes)),
        ("companion bytes", bytes(info.companion_bytes)),
        ("companion rows", grouped(info.companion_rows)),
        ("created", format!("commit {}", info.created_lsn)),
    ];
    for (name, value) in rows {
        say!("{FAINT}{name:16}{FAINT:#} {value}")?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn ls(args: &VectorsLs) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    list(store.snapshot()?.in_namespace(&namespace).vector_sets()?, args.json)
}

pub(crate) fn compact(args: &VectorsCompact) -> Result<Outcome> {
    let store = super::open_to_write(&args.store)?;
    let set = store.vector_set(super::namespace(&store, &args.namespace)?.key(args.set.as_str()))?;
    let options = CompactOptions::new().dead_fraction(args.dead_fraction);
    let (replaced, built) = Follow::new("compact").run(|control| -> Result<(u64, u64)> {
        let replaced = set.compact(&options, control)?;
        Ok((replaced, if args.companions { set.build_companions(control)? } else { 0 }))
    })?;
    let info = set.info()?;
    if args.json {
        let set = info_json(&info);
        print_json(&json!({ "parts_replaced": replaced, "companions_built": built, "set": set }))?;
        return Ok(Outcome::Done);
    }
    say!(
        "{GOOD}compacted{GOOD:#} {}: {} replaced, {} built {FAINT}({} in {}, {} deleted){FAINT:#}",
        plain_text(&args.set),
        count(replaced, "part"),
        count(built, "companion"),
        count(info.vectors, "vector"),
        count(info.parts, "part"),
        grouped(info.deleted_rows),
    )?;
    Ok(Outcome::Done)
}

pub(crate) fn drop(args: &VectorsDrop) -> Result<Outcome> {
    let store = super::open_to_write(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let name = namespace.key(args.set.as_str());
    let vectors = store.vector_set(name)?.len()?;
    let mut txn = store.begin()?;
    let dropped = txn.drop_vectors(name)?;
    let lsn = txn.commit()?;
    if args.json {
        print_json(&json!({ "dropped": dropped, "vectors": vectors, "lsn": lsn }))?;
        return Ok(Outcome::Done);
    }
    say!("{GOOD}dropped{GOOD:#} {} of {}", plain_text(&args.set), count(vectors, "vector"))?;
    Ok(Outcome::Done)
}

fn list(sets: Vec<VectorSnapshot>, as_json: bool) -> Result<Outcome> {
    let infos: Vec<VectorSetInfo> = sets.iter().map(VectorSnapshot::info).collect();
    if as_json {
        let mut printed = JsonList::new();
        printed.print(infos.iter().map(info_json))?;
        printed.finish()?;
        return Ok(Outcome::Done);
    }
    let row = |info: &VectorSetInfo| {
        let bytes = info.vector_bytes + info.id_bytes + info.companion_bytes;
        vec![
            info.name.clone(),
            grouped(info.vectors),
            info.dim.to_string(),
            info.dtype.to_string(),
            info.metric.to_string(),
            grouped(info.parts),
            grouped(info.deleted_rows),
            size(bytes),
        ]
    };
    let headings = [
        ("NAME", Align::Left),
        ("VECTORS", Align::Right),
        ("DIM", Align::Right),
        ("DTYPE", Align::Left),
        ("METRIC", Align::Left),
        ("PARTS", Align::Right),
        ("DELETED", Align::Right),
        ("SIZE", Align::Right),
    ];
    Table::new(headings).print(infos.iter().map(row))?;
    Ok(Outcome::Done)
}

/// A search in whatever holds vectors.
type Searching<'a> = dyn Fn(Rows<'_>, &SearchOptions<'_>) -> Result<Vec<Vec<Neighbor>>> + 'a;

pub(crate) fn search(args: &Search) -> Result<Outcome> {
    let store = super::open_to_read(&args.store)?;
    let namespace = super::namespace(&store, &args.namespace)?;
    let mut options = SearchOptions::new().threads(args.threads);
    if let Some(metric) = args.metric {
        options = options.metric(metric);
    }
    if let Some(distance) = args.distance_max {
        options = options.distance_max(distance);
    }
    let run = |dtype: DType, search: &Searching<'_>| {
        let queries = Matrix::read_queries(&args.query, dtype)?;
        Follow::new("search").run(|control| search(queries.rows()?, &options.clone().control(*control)))
    };
    let started = Instant::now();
    let found = match (&args.set, &args.tensor) {
        (Some(set), _) => {
            let set = store.vector_set(namespace.key(set.as_str()))?.snapshot()?;
            run(set.dtype(), &|queries, options| set.search(queries, args.k, options))?
        }
        (None, Some(key)) => {
            let metric = args.metric.unwrap_or(Metric::Cosine);
            let matrix = store.snapshot()?.matrix(namespace.key(key.as_str()), metric)?;
            run(matrix.dtype(), &|queries, options| matrix.search(queries, args.k, options))?
        }
        (None, None) => return Err(Error::invalid_argument("a vector set or --tensor is needed")),
    };
    if args.json {
        let one = |found: &Neighbor| match found.distance.is_finite() {
            true => json!({ "id": found.id, "distance": found.distance }),
            false => json!({ "id": found.id, "distance": found.distance.to_string() }),
        };
        print_json(&Value::Array(found.iter().map(|list| list.iter().map(one).collect()).collect()))?;
        return Ok(Outcome::Done);
    }
    for (number, list) in found.iter().enumerate() {
        if found.len() > 1 {
            say!("{FAINT}query {number}{FAINT:#}")?;
        }
        let row = |(rank, found): (usize, &Neighbor)| {
            vec![(rank + 1).to_string(), found.id.to_string(), format!("{}", found.distance)]
        };
        let headings = [("RANK", Align::Right), ("ID", Align::Right), ("DISTANCE", Align::Left)];
        Table::new(headings).print(list.iter().enumerate().map(row))?;
    }
    say!("{FAINT}{:.1} ms{FAINT:#}", started.elapsed().as_secs_f64() * 1e3)?;
    Ok(Outcome::Done)
}
