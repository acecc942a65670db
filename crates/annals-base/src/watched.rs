//! A number that only grows, and the tasks and threads that sleep until it does.
//!
//! ```text
//!   the writer                           a sleeper
//!   number = n          (Release)        register the waker; sleepers = their count   (AcqRel swap)
//!   sleepers.swap(0)    (AcqRel)         look at the number again                     (Acquire)
//!   not 0? wake them
//! ```
//! Both swap `sleepers`, and all swaps of one atomic have one order. If the sleeper's swap comes first, the writer sees
//! that there are sleepers. If the writer's swap comes first, the sleeper's swap reads it or a later one, so the
//! sleeper sees the number when it looks again. Every write of `sleepers` is a swap or an addition, so that this holds
//! for any number of them in between.

use std::fmt;
use std::mem;
use std::task::{Poll, Waker};

use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};

/// A number that only grows, until it ends; tasks and threads sleep until it does either.
///
/// ```
/// use annals_base::{Sleeper, Watched};
/// use std::{sync::Arc, task::{Poll, Waker}};
///
/// let watched = Arc::new(Watched::new(7));
/// let mut sleeper = Sleeper::new(Arc::clone(&watched));
/// assert_eq!(sleeper.poll_beyond(6, Waker::noop()), Poll::Ready(7));
/// assert_eq!(sleeper.poll_beyond(7, Waker::noop()), Poll::Pending);
/// watched.advance(8);
/// assert_eq!(watched.take_sleepers().len(), 1); // the caller wakes them
/// assert_eq!(sleeper.poll_beyond(7, Waker::noop()), Poll::Ready(8));
/// ```
pub struct Watched {
    number: AtomicU64,
    ended: AtomicBool,
    /// The number of registered wakers, or 0 after the writer has seen them and before it has taken them.
    sleepers: AtomicUsize,
    sleeping: Mutex<Sleeping>,
}

impl Watched {
    /// Makes a number that starts at `number`.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            number: AtomicU64::new(number),
            ended: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleeping: Mutex::new(Sleeping::default()),
        }
    }

    /// Returns the number. The writes that its writer made before it advanced the number so far are visible.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        // Acquire: pairs with the store in `advance`.
        self.number.load(Ordering::Acquire)
    }

    /// Advances the number. Only one thread at a time may call this. Afterwards it must wake the wakers that
    /// [`take_sleepers`](Self::take_sleepers) returns.
    #[inline]
    pub fn advance(&self, number: u64) {
        // Release: pairs with the load in `get`. The swap in `take_sleepers` orders it before what a sleeper sees.
        self.number.store(number, Ordering::Release);
    }

    /// Returns the number, for a thread that has just written something that the writer looks at after
    /// [`take_sleepers`](Self::take_sleepers): either the writer sees it, or this returns the number that the writer
    /// had advanced to before, or a later one.
    #[must_use]
    pub fn get_behind_sleepers(&self) -> u64 {
        // AcqRel, a write: it has a place among the swaps. Before that of `take_sleepers`, the writer sees what this
        // thread has written; behind it, this thread sees the number.
        self.sleepers.fetch_add(0, Ordering::AcqRel);
        self.get()
    }

    /// Ends the number, which does not grow any more. Afterwards the caller must wake the wakers that
    /// [`take_sleepers`](Self::take_sleepers) returns.
    pub fn end(&self) {
        // Release: pairs with the load in `is_ended`.
        self.ended.store(true, Ordering::Release);
    }

    /// Returns whether the number has ended. A number that is read after that is the last one.
    #[inline]
    #[must_use]
    pub fn is_ended(&self) -> bool {
        // Acquire: pairs with the store in `end`, which comes after the last `advance`.
        self.ended.load(Ordering::Acquire)
    }

    /// Returns the wakers of all sleepers, which the caller must wake. Costs one atomic operation if no sleeper is
    /// there.
    #[inline]
    #[must_use = "a waker that is not woken sleeps on"]
    pub fn take_sleepers(&self) -> Vec<Waker> {
        // AcqRel: pairs with the swap in `Sleeper::poll_beyond` and the write in `get_behind_sleepers`; see the
        // module's text.
        if self.sleepers.swap(0, Ordering::AcqRel) == 0 {
            return Vec::new();
        }
        self.take_all()
    }

    #[cold]
    fn take_all(&self) -> Vec<Waker> {
        let mut sleeping = self.sleeping.lock();
        let woken = sleeping.take_all();
        self.count(&sleeping);
        woken
    }

    /// Returns the number of registered wakers.
    #[must_use]
    pub fn sleeper_count(&self) -> usize {
        self.sleeping.lock().wakers.len()
    }

    /// Stores the number of sleepers. The caller holds the lock.
    fn count(&self, sleeping: &Sleeping) {
        // AcqRel: pairs with the swap in `take_sleepers`; see the module's text.
        self.sleepers.swap(sleeping.wakers.len(), Ordering::AcqRel);
    }

    /// Returns the number if it is beyond `seen` or has ended.
    fn beyond(&self, seen: u64) -> Option<u64> {
        // The flag is read first, so that a number read after it is the last one.
        let ended = self.is_ended();
        let number = self.get();
        (number > seen || ended).then_some(number)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("number", &self.get())
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}

/// A task or thread that may sleep until a [`Watched`] number grows. It has at most one registered waker, and none
/// after it is dropped. Sleeping and dropping take the same time however many others sleep.
pub struct Sleeper {
    watched: Arc<Watched>,
    slot: Option<usize>,
}

impl Sleeper {
    /// Makes a sleeper without a registered waker.
    #[must_use]
    pub fn new(watched: Arc<Watched>) -> Self {
        Self { watched, slot: None }
    }

