//! `fork` with an open store. A process of its own: forking beside other tests' threads would prove little.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // tests fail loudly

use std::panic::{AssertUnwindSafe, catch_unwind};

use std::sync::Mutex;

use tensoratom::{ErrorKind, Options, Store, Tensor};

/// One test at a time: a thread that works while another forks may hold a lock that the child then waits for.
static ALONE: Mutex<()> = Mutex::new(());

// After `fork` locks, maps and threads are the parent's: the child must be told, and must be able to open anew.
#[test]
fn a_forked_child_is_told_and_can_open_again() {
    let _alone = ALONE.lock().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &Options::new()).unwrap();
    store.put("a", &Tensor::from_slice(&[1], &[9_u8]).unwrap()).unwrap();
    let payload = store.get("a").unwrap();
    // SAFETY: the child calls only our library and `_exit`; it inherits no lock that another thread holds, because the
    // store's own locks are free here and the test harness's are not used.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let refused = |kind: ErrorKind| kind == ErrorKind::Forked;
            let ok = store.get("a").is_err_and(|e| refused(e.kind()))
                && payload.bytes().is_err_and(|e| refused(e.kind()))
                && store.begin().is_err_and(|e| refused(e.kind()))
                && store.stat().is_err_and(|e| refused(e.kind()));
            drop(payload);
            drop(store);
            let again = Store::open(&path, &Options::new()).unwrap();
            let read = again.get("a").unwrap().view::<u8>().unwrap()[0] == 9;
            again.put("from the child", &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
            ok && read
        }));
        let code = match outcome {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(_) => 2,
        };
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child; `status` is a live local.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(status, 0, "the child found otherwise (exit status {status:#x})");
    assert!(store.exists("from the child").unwrap());
    store.put("parent goes on", &Tensor::from_slice(&[1], &[1_u8]).unwrap()).unwrap();
}

// Story: a child shares the parent's open files, and with them its locks. When the parent closed the store while a forked
// worker lived on, the store stayed "open": nobody could repair it or take its segments over.
#[test]
fn a_living_child_does_not_keep_a_store_open_that_its_parent_closed() {
    let _alone = ALONE.lock().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::create(&path, &Options::new()).unwrap();
    store.put("a", &Tensor::from_slice(&[1], &[9_u8]).unwrap()).unwrap();
    // SAFETY: the child calls `pause` and nothing else.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: waits for a signal; touches no memory.
        unsafe { libc::pause() };
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(0) };
    }
    drop(store);
    let repaired = tensoratom::repair(&path, &tensoratom::RepairOptions::new(), &tensoratom::Control::new());
    // SAFETY: `pid` is our own child, not waited for yet.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // SAFETY: waits for our own child; no status is asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    repaired.unwrap();
}
