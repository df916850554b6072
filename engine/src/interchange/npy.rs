//! NumPy `.npy`: one array, header parsed and written by the `npyz` crate. Arrays in Fortran order or big-endian are
//! put in order on the way in.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use npyz::{NpyHeader, Order, WriteOptions, WriterBuilder};

use crate::bytes::{AlignedBuffer, Bytes};
use crate::control::{Control, Progress};
use crate::dtype::{DType, Encoding, byte_len};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::file::Replacement;
use crate::store::{Address, Payload, PutOptions, WriteTxn};
use crate::tensor::Tensor;

use super::source::{BLOCK_BYTES, Source};
use super::{ImportOptions, ImportReport, bad_file, prefixed, raw};

/// Longest header that is looked at; NumPy writes about 100 bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting in a header; a plain array has two levels.
const NESTING_MAX: usize = 8;

/// What an `.npy` header says.
#[derive(Debug)]
pub(crate) struct Header {
    dtype: DType,
    shape: Vec<u64>,
    data_offset: u64,
    big_endian: bool,
    fortran: bool,
}

/// A NumPy array read whole, in C order and little-endian whatever the file has.
#[derive(Clone, Debug)]
pub struct NpyArray {
    dtype: DType,
    shape: Vec<u64>,
    bytes: Bytes,
}

impl NpyArray {
    /// Reads an `.npy` file into memory. Fails with `BadFile` for one that contradicts itself, `Unsupported` for records
    /// and other types without a [`DType`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let read = || -> Result<Self> {
            let source = Source::open(path.as_ref())?;
            let (header, len) = read_header(&source)?;
            let bytes = Bytes::owned(read_array(&source, &header, len)?);
            Ok(NpyArray { dtype: header.dtype, shape: header.shape, bytes })
        };
        read().map_err(|e| e.during("read").at_path(path.as_ref()))
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The elements' bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Parses the start of a file. `first` holds at least the header, or the whole file.
pub(crate) fn parse_header(first: &[u8]) -> Result<Header> {
    let (preamble, text_len) = match first {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
            (12, usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', version, ..] => {
            return Err(bad_file(format!("version {version} of the .npy format is not known")));
        }
        _ => return Err(bad_file("not an .npy file")),
    };
    let end = text_len.checked_add(preamble).filter(|&end| end <= HEADER_BYTES_MAX && end <= first.len());
    let end = end.ok_or_else(|| bad_file(format!("claims a header of {text_len} bytes")))?;
    let text = &first[preamble..end];
    // The parser behind this recurses into brackets.
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > NESTING_MAX {
        return Err(bad_file("the header is nested too deeply"));
    }
    // Its arithmetic on shapes is not checked; ours below is.
    let parsed = catch_unwind(AssertUnwindSafe(|| NpyHeader::from_reader(Cursor::new(&first[..end]))));
    let header = match parsed {
        Ok(Ok(header)) => header,
        Ok(Err(e)) => return Err(bad_file("the header is not valid").source_box(e.into())),
        Err(_) => return Err(bad_file("the header is not valid")),
    };
    let (dtype, big_endian) = element_type(&header.dtype())?;
    Ok(Header {
        dtype,
        shape: header.shape().to_vec(),
        data_offset: end as u64,
        big_endian,
        fortran: header.order() == Order::Fortran && header.shape().len() > 1,
    })
}

/// Element type and whether it is big-endian.
fn element_type(dtype: &npyz::DType) -> Result<(DType, bool)> {
    let unsupported = |what: String| {
        Error::new(ErrorKind::Unsupported, format!("arrays of {what} cannot be stored"))
            .hint("convert the array, or put its bytes with their type and shape")
    };
    let npyz::DType::Plain(kind) = dtype else { return Err(unsupported("records".into())) };
    let text = kind.to_string();
    let (order, name) = text.split_at(1);
    let element = match name {
        "f8" => DType::F64,
        "f4" => DType::F32,
        "f2" => DType::F16,
        "i8" => DType::I64,
        "i4" => DType::I32,
        "i2" => DType::I16,
        "i1" => DType::I8,
        "u8" => DType::U64,
        "u4" => DType::U32,
        "u2" => DType::U16,
        "u1" => DType::U8,
        "b1" => DType::Bool,
        _ => return Err(unsupported(format!("NumPy type '{text}'"))),
    };
    Ok((element, order == ">"))
}

impl Header {
    fn check_length(&self, file_len: u64) -> Result<u64> {
        let len = byte_len(self.dtype, &self.shape, &Encoding::Plain)
            .map_err(|e| bad_file("an impossible shape").source_box(e.into()))?;
        if self.data_offset.checked_add(len) != Some(file_len) {
            let has = file_len.saturating_sub(self.data_offset);
            let what = format!("{} with shape {:?} takes {len} bytes, the file has {has}", self.dtype, self.shape);
            return Err(bad_file(what));
        }
        Ok(len)
    }
}

