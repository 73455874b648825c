//! Lines of the audit log about single instances.
//!
//! There may be thousands in a second, and requests do not wait until they are written: all lines that arrive during one write
//! are written by the next, in one transaction. A crash loses the lines of the last moments.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dacapo_store::control::{AuditEntry, ControlFile};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lines that may wait to be written; beyond that, callers wait.
const WAITING_MAX: usize = 4_096;

pub(super) struct AuditQueue {
    control: Arc<ControlFile>,
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<(AuditEntry, OwnedSemaphorePermit)>,
    is_written: bool,
}

impl AuditQueue {
    pub fn new(control: Arc<ControlFile>) -> Arc<Self> {
        Arc::new(Self { control, room: Arc::new(Semaphore::new(WAITING_MAX)), waiting: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No method leaves it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line to be written soon.
    pub async fn add(self: &Arc<Self>, entry: AuditEntry) {
        let permit = self.room.clone().acquire_owned().await.expect("the semaphore is never closed");
        {
            let mut waiting = self.lock();
            waiting.lines.push((entry, permit));
            if std::mem::replace(&mut waiting.is_written, true) {
                return;
            }
        }
        let writing = Writing(self.clone());
        tokio::task::spawn_blocking(move || writing.write());
    }
}

/// The task that writes the queue.
struct Writing(Arc<AuditQueue>);

impl Writing {
    fn write(self) {
        loop {
            let lines = {
                let mut waiting = self.0.lock();
                if waiting.lines.is_empty() {
                    waiting.is_written = false;
                    return;
                }
                std::mem::take(&mut waiting.lines)
            };
            let (entries, _permits): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
            if let Err(error) = self.0.control.note_all(&entries) {
                tracing::warn!(%error, lines = entries.len(), "the audit log could not be written");
            }
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // After a panic, the next line starts another task.
        if std::thread::panicking() {
            self.0.lock().is_written = false;
        }
    }
}
