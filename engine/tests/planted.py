#!/usr/bin/env python3
"""Plants one bug at a time into a copy of the engine and runs the tests that ought to notice.

A test harness is only worth what it catches. Each bug below is a mistake somebody could make; the run fails if any of
them survives its tests, if it no longer applies because the code changed (then adapt it here), or if the unchanged copy
fails. Run with `make planted`; takes some minutes, because each bug is a build of its own.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Bug:
    name: str
    file: str
    old: str
    new: str
    tests: tuple  # (test file, how the test's name begins) pairs, any of which may notice


BUGS = [
    Bug(
        "records of commits go to the cold disk",
        "store/staging.rs",
        "self.appenders.last_mut().filter(|last| last.tier() != Tier::Cold)",
        "self.appenders.last_mut()",
        (("cold", "cold_segments_lie"),),
    ),
    Bug(
        "another store's cold disk is taken for this one's",
        "store/cold.rs",
        "let wrong = match read_mark(&*cold)? {",
        "let wrong = match read_mark(&*cold)? {\n            Some(_) => return Ok(cold),",
        (("cold", "while_the_cold"),),
    ),
    Bug(
        "a catalog is rebuilt without what lies on a cold disk that is away",
        "store/repair.rs",
        "Err(away) if options.rebuild_catalog && !options.without_cold => return Err(away),",
        "",
        (("cold", "a_catalog_is_not"),),
    ),
    Bug(
        "the old cold directory is emptied before the store is switched over",
        "store/relocate.rs",
        "            next\n        }\n        // What said so",
        "            empty(&*old)?;\n            next\n        }\n        // What said so",
        (("cold", "the_cold_directory_can"),),
    ),
    Bug(
        "a file of a disk that was pulled out is read for ever",
        "segment/reader.rs",
        "self.has_failed.store(self.is_cold, Ordering::Relaxed);",
        "",
        (("cold", "a_disk_pulled_out"),),
    ),
    Bug(
        "a segment is condemned before the copies of its commit records are synced",
        "store/gc.rs",
        "            sync_appended(inner, &mut staged)?;\n            for (written, commit)",
        "            staged.appenders.iter_mut().try_for_each(crate::segment::Appender::write_out)?;\n"
        "            for (written, commit)",
        (("crash", "full_durability"),),
    ),
    Bug(
        "a segment is deleted without its lease",
        "store/gc.rs",
        "let Some(lease) = DeletionLease::take(site, id)? else { continue };",
        "let lease = DeletionLease::take(site, id)?;",
        (("gc", "a_handle_keeps"),),
    ),
    Bug(
        "commit records are not copied out of a condemned segment",
        "store/gc.rs",
        "let commits = inner.catalog.read()?.view()?.commits_in(row.id)?;",
        "let commits = inner.catalog.read()?.view()?.commits_in(row.id + 1_000_000)?;",
        (("gc", ""),),
    ),
    Bug(
        "a segment is condemned although something lies in it",
        "catalog/reclaim.rs",
        "if self.number(needed, [id])? != Some(0) || records",
        "let _ = needed;\n        if records",
        (("LIB", "store::gc::tests::a_segment_in_which"),),
    ),
    Bug(
        "the directory is not synced before a segment counts as deleted",
        "store/gc.rs",
        "            site.sync_dir().map_err(|e| site.error(\"syncing the segment directory\", e))?;\n            let transaction",
        "            let transaction",
        (("crash", "full_durability"),),
    ),
    Bug(
        "a payload whose segment is gone is not looked up again",
        "store/segments.rs",
        "Some(now) if (now.segment, now.offset) != (place.segment, place.offset) => place = now,",
        "Some(now) if now.segment == 0 => place = now,",
        (("LIB", "gone"),),
    ),
    Bug(
        "a snapshot does not ask whether its moment was forgotten",
        "store/mod.rs",
        "            self.check_moment(lsn)?;\n        }\n        Ok(atom)",
        "        }\n        Ok(atom)",
        (("gc", "forgotten"),),
    ),
    Bug(
        "open snapshots of this process are not kept",
        "store/gc.rs",
        "        kept.extend(inner.history.held());\n",
        "",
        (("gc", "forgotten"), ("model", "")),
    ),
    Bug(
        "a forgotten payload keeps its copies",
        "catalog/reclaim.rs",
        "        self.run(&format!(\"DELETE FROM copy WHERE payload IN (SELECT id FROM payload WHERE {unused})\"), [])?;\n",
        "",
        (("gc", ""),),
    ),
    Bug(
        "a base is forgotten although something is coded against it",
        "catalog/reclaim.rs",
        "format!(\"all_refs = 0 AND id NOT IN {BASES}\")",
        "format!(\"all_refs = 0 AND '{BASES}' <> ''\")",
        (("deltas", "a_base_stays"),),
    ),
    Bug(
        "what is collected is no longer tied to its base",
        "store/gc.rs",
        "base: source.base().cloned(),",
        "base: None,",
        (("deltas", "a_base_stays"),),
    ),
    Bug(
        "something is coded against what is coded itself",
        "catalog/deltas.rs",
        "AND b.id <> p.id AND b.base IS NULL AND",
        "AND b.id <> p.id AND",
        (("deltas", "a_base_that_another"),),
    ),
    Bug(
        "forgetting is as durable as the handle's commits",
        "store/gc.rs",
        "        inner.queue.submit(inner, staged, true)?;\n        report.forgotten",
        "        inner.queue.submit(inner, staged, self.durability == super::Durability::Full)?;\n        report.forgotten",
        (("crash", "process_durability"),),
    ),
    Bug(
        "a move is as durable as the handle's commits",
        "store/tier.rs",
        "inner.queue.submit(inner, staged, true)?",
        "inner.queue.submit(inner, staged, self.durability == super::Durability::Full)?",
        (("tiers", "durable"), ("crash", "process_durability")),
    ),
    Bug(
        "stored bytes of a cold chunk are decoded unchecked",
        "segment/copy.rs",
        "        self.check_chunk(chunk, &stored)?;\n",
        "",
        (("tiers", "damaged"), ("damage", "")),
    ),
    Bug(
        "a move does not look whether somebody was faster",
        "store/commit.rs",
        "if stored.is_none_or(|stored| (stored.copy.segment, stored.copy.offset) != staged.from) {",
        "if stored.is_none() {",
        (("tiers", "already_moved"),),
    ),
    Bug(
        "the sync of a segment is dropped",
        "segment/appender.rs",
        "            self.file.sync_data().and_then(|()| if self.name_unsynced",
        "            io::Result::Ok(()).and_then(|()| if self.name_unsynced",
        (("crash", "full_durability"),),
    ),
    Bug(
        "the directory of a new segment is not synced",
        "segment/appender.rs",
        "if self.name_unsynced { self.site.sync_dir() } else { Ok(()) }",
        "if self.name_unsynced { Ok(()) } else { Ok(()) }",
        (("crash", "full_durability"),),
    ),
    Bug(
        "the catalog commits before the segments are synced",
        "store/commit.rs",
        "        self.sync_segments()?;\n        let transaction = self.transaction.take().ok_or_else(|| Error::internal(\"the transaction is over\"))?;\n"
        "        if let Err(error) = transaction.commit() {",
        "        self.transaction()?.set_synced(self.lsn)?;\n"
        "        let transaction = self.transaction.take().ok_or_else(|| Error::internal(\"the transaction is over\"))?;\n"
        "        let committed = transaction.commit();\n"
        "        for (appender, _) in &mut self.shared { appender.sync()?; }\n"
        "        for request in self.group.iter_mut() { for a in &mut request.staged.appenders { a.sync()?; } }\n"
        "        if let Err(error) = committed {",
        (("crash", "full_durability"),),
    ),
    Bug(
        "a failed sync is tried again",
        "segment/appender.rs",
        "            self.file.sync_data().and_then(|()| if self.name_unsynced",
        "            self.file.sync_data().or_else(|_| self.file.sync_data()).and_then(|()| if self.name_unsynced",
        (("faults", "a_sync_that_fails"),),
    ),
    Bug(
        "the name of the catalog's log is not synced",
        "catalog/vfs.rs",
        "self.mounted.volume.sync_dir(\"\").map_err(|_| ffi::SQLITE_IOERR_DIR_FSYNC)?;\n            self.name_unsynced = false;",
        "self.name_unsynced = false;",
        (("crash", "full_durability"),),
    ),
    Bug(
        "the checksum of a chunk is not compared",
        "segment/copy.rs",
        "        if found == expected {",
        "        if found == expected || true {",
        (("damage", "ten_thousand"),),
    ),
    Bug(
        "a record is believed wherever it lies",
        "segment/record.rs",
        "if fixed.salt.get() != salt || fixed.segment.get() != segment || fixed.record_offset.get() != offset {",
        "if fixed.salt.get() != salt && fixed.segment.get() != segment && fixed.record_offset.get() != offset {",
        (("damage", "ten_thousand"), ("LIB", "record")),
    ),
    Bug(
        "the last chunk is one byte too long",
        "segment/copy.rs",
        "            let len = (run * chunk_bytes).min(self.record.raw_bytes - start) as usize;",
        "            let len = (run * chunk_bytes).min(self.record.raw_bytes + 1 - start) as usize;\n"
        "            let _ = map.slice(self.record.data_offset + start, len).map(|s| crc32fast::hash(&s));",
        (("damage", "mutations_of_real"), ("api", ""), ("model", "")),
    ),
    Bug(
        "a range may reach one byte past its payload",
        "segment/copy.rs",
        ".filter(|_| range.end <= self.record.raw_bytes);",
        ".filter(|_| range.end <= self.record.raw_bytes + 1);",
        (("api", ""),),
    ),
    Bug(
        "a page of the catalog is not checked",
        "catalog/vfs.rs",
        "        if sound { Ok(()) } else { Err(ffi::SQLITE_IOERR_DATA) }",
        "        let _ = sound;\n        Ok(())",
        (("damage", "ten_thousand"), ("LIB", "flipped")),
    ),
    Bug(
        "a dead writer's tail is cut without burying what nobody saw",
        "store/segments.rs",
        "        catalog.fence(self.lock_timeout)?;\n",
        "",
        (("takeover", ""),),
    ),
    Bug(
        "an aborted commit leaves its record in the segment",
        "segment/appender.rs",
        "        let was_written = self.written > mark;\n        self.take_back(mark);",
        "        let was_written = self.written > mark;\n        self.tail = mark;",
        (("faults", ""), ("crash", "")),
    ),
    Bug(
        "the handle goes on after a failed commit of the catalog",
        "store/commit.rs",
        "                self.store.poison(\"a commit to the catalog failed\");\n",
        "",
        (("faults", "a_handle_whose"),),
    ),
    Bug(
        "a failed catalog commit takes its payloads back",
        "store/commit.rs",
        "own.chain(self.shared.iter_mut().map(|(appender, _)| appender)).for_each(Appender::leave_undecided);",
        "own.chain(self.shared.iter_mut().map(|(appender, _)| appender)).for_each(|_| ());",
        (("faults", "a_failed_commit"),),
    ),
    Bug(
        "the cache does not hear of a commit",
        "store/cache.rs",
        "        self.changed[slot_of(namespace, key)].fetch_max(lsn, Ordering::AcqRel);",
        "        let _ = (namespace, key, lsn);",
        (("model", ""),),
    ),
    Bug(
        "other processes' commits are not looked for",
        "store/mod.rs",
        "if self.watch.stamp() == self.seen.load(Ordering::Acquire) { Ok(()) } else { self.refresh() }",
        "if self.seen.load(Ordering::Acquire) != 0 && self.lsn.load(Ordering::Acquire) != 0 { Ok(()) } else { self.refresh() }",
        (("model", "processes"), ("processes", "conditional")),
    ),
    Bug(
        "two writers own one segment",
        "segment/appender.rs",
        "        Ok(taken.then_some(Lease { segment, _lock: lock }))",
        "        let _ = taken;\n        Ok(Some(Lease { segment, _lock: lock }))",
        (("processes", ""), ("model", "processes")),
    ),
    Bug(
        "duplicates are found across namespaces",
        "catalog/apply.rs",
        "\"SELECT id FROM payload WHERE ns = ?1 AND digest = ?2\"",
        "\"SELECT id FROM payload WHERE ?1 >= 0 AND digest = ?2\"",
        (("model", ""), ("api", "")),
    ),
    Bug(
        "a deleted payload stays in the live account",
        "catalog/apply.rs",
        "        if self.number(sql, [payload])? == Some(0) {\n            self.shift_dead(payload, 1)?;",
        "        if self.number(sql, [payload])? == Some(0) {\n            self.shift_dead(payload, 0)?;",
        (("api", "deleting"),),
    ),
    Bug(
        "a condition is checked when the transaction begins, not when it commits",
        "store/commit.rs",
        "            check_condition(*expected, transaction.current_lsn(*namespace, key)?).map_err(|e| e.key(key))?;",
        "            let _ = (expected, transaction.current_lsn(*namespace, key)?);",
        (("api", "conditions"), ("processes", "conditional")),
    ),
    Bug(
        "commits without syncs are believed after a power cut",
        "store/recover.rs",
        "    if head.synced_lsn < head.lsn && head.boot_id != volume.boot_id() {",
        "    if head.synced_lsn > head.lsn && head.boot_id != volume.boot_id() {",
        (("crash", "process_durability"),),
    ),
]


def run_test(tree, target, test, name):
    if test == "LIB":
        which = ["--lib", "--", name]
    elif (tree / "engine/tests/engine" / f"{test}.rs").exists():
        which = ["--test", "engine", "--", f"{test}::{name}"]
    else:
        which = ["--test", test, "--", name]
    command = ["cargo", "test", "--quiet", "--package", "tensoratom", *which]
    environment = {"CARGO_TARGET_DIR": str(target), "RUST_BACKTRACE": "0", "CARGO_TERM_COLOR": "never"}
    return subprocess.run(
        command, cwd=tree, env={**os.environ, **environment}, text=True, capture_output=True, timeout=1200
    )


def verdict(done):
    """'passed', 'caught', or why the run says nothing."""
    output = done.stdout + done.stderr
    if done.returncode == 0:
        return "passed"
    if "could not compile" in output or "error[E" in output:
        return "does not compile:\n" + output[-2000:]
    return "caught"


def copy_tree(tree):
    """The files git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    shutil.rmtree(tree, ignore_errors=True)
    for name in listed.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only bugs whose name contains one of these")
    args = parser.parse_args()
    tree, target = ROOT / "target/planted/tree", ROOT / "target/planted/target"
    copy_tree(tree)
    chosen = [bug for bug in BUGS if not args.words or any(word in bug.name for word in args.words)]
    for test, name in sorted({pair for bug in chosen for pair in bug.tests}):
        done = run_test(tree, target, test, name)
        if not re.search(r"running [1-9]", done.stdout):
            sys.exit(f"there is no test {test} {name}")
        if verdict(done) != "passed":
            sys.exit(f"the unchanged copy fails {test} {name}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    survivors = []
    for bug in chosen:
        path = tree / "engine/src" / bug.file
        original = path.read_text()
        if original.count(bug.old) != 1:
            sys.exit(f"'{bug.name}' no longer applies to {bug.file}; adapt it to the code")
        path.write_text(original.replace(bug.old, bug.new))
        started = time.monotonic()
        outcome = "survived"
        for test, name in bug.tests:
            result = verdict(run_test(tree, target, test, name))
            if result == "caught":
                outcome = f"caught by {test} {name}".rstrip()
                break
            if result != "passed":
                sys.exit(f"'{bug.name}' {result}")
        path.write_text(original)
        print(f"{bug.name:72} {outcome} ({time.monotonic() - started:.0f} s)", flush=True)
        if outcome == "survived":
            survivors.append(bug.name)
    if survivors:
        sys.exit(f"{len(survivors)} of {len(chosen)} planted bugs survived: {survivors}")
    print(f"all {len(chosen)} planted bugs were caught")


if __name__ == "__main__":
    main()
