//! Time slices. A guest that computes for long yields from time to time, so that its thread can do something else.
//!
//! It yields after a fixed amount of fuel and cannot notice that: its total fuel stays the same, so a replay spends the same. The
//! future of a guest that yields is pending and has woken itself; that of a guest that waits for something is pending and has
//! not.
//!
//! Fuel counts instructions, and some of these take a thousand times as long as others: the first access to a page makes the
//! kernel clear it, a call of the host reads a clock. So a slice is measured in time, and fuel only determines how often the
//! clock is read.
//!
//! An instruction may also collect garbage, or search the stack for an exception handler. So there is a second limit behind
//! the fuel, in processor time. Only guests that make excessive use of such instructions reach it.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use rustix::time::{ClockId, clock_gettime};

use crate::config::Checkpoint;

/// Units of fuel after which a guest yields so that the clock is read: 15 to 50 microseconds of computing, some milliseconds of
/// touching pages. Yielding costs a third of a microsecond.
pub(crate) const CHECK_FUEL: u64 = 50_000;

/// The same for work that the host does for a guest, where a unit takes longer.
pub(crate) const HOST_CHECK_FUEL: u64 = 5_000;

/// How long an activity runs before it yields the thread, and how often a guest's processor time is read.
const SLICE_TIME: Duration = Duration::from_millis(1);

/// Nanoseconds of processor time allowed for a unit of fuel. It takes 0.5 to 2, some tens if each instruction misses the caches.
const FUEL_NANOS_MAX: u64 = 20;

/// The least processor time that is allowed, however little fuel there is.
const PROCESSOR_TIME_MIN: Duration = Duration::from_secs(1);

/// Why a run of a guest returned.
#[derive(Debug, PartialEq)]
pub(crate) enum RunOutcome<T> {
    Ended(T),
    /// It waits for something.
    Waits,
    /// It was stopped at a checkpoint. It must not go on.
    Stopped,
    /// It has computed for longer than its fuel may last. It must not go on.
    Overdue {
        most: Duration,
    },
}

/// The limit of processor time for a turn or an operation, derived from its fuel.
struct ProcessorTimeLimit {
    most: Duration,
    /// When the limit was last checked.
    looked: Instant,
    /// Set at the end of the first slice, which is soon enough: most guests end before that.
    deadline: Option<Duration>,
}

impl ProcessorTimeLimit {
    fn new(fuel: u64) -> Self {
        let most = Duration::from_nanos(fuel.saturating_mul(FUEL_NANOS_MAX)).max(PROCESSOR_TIME_MIN);
        Self { most, looked: Instant::now(), deadline: None }
    }

    fn is_exceeded(&mut self) -> bool {
        if self.looked.elapsed() < SLICE_TIME {
            return false;
        }
        self.looked = Instant::now();
        let computed = processor_time();
        computed > *self.deadline.get_or_insert(computed.saturating_add(self.most))
    }
}

/// The processor time of this thread.
pub fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or(Duration::MAX)
}

/// Runs a guest that has `fuel` units of fuel, on this thread, until it ends or waits for something. Passes the checkpoint before
/// it begins and each time the guest yields.
pub(crate) fn run<T>(
    mut guest: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    fuel: u64,
    checkpoint: &Checkpoint,
) -> RunOutcome<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut wall = ProcessorTimeLimit::new(fuel);
    loop {
        if let ControlFlow::Break(()) = checkpoint.pass() {
            return RunOutcome::Stopped;
        }
        match guest.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ended) => return RunOutcome::Ended(ended),
            Poll::Pending if !woken.0.swap(false, Ordering::Relaxed) => return RunOutcome::Waits,
            Poll::Pending if wall.is_exceeded() => return RunOutcome::Overdue { most: wall.most },
            Poll::Pending => {}
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

/// Wraps the future of an activity, which tokio polls. It yields to tokio when it waits or when its slice is over, not each time
/// the guest itself yields.
pub(crate) async fn in_slices<T>(guest: impl Future<Output = T>) -> T {
    in_slices_of(SLICE_TIME, guest).await
}

