//! The scan: blocks of rows, handed to threads one by one, each compared with all queries while it is in cache.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::bytes::Bytes;
use crate::control::Progress;
use crate::error::{Error, Result};
use crate::kernels::{self, Metric, Rows};
use crate::memory::{reserve, zeroed};

use super::bound::{self, Bound};
use super::companion::{self, CompanionBlock};
use super::elements::{decode, row_len_bytes};
use super::filter::{Chosen, Selection};
use super::topk::{SharedLimit, TopK};
use super::{Corpus, Neighbor, Part, SearchOptions};

/// Bytes of vectors in a block, about: small enough for a core's cache, large enough that hand-over costs nothing.
const BLOCK_BYTES: usize = 2 << 20;
/// Bounds of rows in a block.
const BLOCK_ROWS: Range<usize> = 64..8192;
/// Queries that share one pass over a block.
const QUERIES_PER_PASS: usize = 16;
/// A block of which more than one in so many rows survives the bound is compared in full.
const SURVIVORS_ONE_IN: usize = 6;
/// After so many such blocks in a row, a thread no longer asks the companion of that part.
const FUTILE_BLOCKS: u32 = 4;
/// Fewer chosen rows than one in so many are compared one by one.
const SPARSE_ONE_IN: usize = 8;

/// A query with its codes, if bounds are proven for it: by both levels, and by the first alone.
struct Query<'a> {
    row: Rows<'a>,
    bound: Option<[Bound; 2]>,
    limit: SharedLimit,
}

/// Everything the threads share.
struct Scan<'a> {
    corpus: &'a Corpus<'a>,
    metric: Metric,
    queries: Vec<Query<'a>>,
    all_queries: Rows<'a>,
    /// Two levels of codes per query.
    codes: Vec<i8>,
    blocks: Vec<(usize, Range<u32>)>,
    selections: Vec<Selection>,
    next: AtomicUsize,
    bytes_done: AtomicU64,
    bytes_total: u64,
    stopped: AtomicBool,
    options: &'a SearchOptions<'a>,
    row_bytes: usize,
}

pub(super) fn search(
    corpus: &Corpus<'_>,
    metric: Metric,
    queries: Rows<'_>,
    k: usize,
    options: &SearchOptions<'_>,
    pool: &rayon::ThreadPool,
) -> Result<Vec<Vec<Neighbor>>> {
    let count = queries.rows();
    let rows: u64 = corpus.parts.iter().map(|part| u64::from(part.rows)).sum();
    let k = k.min(usize::try_from(rows).unwrap_or(usize::MAX));
    if k == 0 || count == 0 {
        return zeroed(count);
    }
    let selections: Vec<Selection> =
        corpus.parts.iter().map(|part| Selection::new(part.rows, &part.ids, part.dead, options)).collect();
    let row_bytes = row_len_bytes(corpus.dtype, corpus.dim);
    let block_rows = (BLOCK_BYTES / row_bytes.max(1)).clamp(BLOCK_ROWS.start, BLOCK_ROWS.end) as u32;
    let mut blocks = Vec::new();
    for (part, selection) in selections.iter().enumerate() {
        let range = &selection.range;
        blocks.extend(
            range
                .clone()
                .step_by(block_rows as usize)
                .map(|start| (part, start..start.saturating_add(block_rows).min(range.end))),
        );
    }
    let bytes_total = blocks.iter().map(|(_, rows)| (rows.end - rows.start) as u64 * row_bytes as u64).sum();
    let has_companion = !options.full_scan && corpus.parts.iter().any(|part| part.companion.is_some());
    let bounded = has_companion && bound::is_bounded(metric);
    let mut codes = zeroed(if bounded { count.saturating_mul(2).saturating_mul(corpus.dim) } else { 0 })?;
    let mut prepared = Vec::new();
    reserve(&mut prepared, count)?;
    let mut values = zeroed(corpus.dim)?;
    for i in 0..count {
        let row = queries.row(i);
        let bound = bounded.then(|| {
            decode(row.dtype(), row.row_bytes(0), &mut values);
            let codes = &mut codes[2 * i * corpus.dim..2 * (i + 1) * corpus.dim];
            companion::code_twice(&values, codes).and_then(|coded| Bound::new(metric, corpus.dim, &coded))
        });
        prepared.push(Query { row, bound: bound.flatten(), limit: SharedLimit::new() });
    }
    let scan = Scan {
        corpus,
        metric,
        queries: prepared,
        all_queries: queries,
        codes,
        blocks,
        selections,
        next: AtomicUsize::new(0),
        bytes_done: AtomicU64::new(0),
        bytes_total,
        stopped: AtomicBool::new(false),
        options,
        row_bytes,
    };
    let threads = match options.threads {
        0 => pool.current_num_threads(),
        threads => threads.min(pool.current_num_threads()),
    };
    let found = Mutex::new(none_found(count, k, options)?);
    let work = || -> Result<()> {
        let mine = scan.work(k).inspect_err(|_| scan.stopped.store(true, Ordering::Relaxed))?;
        let mut found = found.lock().map_err(|_| Error::internal("a search thread panicked"))?;
        found.iter_mut().zip(mine).try_for_each(|(all, mine)| all.merge(mine))
    };
    if threads.min(scan.blocks.len()) <= 1 {
        work()?;
    } else {
        // One long task per thread, so that a limit on threads holds whatever the pool's size.
        pool.install(|| (0..threads).into_par_iter().with_max_len(1).map(|_| work()).collect::<Result<()>>())?;
    }
    let found = found.into_inner().map_err(|_| Error::internal("a search thread panicked"))?;
    Ok(found.into_iter().map(TopK::into_sorted).collect())
}

