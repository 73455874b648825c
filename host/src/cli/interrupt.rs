//! Ctrl-C in a command that only waits or watches.

use super::output::note;

/// The exit code by which a shell reports the end by SIGINT.
const INTERRUPTED: i32 = 130;

/// From now on, Ctrl-C prints this text and ends the process.
pub(super) fn says(text: String) {
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            note(format_args!("\n{text}"));
            std::process::exit(INTERRUPTED);
        }
    };
    // Without the thread Ctrl-C ends the process all the same.
    let _ = std::thread::Builder::new().name("interrupt".into()).spawn(wait);
}
