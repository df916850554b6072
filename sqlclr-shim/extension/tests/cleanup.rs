//! The end of the host: in a process of its own, for it ends the sessions of everybody.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod exthost;

use exthost::*;
use std::ptr::null;

// Sessions that survive the cleanup keep the rows of a user in memory for whoever comes next.
#[test]
fn cleanup_ends_every_session_and_may_be_repeated() {
    assert_eq!(GetInterfaceVersion(), 2);
    let script = "stat";
    for number in 0..3 {
        let guid = Guid(number, 0, 0, [7; 8]);
        let begin = || InitSession(guid, 0, 1, script.as_ptr(), 4, 0, 0, null(), 0, null(), 0);
        assert_eq!(begin(), 0);
        assert_ne!(begin(), 0, "the session is open");
    }
    assert_eq!((Cleanup(), Cleanup()), (0, 0));
    let guid = Guid(1, 0, 0, [7; 8]);
    assert_eq!(InitSession(guid, 0, 1, script.as_ptr(), 4, 0, 0, null(), 0, null(), 0), 0, "its place is free again");
    assert_eq!(CleanupSession(guid, 0), 0);
}
