//! References that keep the value alive into which they point.
//!
//! ```text
//!   keep(&owner, |value, keeper| keeper.share(&value.item))
//!
//!   SharedRef ──▶ item, in the owner's value
//!             ──▶ Keep { count, owner } ◀── the other references of the same call
//! ```
//! All references of one call of [`keep`] share one count. So creating one costs no atomic operation, dropping one
//! costs a single one, and readers that call `keep` separately do not contend.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::sync::{AtomicUsize, Ordering};

/// The count of a [`Keep`] while its [`Keeper`] exists, which has not yet said how many references it made.
const OPEN: usize = usize::MAX / 2;

/// The owner, and the number of references that keep it alive.
struct Keep {
    count: AtomicUsize,
    /// Dropped with the last reference.
    _owner: Arc<dyn Send + Sync>,
}

/// Calls `read` with the value of `owner`, and with a [`Keeper`] that turns references into the value into
/// [`SharedRef`]s. These keep the owner alive and have no lifetime.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// let owner = Arc::new(vec!["opened".to_owned(), "closed".to_owned()]);
/// let last = annals_base::keep(&owner, |list, keeper| keeper.share(&list[1]));
/// drop(owner);
/// assert_eq!(std::thread::spawn(move || last.len()).join().unwrap(), 6);
/// ```
///
/// A reference to anything else is refused, since the owner does not keep it alive:
///
/// ```compile_fail,E0597
/// use std::sync::Arc;
///
/// let owner = Arc::new(1);
/// let other = 2;
/// annals_base::keep(&owner, |_, keeper| keeper.share(&other));
/// ```
pub fn keep<K, T, R>(owner: &Arc<K>, read: impl for<'a> FnOnce(&'a K, &mut Keeper<'a, T>) -> R) -> R
where
    K: Send + Sync + 'static,
    T: 'static,
{
    let owner_of_all = Some(Arc::clone(owner) as Arc<dyn Send + Sync>);
    let mut keeper = Keeper { owner: owner_of_all, keep: None, made: 0, value: PhantomData };
    read(owner, &mut keeper)
}

/// Turns references into an owner's value, of lifetime `'a`, into [`SharedRef`]s. [`keep`] passes one to its closure.
pub struct Keeper<'a, T> {
    /// The owner, until the first reference is made.
    owner: Option<Arc<dyn Send + Sync>>,
    keep: Option<NonNull<Keep>>,
    /// The number of references made.
    made: usize,
    /// Invariant in `'a`: a keeper for a shorter lifetime would accept references that the owner does not keep alive.
    value: PhantomData<fn(&'a T) -> &'a T>,
}

impl<'a, T: 'static> Keeper<'a, T> {
    /// Returns a reference to `item` that keeps the owner alive.
    ///
    /// # Panics
    /// Panics at the reference number `usize::MAX / 2` of one call, which no memory can hold.
    #[inline]
    pub fn share(&mut self, item: &'a T) -> SharedRef<T> {
        let keep = match self.keep {
            Some(keep) => keep,
            None => self.open(),
        };
        self.made += 1;
        assert!(self.made < OPEN, "{} references were made in one call", self.made);
        SharedRef { item: NonNull::from(item), keep }
    }

    #[cold]
    fn open(&mut self) -> NonNull<Keep> {
        let owner = self.owner.take().expect("the owner is there until the first reference");
        let keep = Box::new(Keep { count: AtomicUsize::new(OPEN), _owner: owner });
        let keep = NonNull::from(Box::leak(keep));
        self.keep = Some(keep);
        keep
    }
}

impl<T> Drop for Keeper<'_, T> {
    fn drop(&mut self) {
        if let Some(keep) = self.keep {
            // SAFETY: the count began at `OPEN`. What is left after this is the number of references, less those that
            // were dropped in the meantime.
            unsafe { release(keep, OPEN - self.made) }
        }
    }
}

/// Subtracts `count`, and drops the owner when nothing is left.
///
/// # Safety
/// The caller has a part `count` of the count of `keep`, and gives it up.
#[inline]
unsafe fn release(keep: NonNull<Keep>, count: usize) {
    // AcqRel: pairs with itself in other threads, so that every use of a reference comes before the drop of the owner.
    // SAFETY: the caller's part of the count keeps it allocated.
    let left = unsafe { keep.as_ref() }.count.fetch_sub(count, Ordering::AcqRel);
    if left == count {
        // SAFETY: `Keeper::open` made it from a box, and no part of its count is left.
        drop(unsafe { Box::from_raw(keep.as_ptr()) });
    }
}

/// A reference to an item that keeps alive the value that the item is part of. [`keep`] makes one.
pub struct SharedRef<T> {
    item: NonNull<T>,
    keep: NonNull<Keep>,
}

// SAFETY: the item is only lent as `&T`, which `T: Sync` permits on any thread. The owner may be dropped on any thread,
// since `keep` asks for an owner that is `Send` and `Sync`.
unsafe impl<T: Sync> Send for SharedRef<T> {}

// SAFETY: as for `Send`. A `&SharedRef` only lends the item.
unsafe impl<T: Sync> Sync for SharedRef<T> {}

impl<T> Deref for SharedRef<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the reference was valid for a lifetime `'a` that the caller of `keep` could not choose: as long as
        // the value was borrowed from the owner's `Arc`. `keep` holds such an `Arc`, so nothing moves, changes or drops
        // the value, and the borrow may last until `keep` is released, which is after `self`.
        unsafe { self.item.as_ref() }
    }
}

impl<T> Drop for SharedRef<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a reference has a part 1 of the count.
        unsafe { release(self.keep, 1) }
    }
}

impl<T: fmt::Debug> fmt::Debug for SharedRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T> fmt::Debug for Keeper<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("made", &self.made).finish_non_exhaustive()
    }
}