/// For each query the best of nothing.
fn none_found(queries: usize, k: usize, options: &SearchOptions<'_>) -> Result<Vec<TopK>> {
    let mut none = Vec::new();
    reserve(&mut none, queries)?;
    none.resize(queries, TopK::new(k, options.distance_max));
    Ok(none)
}

/// Buffers of one thread.
#[derive(Default)]
struct Buffers {
    distances: Vec<f64>,
    dots: Vec<i32>,
    margins: Vec<f32>,
    order: Vec<u32>,
    is_done: Vec<bool>,
    /// Per query: blocks in a row in which the companion excluded too little.
    futile: Vec<u32>,
    /// The first level of codes has excluded too little.
    needs_both: bool,
    futile_part: usize,
}

impl Scan<'_> {
    /// Takes blocks until none are left.
    fn work(&self, k: usize) -> Result<Vec<TopK>> {
        let mut best = none_found(self.queries.len(), k, self.options)?;
        let mut buffers = Buffers { futile: zeroed(self.queries.len())?, ..Buffers::default() };
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((part, rows)) = self.blocks.get(index) else { return Ok(best) };
            self.options.control.check()?;
            if self.stopped.load(Ordering::Relaxed) {
                return Ok(best); // another thread brings the error
            }
            if let Some(chosen) = self.selections[*part].chosen(rows) {
                if buffers.futile_part != *part {
                    buffers.futile_part = *part;
                    buffers.futile.fill(0);
                    buffers.needs_both = false;
                }
                let part = &self.corpus.parts[*part];
                best.iter_mut().try_for_each(|best| best.reserve((rows.end - rows.start) as usize))?;
                Block::new(self, part, rows.clone(), chosen).search(&mut best, &mut buffers)?;
            }
            let bytes = u64::from(rows.end - rows.start) * self.row_bytes as u64;
            let bytes_done = self.bytes_done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let (items_done, items_total) = (index as u64 + 1, self.blocks.len() as u64);
            let bytes_total = self.bytes_total;
            self.options.control.report(Progress { bytes_done, bytes_total, items_done, items_total });
        }
    }
}

/// Some rows of a part, with their vectors as far as they were needed.
struct Block<'a> {
    scan: &'a Scan<'a>,
    part: &'a Part<'a>,
    start: u32,
    len: usize,
    chosen: Chosen,
    vectors: Option<Bytes>,
}

impl<'a> Block<'a> {
    fn new(scan: &'a Scan<'a>, part: &'a Part<'a>, rows: Range<u32>, chosen: Chosen) -> Self {
        Block { scan, part, start: rows.start, len: (rows.end - rows.start) as usize, chosen, vectors: None }
    }

