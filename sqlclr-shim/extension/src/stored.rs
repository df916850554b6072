//! Commands on a store, which they name by its alias.

use std::path::Path;
use std::time::{Duration, Instant};

use engine::kernels::{Metric, Rows};
use engine::{
    Address, Control, DType, Error, ExportOptions, ImportOptions, Key, KeyRef, ListOptions, Namespace, Options,
    PutOptions, ReadMode, Result, SearchOptions, Snapshot, Store, Tensor, VerifyOptions,
};

use crate::command::{column, in_row, vector};
use crate::config;
use crate::data::{Input, Output};
use crate::files;
use crate::script::{Script, fail};

const K_MAX: usize = 10_000;

/// Runs the command of this name.
pub(crate) fn run(script: &mut Script, file: &Path, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
    match script.name.as_str() {
        "search" => search(script, file, columns, rows),
        "get" => get(script, file, columns, rows),
        "put" => put(script, file, columns, rows),
        "put_vectors" => put_vectors(script, file, columns, rows),
        "list" => list(script, file),
        "stat" => stat(script, file),
        "verify" => verify(script, file),
        "import" => import(script, file),
        "export" => export(script, file),
        _ => Err(fail(script.at, &format!("unknown command '{}'", script.name.escape_debug()))),
    }
}

fn search(script: &mut Script, file: &Path, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let (name, k): (String, usize) = (script.need("set")?, script.take("k")?.unwrap_or(10));
    let mut options = SearchOptions::new().control(store.control());
    if let Some(metric) = script.take("metric")? {
        options = options.metric(metric);
    }
    script.end()?;
    if k > K_MAX {
        return Err(fail(script.at, "k is at most 10000"));
    }
    let set = store.store.vector_set(store.key(KeyRef::Name(&name)))?.snapshot()?;
    let mut out = vec![Output::bigint(), Output::bigint(), Output::double()];
    for row in 0..rows {
        let Some(query) = column(columns, 0)?.binary(row)? else { continue };
        let found = vector(set.dtype(), query).and_then(|query| set.search(query, k, &options));
        for neighbor in found.map_err(|e| in_row(row, &e))?.into_iter().flatten() {
            let [query, id, distance] = out.as_mut_slice() else { break };
            query.push_count(row)?;
            id.push_i64(neighbor.id)?;
            distance.push_f64(neighbor.distance)?;
        }
    }
    Ok(out)
}

fn get(script: &mut Script, file: &Path, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let (offset, bytes) = (script.take("offset")?.unwrap_or(0_u64), script.take("bytes")?.unwrap_or(u64::MAX));
    script.end()?;
    let mut out = Output::binary();
    for row in 0..rows {
        match column(columns, 0)?.key(row)? {
            Some(key) => {
                let payload = store.store.get(store.key(&key))?;
                let start = offset.min(payload.len());
                let range = start..start.saturating_add(bytes).min(payload.len());
                out.push(Some(&payload.range_within(range, &store.control())?))?;
            }
            None => out.push(None)?,
        }
    }
    Ok(vec![out])
}

fn put(script: &mut Script, file: &Path, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let dtype = script.take("dtype")?.unwrap_or(DType::U8);
    script.end()?;
    let mut txn = store.store.begin()?;
    let mut out = Output::bigint();
    for row in 0..rows {
        let (key, payload) = (column(columns, 0)?.key(row)?, column(columns, 1)?.binary(row)?);
        let (Some(key), Some(payload)) = (key, payload) else {
            return Err(in_row(row, &Error::invalid_argument("key and payload must not be NULL; nothing was stored")));
        };
        let dim = u64::try_from(vector(dtype, payload).map_err(|e| in_row(row, &e))?.dim()).unwrap_or(u64::MAX);
        let tensor = Tensor::new(dtype, &[dim], payload)?;
        txn.put_within(store.key(&key), &tensor, &PutOptions::new(), &store.control())?;
        out.push_count(payload.len())?;
    }
    if rows > 0 {
        txn.commit_within(&store.control())?;
    }
    Ok(vec![out])
}

/// Puts rows under the ids beside them; a set that is not there is made, of the dimension of the first row.
fn put_vectors(script: &mut Script, file: &Path, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let name: String = script.need("set")?;
    let (dtype, metric) =
        (script.take("dtype")?.unwrap_or(DType::F32), script.take("metric")?.unwrap_or(Metric::Cosine));
    script.end()?;
    let (mut ids, mut vectors, mut dim) = (Vec::new(), Vec::new(), 0);
    for row in 0..rows {
        let (id, bytes) = (column(columns, 0)?.key(row)?, column(columns, 1)?.binary(row)?);
        let (Some(Key::Int(id)), Some(bytes)) = (id, bytes) else {
            let what = "a number and a vector are expected, not NULL; nothing was stored";
            return Err(in_row(row, &Error::invalid_argument(what)));
        };
        let found = vector(dtype, bytes).map_err(|e| in_row(row, &e))?.dim();
        if row > 0 && found != dim {
            let what = format!("the vector has {found} elements, those before it {dim}; nothing was stored");
            return Err(in_row(row, &Error::invalid_argument(what)));
        }
        dim = found;
        ids.push(id);
        vectors.extend_from_slice(bytes);
    }
    if rows > 0 {
        let set = store.store.vectors(store.key(KeyRef::Name(&name)), dim, dtype, metric)?;
        set.upsert_within(&ids, Rows::new(dtype, rows, dim, &vectors)?, &store.control())?;
    }
    counts([u64::try_from(rows).unwrap_or(u64::MAX)])
}

