//! Progress bars on a terminal, silence elsewhere; Ctrl-C as a cancel flag.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tensoratom::{Control, Progress};

const BYTES: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
const ITEMS: &str = "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} eta {eta}";

/// Follows one long operation.
pub(crate) struct Follow {
    bar: ProgressBar,
    cancel: Arc<AtomicBool>,
}

impl Follow {
    /// A bar with a few words in front. Ctrl-C cancels; a second one ends the program at once.
    pub(crate) fn new(what: &'static str) -> Self {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        // Only the first operation of a run installs the handler; there is one per run.
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(crate::EXIT_INTERRUPTED));
            }
        });
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_message(what);
        Follow { bar, cancel }
    }

    /// Whether Ctrl-C was pressed, for loops that no [`Control`] goes through.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Runs an operation with callback and cancel flag.
    pub(crate) fn run<T>(&self, operation: impl FnOnce(&Control<'_>) -> T) -> T {
        let show = |progress: Progress| {
            let (template, done, total) = match progress.bytes_total {
                0 => (ITEMS, progress.items_done, progress.items_total),
                total => (BYTES, progress.bytes_done, total),
            };
            if self.bar.length() != Some(total)
                && let Ok(style) = ProgressStyle::with_template(template)
            {
                self.bar.set_style(style.progress_chars("=> "));
                self.bar.set_length(total);
            }
            self.bar.set_position(done);
        };
        let outcome = operation(&Control::new().progress(&show).cancel(&self.cancel));
        self.bar.finish_and_clear();
        outcome
    }
}