    fn search(&mut self, best: &mut [TopK], buffers: &mut Buffers) -> Result<()> {
        let sparse = match &self.chosen {
            Chosen::All => false,
            Chosen::Some(rows) => rows.len() < self.len / SPARSE_ONE_IN,
        };
        if sparse {
            return self.compare_chosen(best, buffers);
        }
        let companion = match &self.part.companion {
            Some(companion) if !self.scan.codes.is_empty() => {
                let start = u64::from(self.start);
                Some(companion.block(start..start + self.len as u64)?)
            }
            _ => None,
        };
        let count = self.scan.queries.len();
        for first in (0..count).step_by(QUERIES_PER_PASS) {
            // Thousands of queries take a block for seconds.
            self.scan.options.control.check()?;
            let group = first..(first + QUERIES_PER_PASS).min(count);
            let best = &mut best[group.clone()];
            match &companion {
                Some(companion) => self.prune(companion, group, best, buffers)?,
                None => self.compare_all(group, best, buffers)?,
            }
        }
        Ok(())
    }

    /// The vectors of the whole block, read at the first call.
    fn vectors(&mut self) -> Result<Bytes> {
        if let Some(vectors) = &self.vectors {
            return Ok(vectors.clone());
        }
        let row_bytes = self.scan.row_bytes as u64;
        let start = u64::from(self.start);
        let bytes = self.part.vectors.range(start * row_bytes..(start + self.len as u64) * row_bytes)?;
        Ok(self.vectors.insert(bytes).clone())
    }

    /// One vector. Reads the block's where a single one would cost a copy of a chunk.
    fn vector(&mut self, row: u32) -> Result<Bytes> {
        let row_bytes = self.scan.row_bytes;
        if self.vectors.is_some() || !self.part.vectors.is_direct() {
            let at = row as usize * row_bytes;
            return self.vectors()?.slice(at..at + row_bytes);
        }
        let at = (u64::from(self.start) + u64::from(row)) * row_bytes as u64;
        self.part.vectors.range(at..at + row_bytes as u64)
    }

