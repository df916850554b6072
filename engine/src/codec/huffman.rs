//! Huffman coding of one byte plane: codes of at most 11 bits, four streams side by side, several symbols a look-up.

/// Longest code: two to this power entries of a decoding table fit the first-level cache.
const MAX_BITS: u32 = 11;
const ENTRIES: usize = 1 << MAX_BITS;
/// Streams of a plane: enough that one waits for memory while the others go on.
const LANES: usize = 4;
/// Symbols of one table entry, and look-ups that the 57 bits of one load are good for.
const ENTRY_SYMBOLS: usize = 4;
const LOOKUPS: usize = 5;
/// Where an entry says how many bits it takes, and how many symbols it has.
const BITS_AT: u32 = 48;
const NUMBER_AT: u32 = 56;
/// Lengths of all streams but the last.
const SIZES_BYTES: usize = (LANES - 1) * 4;
/// Neighbouring symbols of one code length that one byte stands for, at most.
const RUN: usize = 16;

/// How often each byte occurs.
pub(super) fn histogram(plane: &[u8]) -> [u32; 256] {
    // Four tables, because equal neighbours would wait for each other's counter.
    let mut counts = [[0_u32; 256]; 4];
    let blocks = plane.chunks_exact(4);
    for &byte in blocks.remainder() {
        counts[0][usize::from(byte)] += 1;
    }
    for block in blocks {
        for (table, &byte) in counts.iter_mut().zip(block) {
            table[usize::from(byte)] += 1;
        }
    }
    std::array::from_fn(|byte| counts.iter().map(|table| table[byte]).sum())
}

/// Whether every eighth byte says that a plane is as random as the mantissas of weights, not worth counting in full.
pub(super) fn looks_random(plane: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for block in plane.chunks_exact(8) {
        counts[usize::from(block[0])] += 1;
    }
    let squares: u64 = counts.iter().map(|&count| u64::from(count).pow(2)).sum();
    let len = (plane.len() / 8) as u64;
    // Even odds give a sum of len * len / 256 + len; codes that save a 64th need clearly more.
    len >= 4096 && squares < len * len / 256 * 21 / 20 + len
}

/// Appends the coded plane, unless it takes more than `limit` bytes. At least two different bytes occur in it.
pub(super) fn encode(plane: &[u8], counts: &[u32; 256], limit: usize, out: &mut Vec<u8>) -> bool {
    let lengths = code_lengths(counts);
    let bits: u64 = counts.iter().zip(&lengths).map(|(&count, &length)| u64::from(count) * u64::from(length)).sum();
    let runs = || lengths.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(RUN));
    if bits / 8 + (runs().count() + SIZES_BYTES + LANES) as u64 > limit as u64 {
        return false;
    }
    let codes = codes(&lengths);
    out.extend(runs().map(|run| run[0] | ((run.len() - 1) << 4) as u8));
    let sizes_at = out.len();
    out.resize(sizes_at + SIZES_BYTES, 0);
    for (lane, symbols) in lanes(plane).into_iter().enumerate() {
        let start = out.len();
        encode_lane(symbols, &codes, out);
        let size = (out.len() - start) as u32;
        if let Some(place) = out.get_mut(sizes_at + lane * 4..sizes_at + lane * 4 + 4).filter(|_| lane < LANES - 1) {
            place.copy_from_slice(&size.to_le_bytes());
        }
    }
    true
}

/// Decodes a plane from exactly `coded`; `None` when it is damaged.
pub(super) fn decode(coded: &[u8], plane: &mut [u8]) -> Option<()> {
    let (lengths, rest) = read_lengths(coded)?;
    let (sizes, mut streams) = rest.split_at_checked(SIZES_BYTES)?;
    let table = Table::new(&lengths)?;
    let mut sources = [&[][..]; LANES];
    for (source, size) in sources.iter_mut().zip(sizes.chunks_exact(4)) {
        let size = u32::from_le_bytes(size.try_into().ok()?);
        (*source, streams) = streams.split_at_checked(usize::try_from(size).ok()?)?;
    }
    sources[LANES - 1] = streams;
    let quarter = plane.len().div_ceil(LANES);
    let mut targets = plane.chunks_mut(quarter.max(1));
    let lanes = sources.map(|source| Lane { source, bit: 0, target: targets.next().unwrap_or_default(), at: 0 });
    // Written out, so that all four stay in registers and none waits for another.
    let [mut a, mut b, mut c, mut d] = lanes;
    while a.has_room() && b.has_room() && c.has_room() && d.has_room() {
        let mut words = (a.load(), b.load(), c.load(), d.load());
        for _ in 0..LOOKUPS {
            a.step(&mut words.0, &table);
            b.step(&mut words.1, &table);
            c.step(&mut words.2, &table);
            d.step(&mut words.3, &table);
        }
    }
    [a, b, c, d].iter_mut().try_for_each(|lane| lane.finish(&table))
}

