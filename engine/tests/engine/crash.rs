//! Power cuts: after any of them, every acknowledged commit is there, and none in part.

use tensoratom::testing::SimDisk;
use tensoratom::testing::crash::{Effort, Workload, explore, small_options};
use tensoratom::testing::oracle::{Step, VECTOR_DIM, commit_steps};
use tensoratom::testing::random::{Random, effort, seed};
use tensoratom::{Durability, Key, Store, Tier};

fn put(key: &str, len: usize) -> Step {
    let bytes = Random::new(len as u64).bytes(len);
    Step::Put(Key::from(key), bytes, Some(format!("{{\"len\":{len}}}")))
}

/// The bytes that [`put`] stores, but for a few: what goes to cold as a delta of them.
fn near(key: &str, len: usize, change: u8) -> Step {
    let mut bytes = Random::new(len as u64).bytes(len);
    bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= change);
    Step::Put(Key::from(key), bytes, None)
}

/// Bytes that a codec makes smaller.
fn text(key: &str, len: usize) -> Step {
    Step::Put(Key::from(key), (0..len).map(|i| (i / 7) as u8).collect(), None)
}

fn vectors(set: &str, ids: std::ops::Range<i64>) -> Step {
    let vector = |id: i64| (id, Random::new(id as u64).bytes(VECTOR_DIM));
    Step::Upsert(set.into(), ids.map(vector).collect())
}

fn workloads() -> Vec<(&'static str, Workload)> {
    vec![
        ("one small put", vec![vec![put("a", 10)]]),
        ("one large put", vec![vec![put("a", 70_000)]]),
        (
            "replace and delete",
            vec![vec![put("a", 100), put("b", 5_000)], vec![put("a", 200)], vec![Step::Delete("b".into())]],
        ),
        (
            "rename, metadata, duplicates",
            vec![
                vec![put("a", 300), put("copy of a", 300)],
                vec![Step::Rename("a".into(), "z".into()), Step::SetMetadata("copy of a".into(), None)],
                vec![put("a", 300)],
            ],
        ),
        (
            "vector sets",
            vec![
                vec![vectors("set", 0..40), put("a", 100)],
                vec![vectors("set", 20..60), Step::DeleteVectors("set".into(), vec![1, 2, 59])],
                vec![Step::DeleteVectors("set".into(), vec![3]), Step::DropVectors("set".into()), vectors("set", 5..6)],
                vec![vectors("other", 0..3000), vectors("set", 7..9)],
                vec![Step::Compact("set".into()), Step::DeleteVectors("other".into(), vec![7])],
            ],
        ),
        (
            "moves between tiers",
            vec![
                vec![text("t/a", 300), text("t/b", 20_000), put("t/c", 70_000), text("u", 5_000)],
                vec![Step::Move("t/".into(), Tier::Cold)],
                vec![text("t/b", 21_000), put("v", 9_000)],
                vec![Step::Move(String::new(), Tier::Cold)],
                vec![Step::Delete("t/c".into()), Step::Rename("u".into(), "w".into())],
                vec![Step::Move("t/".into(), Tier::Warm)],
            ],
        ),
        (
            "reclaiming",
            vec![
                vec![
                    text("t/a", 300),
                    text("t/b", 20_000),
                    put("t/c", 70_000),
                    text("u", 5_000),
                    vectors("set", 0..40),
                ],
                vec![Step::Move("t/".into(), Tier::Cold), Step::Gc(false)],
                vec![text("t/b", 21_000), Step::DeleteVectors("set".into(), vec![3]), Step::Delete("u".into())],
                vec![put("v", 150_000), Step::Gc(true)],
                vec![
                    Step::Compact("set".into()),
                    text("u", 5_000),
                    Step::Move(String::new(), Tier::Warm),
                    Step::Gc(true),
                ],
                vec![Step::Delete("t/c".into()), Step::Gc(true)],
            ],
        ),
        (
            "moves by policy",
            vec![
                vec![text("t/a", 300), text("t/b", 20_000), vectors("set", 0..900), text("u", 9_000)],
                vec![Step::Maintain(
                    r#"{"rules": [{"tier": "cold"}], "pins": [{"prefix": "u"}], "min_bytes": 0}"#.into(),
                )],
                vec![text("t/b", 21_000), Step::DeleteVectors("set".into(), vec![3, 4])],
                vec![Step::Maintain(r#"{"warm_days": 0, "pins": [{"prefix": "s"}]}"#.into())],
                vec![put("v", 9_000)],
            ],
        ),
        (
            "deltas",
            vec![
                vec![put("d/a", 9_000), put("e", 9_000)],
                vec![near("d/a", 9_000, 3)],
                vec![Step::Move("d/".into(), Tier::Cold)],
                // The first version is there as a base only from here on.
                vec![Step::Delete("e".into()), Step::Gc(true)],
                vec![near("d/a", 9_000, 4), Step::Move(String::new(), Tier::Cold)],
                vec![Step::Gc(true)],
                vec![Step::Move(String::new(), Tier::Warm), Step::Gc(true)],
            ],
        ),
        (
            "streams that fill segments",
            vec![
                vec![Step::Stream("s".into(), Random::new(1).bytes(90_000))],
                vec![Step::Stream("t".into(), Random::new(2).bytes(120_000)), put("u", 20_000)],
                vec![put("v", 260_000)],
            ],
        ),
    ]
}

fn run(durability: Durability, effort: Effort) {
    let mut total = 0;
    for (name, workload) in workloads() {
        // What is cold lies on a disk of its own in one run of each workload that moves, and beside the rest in the other.
        let two_disks = name.starts_with("moves") && durability == Durability::Full
            || ["reclaiming", "deltas"].contains(&name) && durability == Durability::Process;
        let explored =
            explore(&workload, durability, two_disks, effort).unwrap_or_else(|what| panic!("{name}: {what}"));
        println!("{name}: {explored:?}");
        total += explored.states + explored.nested;
    }
    println!("{durability:?}: {total} states");
}

fn thorough(own_seed: u64) -> Effort {
    let states = effort(8) as usize;
    Effort { single_changes: states, random_states: states, nested_one_in: 40, seed: seed(own_seed) }
}

#[test]
fn full_durability_loses_nothing_acknowledged() {
    run(Durability::Full, thorough(1));
}

#[test]
fn process_durability_keeps_a_prefix() {
    run(Durability::Process, thorough(2));
}

// A workload whose moves make no delta says nothing about what becomes of one.
#[test]
fn the_workload_of_deltas_makes_some_and_ends_with_none() {
    let store = Store::open_on(SimDisk::new().process(), &small_options(Durability::Full), true).unwrap();
    let workloads = workloads();
    let (_, workload) = workloads.iter().find(|(name, _)| *name == "deltas").unwrap();
    let counts = workload.iter().map(|steps| {
        commit_steps(&store, steps).unwrap();
        store.stat().unwrap().deltas.payloads
    });
    assert_eq!(counts.collect::<Vec<_>>(), [0, 0, 1, 1, 1, 1, 0]);
}
