//! Lossless coding on one core: the codec that the store chooses, ZipNN, blosc2 and Zstandard on the same bytes, and the
//! entropy of the exponents.

use std::path::Path;
use std::process::Command;

use half::{bf16, f16};
use safetensors::SafeTensors;
use tensoratom::testing::chunks::{choose, decode, encode};
use tensoratom::{Codec, DType};
use tensoratom_benches::{noise, normals};

use super::{best_of, scratch, timed};
use crate::Settings;
use crate::report::Report;

/// What a store cuts payloads into unless told otherwise.
const CHUNK_BYTES: usize = 256 << 10;
/// What a chunk takes in the table of its record.
const ENTRY_BYTES: usize = 8;
const ROUNDS: usize = 5;
const EMBEDDINGS: &str = "embeddings.word_embeddings.weight";

pub fn run(settings: &Settings, report: &mut Report) {
    let Ok(file) = std::fs::read(&settings.model) else {
        panic!("no model at {}: give --model, a safetensors file", settings.model.display());
    };
    let model = SafeTensors::deserialize(&file).unwrap();
    let tensors = model.iter().filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32);
    let weights: Vec<f32> = tensors.flat_map(|(_, tensor)| floats(tensor.data())).collect();
    let embeddings = floats(model.tensor(EMBEDDINGS).unwrap().data());
    let elements = if settings.quick { 1 << 20 } else { 16 << 20 };
    // As in a trained network: normal, layer by layer of another width.
    let width = |n: usize| 0.02 * 1.3_f32.powi((n >> 19) as i32 % 8);
    let fine = normals(8, elements); // the numbers are made of 18 bits each
    let trained = normals(7, elements).into_iter().zip(fine).enumerate();
    let trained: Vec<f32> = trained.map(|(n, (x, y))| (x + y / 65_536.0) * width(n)).collect();
    // As the ids of words in a text: the n-th most frequent one n times as rare as the first.
    let ranks = noise(9, elements);
    let ids = ranks.chunks_exact(2).flat_map(|word| {
        let even = (f64::from(u16::from_le_bytes([word[0], word[1]])) + 0.5) / 65_536.0;
        (30_522_f64.powf(even) as i64).to_le_bytes()
    });
    let sets: [(&str, DType, Vec<u8>); 9] = [
        ("MiniLM, f32", DType::F32, as_f32(&weights)),
        ("MiniLM, as bf16", DType::Bf16, as_bf16(&weights)),
        ("MiniLM, as f16", DType::F16, as_f16(&weights)),
        ("its word embeddings, f32", DType::F32, as_f32(&embeddings)),
        ("its word embeddings, as bf16", DType::Bf16, as_bf16(&embeddings)),
        ("synthetic layers, f32", DType::F32, as_f32(&trained)),
        ("synthetic layers, bf16", DType::Bf16, as_bf16(&trained)),
        ("synthetic layers, f16", DType::F16, as_f16(&trained)),
        ("ids of words, i64", DType::I64, ids.collect()),
    ];
    let dir = scratch(&settings.memory);
    let path = dir.path().join("raw");
    for (name, dtype, raw) in sets {
        report.section(&format!("coding without loss, one core: {name}, {} MB", raw.len() / 1_000_000));
        ours(report, dtype, &raw);
        std::fs::write(&path, &raw).unwrap();
        theirs(settings, report, dtype, &path, raw.len());
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn as_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn as_bf16(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect()
}

fn as_f16(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect()
}

/// Chunk by chunk, as a payload of its own; a ratio counts the table of chunks.
fn ours(report: &mut Report, dtype: DType, raw: &[u8]) {
    let chunks: Vec<&[u8]> = raw.chunks(CHUNK_BYTES).collect();
    let samples: Vec<Vec<u8>> = [0, 4, 7].iter().map(|eighth| chunks[chunks.len() * eighth / 8].to_vec()).collect();
    let chosen = choose(dtype, &samples).unwrap();
    let others = [Codec::Zstd, Codec::Lz4].into_iter().filter(|&codec| codec != chosen);
    for codec in std::iter::once(chosen).chain(others) {
        let coded: Vec<Vec<u8>> = chunks.iter().map(|chunk| encode(codec, dtype, chunk).unwrap()).collect();
        let mut back = vec![0; raw.len()];
        let encoded =
            best_of(ROUNDS, || timed(|| chunks.iter().for_each(|chunk| drop(encode(codec, dtype, chunk).unwrap()))).0);
        let decoded = best_of(ROUNDS, || {
            let targets = back.chunks_mut(CHUNK_BYTES);
            timed(|| coded.iter().zip(targets).for_each(|(stored, raw)| decode(codec, stored, raw).unwrap())).0
        });
        assert!(back == raw, "other bytes came back");
        let stored: usize = coded.iter().map(|chunk| chunk.len() + ENTRY_BYTES).sum();
        let mark = if codec == chosen { " (chosen)" } else { "" };
        let who = format!("tensoratom, {}{mark}", codec.name());
        rows(report, &who, raw.len(), stored as f64, Some((encoded.as_secs_f64(), decoded.as_secs_f64())));
    }
}

fn theirs(settings: &Settings, report: &mut Report, dtype: DType, raw: &Path, raw_bytes: usize) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/codecs.py");
    let output = Command::new(&settings.python).arg(script).arg(raw).arg(dtype.name()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "give --python one with zipnn, blosc2, zstandard and numpy: {complaint}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (who, result) in answer["results"].as_object().unwrap() {
        let number = |name: &str| result[name].as_f64().unwrap();
        rows(report, who, raw_bytes, number("bytes"), Some((number("encode_s"), number("decode_s"))));
    }
    if let Some(bytes) = answer["limit_bytes"].as_f64() {
        rows(report, "entropy of the exponents' byte", raw_bytes, bytes, None);
    }
}

fn rows(report: &mut Report, who: &str, raw_bytes: usize, stored_bytes: f64, seconds: Option<(f64, f64)>) {
    report.row("ratio", who, raw_bytes as f64 / stored_bytes, "");
    if let Some((encoded, decoded)) = seconds {
        report.row("encoding", who, raw_bytes as f64 / encoded / 1e9, "GB/s");
        report.row("decoding", who, raw_bytes as f64 / decoded / 1e9, "GB/s");
    }
}