fn read_header(source: &Source) -> Result<(Header, u64)> {
    let first = source.read(0, source.len.min(HEADER_BYTES_MAX as u64))?;
    let header = parse_header(first.as_slice())?;
    let len = header.check_length(source.len)?;
    Ok((header, len))
}

pub(super) fn put(txn: &mut WriteTxn, address: Address<'_>, source: &Source, options: &PutOptions) -> Result<()> {
    let (header, len) = read_header(source)?;
    put_array(txn, address, source, &header, len, options, &Control::new())
}

fn put_array(
    txn: &mut WriteTxn,
    address: Address<'_>,
    source: &Source,
    header: &Header,
    len: u64,
    options: &PutOptions,
    control: &Control<'_>,
) -> Result<()> {
    let step = |done| {
        control.report(Progress {
            bytes_done: done,
            bytes_total: len,
            items_done: u64::from(done == len),
            items_total: 1,
        });
        control.check()
    };
    let Header { dtype, shape, data_offset, big_endian, fortran } = header;
    if !big_endian && !fortran {
        return raw::put_range(txn, address, source, *data_offset, *dtype, shape, &Encoding::Plain, options, step);
    }
    let buffer = read_array(source, header, len)?;
    txn.put_with(address, &Tensor::new(*dtype, shape, buffer.as_slice())?, options)?;
    step(len)
}

/// The elements in C order, little-endian.
fn read_array(source: &Source, header: &Header, len: u64) -> Result<AlignedBuffer> {
    let mut buffer = source.read(header.data_offset, len)?;
    let size = (header.dtype.bits() / 8) as usize;
    if header.big_endian {
        buffer.as_mut_slice().chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    if header.fortran { to_c_order(&buffer, &header.shape, size) } else { Ok(buffer) }
}

/// Elements in C order from elements in Fortran order.
fn to_c_order(source: &AlignedBuffer, shape: &[u64], size: usize) -> Result<AlignedBuffer> {
    let from = source.as_slice();
    let mut target = AlignedBuffer::zeroed(from.len())?;
    let dims: Vec<usize> = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX)).collect();
    // Distance in elements between neighbours along each dimension of the source.
    let strides: Vec<usize> = dims
        .iter()
        .scan(1_usize, |stride, &dim| {
            let this = *stride;
            *stride = stride.saturating_mul(dim);
            Some(this)
        })
        .collect();
    let mut index = vec![0; dims.len()];
    for element in target.as_mut_slice().chunks_exact_mut(size) {
        let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>() * size;
        element.copy_from_slice(&from[at..at + size]);
        for (i, dim) in index.iter_mut().zip(&dims).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    Ok(target)
}

pub(super) fn import(
    txn: &mut WriteTxn,
    source: &Source,
    options: &ImportOptions,
    control: &Control<'_>,
) -> Result<ImportReport> {
    control.check()?;
    let key = prefixed(&options.prefix, &source.stem)?;
    let (header, len) = read_header(source)?;
    let before = txn.new_payload_bytes();
    let address = Address { namespace: options.namespace, key: key.as_ref() };
    put_array(txn, address, source, &header, len, &PutOptions::new(), control)?;
    Ok(ImportReport {
        atoms: 1,
        file_bytes: source.len,
        payload_bytes: len,
        new_bytes: txn.new_payload_bytes() - before,
        lsn: 0,
    })
}

/// Writes an atom as an array.
pub(super) fn write(payload: &Payload, path: &Path) -> Result<()> {
    let info = payload.info();
    let type_text = match info.dtype {
        DType::F64 => "<f8",
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        DType::I64 => "<i8",
        DType::I32 => "<i4",
        DType::I16 => "<i2",
        DType::I8 => "|i1",
        DType::U64 => "<u8",
        DType::U32 => "<u4",
        DType::U16 | DType::Bf16 => "<u2",
        DType::U8 | DType::F8E4M3 | DType::F8E5M2 => "|u1",
        DType::Bool => "|b1",
        DType::B1 | DType::Opaque => {
            return Err(Error::new(ErrorKind::Unsupported, format!("NumPy has no type for {}", info.dtype))
                .hint("write the raw bytes instead"));
        }
    };
    let kind = type_text.parse().map_err(|_| Error::internal("a type text NumPy does not know"))?;
    let header = WriteOptions::new_header_only()
        .dtype(npyz::DType::new_scalar(kind))
        .shape(&info.shape)
        .writer(Vec::new())
        .write_header_only()
        .doing("making the header")?;
    let target = Replacement::create(path).doing("creating the file")?;
    let file = target.file().doing("creating the file")?;
    file.write_at(&header, 0).doing("writing the file")?;
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut offset = 0;
    while offset < payload.len() {
        let step = usize::try_from(payload.len() - offset).unwrap_or(usize::MAX).min(buffer.len());
        payload.read_into(offset, &mut buffer[..step])?;
        file.write_at(&buffer[..step], header.len() as u64 + offset).doing("writing the file")?;
        offset += step as u64;
    }
    target.finish().doing("finishing the file")
}
