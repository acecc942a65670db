//! The open groups of a server.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use annals::{Backend, Health};
use annals_consumer::{
    ConsumerAdmin, ConsumerError, ConsumerInfo, ConsumerKind, Consumers as _, Group, GroupSettings,
    GroupStatus, ParkedEvent,
};
use tokio::sync::{Mutex, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, Semaphore};

use crate::event::{Store, WireEvent};
use crate::fault::{Fault, Kind};

/// A group that the server runs.
pub(crate) type OpenGroup = Group<WireEvent, Box<dyn Backend<WireEvent>>>;

/// The number of groups that are opened or changed at once. That reads the state log of a group twice, up to 100,000
/// events each time, so further ones wait without a thread.
const CHANGES: usize = 4;

/// The place of a group.
#[derive(Default)]
struct Place {
    /// Requests that use the group hold it for reading, so a change waits for them.
    open: Arc<RwLock<Option<OpenGroup>>>,
    /// Held while the group is opened or changed: without it, the requests that find the group closed would queue for
    /// writing, and each would wait for the pull of the one before.
    changing: Arc<Mutex<()>>,
}

type Slot = Arc<Place>;

/// The groups of a server. A group is opened when a request first needs it, so that a program beside the server can run
/// groups of its own. From then on the server holds it.
#[derive(Clone)]
pub(crate) struct Groups {
    store: Store,
    slots: Arc<parking_lot::Mutex<BTreeMap<String, Slot>>>,
    /// The permits for changes of groups at once.
    changes: Arc<Semaphore>,
}

/// A group that a request uses.
pub(crate) struct InUse(OwnedRwLockReadGuard<Option<OpenGroup>, OpenGroup>);

impl Deref for InUse {
    type Target = OpenGroup;

    fn deref(&self) -> &OpenGroup {
        &self.0
    }
}

/// A request that looks for a group. If it is dropped while it waits, and no other request looks for the group, it
/// removes the empty place: clients choose the names, so places that are left behind would fill the memory.
struct Looking<'g> {
    groups: &'g Groups,
    name: &'g str,
    slot: Slot,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut slots = self.groups.slots.lock();
        // Dropped in the lock: of two requests that are dropped, the second finds itself alone.
        let slot = Arc::downgrade(&std::mem::take(&mut self.slot));
        let is_left = |current: &Slot| {
            std::ptr::eq(Arc::as_ptr(current), slot.as_ptr())
                && Arc::strong_count(current) == 1
                && current.open.try_read().is_ok_and(|open| open.is_none())
        };
        if slots.get(self.name).is_some_and(is_left) {
            slots.remove(self.name);
        }
    }
}

/// What a server reports of a group.
#[derive(Debug)]
pub(crate) struct GroupReport {
    pub(crate) name: String,
    pub(crate) settings: Option<GroupSettings>,
    pub(crate) status: Option<GroupStatus>,
    pub(crate) info: Option<ConsumerInfo>,
}

