//! Ctrl-C at a command that only looks on.

use super::output::note;

/// What a shell sees of a process that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C ends this process with a sentence that says how to go on.
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
