//! The cache of decoded bytes: what it saves, and that it never takes more memory than it may. In a process of its own,
//! because the budget is the process's.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code)] // tests fail loudly

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tensoratom::testing::random::Random;
use tensoratom::{Control, DType, Options, ReadMode, Store, Tensor, Tier, decode_cache, set_decode_cache_bytes};

/// Bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The most that was allocated since somebody set it back.
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The budget and the counters are the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const CHUNK: usize = 64 << 10;

/// A store with cold tensors of this many bytes.
fn cold(mode: ReadMode, lengths: &[usize]) -> (tempfile::TempDir, Store, Vec<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().chunk_bytes(CHUNK as u32).read_mode(mode).threads(2);
    let store = Store::create(dir.path().join("s"), &options).unwrap();
    let mut random = Random::new(7);
    let all: Vec<Vec<u8>> = lengths.iter().map(|&len| (0..len).map(|_| random.below(7) as u8).collect()).collect();
    for (i, bytes) in all.iter().enumerate() {
        store.put(i as i64, &Tensor::new(DType::U8, &[bytes.len() as u64], bytes).unwrap()).unwrap();
    }
    store.move_to_tier(None, "", Tier::Cold, &Control::new()).unwrap();
    (dir, store, all)
}

// A cold model that is read in a loop filled the memory of the host process.
#[test]
fn memory_stays_within_the_budget_whatever_is_read() {
    let _alone = ALONE.lock();
    let (_dir, store, all) = cold(ReadMode::Mapped, &[1 << 20; 24]);
    for budget in [4 << 20, 1 << 20, 0] {
        set_decode_cache_bytes(budget);
        let before = LIVE.load(Ordering::Relaxed) - decode_cache().bytes as usize;
        for (i, bytes) in all.iter().enumerate() {
            let payload = store.get(i as i64).unwrap();
            assert_eq!(*payload.bytes().unwrap(), **bytes, "tensor {i}");
            assert_eq!(*payload.range(5..CHUNK as u64 * 3).unwrap(), bytes[5..CHUNK * 3], "a range of tensor {i}");
            let held = LIVE.load(Ordering::Relaxed).saturating_sub(before);
            // Descriptors, chunk tables and thread-local buffers of the decoder are not decoded bytes.
            assert!(held <= budget as usize + (1 << 20), "{held} bytes are held, {budget} may be");
            assert!(decode_cache().bytes <= budget, "{:?}", decode_cache());
        }
    }
}

// A budget that holds for one thread and is exceeded by as many payloads as there are threads is none.
#[test]
fn memory_stays_within_the_budget_while_several_threads_read() {
    let _alone = ALONE.lock();
    let (_dir, store, all) = cold(ReadMode::Positioned, &[1 << 20; 12]);
    let budget = 4 << 20;
    set_decode_cache_bytes(budget);
    // Opened and verified once, so that what is held besides decoded bytes is held before.
    all.iter().enumerate().for_each(|(i, _)| drop(store.get(i as i64).unwrap().bytes().unwrap()));
    let before = LIVE.load(Ordering::Relaxed) - decode_cache().bytes as usize;
    PEAK.store(0, Ordering::Relaxed);
    const READERS: usize = 3;
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (store, all) = (&store, &all);
            scope.spawn(move || {
                for i in (0..all.len() * 4).map(|n| (n * (reader + 1) + reader) % all.len()) {
                    assert_eq!(*store.get(i as i64).unwrap().bytes().unwrap(), *all[i], "tensor {i}");
                    assert!(decode_cache().bytes <= budget, "{:?}", decode_cache());
                }
            });
        }
    });
    // Besides: per reader the tensor in its hands and the one that the cache lets go for it; chunks as they are stored.
    let held = PEAK.load(Ordering::Relaxed) - before;
    assert!(held <= budget as usize + READERS * (2 << 20) + (1 << 20), "{held} bytes were held, {budget} may be");
}

// Without sharing, ten readers of one cold tensor decode it ten times and hold it ten times.
#[test]
fn a_tensor_read_again_is_the_same_buffer_and_is_not_decoded_again() {
    let _alone = ALONE.lock();
    set_decode_cache_bytes(8 << 20);
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let (_dir, store, all) = cold(mode, &[1 << 20, 0, 1]);
        let first = store.get(0).unwrap().bytes().unwrap();
        let misses = decode_cache().misses;
        let again = store.get(0).unwrap().bytes().unwrap();
        assert_eq!((first.as_ptr(), *again == *all[0]), (again.as_ptr(), true));
        let part = store.get(0).unwrap().range(100..200).unwrap();
        assert_eq!(*part, all[0][100..200]);
        assert_eq!(decode_cache().misses, misses, "everything was there");
        assert_eq!(part.as_ptr() as usize % 64, 0);
        for i in 1..3 {
            assert_eq!(*store.get(i).unwrap().bytes().unwrap(), *all[i as usize]);
        }
        store.move_to_tier(None, "", Tier::Warm, &Control::new()).unwrap();
        assert_eq!(*store.get(0).unwrap().bytes().unwrap(), *all[0]);
    }
}

// A row of a cold matrix must not cost the decoding of the whole, and the next row of the same chunk not a second one.
#[test]
fn a_range_decodes_only_the_chunks_it_touches_and_each_once() {
    let _alone = ALONE.lock();
    set_decode_cache_bytes(8 << 20);
    let (_dir, store, all) = cold(ReadMode::Mapped, &[20 * CHUNK]);
    let payload = store.get(0).unwrap();
    let before = decode_cache();
    assert_eq!(*payload.range(10..20).unwrap(), all[0][10..20]);
    assert_eq!(decode_cache().entries, before.entries + 1);
    let hits = decode_cache().hits;
    assert_eq!(*payload.range(30..CHUNK as u64).unwrap(), all[0][30..CHUNK]);
    assert_eq!((decode_cache().entries, decode_cache().hits), (before.entries + 1, hits + 1));
    // A scan takes what is there, and leaves behind only the chunks it cut.
    assert_eq!(*payload.range(1..19 * CHUNK as u64 + 1).unwrap(), all[0][1..19 * CHUNK + 1]);
    assert_eq!(decode_cache().entries, before.entries + 2);
    let mut block = vec![0; 3 * CHUNK];
    payload.read_into(CHUNK as u64 / 2, &mut block).unwrap();
    assert_eq!(block, all[0][CHUNK / 2..CHUNK / 2 + 3 * CHUNK]);
}