impl Groups {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, slots: Arc::default(), changes: Arc::new(Semaphore::new(CHANGES)) }
    }

    /// Checks that the server may change groups: not if it follows a store that another process writes.
    pub(crate) fn check_writable(&self) -> Result<(), Fault> {
        if matches!(self.store.health(), Health::ReadOnly) {
            let message = "the server is read-only, so it reports groups but runs none";
            return Err(Fault::new(Kind::ReadOnly, message));
        }
        Ok(())
    }

    /// Returns a group, which is opened if it is not open.
    ///
    /// # Errors
    /// The fault of [`ConsumerError::NotFound`] if the group does not exist, or why it cannot be opened.
    pub(crate) async fn group(&self, name: &str) -> Result<InUse, Fault> {
        loop {
            let looking = Looking { groups: self, name, slot: self.slot(name) };
            let slot = &looking.slot;
            if let Some(open) = in_use(slot).await {
                return Ok(open);
            }
            let changing = Arc::clone(&slot.changing).lock_owned().await;
            if !self.is_current(name, slot) {
                continue;
            }
            if let Some(open) = in_use(slot).await {
                return Ok(open);
            }
            let guard = Arc::clone(&slot.open).write_owned().await;
            let (groups, name) = (self.clone(), name.to_owned());
            // The guards go along, so that no other request opens the group meanwhile, even if this one is dropped.
            let open = move || {
                let _changing = changing;
                groups.open_in(&name, guard)
            };
            let opened = self.on_thread(open).await?;
            if let Ok(open) = OwnedRwLockReadGuard::try_map(opened, Option::as_ref) {
                return Ok(InUse(open));
            }
        }
    }

    /// Calls `work` while no request uses the group. Waiting pulls return nothing. `work` gets the group if it is open,
    /// and may close, replace or open it.
    pub(crate) async fn exclusively<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Store, &mut Option<OpenGroup>) -> Result<T, ConsumerError> + Send + 'static,
    ) -> Result<T, Fault> {
        let (changing, slot) = loop {
            let slot = self.slot(name);
            let changing = Arc::clone(&slot.changing).lock_owned().await;
            if self.is_current(name, &slot) {
                break (changing, slot);
            }
        };
        let (groups, name) = (self.clone(), name.to_owned());
        // A task of its own: a request that is dropped while pulls are at work would leave a stopped group open.
        let change = tokio::spawn(async move {
            if let Some(open) = &*slot.open.read().await {
                open.stop();
            }
            let guard = Arc::clone(&slot.open).write_owned().await;
            let runner = groups.clone();
            let done = runner.on_thread(move || {
                let (mut guard, _changing) = (guard, changing);
                let done = work(&groups.store, &mut guard);
                // A group that was stopped would wake no worker again.
                if guard.as_ref().is_none_or(Group::is_stopped) {
                    *guard = None;
                    groups.slots.lock().remove(&name);
                }
                Ok(done?)
            });
            done.await
        });
        change.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Closes a group, so that the next request opens it again.
    pub(crate) async fn close(&self, name: &str) {
        let closed = self.exclusively(name, |_, open| {
            *open = None;
            Ok(())
        });
        if let Err(fault) = closed.await {
            tracing::error!(name, message = fault.message, "a group was not closed");
        }
    }

    /// Closes all groups.
    pub(crate) async fn close_all(&self) {
        let names: Vec<String> = self.slots.lock().keys().cloned().collect();
        for name in names {
            self.close(&name).await;
        }
    }

    /// Reports a group without opening it. It may wait for the disk.
    pub(crate) fn report(&self, name: &str) -> Result<GroupReport, Fault> {
        if let Some(report) = self.report_open(name) {
            return Ok(report);
        }
        let info = ConsumerAdmin::of(&self.store)?.get(name)?;
        if info.kind != ConsumerKind::Group {
            return Err(ConsumerError::NotFound { name: name.to_owned() }.into());
        }
        Ok(GroupReport::of(info))
    }

    /// Reports all groups, in the order of their names. It may wait for the disk.
    pub(crate) fn list(&self) -> Result<Vec<GroupReport>, Fault> {
        let mut list = ConsumerAdmin::of(&self.store)?.list()?;
        list.retain(|info| info.kind == ConsumerKind::Group);
        let report = |info: ConsumerInfo| {
            self.report_open(&info.name).unwrap_or_else(|| GroupReport::of(info))
        };
        Ok(list.into_iter().map(report).collect())
    }

    /// Returns the parked events of a group, without opening it. It may wait for the disk.
    pub(crate) fn parked(
        &self,
        name: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ParkedEvent>, Fault> {
        match self.open_now(name) {
            Some(open) => Ok(open.parked(from, limit)),
            None => Ok(ConsumerAdmin::of(&self.store)?.parked(name, from, limit)?),
        }
    }

    /// Reports a group that the server runs; `None` if it does not run it, or a request changes it.
    pub(crate) fn report_open(&self, name: &str) -> Option<GroupReport> {
        let open = self.open_now(name)?;
        let (settings, status) = (Some(open.settings()), Some(open.status()));
        Some(GroupReport { name: name.to_owned(), settings, status, info: None })
    }

    /// Returns the group if it is open and no request changes it.
    fn open_now(&self, name: &str) -> Option<InUse> {
        let slot = self.slots.lock().get(name).map(Arc::clone)?;
        let guard = Arc::clone(&slot.open).try_read_owned().ok()?;
        OwnedRwLockReadGuard::try_map(guard, Option::as_ref).ok().map(InUse)
    }

    /// Opens the group into its place.
    fn open_in(
        &self,
        name: &str,
        mut guard: OwnedRwLockWriteGuard<Option<OpenGroup>>,
    ) -> Result<OwnedRwLockReadGuard<Option<OpenGroup>>, Fault> {
        if guard.is_none() {
            match open_existing(&self.store, name) {
                Ok(group) => *guard = Some(group),
                Err(error) => {
                    self.slots.lock().remove(name);
                    return Err(error.into());
                }
            }
        }
        Ok(guard.downgrade())
    }

    /// Runs work that may wait for the disk, to its end, even if the request is dropped. Waits for one of the permits.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = Arc::clone(&self.changes).acquire_owned().await;
        let permit = permit.map_err(|_| Fault::closing())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        done.await.unwrap_or_else(|_| Err(panicked()))
    }

    fn slot(&self, name: &str) -> Slot {
        Arc::clone(self.slots.lock().entry(name.to_owned()).or_default())
    }

    /// Returns whether a place is still the group's: a request that failed or closed the group may have removed it.
    fn is_current(&self, name: &str, slot: &Slot) -> bool {
        self.slots.lock().get(name).is_some_and(|current| Arc::ptr_eq(current, slot))
    }
}

