//! Which command a script is, and what those do that touch no store: distances, JSON, aggregates.

use std::collections::BTreeMap;
use std::path::Path;

use engine::aggregate::{Aggregate, Aggregation};
use engine::kernels::{Metric, Rows, distance, json};
use engine::{DType, Error, Result};

use crate::data::{Input, Output};
use crate::script::{Script, fail};
use crate::stored;

/// Runs the script on rows; the columns of the result depend on the script and the types of the input alone.
pub(crate) fn run(script: &str, file: &Path, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
    let mut script = Script::parse(script)?;
    if let Ok(metric) = script.name.parse::<Metric>() {
        return pairs(&mut script, metric, columns, rows);
    }
    match script.name.as_str() {
        "json_to_bytes" => json_to_bytes(&script, columns, rows),
        "bytes_to_json" => bytes_to_json(&script, columns, rows),
        name if Aggregation::NAMES.contains(&name) => aggregate(&mut script, columns, rows),
        _ => stored::run(&mut script, file, columns, rows),
    }
}

fn pairs(script: &mut Script, metric: Metric, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
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

fn json_to_bytes(script: &Script, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
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

fn bytes_to_json(script: &Script, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
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

fn aggregate(script: &mut Script, columns: &[Input<'_>], rows: usize) -> Result<Vec<Output>> {
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
    let mut names = group.map(|group| Output::new(group.kind));
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

pub(crate) fn column<'a, 'h>(columns: &'a [Input<'h>], index: usize) -> Result<&'a Input<'h>> {
    let what = || format!("the input has {} columns, column {index} is needed", columns.len());
    columns.get(index).ok_or_else(|| Error::invalid_argument(what()))
}

/// Bytes as one vector.
pub(crate) fn vector(dtype: DType, bytes: &[u8]) -> Result<Rows<'_>> {
    let bits = usize::try_from(dtype.bits()).unwrap_or(0); // 0 for blocks
    let dim = bytes.len().checked_mul(8).and_then(|all| all.checked_div(bits));
    Rows::new(dtype, 1, dim.ok_or_else(|| Error::invalid_argument("elements of this type have no fixed width"))?, bytes)
}

pub(crate) fn in_row(row: usize, error: &Error) -> Error {
    Error::invalid_argument(format!("row {row}: {error}"))
}
