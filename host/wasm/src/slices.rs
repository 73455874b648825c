//! Time slices. A guest that computes for long lets go now and then, so that its thread can do something else.
//!
//! It lets go after so much fuel, which it cannot notice: the fuel that it has in all stays the same, and so a replay spends
//! the same. For the future that the guest is, letting go means that it is pending and has woken itself; one that waits for
//! something is pending and has not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::config::BetweenSlices;

/// Units of fuel in a slice: about a millisecond, which is what somebody else may have to wait, and long against what
/// letting go costs (a microsecond; some tens if another thread takes over).
pub(crate) const FUEL_SLICE: u64 = 1_000_000;

/// Runs a guest through its slices until it has ended, or waits for something.
pub(crate) fn run<T>(mut guest: Pin<&mut (impl Future<Output = T> + ?Sized)>, between: &BetweenSlices) -> Poll<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    loop {
        match guest.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => between.pass(),
            rest => return rest,
        }
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn who_lets_go_is_run_again_and_who_waits_is_not() {
        let passes = Arc::new(AtomicU32::new(0));
        let counted = passes.clone();
        let between = BetweenSlices::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let mut polls = 0;
        let mut guest = pin!(poll_fn(|context| {
            polls += 1;
            match polls {
                1 | 2 => context.waker().wake_by_ref(),
                3 => {}
                _ => return Poll::Ready(polls),
            }
            Poll::Pending
        }));
        assert_eq!(run(guest.as_mut(), &between), Poll::Pending);
        assert_eq!(passes.load(Ordering::Relaxed), 2);
        assert_eq!(run(guest.as_mut(), &between), Poll::Ready(4));
        assert_eq!(passes.load(Ordering::Relaxed), 2);
    }
}
