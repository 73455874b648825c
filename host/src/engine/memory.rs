//! The memory budget of the process: the bytes that activities' guests, messages, turns and responses in progress hold, counted
//! for the task hub that each belongs to.
//!
//! A quarter of the budget is reserved in equal shares, one for each hub that may be open. Of the rest, a hub may hold twice as
//! much as it leaves free. So one hub alone never has more than half of the budget, two have two fifths each, a hub that comes
//! later always finds memory, and the hub that holds most is the first that is refused, or has to wait.
//!
//! Hot guests are not counted here, because what one holds is unknown: `engine::pressure` measures the process, and evicts
//! them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The budget of a host. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    most: usize,
    /// Bytes that each hub may hold whatever the others hold.
    share: usize,
    /// Bytes that all hubs together may hold above their shares.
    common: usize,
    // Never held across an await.
    state: Mutex<State>,
    released: Notify,
    /// The permit of the one reservation beyond the budget.
    beyond: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    /// Bytes that the accounts hold above their shares, without the reservation beyond the budget.
    common_held: usize,
    /// By folded name of the hub.
    accounts: HashMap<String, Weak<AccountState>>,
}

/// The account of what a hub holds. Clones are handles of the same account.
#[derive(Debug, Clone)]
pub struct Account {
    budget: MemoryBudget,
    of: Arc<AccountState>,
}

#[derive(Debug)]
struct AccountState {
    /// Changed only under the lock of the budget. Does not include a reservation beyond the budget.
    held: AtomicUsize,
    /// Held by the waiter that is next.
    turn: tokio::sync::Mutex<()>,
}

/// Bytes of the budget that are taken until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Account,
    bytes: usize,
    beyond: Option<OwnedSemaphorePermit>,
}

/// The budget does not allow the hub so many more bytes at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is not enough memory for {wanted} bytes: the task hub holds {held} bytes, and too few of the {most} bytes \
     (engine.memory_bytes) are free"
)]
pub struct NoRoom {
    pub wanted: usize,
    pub held: usize,
    pub most: usize,
}

