//! Conversions among float types against the crate `half`, blocks of GGUF types, int8, and JSON against `serde_json`:
//! on data that fits the second cache, one thread.

use std::hint::black_box;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use tensoratom::DType;
use tensoratom::kernels::convert::{Overflow, convert};
use tensoratom::kernels::ggml::{BlockLayout, dequantize_blocks, quantize_blocks};
use tensoratom::kernels::isa;
use tensoratom::kernels::json::{self, NonFinite};
use tensoratom::kernels::quantize::{Scheme, dequantize_payload, quantize_encoded};
use tensoratom_benches::{noise, numbers};

use super::{best_of, rate, timed};
use crate::Settings;
use crate::report::Report;

const ELEMENTS: usize = 32 << 10;
const FLOATS: [DType; 6] = [DType::F64, DType::F32, DType::F16, DType::Bf16, DType::F8E4M3, DType::F8E5M2];

pub fn run(settings: &Settings, report: &mut Report) {
    let times = if settings.quick { 5 } else { 200 };
    conversions(times, report);
    blocks(times, report);
    json_arrays(times.min(40), report);
}

/// Gigabytes per second of `bytes` in and out, the best of several rounds of a few calls each.
fn speed(times: usize, bytes: usize, mut work: impl FnMut()) -> f64 {
    const CALLS: u32 = 8;
    let time = best_of(times, || timed(|| (0..CALLS).for_each(|_| work())).0);
    rate(bytes as u64 * u64::from(CALLS), time)
}

fn conversions(times: usize, report: &mut Report) {
    report.section(&format!("conversions of {ELEMENTS} floats, bytes read and written ({})", isa().name()));
    let source = numbers(1, DType::F32, 1, ELEMENTS);
    for from in FLOATS {
        let mut input = vec![0; ELEMENTS * from.bits() as usize / 8];
        convert(&source, DType::F32, &mut input, from, Overflow::Saturate).unwrap();
        for to in FLOATS.into_iter().filter(|&to| to != from) {
            let mut output = vec![0; ELEMENTS * to.bits() as usize / 8];
            let speed = speed(times, input.len() + output.len(), || {
                convert(black_box(&input), from, black_box(&mut output), to, Overflow::Infinity).unwrap();
            });
            report.row(&format!("{from} to {to}"), "tensoratom", speed, "GB/s");
        }
    }
    let singles: Vec<f32> = source.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    let mut wide = vec![0.0_f32; ELEMENTS];
    macro_rules! rival {
        ($type:ty) => {
            let mut narrow = vec![<$type>::ZERO; ELEMENTS];
            let name = stringify!($type);
            let there =
                speed(times, 6 * ELEMENTS, || black_box(&mut narrow).convert_from_f32_slice(black_box(&singles)));
            report.row(&format!("f32 to {name}"), "half", there, "GB/s");
            let back = speed(times, 6 * ELEMENTS, || black_box(&narrow).convert_to_f32_slice(black_box(&mut wide)));
            report.row(&format!("{name} to f32"), "half", back, "GB/s");
        };
    }
    rival!(f16);
    rival!(bf16);
}

fn blocks(times: usize, report: &mut Report) {
    report.section(&format!("quantised tensors of {ELEMENTS} elements to f32, bytes of f32"));
    let mut target = vec![0.0_f32; ELEMENTS];
    let shape = [ELEMENTS as u64];
    for &layout in BlockLayout::ALL {
        let len = ELEMENTS / layout.elements() * layout.bytes();
        let codes = noise(7, len);
        let speed = speed(times, 4 * ELEMENTS, || {
            dequantize_blocks(layout, black_box(&codes), black_box(&mut target)).unwrap();
        });
        report.row(&format!("{} to f32", layout.name()), "tensoratom", speed, "GB/s");
    }
    let singles: Vec<f32> =
        numbers(1, DType::F32, 1, ELEMENTS).as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    for layout in [BlockLayout::Q8_0, BlockLayout::Q4_0] {
        let mut codes = vec![0; ELEMENTS / layout.elements() * layout.bytes()];
        let speed = speed(times, 4 * ELEMENTS, || {
            quantize_blocks(layout, black_box(&singles), black_box(&mut codes)).unwrap();
        });
        report.row(&format!("f32 to {}", layout.name()), "tensoratom", speed, "GB/s");
    }
    for (name, scheme, block) in [("int8", Scheme::Symmetric, 0), ("int8 affine by 64", Scheme::Affine, 64)] {
        let (codes, encoding) = quantize_encoded(&singles, scheme, block).unwrap();
        let bytes: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
        let speed = speed(times, 4 * ELEMENTS, || {
            dequantize_payload(DType::I8, &shape, black_box(&encoding), black_box(&bytes), &mut target).unwrap();
        });
        report.row(&format!("{name} to f32"), "tensoratom", speed, "GB/s");
    }
}

fn json_arrays(times: usize, report: &mut Report) {
    report.section(&format!("JSON array of {ELEMENTS} f32, bytes of text"));
    let values: Vec<f32> =
        numbers(3, DType::F32, 1, ELEMENTS).as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    // Embeddings have all their digits; the numbers above are fractions of 2^15.
    let values: Vec<f32> = values.iter().map(|x| x * 0.123_456_79).collect();
    let mut text = Vec::new();
    json::write_bytes(&values, NonFinite::Refuse, &mut text).unwrap();
    let mut parsed = Vec::new();
    let bytes = text.len();
    let mut row = |what: &str, who: &str, speed: f64| report.row(what, who, speed * 1e3, "MB/s");
    let mut written = Vec::with_capacity(2 * bytes);
    let speed_of = |work: &mut dyn FnMut()| speed(times, bytes, work);
    let write = speed_of(&mut || {
        written.clear();
        json::write_bytes(black_box(&values), NonFinite::Refuse, &mut written).unwrap();
    });
    row("write", "tensoratom", write);
    let mut theirs = Vec::with_capacity(2 * bytes);
    let write = speed_of(&mut || {
        theirs.clear();
        serde_json::to_writer(&mut theirs, black_box(&values)).unwrap();
    });
    row("write", "serde_json", write);
    let parse = speed_of(&mut || {
        parsed.clear();
        json::parse(black_box(&text), usize::MAX, &mut parsed).unwrap();
    });
    row("parse", "tensoratom", parse);
    let mut other: Vec<f32> = Vec::new();
    let parse = speed_of(&mut || other = serde_json::from_slice(black_box(&text)).unwrap());
    row("parse", "serde_json", parse);
    assert_eq!(parsed, values, "not exact");
    let wrong = other.iter().zip(&values).filter(|(a, b)| a != b).count();
    report.row("numbers that do not come back", "serde_json", wrong as f64, "of all");
}