async fn in_slices_of<T>(slice: Duration, guest: impl Future<Output = T>) -> T {
    let mut guest = std::pin::pin!(guest);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    std::future::poll_fn(move |context| {
        wakes.outside.register(context.waker());
        let begun = Instant::now();
        wakes.polled.store(true, Ordering::SeqCst);
        loop {
            wakes.woken.store(false, Ordering::SeqCst);
            if let Poll::Ready(ended) = guest.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(ended);
            }
            if !wakes.woken.load(Ordering::SeqCst) || begun.elapsed() >= slice {
                break;
            }
        }
        wakes.polled.store(false, Ordering::SeqCst);
        // A wake-up before that was left to this check.
        if wakes.woken.load(Ordering::SeqCst) {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

#[derive(Default)]
struct Wakes {
    woken: AtomicBool,
    /// The guest is being polled, and `woken` is checked afterwards.
    polled: AtomicBool,
    outside: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polled.load(Ordering::SeqCst) {
            self.outside.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn compute(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    /// Yields twice, waits once, and ends with the number of polls.
    fn guest() -> impl Future<Output = u32> {
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            match polls {
                1 | 2 => context.waker().wake_by_ref(),
                3 => {}
                _ => return Poll::Ready(polls),
            }
            Poll::Pending
        })
    }

    #[test]
    fn who_lets_go_is_run_again_and_who_waits_is_not() {
        let passes = Arc::new(AtomicU32::new(0));
        let counted = passes.clone();
        let checkpoint = Checkpoint::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Continue(())
        });
        let mut guest = pin!(guest());
        assert_eq!(run(guest.as_mut(), 0, &checkpoint), RunOutcome::Waits);
        assert_eq!(passes.load(Ordering::Relaxed), 3);
        assert_eq!(run(guest.as_mut(), 0, &checkpoint), RunOutcome::Ended(4));
        assert_eq!(passes.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn who_is_stopped_at_a_checkpoint_does_not_go_on() {
        let mut passes = [ControlFlow::Continue(()), ControlFlow::Break(())].into_iter().cycle();
        let passes = std::sync::Mutex::new(move || passes.next().expect("it has no end"));
        let checkpoint = Checkpoint::new(move || passes.lock().unwrap()());
        assert_eq!(run(pin!(guest()), 0, &checkpoint), RunOutcome::Stopped);
    }

    #[test]
    fn who_lets_go_for_ever_is_stopped() {
        let mut guest = pin!(poll_fn(|context| {
            compute(SLICE_TIME * 10);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let rest = run(guest.as_mut(), 0, &Checkpoint::default());
        assert_eq!(rest, RunOutcome::Overdue { most: PROCESSOR_TIME_MIN });
    }

    /// The waker of an activity's future: counts how often it was woken.
    #[derive(Default)]
    struct Outside(AtomicU32);

    impl Wake for Outside {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_activity_that_lets_go_within_its_slice_goes_on_at_once() {
        let outside = Arc::new(Outside::default());
        let waker = Waker::from(outside.clone());
        let mut activity = pin!(in_slices_of(Duration::MAX, guest()));
        assert_eq!(activity.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(outside.0.load(Ordering::Relaxed), 0);
        assert_eq!(activity.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(4));
    }

    #[test]
    fn an_activity_whose_slice_is_over_asks_to_be_polled_again() {
        let outside = Arc::new(Outside::default());
        let waker = Waker::from(outside.clone());
        let polls = AtomicU32::new(0);
        let mut activity = pin!(in_slices_of(
            Duration::ZERO,
            poll_fn(|context| {
                polls.fetch_add(1, Ordering::Relaxed);
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            })
        ));
        assert_eq!(activity.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(outside.0.load(Ordering::Relaxed), 1);
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_activity_that_waits_is_woken_by_what_it_waits_for() {
        let outside = Arc::new(Outside::default());
        let waker = Waker::from(outside.clone());
        let (sender, receiver) = futures::channel::oneshot::channel();
        let mut activity = pin!(in_slices_of(Duration::MAX, receiver));
        assert_eq!(activity.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        sender.send(7).unwrap();
        assert_eq!(outside.0.load(Ordering::Relaxed), 1);
        assert_eq!(activity.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(7)));
    }
}