    /// Returns the number that this sleeper waits for.
    #[must_use]
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Returns the number if it is greater than `seen` or has ended. Otherwise registers `waker`, which replaces the
    /// one registered before.
    pub fn poll_beyond(&mut self, seen: u64, waker: &Waker) -> Poll<u64> {
        if let Some(number) = self.watched.beyond(seen) {
            return Poll::Ready(number);
        }
        // Wakers are cloned and dropped without the lock, because both run a user's code, which may call this again.
        let waker = waker.clone();
        let mut sleeping = self.watched.sleeping.lock();
        let slot = *self.slot.get_or_insert_with(|| sleeping.new_slot());
        let before = sleeping.register(slot, waker);
        self.watched.count(&sleeping);
        drop(sleeping);
        drop(before);
        match self.watched.beyond(seen) {
            None => Poll::Pending,
            Some(number) => {
                self.withdraw();
                Poll::Ready(number)
            }
        }
    }

    /// Removes the registered waker, if there is one.
    pub fn withdraw(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut sleeping = self.watched.sleeping.lock();
        let before = sleeping.remove(slot);
        self.watched.count(&sleeping);
        drop(sleeping);
        drop(before);
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.withdraw();
        if let Some(slot) = self.slot {
            self.watched.sleeping.lock().free_slot(slot);
        }
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper").field("watched", &self.watched).finish_non_exhaustive()
    }
}

/// A slot whose sleeper has no waker registered.
const AWAKE: usize = usize::MAX;

/// The registered wakers. Each sleeper has a slot, which has the index of its waker.
#[derive(Debug, Default)]
struct Sleeping {
    /// The wakers, without gaps, each with its sleeper's slot.
    wakers: Vec<(usize, Waker)>,
    /// For each slot the index of its waker, or `AWAKE`.
    slots: Vec<usize>,
    free: Vec<usize>,
}

impl Sleeping {
    fn new_slot(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(AWAKE);
            self.slots.len() - 1
        })
    }

    /// Registers a waker for a slot. Returns the waker that it replaces.
    fn register(&mut self, slot: usize, waker: Waker) -> Option<Waker> {
        let at = self.slots[slot];
        if at == AWAKE {
            self.slots[slot] = self.wakers.len();
            self.wakers.push((slot, waker));
            return None;
        }
        Some(mem::replace(&mut self.wakers[at].1, waker))
    }

    fn remove(&mut self, slot: usize) -> Option<Waker> {
        let at = mem::replace(&mut self.slots[slot], AWAKE);
        if at == AWAKE {
            return None;
        }
        let (_, waker) = self.wakers.swap_remove(at);
        if let Some((moved, _)) = self.wakers.get(at) {
            self.slots[*moved] = at;
        }
        Some(waker)
    }

    /// Frees the slot of a sleeper that has no waker registered.
    fn free_slot(&mut self, slot: usize) {
        debug_assert_eq!(self.slots[slot], AWAKE, "slot {slot} is freed while its sleeper sleeps");
        self.free.push(slot);
        if self.free.len() == self.slots.len() {
            // No slot is in use, so the memory that many sleepers needed is freed.
            (self.slots, self.free) = (Vec::new(), Vec::new());
        }
    }

    fn take_all(&mut self) -> Vec<Waker> {
        let wakers = mem::take(&mut self.wakers);
        wakers
            .into_iter()
            .map(|(slot, waker)| {
                self.slots[slot] = AWAKE;
                waker
            })
            .collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_sleeper_has_one_waker_and_takes_it_along() {
        let watched = Arc::new(Watched::new(0));
        let tasks: Vec<_> = (0..4).map(|_| Arc::new(Task)).collect();
        let wakers: Vec<_> = tasks.iter().map(|task| Waker::from(Arc::clone(task))).collect();
        let mut sleepers: Vec<_> = (0..3).map(|_| Sleeper::new(Arc::clone(&watched))).collect();
        for round in 0..3 {
            for (at, sleeper) in sleepers.iter_mut().enumerate() {
                assert!(sleeper.poll_beyond(0, &wakers[(at + round) % 4]).is_pending());
            }
            assert_eq!(watched.sleeper_count(), 3);
        }
        // The sleepers are dropped in another order than they were made.
        drop(sleepers.swap_remove(0));
        assert_eq!(watched.sleeper_count(), 2);
        drop(sleepers.remove(1));
        assert_eq!(watched.sleeper_count(), 1);
        drop(sleepers);
        drop(wakers);
        assert_eq!(watched.sleeper_count(), 0);
        assert!(tasks.iter().all(|task| Arc::strong_count(task) == 1));
        assert_eq!(watched.sleeping.lock().slots.len(), 0, "the slots are freed");
    }

    #[test]
    fn the_wakers_that_are_taken_are_those_of_the_sleepers_left() {
        let watched = Arc::new(Watched::new(0));
        let tasks: Vec<_> = (0..5).map(|_| Arc::new(Task)).collect();
        let mut sleepers: Vec<_> = tasks
            .iter()
            .map(|task| {
                let mut sleeper = Sleeper::new(Arc::clone(&watched));
                let waker = Waker::from(Arc::clone(task));
                assert!(sleeper.poll_beyond(0, &waker).is_pending());
                Some(sleeper)
            })
            .collect();
        (sleepers[0], sleepers[3]) = (None, None);
        watched.advance(1);
        let woken = watched.take_sleepers();
        assert_eq!(woken.len(), 3);
        let holders: Vec<_> = tasks.iter().map(Arc::strong_count).collect();
        assert_eq!(holders, [1, 2, 2, 1, 2]);
        assert_eq!(watched.sleeper_count(), 0);
    }
}