impl MemoryBudget {
    /// Creates a budget of `most` bytes for up to `hubs` open hubs.
    pub fn new(most: usize, hubs: usize) -> Self {
        let share = most / 4 / hubs.max(1);
        let common = most - most / 4;
        Self(Arc::new(Budget {
            most,
            share,
            common,
            state: Mutex::default(),
            released: Notify::new(),
            beyond: Arc::new(Semaphore::new(1)),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves it half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the account of a hub. Its name is compared ignoring case.
    pub fn account(&self, hub: &str) -> Account {
        let mut state = self.lock();
        let folded = hub.to_ascii_lowercase();
        let known = state.accounts.get(&folded).and_then(Weak::upgrade);
        let of = known.unwrap_or_else(|| {
            // Deleted hubs leave nothing behind.
            state.accounts.retain(|_, account| account.strong_count() > 0);
            let of = Arc::new(AccountState { held: AtomicUsize::new(0), turn: tokio::sync::Mutex::default() });
            state.accounts.insert(folded, Arc::downgrade(&of));
            of
        });
        drop(state);
        Account { budget: self.clone(), of }
    }

    pub fn most(&self) -> usize {
        self.0.most
    }

    /// Returns the bytes that all hubs hold, including the reservation beyond the budget.
    pub fn held(&self) -> usize {
        self.lock().held
    }

    /// Returns the most that one hub can ever hold, which it can while no other hub holds anything above its share.
    pub fn most_of_a_hub(&self) -> usize {
        self.0.share + self.0.common / 3 * 2
    }

    /// If a hub that holds `own` may hold `bytes` more, returns what would then be held above the shares.
    fn admit(&self, state: &State, own: usize, bytes: usize) -> Option<usize> {
        let above = |held: usize| held.saturating_sub(self.0.share);
        let after = above(own.checked_add(bytes)?);
        let common_held = (state.common_held - above(own)).checked_add(after)?;
        let free = self.0.common.saturating_sub(common_held);
        (after == 0 || after <= free.saturating_mul(2)).then_some(common_held)
    }
}

impl Account {
    /// Returns the bytes that the hub holds, without a reservation beyond the budget.
    pub fn held(&self) -> usize {
        self.of.held.load(Ordering::Relaxed)
    }

    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Returns an empty reservation, which can grow.
    pub fn empty(&self) -> Reservation {
        Reservation { account: self.clone(), bytes: 0, beyond: None }
    }

    /// Reserves `bytes`, if the hub may have them now.
    pub fn try_reserve(&self, bytes: usize) -> Result<Reservation, NoRoom> {
        let mut reservation = self.empty();
        reservation.try_grow(bytes)?;
        Ok(reservation)
    }

    /// Waits until the hub may have `bytes` more. The waiters of one hub are served in order. Fails at once if the hub could
    /// never have so many.
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, NoRoom> {
        let mut reservation = self.empty();
        reservation.grow(bytes).await?;
        Ok(reservation)
    }

    /// Waits for the reservation beyond the budget, which may grow without limit: for work that must go on although the budget is
    /// full. There is one for the whole host; waiters get it in order.
    pub async fn reserve_over_budget(&self) -> Reservation {
        let permit = self.budget.0.beyond.clone().acquire_owned().await.expect("the semaphore is never closed");
        Reservation { account: self.clone(), bytes: 0, beyond: Some(permit) }
    }
}

impl Reservation {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it is beyond the budget and may grow without limit.
    pub fn is_over_budget(&self) -> bool {
        self.beyond.is_some()
    }

    /// Grows by `bytes`, or fails and stays as it is.
    pub fn try_grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes == 0 {
            return Ok(());
        }
        let Account { budget, of } = &self.account;
        let mut state = budget.lock();
        if self.beyond.is_none() {
            let own = of.held.load(Ordering::Relaxed);
            let no_room = NoRoom { wanted: bytes, held: own, most: budget.most() };
            state.common_held = budget.admit(&state, own, bytes).ok_or(no_room)?;
            of.held.store(own + bytes, Ordering::Relaxed);
        }
        state.held = state.held.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Waits until it may grow by `bytes`. Fails at once if it could never have so many.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let Account { budget, of } = self.account.clone();
        match self.try_grow(bytes) {
            Err(_) if self.bytes.saturating_add(bytes) <= budget.most_of_a_hub() => {}
            grown => return grown,
        }
        let _turn = of.turn.lock().await;
        loop {
            let mut released = std::pin::pin!(budget.0.released.notified());
            released.as_mut().enable();
            if self.try_grow(bytes).is_ok() {
                return Ok(());
            }
            released.await;
        }
    }

    /// Moves all its bytes to a new reservation.
    pub fn take(&mut self) -> Reservation {
        let empty = self.account.empty();
        std::mem::replace(self, empty)
    }

    /// Releases what it has above `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less == 0 {
            return;
        }
        let Account { budget, of } = &self.account;
        let mut state = budget.lock();
        if self.beyond.is_none() {
            let own = of.held.load(Ordering::Relaxed);
            let above = |held: usize| held.saturating_sub(budget.0.share);
            state.common_held -= above(own) - above(own - less);
            of.held.store(own - less, Ordering::Relaxed);
        }
        state.held -= less;
        self.bytes -= less;
        drop(state);
        budget.0.released.notify_waiters();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Reserves as much as the account may have, in pieces.
    fn fill(account: &Account, piece: usize) -> Vec<Reservation> {
        std::iter::from_fn(|| account.try_reserve(piece).ok()).collect()
    }

    #[test]
    fn one_hub_has_half_and_whoever_comes_later_finds_room() {
        let budget = MemoryBudget::new(10_000, 10);
        let (one, two, three) = (budget.account("One"), budget.account("two"), budget.account("three"));
        let first = fill(&one, 10);
        assert!(one.held() <= 5_250 && one.held() > 5_000, "{}", one.held());
        assert!(one.held() <= budget.most_of_a_hub() && budget.most_of_a_hub() < one.held() + 20);
        let refused = budget.account("ONE").try_reserve(10).unwrap_err();
        assert_eq!(refused, NoRoom { wanted: 10, held: one.held(), most: 10_000 });
        let _second = fill(&two, 10);
        assert!(two.held() > 1_500, "{}", two.held());
        let _third = fill(&three, 10);
        assert!(three.held() > 500, "{}", three.held());
        assert!(budget.held() < 10_000);
        drop(first);
        assert_eq!(one.held(), 0);
        assert!(!fill(&two, 10).is_empty(), "what one gave back another may have");
    }

    #[test]
    fn no_hub_can_take_the_share_of_another() {
        let budget = MemoryBudget::new(40_000, 10);
        let accounts: Vec<Account> = (0..10).map(|hub| budget.account(&format!("hub{hub}"))).collect();
        let mut held: Vec<Vec<Reservation>> = accounts.iter().map(|account| fill(account, 1)).collect();
        assert!(budget.held() <= 40_000);
        assert!(accounts.iter().all(|account| account.held() >= 1_000));
        held.clear();
        let state = budget.lock();
        assert!(state.held == 0 && state.common_held == 0);
    }

    #[test]
    fn what_grows_and_shrinks_is_counted_as_it_is() {
        let budget = MemoryBudget::new(usize::MAX, 0);
        let account = budget.account("hub");
        let mut reservation = account.empty();
        reservation.try_grow(100).unwrap();
        reservation.shrink_to(1_000);
        reservation.shrink_to(30);
        assert_eq!((reservation.bytes(), account.held(), budget.held()), (30, 30, 30));
        assert!(reservation.try_grow(usize::MAX).is_err());
        drop(reservation);
        assert_eq!((account.held(), budget.held()), (0, 0));
    }

    #[test]
    fn one_of_the_host_goes_beyond_the_budget() {
        let budget = MemoryBudget::new(1_000, 1);
        let (one, two) = (budget.account("one"), budget.account("two"));
        let mut beyond = one.reserve_over_budget().now_or_never().unwrap();
        let mut next = Box::pin(two.reserve_over_budget());
        assert!(next.as_mut().now_or_never().is_none());
        beyond.try_grow(10_000).unwrap();
        assert_eq!((one.held(), budget.held()), (0, 10_000));
        let _others = two.try_reserve(500).unwrap();
        drop(beyond);
        assert_eq!(budget.held(), 500);
        assert!(next.as_mut().now_or_never().is_some());
    }

    #[test]
    fn who_waits_has_it_when_it_is_released() {
        let budget = MemoryBudget::new(1_000, 1);
        let (one, two) = (budget.account("one"), budget.account("two"));
        let held = one.try_reserve(700).unwrap();
        let mut first = Box::pin(one.reserve(600));
        let mut second = Box::pin(one.reserve(100));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert!(one.reserve(10_000).now_or_never().unwrap().is_err_and(|refused| refused.wanted == 10_000));
        assert!(two.reserve(100).now_or_never().unwrap().is_ok(), "another hub does not wait");
        drop(held);
        assert!(second.as_mut().now_or_never().is_none(), "they have it in their order");
        let first = first.as_mut().now_or_never().unwrap().unwrap();
        assert!(second.as_mut().now_or_never().unwrap().is_ok());
        assert_eq!(first.bytes(), 600);
    }
}