    fn rows<'b>(&self, count: usize, bytes: &'b [u8]) -> Result<Rows<'b>> {
        Rows::new(self.scan.corpus.dtype, count, self.scan.corpus.dim, bytes)
    }

    fn id(&self, row: u32) -> i64 {
        self.part.ids.id(self.start + row)
    }

    /// Offers the distances of the whole block to the best of one query.
    fn offer(&self, distances: &[f64], best: &mut TopK, limit: &SharedLimit) {
        let mut farthest = best.limit();
        let mut push = |row: u32, distance: f64| {
            // Most are farther than the k-th best; NaN is not, as far as this goes.
            let is_beyond = distance > farthest;
            if !is_beyond {
                best.push(self.id(row), distance);
                farthest = best.limit();
            }
        };
        match &self.chosen {
            Chosen::All => (0..self.len as u32).zip(distances).for_each(|(row, &distance)| push(row, distance)),
            Chosen::Some(rows) => rows.iter().for_each(|&row| push(row, distances[row as usize])),
        }
        limit.lower(best.limit());
    }

    /// Compares a few rows with every query.
    fn compare_chosen(&mut self, best: &mut [TopK], buffers: &mut Buffers) -> Result<()> {
        let Chosen::Some(rows) = std::mem::replace(&mut self.chosen, Chosen::All) else { return Ok(()) };
        let Buffers { distances, .. } = buffers;
        distances.resize(self.scan.queries.len(), 0.0);
        for row in rows {
            self.scan.options.control.check()?;
            let vector = self.vector(row)?;
            kernels::many_to_many(self.scan.metric, self.scan.all_queries, self.rows(1, &vector)?, distances)?;
            let id = self.id(row);
            best.iter_mut().zip(&*distances).for_each(|(best, &distance)| best.push(id, distance));
        }
        Ok(())
    }

    /// Compares every row with some queries.
    fn compare_all(&mut self, group: Range<usize>, best: &mut [TopK], buffers: &mut Buffers) -> Result<()> {
        let vectors = self.vectors()?;
        let data = self.rows(self.len, &vectors)?;
        let queries = self.scan.all_queries.slice(group.clone());
        let distances = &mut buffers.distances;
        distances.resize(group.len() * self.len, 0.0);
        kernels::many_to_many(self.scan.metric, queries, data, distances)?;
        for ((query, best), distances) in
            self.scan.queries[group].iter().zip(best).zip(distances.chunks_exact(self.len))
        {
            self.offer(distances, best, &query.limit);
        }
        Ok(())
    }

    /// Compares the rows that the companion does not exclude.
    fn prune(
        &mut self,
        companion: &CompanionBlock,
        group: Range<usize>,
        best: &mut [TopK],
        buffers: &mut Buffers,
    ) -> Result<()> {
        let scan = self.scan;
        let dim = scan.corpus.dim;
        let wanted = |i: usize, futile: &[u32]| scan.queries[i].bound.is_some() && futile[i] < FUTILE_BLOCKS;
        let mut dots = std::mem::take(&mut buffers.dots);
        // One query has the time of its rows' way from memory, which one level of codes hardly exceeds. What passes that level
        // is little, and asked for the second.
        let alone = scan.queries.len() == 1 && !buffers.needs_both && wanted(0, &buffers.futile);
        if let (true, [best]) = (alone, &mut *best) {
            dots.resize(self.len, 0);
            kernels::dot_i8_batch(&scan.codes[..dim], companion.codes(), dim, &mut dots)?;
            let is_done = self.prune_one(companion, 0, [&dots, &dots], true, best, buffers)?;
            if is_done {
                buffers.dots = dots;
                return Ok(());
            }
        }
        if group.clone().any(|i| wanted(i, &buffers.futile)) {
            dots.resize(2 * group.len() * self.len, 0);
            let codes = &scan.codes[2 * group.start * dim..2 * group.end * dim];
            kernels::dot_i8_batch(codes, companion.codes(), dim, &mut dots)?;
        }
        for (n, (i, best)) in group.clone().zip(best).enumerate() {
            if wanted(i, &buffers.futile) {
                let (first, second) = dots[2 * n * self.len..2 * (n + 1) * self.len].split_at(self.len);
                self.prune_one(companion, i, [first, second], false, best, buffers)?;
            } else {
                self.compare_with_one(i, best, buffers)?;
            }
        }
        buffers.dots = dots;
        Ok(())
    }

    /// Compares every row with one query.
    fn compare_with_one(&mut self, query: usize, best: &mut TopK, buffers: &mut Buffers) -> Result<()> {
        let vectors = self.vectors()?;
        let data = self.rows(self.len, &vectors)?;
        let distances = &mut buffers.distances;
        distances.resize(self.len, 0.0);
        let query = &self.scan.queries[query];
        kernels::one_to_many(self.scan.metric, query.row, data, distances)?;
        self.offer(distances, best, &query.limit);
        Ok(())
    }

    /// Compares the rows that the companion does not exclude with one query. With `first_level` the products are those of
    /// the first level alone; false, and nothing done, if that excludes too little.
    fn prune_one(
        &mut self,
        companion: &CompanionBlock,
        index: usize,
        dots: [&[i32]; 2],
        first_level: bool,
        best: &mut TopK,
        buffers: &mut Buffers,
    ) -> Result<bool> {
        let scan = self.scan;
        let query = &scan.queries[index];
        let Some([both, first]) = &query.bound else {
            self.compare_with_one(index, best, buffers)?;
            return Ok(true);
        };
        let bound = if first_level { first } else { both };
        let columns = companion.columns();
        buffers.margins.resize(self.len, 0.0);
        let limit = |best: &TopK| best.limit().min(query.limit.get());

        // Nothing is known yet: start with the rows that look nearest.
        buffers.is_done.clear();
        if limit(best) == f64::INFINITY && best.missing() > 0 {
            bound.margins(columns, dots, bound.limit(0.0), &mut buffers.margins);
            let mut order = self.chosen_rows(std::mem::take(&mut buffers.order), |_| true);
            let seeds = best.missing().min(order.len());
            if seeds < order.len() {
                order.select_nth_unstable_by(seeds, |&a, &b| {
                    buffers.margins[a as usize].total_cmp(&buffers.margins[b as usize])
                });
            }
            buffers.is_done.resize(self.len, false);
            for &row in &order[..seeds] {
                self.compare_row(index, row, best)?;
                buffers.is_done[row as usize] = true;
            }
            buffers.order = order;
        }

        let mut at = limit(best);
        bound.margins(columns, dots, bound.limit(at), &mut buffers.margins);
        let margins = &buffers.margins;
        let is_done = |row: u32| buffers.is_done.get(row as usize).copied().unwrap_or(false);
        // NaN is not excluded.
        let is_excluded = |row: u32| margins[row as usize] > 0.0;
        let survives = |row: u32| !is_excluded(row) && !is_done(row);
        let order = std::mem::take(&mut buffers.order);
        let mut order = match &self.chosen {
            Chosen::All if buffers.is_done.is_empty() => not_excluded(order, margins),
            _ => self.chosen_rows(order, survives),
        };
        if order.len() > self.len / SURVIVORS_ONE_IN {
            if first_level {
                buffers.needs_both = true;
            } else {
                buffers.futile[index] += 1;
            }
            if buffers.is_done.is_empty() {
                buffers.order = order;
                if !first_level {
                    self.compare_with_one(index, best, buffers)?;
                }
                return Ok(!first_level);
            }
        } else if !first_level {
            buffers.futile[index] = 0;
        }
        order.sort_unstable_by(|&a, &b| margins[a as usize].total_cmp(&margins[b as usize]));
        let mut now = bound.limit(at);
        for &row in &order {
            let products = [dots[0][row as usize], dots[1][row as usize]];
            if bound.margin(columns, products, row as usize, now) > 0.0 {
                continue;
            }
            if first_level {
                let second = self.second_product(companion, row)?;
                if both.margin(columns, [products[0], second], row as usize, now) > 0.0 {
                    continue;
                }
            }
            self.compare_row(index, row, best)?;
            let reached = limit(best);
            if reached < at {
                (at, now) = (reached, bound.limit(reached));
            }
        }
        query.limit.lower(best.limit());
        buffers.order = order;
        Ok(true)
    }

    /// The inner product of a row's codes with the second level of the only query.
    fn second_product(&self, companion: &CompanionBlock, row: u32) -> Result<i32> {
        let dim = self.scan.corpus.dim;
        let codes = &companion.codes()[row as usize * dim..][..dim];
        let query = Rows::one(&self.scan.codes[dim..])?;
        Ok(-kernels::distance(Metric::Dot, query, Rows::one(codes)?)? as i32)
    }

    /// Chosen rows that pass a test.
    fn chosen_rows(&self, mut rows: Vec<u32>, passes: impl Fn(u32) -> bool) -> Vec<u32> {
        rows.clear();
        match &self.chosen {
            Chosen::All => rows.extend((0..self.len as u32).filter(|&row| passes(row))),
            Chosen::Some(chosen) => rows.extend(chosen.iter().copied().filter(|&row| passes(row))),
        }
        rows
    }

    fn compare_row(&mut self, query: usize, row: u32, best: &mut TopK) -> Result<()> {
        let vector = self.vector(row)?;
        let distance = kernels::distance(self.scan.metric, self.scan.queries[query].row, self.rows(1, &vector)?)?;
        best.push(self.id(row), distance);
        Ok(())
    }
}

/// Rows whose margin does not exclude them. Most groups of rows are excluded together, which vector instructions see.
fn not_excluded(mut rows: Vec<u32>, margins: &[f32]) -> Vec<u32> {
    const GROUP: usize = 64;
    // NaN is not excluded.
    let is_excluded = |margin: f32| margin > 0.0;
    rows.clear();
    for (group, margins) in margins.chunks(GROUP).enumerate() {
        let count = margins.iter().fold(0_u32, |count, &margin| count + u32::from(is_excluded(margin)));
        if count as usize != margins.len() {
            let first = group * GROUP;
            let kept = margins.iter().enumerate().filter(|&(_, &margin)| !is_excluded(margin));
            rows.extend(kept.map(|(row, _)| (first + row) as u32));
        }
    }
    rows
}