impl GroupReport {
    fn of(info: ConsumerInfo) -> Self {
        let (name, settings) = (info.name.clone(), info.settings.clone());
        Self { name, settings, status: None, info: Some(info) }
    }
}

/// Returns the group of a place, if it is open.
async fn in_use(slot: &Slot) -> Option<InUse> {
    let guard = Arc::clone(&slot.open).read_owned().await;
    OwnedRwLockReadGuard::try_map(guard, Option::as_ref).ok().map(InUse)
}

/// Opens a group that exists, with its own settings. Leases of the server's process before this one stay valid.
fn open_existing(store: &Store, name: &str) -> Result<OpenGroup, ConsumerError> {
    let not_found = || ConsumerError::NotFound { name: name.to_owned() };
    let info = ConsumerAdmin::of(store)?.get(name)?;
    if info.kind != ConsumerKind::Group {
        return Err(not_found());
    }
    match (info.settings, info.problem) {
        (Some(settings), _) => store.group(name).settings(settings).keep_leases().open(),
        (None, Some(problem)) => Err(problem),
        (None, None) => Err(not_found()),
    }
}

fn panicked() -> Fault {
    Fault::new(Kind::Internal, "the work on the group panicked")
}

#[cfg(test)]
mod tests {
    use annals::{EventStore, Memory};

    use super::*;

    fn groups() -> Groups {
        let backend: Box<dyn Backend<WireEvent>> = Box::new(Memory::<WireEvent>::encoded());
        let store = EventStore::on(backend);
        drop(store.group("billing").open().unwrap());
        Groups::new(store)
    }

    #[tokio::test]
    async fn a_change_whose_request_is_dropped_leaves_no_stopped_group() {
        let groups = groups();
        let held = groups.group("billing").await.unwrap();
        {
            let change = groups.exclusively("billing", |_, open| {
                *open = None;
                Ok(())
            });
            let stopped = async {
                while !held.is_stopped() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = change => panic!("the change waits for the request that uses the group"),
                () = stopped => {}
            }
        }
        drop(held);
        let open = groups.group("billing").await.unwrap();
        assert!(!open.is_stopped());
    }

    #[tokio::test]
    async fn a_group_is_opened_once_there_is_a_permit() {
        let groups = groups();
        let count = u32::try_from(CHANGES).unwrap();
        let permits = Arc::clone(&groups.changes).acquire_many_owned(count).await.unwrap();
        let unknown = groups.group("unknown");
        tokio::pin!(unknown);
        let short = std::time::Duration::from_millis(100);
        assert!(tokio::time::timeout(short, &mut unknown).await.is_err());
        drop(permits);
        assert_eq!(unknown.await.err().unwrap().kind, Kind::NoGroup);
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_while_it_waits_leaves_no_place() {
        let groups = groups();
        let count = u32::try_from(CHANGES).unwrap();
        let permits = Arc::clone(&groups.changes).acquire_many_owned(count).await.unwrap();
        {
            let looks = [groups.group("unknown"), groups.group("unknown")];
            let short = std::time::Duration::from_millis(100);
            let looks = futures_util::future::join_all(looks);
            assert!(tokio::time::timeout(short, looks).await.is_err());
        }
        assert!(groups.slots.lock().is_empty());
        drop(permits);
        drop(groups.group("billing").await.unwrap());
        assert_eq!(groups.slots.lock().len(), 1, "the server runs it from now on");
    }
}