/// One stream while it is decoded.
struct Lane<'a> {
    source: &'a [u8],
    bit: usize,
    target: &'a mut [u8],
    at: usize,
}

impl Lane<'_> {
    /// Whether a whole load and all symbols it may hold are inside the slices.
    #[inline(always)]
    fn has_room(&self) -> bool {
        self.bit / 8 + 8 <= self.source.len() && self.at + LOOKUPS * ENTRY_SYMBOLS + 8 <= self.target.len()
    }

    /// The next 57 bits or more.
    #[inline(always)]
    fn load(&self) -> u64 {
        let from = self.bit / 8;
        let bytes = self.source.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default()) >> (self.bit % 8)
    }

    #[inline(always)]
    fn step(&mut self, word: &mut u64, table: &Table) {
        let entry = table.several[*word as usize % ENTRIES];
        // All eight bytes are written: those behind the symbols are overwritten by the next.
        if let Some(target) = self.target.get_mut(self.at..self.at + 8) {
            target.copy_from_slice(&entry.to_le_bytes());
        }
        let bits = bits_of(entry);
        *word >>= bits & 63;
        self.bit += bits as usize;
        self.at += (entry >> NUMBER_AT) as usize;
    }

    /// Decodes the last symbols one by one; the stream must end with them.
    fn finish(&mut self, table: &Table) -> Option<()> {
        let rest = self.target.get_mut(self.at..)?;
        for symbol in rest {
            let bytes = self.source.get(self.bit / 8..)?;
            let mut window = [0; 4];
            for (to, from) in window.iter_mut().zip(bytes) {
                *to = *from;
            }
            let (value, bits) = table.single[(u32::from_le_bytes(window) >> (self.bit % 8)) as usize % ENTRIES];
            *symbol = value;
            self.bit += usize::from(bits);
        }
        (self.bit.div_ceil(8) == self.source.len()).then_some(())
    }
}

/// What the next 11 bits mean.
struct Table {
    /// First symbol and the bits it takes.
    single: Vec<(u8, u8)>,
    /// From the lowest byte: up to four symbols, the bits they take, their number.
    several: Box<[u64; ENTRIES]>,
}

impl Table {
    /// `None` unless the code lengths use up all codes: then every 11 bits mean something and decoding always goes on.
    fn new(lengths: &[u8; 256]) -> Option<Table> {
        if lengths.iter().any(|&length| u32::from(length) > MAX_BITS) || used(lengths) != ENTRIES {
            return None;
        }
        let mut single = vec![(0, 0); ENTRIES];
        for (symbol, &(code, length)) in (0_u8..=255).zip(&codes(lengths)) {
            if length > 0 {
                for entry in single.iter_mut().skip(code as usize).step_by(1 << length) {
                    *entry = (symbol, length as u8);
                }
            }
        }
        // One symbol, then up to two, then up to four: each step looks up what follows in the steps before.
        let one = array(|window| {
            let (symbol, bits) = single[window];
            u64::from(symbol) | (u64::from(bits) << BITS_AT) | (1 << NUMBER_AT)
        })?;
        let two = array(|window| followed(one[window], window, &[&one]))?;
        let several = array(|window| followed(two[window], window, &[&two, &one]))?;
        Some(Table { single, several })
    }
}

fn array(entry: impl FnMut(usize) -> u64) -> Option<Box<[u64; ENTRIES]>> {
    (0..ENTRIES).map(entry).collect::<Vec<_>>().into_boxed_slice().try_into().ok()
}

/// The entry of a window with the symbols behind it, from the first table whose entry still fits the window.
#[inline(always)]
fn followed(entry: u64, window: usize, tables: &[&[u64; ENTRIES]]) -> u64 {
    let (bits, number) = (bits_of(entry), entry >> NUMBER_AT);
    let symbols = entry & ((1 << BITS_AT) - 1);
    let mut whole = entry;
    for table in tables.iter().rev() {
        let next = table[(window >> bits) % ENTRIES];
        let taken = bits + bits_of(next);
        let joined = symbols | ((next & ((1 << BITS_AT) - 1)) << (number * 8 % 64));
        let joined = joined | (taken << BITS_AT) | ((number + (next >> NUMBER_AT)) << NUMBER_AT);
        if taken <= u64::from(MAX_BITS) {
            whole = joined;
        }
    }
    whole
}