fn list(script: &mut Script, file: &Path) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let prefix: String = script.take("prefix")?.unwrap_or_default();
    script.end()?;
    let (mut keys, mut dtypes, mut shapes, mut bytes) =
        (Output::text(), Output::text(), Output::text(), Output::bigint());
    for atom in store.snapshot()?.list(&ListOptions::new().prefix(prefix))? {
        keys.push_text(&atom.key.to_string())?;
        dtypes.push_text(&atom.dtype.to_string())?;
        shapes.push_text(&atom.shape_text())?;
        bytes.push_count(atom.bytes)?;
    }
    Ok(vec![keys, dtypes, shapes, bytes])
}

fn stat(script: &mut Script, file: &Path) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    script.end()?;
    let stat = store.store.stat_within(&store.control())?;
    let facts = [
        ("lsn", stat.lsn),
        ("atoms", stat.atoms),
        ("versions", stat.versions),
        ("vector_sets", stat.vector_sets),
        ("raw_bytes", stat.raw_bytes),
        ("stored_bytes", stat.stored_bytes),
        ("disk_bytes", stat.disk_bytes),
    ];
    let (mut names, mut values) = (Output::text(), Output::bigint());
    for (name, value) in facts {
        names.push_text(name)?;
        values.push_count(value)?;
    }
    Ok(vec![names, values])
}

fn verify(script: &mut Script, file: &Path) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    script.end()?;
    let options = match &store.space {
        Some(space) => VerifyOptions::new().prefix_in(space, ""),
        None => VerifyOptions::new(),
    };
    let report = store.store.verify(&options, &store.control())?;
    let (mut keys, mut what) = (Output::text(), Output::text());
    for damage in report.damaged {
        match damage.key {
            Some(key) => keys.push_text(&key.to_string())?,
            None => keys.push(None)?,
        }
        what.push_text(&damage.what)?;
    }
    Ok(vec![keys, what])
}

fn import(script: &mut Script, file: &Path) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let (path, prefix): (String, String) = (script.need("path")?, script.take("prefix")?.unwrap_or_default());
    script.end()?;
    let (mut options, source) = (ImportOptions::new().prefix(prefix), files::source(file, &path)?);
    if let Some(space) = &store.space {
        options = options.namespace(space);
    }
    let imported = store.store.import_file(&source, &options, &store.control());
    let report = imported.map_err(|e| hidden(&source, &path, &e))?;
    counts([report.atoms, report.payload_bytes, report.lsn])
}

fn export(script: &mut Script, file: &Path) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let (path, prefix): (String, String) = (script.need("path")?, script.take("prefix")?.unwrap_or_default());
    script.end()?;
    let (options, target) = (ExportOptions::new().prefix(prefix), files::target(file, &path)?);
    let exported = store.snapshot()?.export_file(&target, &options, &store.control());
    let report = exported.map_err(|e| hidden(&target, &path, &e))?;
    counts([report.atoms, report.file_bytes])
}

/// An error of a file under the name the script has for it.
fn hidden(real: &Path, path: &str, error: &Error) -> Error {
    Error::invalid_argument(error.to_string().replace(&*real.to_string_lossy(), path))
}

/// One row of numbers.
fn counts<const N: usize>(numbers: [u64; N]) -> Result<Vec<Output>> {
    let column = |number: u64| {
        let mut out = Output::bigint();
        out.push_count(number).map(|()| out)
    };
    numbers.into_iter().map(column).collect()
}

/// The store of an alias, the namespace that the alias means, and the moment by which the command has ended.
struct Opened {
    store: Store,
    space: Option<Namespace>,
    ends: Option<Instant>,
}

impl Opened {
    fn key<'k>(&self, key: impl Into<KeyRef<'k>>) -> Address<'k> {
        let key = key.into();
        self.space.as_ref().map_or_else(|| key.into(), |space| space.key(key))
    }

    fn control(&self) -> Control<'static> {
        self.ends.map_or_else(Control::new, |ends| Control::new().deadline(ends))
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = self.store.snapshot()?;
        Ok(self.space.as_ref().map_or_else(|| snapshot.clone(), |space| snapshot.in_namespace(space)))
    }
}

/// Never maps a payload: a disk that fails under the host's thread is an error, not a signal.
fn open(script: &mut Script, file: &Path) -> Result<Opened> {
    let alias: String = script.take("store")?.unwrap_or_else(|| "default".to_owned());
    let registered = config::store(file, &alias)?;
    let deadline_ms = script.take("deadline_ms")?.or(registered.deadline_ms);
    let ends = deadline_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
    let mut options = Options::new().read_mode(ReadMode::Positioned);
    if let Some(threads) = registered.threads.and_then(|threads| usize::try_from(threads).ok()) {
        options = options.threads(threads);
    }
    if let Some(mb) = registered.cache_mb {
        options = options.cache_bytes(mb.saturating_mul(1 << 20));
        engine::set_decode_cache_bytes(mb.saturating_mul(1 << 20));
    }
    let store = Store::open(registered.directory, &options)?;
    let space = registered.namespace.map(|name| store.namespace(&name)).transpose()?;
    Ok(Opened { store, space, ends })
}
