//! What each command does with the rows of one call.

use std::collections::BTreeMap;
use std::path::Path;

use engine::aggregate::{Aggregate, Aggregation};
use engine::kernels::{Metric, Rows, distance, json};
use engine::{
    Control, DType, Error, ExportOptions, ImportOptions, ListOptions, Options, ReadMode, Result, SearchOptions, Store,
    Tensor, VerifyOptions,
};

use crate::config;
use crate::data::{Input, Output};
use crate::files;
use crate::script::{Script, fail};

const K_MAX: usize = 10_000;

/// Runs the script on rows; the columns of the result depend on the script and the types of the input alone.
pub(crate) fn run(script: &str, file: &Path, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    let mut script = Script::parse(script)?;
    if let Ok(metric) = script.name.parse::<Metric>() {
        return pairs(&mut script, metric, columns, rows);
    }
    match script.name.as_str() {
        "json_to_bytes" => json_to_bytes(&script, columns, rows),
        "bytes_to_json" => bytes_to_json(&script, columns, rows),
        "search" => search(&mut script, file, columns, rows),
        "get" => get(&mut script, file, columns, rows),
        "put" => put(&mut script, file, columns, rows),
        "list" => list(&mut script, file),
        "stat" => stat(&mut script, file),
        "verify" => verify(&mut script, file),
        "import" => import(&mut script, file),
        "export" => export(&mut script, file),
        name if Aggregation::NAMES.contains(&name) => aggregate(&mut script, columns, rows),
        _ => Err(fail(script.at, &format!("unknown command '{}'", script.name.escape_debug()))),
    }
}

fn pairs(script: &mut Script, metric: Metric, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    let dtype = script.take("dtype")?.unwrap_or(DType::F32);
    script.end()?;
    let mut out = Output::double();
    for row in 0..rows {
        match (column(columns, 0)?.binary(row)?, column(columns, 1)?.binary(row)?) {
            (Some(a), Some(b)) => {
                let value = vector(dtype, a).and_then(|a| distance(metric, a, vector(dtype, b)?));
                out.push_f64(value.map_err(|e| in_row(row, &e))?)?;
            }
            _ => out.push(None)?,
        }
    }
    Ok(vec![out])
}

fn json_to_bytes(script: &Script, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    script.end()?;
    let mut out = Output::binary();
    for row in 0..rows {
        let Some(text) = column(columns, 0)?.text(row)? else {
            out.push(None)?;
            continue;
        };
        let mut values = Vec::new();
        json::parse(text.as_bytes(), text.len(), &mut values).map_err(|e| in_row(row, &e))?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.push(Some(&bytes))?;
    }
    Ok(vec![out])
}

fn bytes_to_json(script: &Script, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    script.end()?;
    let mut out = Output::text();
    for row in 0..rows {
        let Some(bytes) = column(columns, 0)?.binary(row)? else {
            out.push(None)?;
            continue;
        };
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(in_row(row, &Error::invalid_argument("the length is no multiple of 4")));
        }
        let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        let mut text = String::new();
        json::write(&values, json::NonFinite::Refuse, &mut text).map_err(|e| in_row(row, &e))?;
        out.push_text(&text)?;
    }
    Ok(vec![out])
}

