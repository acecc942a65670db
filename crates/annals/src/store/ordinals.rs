//! Ordinals: how many events have a tag or type, and which is the nth of them.

use std::ops::RangeBounds;

use super::bounds::bounds;
use super::store::EventStore;
use crate::backend::backend::{Backend, NameKind};
use crate::error::ReadError;
use crate::event::event::Event;
use crate::query::Query;

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Returns the revision of a tag: the number of events that have it. The events of one tag are what other stores
    /// call a stream; the first event of the stream has the ordinal 0, and the next one to be appended will have the
    /// revision as its ordinal.
    ///
    /// An append that expects a revision is a condition: no event of the stream comes after event number
    /// `expected - 1`.
    ///
    /// ```
    /// use annals::{AppendError, Condition, EventStore, NameKind, Query, RawEvent};
    ///
    /// /// Returns the condition that the stream has just `expected` events, or `None` if it has fewer.
    /// fn at_revision(
    ///     store: &EventStore<RawEvent>,
    ///     stream: &str,
    ///     expected: u64,
    /// ) -> Result<Option<Condition>, annals::ReadError> {
    ///     let none_after = Condition::fail_if(Query::tag(stream));
    ///     let Some(last) = expected.checked_sub(1) else { return Ok(Some(none_after)) };
    ///     let last = store.nth(NameKind::Tag, stream, last)?;
    ///     Ok(last.map(|offset| none_after.after(offset + 1)))
    /// }
    ///
    /// let store = EventStore::in_memory();
    /// let deposited = || RawEvent::builder("deposited").tag("account:7").build();
    /// store.append(deposited()?)?;
    /// assert_eq!(store.revision("account:7")?, 1);
    ///
    /// let first_seen = at_revision(&store, "account:7", 1)?.expect("it has one event");
    /// store.append_if([deposited()?], &first_seen)?; // makes it revision 2
    /// let late = store.append_if([deposited()?], &first_seen);
    /// assert!(matches!(late, Err(AppendError::Conflict { offset: 1, .. })));
    /// assert!(at_revision(&store, "account:7", 3)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read, or when no event can have the tag.
    pub fn revision(&self, tag: &str) -> Result<u64, ReadError> {
        self.count(NameKind::Tag, tag, ..)
    }

    /// Returns the number of events at these offsets that have a tag or type. A type counts under the name that it has
    /// in the log, as [`types`](Self::types) lists it, so an older name of a renamed type is counted on its own.
    ///
    /// No event is read: an index has the numbers. In memory and in files this takes microseconds, however many events
    /// there are.
    ///
    /// ```
    /// # use annals::{EventStore, NameKind, RawEvent};
    /// let store = EventStore::in_memory();
    /// for n in 0..100 {
    ///     store.append(RawEvent::builder("noted").tag(format!("digit:{}", n % 10)).build()?)?;
    /// }
    /// assert_eq!(store.count(NameKind::Tag, "digit:7", 50..)?, 5);
    /// assert_eq!(store.nth(NameKind::Tag, "digit:7", 5)?, Some(57));
    /// assert_eq!(store.nth(NameKind::Tag, "digit:7", 10)?, None);
    /// assert_eq!(store.count(NameKind::Type, "noted", ..)?, 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] when the index cannot be read, or when no event can have the name.
    pub fn count(
        &self,
        kind: NameKind,
        name: &str,
        range: impl RangeBounds<u64>,
    ) -> Result<u64, ReadError> {
        check::<E>(kind, name)?;
        let range = bounds(&range, self.len());
        self.backend().head().meters().counted(self.backend().count(kind, name, range))
    }

    /// Returns the offset of event number `n`, counted from 0, of the events that have a tag or type. Returns `None` if
    /// there are not more than `n`.
    ///
    /// ```
    /// # use annals::{EventStore, NameKind, RawEvent};
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("opened").tag("account:7").build()?)?;
    /// store.append(RawEvent::builder("opened").tag("account:8").build()?)?;
    /// store.append(RawEvent::builder("deposited").tag("account:7").build()?)?;
    /// let second = store.nth(NameKind::Tag, "account:7", 1)?;
    /// assert_eq!(second, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`count`](Self::count).
    pub fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
        check::<E>(kind, name)?;
        self.backend().head().meters().counted(self.backend().nth(kind, name, n))
    }
}

/// Checks that an event of type `E` can have this name.
fn check<E: Event>(kind: NameKind, name: &str) -> Result<(), ReadError> {
    let query = match kind {
        NameKind::Type => Query::event_type(name),
        NameKind::Tag => Query::tag(name),
    };
    query.of::<E>()?;
    Ok(())
}
