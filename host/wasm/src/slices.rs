//! Time slices. A guest that computes for long lets go now and then, so that its thread can do something else.
//!
//! It lets go after so much fuel, which it cannot notice: the fuel that it has in all stays the same, and so a replay spends
//! the same. For the future that the guest is, letting go means that it is pending and has woken itself; one that waits for
//! something is pending and has not.
//!
//! Fuel is a count of instructions. A few of these take long: one that makes an object may collect garbage first, one that
//! throws an exception looks through the stack. So there is a wall behind the fuel, in processor time, which only guests
//! meet that look for such instructions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::config::{BetweenSlices, GuestLimits};

/// Units of fuel in a slice: about a millisecond, which is what somebody else may have to wait, and long against what
/// letting go costs (a microsecond; some tens if another thread takes over).
pub(crate) const FUEL_SLICE: u64 = 1_000_000;

/// Whoever has let go earlier goes on: the collector of a guest's objects lets go several times in a collection, which is
/// most often short.
const SLICE_TIME_MIN: Duration = Duration::from_micros(500);

/// Processor time for a unit of fuel; it takes half a nanosecond or two, some tens if each instruction misses the caches.
const FUEL_NANOS_MAX: u64 = 20;

/// The least processor time, however little fuel there is.
const PROCESSOR_TIME_MIN: Duration = Duration::from_secs(1);

/// How a guest came to rest.
#[derive(Debug, PartialEq)]
pub(crate) enum Rest<T> {
    Ended(T),
    /// It waits for something.
    Waits,
    /// It has computed for longer than its fuel may last. It must not go on.
    Overdue {
        most: Duration,
    },
}

/// The processor time that the fuel of a turn or an operation may last.
fn processor_time(limits: &GuestLimits) -> Duration {
    Duration::from_nanos(limits.fuel_per_turn.saturating_mul(FUEL_NANOS_MAX)).max(PROCESSOR_TIME_MIN)
}

/// Runs a guest through its slices until it has ended, or waits for something. It stays on this thread.
pub(crate) fn run<T>(
    mut guest: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    limits: &GuestLimits,
    between: &BetweenSlices,
) -> Rest<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let (mut begun, mut overdue_at) = (Instant::now(), None);
    loop {
        match guest.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ended) => return Rest::Ended(ended),
            Poll::Pending if !woken.0.swap(false, Ordering::Relaxed) => return Rest::Waits,
            Poll::Pending if begun.elapsed() < SLICE_TIME_MIN => {}
            Poll::Pending => {
                // From its first slice on, which is soon enough: most guests never come here.
                let most = processor_time(limits);
                if computed() > *overdue_at.get_or_insert_with(|| computed().saturating_add(most)) {
                    return Rest::Overdue { most };
                }
                between.pass();
                begun = Instant::now();
            }
        }
    }
}

/// The processor time of this thread.
fn computed() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or(Duration::MAX)
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

    const LIMITS: GuestLimits = GuestLimits { fuel_per_turn: 0, ..GuestLimits::MOST };

    fn compute(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    }

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
                1 | 2 => {
                    compute(SLICE_TIME_MIN);
                    context.waker().wake_by_ref();
                }
                3 => {}
                _ => return Poll::Ready(polls),
            }
            Poll::Pending
        }));
        assert_eq!(run(guest.as_mut(), &LIMITS, &between), Rest::Waits);
        assert_eq!(passes.load(Ordering::Relaxed), 2);
        assert_eq!(run(guest.as_mut(), &LIMITS, &between), Rest::Ended(4));
        assert_eq!(passes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_lets_go_for_ever_is_stopped() {
        let mut guest = pin!(poll_fn(|context| {
            compute(SLICE_TIME_MIN * 20);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let rest = run(guest.as_mut(), &LIMITS, &BetweenSlices::default());
        assert_eq!(rest, Rest::Overdue { most: PROCESSOR_TIME_MIN });
    }
}
