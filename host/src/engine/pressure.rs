//! Whether the process holds more memory than it may. Measured: only the kernel knows which pages are written or shared.

use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The least time between two measurements: one takes some microseconds, and guests come and go by thousands a second.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Pressure {
    most: usize,
    held: fn() -> Option<usize>,
    next_look: Mutex<Instant>,
}

impl Pressure {
    pub fn new(most: usize) -> Self {
        Self { most, held, next_look: Mutex::new(Instant::now()) }
    }

    /// Whether a measurement is due and finds that the process holds too much.
    pub fn is_high(&self) -> bool {
        // If the lock is taken, another thread is measuring.
        let Ok(mut next_look) = self.next_look.try_lock() else { return false };
        let now = Instant::now();
        if now < *next_look {
            return false;
        }
        *next_look = now + LOOK_EVERY;
        (self.held)().is_some_and(|held| held > self.most)
    }
}

/// Bytes of anonymous memory of this process, without mapped files and shared memory. None: the system does not report it.
fn held() -> Option<usize> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
}

/// Bytes of memory of the machine, or of the control group if that has less. None: the system does not report it.
pub fn memory_of_the_machine() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kibibytes(&text, "MemTotal:"));
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let groups = groups.into_iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    groups.chain(machine).min()
}

/// The value of a line such as `MemTotal:  16384 kB`.
fn kibibytes(text: &str, name: &str) -> Option<usize> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_looked_at_now_and_then() {
        let pressure = |most| Pressure { most, held: || Some(100), next_look: Mutex::new(Instant::now()) };
        assert!(!pressure(100).is_high());
        let high = pressure(99);
        assert!(high.is_high());
        assert!(!high.is_high(), "what was let go shows at the next look");
        *high.next_look.lock().unwrap() = Instant::now();
        assert!(high.is_high());
    }

    #[test]
    fn the_kernel_says_what_is_held() {
        assert_eq!(kibibytes("Name:\tx\nRssAnon:\t   12 kB\n", "RssAnon:"), Some(12 << 10));
        assert_eq!(kibibytes("Name:\tx\n", "RssAnon:"), None);
        let (held, all) = (held().unwrap(), memory_of_the_machine().unwrap());
        assert!(held > 64 << 10 && held < all, "{held} of {all}");
    }
}