#[inline(always)]
fn bits_of(entry: u64) -> u64 {
    (entry >> BITS_AT) & 0xff
}

/// Code lengths of all symbols, and what follows them.
fn read_lengths(mut coded: &[u8]) -> Option<([u8; 256], &[u8])> {
    let mut lengths = [0_u8; 256];
    let mut rest = &mut lengths[..];
    while !rest.is_empty() {
        let (&run, after) = coded.split_first()?;
        let (symbols, later) = rest.split_at_mut_checked(usize::from(run >> 4) + 1)?;
        symbols.fill(run & 15);
        (rest, coded) = (later, after);
    }
    Some((lengths, coded))
}

/// The part of a plane that each stream holds; the last ones may be shorter or empty.
fn lanes(plane: &[u8]) -> [&[u8]; LANES] {
    let mut parts = plane.chunks(plane.len().div_ceil(LANES).max(1));
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn encode_lane(symbols: &[u8], codes: &[(u32, u32); 256], out: &mut Vec<u8>) {
    let (mut word, mut held) = (0_u64, 0_u32);
    let mut at = out.len();
    // Two bytes a symbol are more than the longest code takes; eight for the last whole word.
    out.resize(at + symbols.len() * 2 + 8, 0);
    for group in symbols.chunks(4) {
        for &symbol in group {
            let (code, length) = codes[usize::from(symbol)];
            word |= u64::from(code) << held;
            held += length;
        }
        if let Some(place) = out.get_mut(at..at + 8) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        // At most 7 bits stay, so that four codes more fit the word.
        at += (held / 8) as usize;
        word >>= held & !7;
        held &= 7;
    }
    out.truncate(at + usize::from(held > 0));
}

/// How many of all 11-bit codes these lengths use.
fn used(lengths: &[u8; 256]) -> usize {
    lengths.iter().filter(|&&length| length > 0).map(|&length| ENTRIES >> length).sum()
}

/// Canonical codes, lowest bit first, with their lengths.
fn codes(lengths: &[u8; 256]) -> [(u32, u32); 256] {
    let mut codes = [(0, 0); 256];
    let mut next = 0_u32;
    for length in 1..=MAX_BITS {
        next <<= 1;
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, l)| u32::from(**l) == length) {
            *code = (next.reverse_bits() >> (32 - length), length);
            next += 1;
        }
    }
    codes
}

/// Lengths of an optimal code of at most [`MAX_BITS`] bits, by package-merge (Larmore and Hirschberg, 1990). At least two
/// symbols occur. The code is complete.
fn code_lengths(counts: &[u32; 256]) -> [u8; 256] {
    let mut order: Vec<usize> = (0..256).filter(|&symbol| counts[symbol] > 0).collect();
    order.sort_by_key(|&symbol| (counts[symbol], symbol));
    let coins: Vec<u64> = order.iter().map(|&symbol| u64::from(counts[symbol])).collect();
    // Level by level, by weight: which items are symbols; the others are pairs of items of the level before.
    let mut levels: Vec<Vec<bool>> = Vec::with_capacity(MAX_BITS as usize);
    let mut items: Vec<u64> = Vec::new();
    for _ in 0..MAX_BITS {
        let pairs: Vec<u64> = items.chunks_exact(2).map(|pair| pair[0] + pair[1]).collect();
        let (mut symbols, mut pairs) = (coins.iter().peekable(), pairs.iter().peekable());
        let mut level = Vec::with_capacity(coins.len() * 2);
        items.clear();
        loop {
            let is_symbol = match (symbols.peek(), pairs.peek()) {
                (Some(symbol), Some(pair)) => symbol <= pair,
                (symbol, pair) if symbol.is_none() && pair.is_none() => break,
                (symbol, _) => symbol.is_some(),
            };
            items.extend(if is_symbol { symbols.next() } else { pairs.next() });
            level.push(is_symbol);
        }
        levels.push(level);
    }
    let mut lengths = [0_u8; 256];
    let mut taken = order.len().saturating_sub(1) * 2;
    for level in levels.iter().rev() {
        let symbols = level.iter().take(taken).filter(|&&is_symbol| is_symbol).count();
        for &symbol in order.iter().take(symbols) {
            lengths[symbol] += 1;
        }
        taken = (taken - symbols) * 2;
    }
    lengths
}