fn search(script: &mut Script, file: &Path, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let (name, k): (String, usize) = (script.need("set")?, script.take("k")?.unwrap_or(10));
    let mut options = SearchOptions::new();
    if let Some(metric) = script.take("metric")? {
        options = options.metric(metric);
    }
    script.end()?;
    if k > K_MAX {
        return Err(fail(script.at, "k is at most 10000"));
    }
    let set = store.vector_set(name.as_str())?.snapshot()?;
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

fn get(script: &mut Script, file: &Path, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    script.end()?;
    let mut out = Output::binary();
    for row in 0..rows {
        match column(columns, 0)?.text(row)? {
            Some(key) => out.push(Some(&store.get(key.as_str())?.bytes()?))?,
            None => out.push(None)?,
        }
    }
    Ok(vec![out])
}

fn put(script: &mut Script, file: &Path, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let dtype = script.take("dtype")?.unwrap_or(DType::U8);
    script.end()?;
    let mut txn = store.begin()?;
    let mut out = Output::bigint();
    for row in 0..rows {
        let (key, payload) = (column(columns, 0)?.text(row)?, column(columns, 1)?.binary(row)?);
        let (Some(key), Some(payload)) = (key, payload) else {
            return Err(in_row(row, &Error::invalid_argument("key and payload must not be NULL; nothing was stored")));
        };
        let dim = u64::try_from(vector(dtype, payload).map_err(|e| in_row(row, &e))?.dim()).unwrap_or(u64::MAX);
        txn.put(key.as_str(), &Tensor::new(dtype, &[dim], payload)?)?;
        out.push_count(payload.len())?;
    }
    if rows > 0 {
        txn.commit()?;
    }
    Ok(vec![out])
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
    let stat = store.stat()?;
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
    let report = store.verify(&VerifyOptions::new(), &Control::new())?;
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
    let (options, source) = (ImportOptions::new().prefix(prefix), files::source(file, &path)?);
    let report = store.import_file(&source, &options, &Control::new()).map_err(|e| hidden(&source, &path, &e))?;
    counts([report.atoms, report.payload_bytes, report.lsn])
}

fn export(script: &mut Script, file: &Path) -> Result<Vec<Output>> {
    let store = open(script, file)?;
    let (path, prefix): (String, String) = (script.need("path")?, script.take("prefix")?.unwrap_or_default());
    script.end()?;
    let (options, target) = (ExportOptions::new().prefix(prefix), files::target(file, &path)?);
    let report = store.export_file(&target, &options, &Control::new()).map_err(|e| hidden(&target, &path, &e))?;
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

fn aggregate(script: &mut Script, columns: &[Input], rows: usize) -> Result<Vec<Output>> {
    let dtype = script.take("dtype")?.unwrap_or(DType::F32);
    let group = script.group.take();
    let at = script.at;
    let parameters = script.rest();
    let spec = format!("{}{parameters}", script.name);
    let spec: Aggregation = spec.parse().map_err(|e: Error| fail(at, &e.to_string()))?;
    let group = group.map(|index| column(columns, index)).transpose()?;
    let vectors = columns.get(usize::from(group.is_some()));
    let vectors = vectors.ok_or_else(|| Error::invalid_argument("a column of vectors is expected in the input"))?;
    let mut states: BTreeMap<Option<&[u8]>, Aggregate> = BTreeMap::new();
    if group.is_none() {
        states.insert(None, Aggregate::new(spec)?);
    }
    for row in 0..rows {
        let Some(bytes) = vectors.binary(row)? else { continue };
        let name = group.and_then(|group| group.cell(row));
        let state = match states.entry(name) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Aggregate::new(spec)?),
        };
        vector(dtype, bytes).and_then(|rows| state.push(rows, None)).map_err(|e| in_row(row, &e))?;
    }
    let mut names = group.map(|group| Output::new(group.ctype, group.size));
    let (mut number, mut values, mut beside) = (Output::bigint(), Output::binary(), Output::double());
    for (name, state) in states {
        let Some(value) = state.finish()? else { continue };
        let each = value.values.chunks(value.dim.max(1)).zip(&value.beside);
        for (index, (elements, weight)) in each.enumerate() {
            if let Some(names) = &mut names {
                names.push(name)?;
            }
            number.push_count(index)?;
            let bytes: Vec<u8> = elements.iter().flat_map(|element| (*element as f32).to_le_bytes()).collect();
            values.push(Some(&bytes))?;
            beside.push_f64(*weight)?;
        }
    }
    Ok(names.into_iter().chain([number, values, beside]).collect())
}

/// Never maps a payload: a disk that fails under the host's thread is an error, not a signal.
fn open(script: &mut Script, file: &Path) -> Result<Store> {
    let alias: String = script.take("store")?.unwrap_or_else(|| "default".to_owned());
    Store::open(config::directory(file, "store", &alias)?, &Options::new().read_mode(ReadMode::Positioned))
}

fn column(columns: &[Input], index: usize) -> Result<&Input> {
    let what = || format!("the input has {} columns, column {index} is needed", columns.len());
    columns.get(index).ok_or_else(|| Error::invalid_argument(what()))
}

/// Bytes as one vector.
fn vector(dtype: DType, bytes: &[u8]) -> Result<Rows<'_>> {
    let bits = usize::try_from(dtype.bits()).unwrap_or(0); // 0 for blocks
    let dim = bytes.len().checked_mul(8).and_then(|all| all.checked_div(bits));
    Rows::new(dtype, 1, dim.ok_or_else(|| Error::invalid_argument("elements of this type have no fixed width"))?, bytes)
}

fn in_row(row: usize, error: &Error) -> Error {
    Error::invalid_argument(format!("row {row}: {error}"))
}
