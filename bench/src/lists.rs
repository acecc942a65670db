//! The lists that are compared in memory, each with the same events.

use std::sync::Arc;

use annals_base::segmented_list;
use append_only_vec::AppendOnlyVec;
use parking_lot::RwLock;

use crate::locked::LockedList;

pub const COUNT: usize = 2_000_000;

#[derive(Clone)]
pub struct Event {
    pub offset: u64,
    _rest: [u64; 24],
}

pub fn event(n: usize) -> Event {
    Event { offset: n as u64, _rest: [n as u64; 24] }
}

/// A list with all its events, ready to be read.
pub trait List: Sync {
    fn get(&self, index: usize) -> u64;
    fn scan(&self) -> u64;
}

pub struct Plain(Vec<Event>);

impl List for Plain {
    fn get(&self, index: usize) -> u64 {
        self.0[index].offset
    }
    fn scan(&self) -> u64 {
        self.0.iter().map(|event| event.offset).sum()
    }
}

pub struct Annals(annals_base::SegmentedList<Event>);

impl List for Annals {
    fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |event| event.offset)
    }
    fn scan(&self) -> u64 {
        self.0.slices(..).flatten().map(|event| event.offset).sum()
    }
}

impl List for boxcar::Vec<Event> {
    fn get(&self, index: usize) -> u64 {
        boxcar::Vec::get(self, index).map_or(0, |event| event.offset)
    }
    fn scan(&self) -> u64 {
        self.iter().map(|(_, event)| event.offset).sum()
    }
}

impl List for LockedList<Event> {
    fn get(&self, index: usize) -> u64 {
        self.with(index, |event| event.offset)
    }
    fn scan(&self) -> u64 {
        (0..COUNT).map(|index| self.get(index)).sum()
    }
}

impl List for AppendOnlyVec<Event> {
    fn get(&self, index: usize) -> u64 {
        self[index].offset
    }
    fn scan(&self) -> u64 {
        self.iter().map(|event| event.offset).sum()
    }
}

/// A fixed number of places behind a reader-writer lock; the oldest event makes room for the next when all are taken.
pub struct Ring(RwLock<(Vec<Event>, usize)>);

impl Ring {
    fn with_room(places: usize) -> Self {
        Self(RwLock::new((Vec::with_capacity(places), 0)))
    }

    fn push(&self, event: Event) {
        let (places, next) = &mut *self.0.write();
        match places.len() < places.capacity() {
            true => places.push(event),
            false => places[*next] = event,
        }
        *next = (*next + 1) % places.capacity();
    }
}

impl List for Ring {
    fn get(&self, index: usize) -> u64 {
        let (places, _) = &*self.0.read();
        places[index % places.capacity()].offset
    }
    fn scan(&self) -> u64 {
        (0..COUNT).map(|index| self.get(index)).sum()
    }
}

/// A growing array of shared events behind a reader-writer lock; a reader takes its own handle of an event.
pub struct Arcs(RwLock<Vec<Arc<Event>>>);

impl List for Arcs {
    fn get(&self, index: usize) -> u64 {
        let event = Arc::clone(&self.0.read()[index]);
        event.offset
    }
    fn scan(&self) -> u64 {
        (0..COUNT).map(|index| self.get(index)).sum()
    }
}

pub fn annals() -> Annals {
    let (mut writer, list) = segmented_list();
    (0..COUNT).for_each(|n| {
        writer.push(event(n));
    });
    Annals(list)
}

pub fn plain() -> Plain {
    let mut list = Vec::new();
    (0..COUNT).for_each(|n| list.push(event(n)));
    Plain(list)
}

pub fn boxcar_vec() -> boxcar::Vec<Event> {
    let list = boxcar::Vec::new();
    (0..COUNT).for_each(|n| {
        list.push(event(n));
    });
    list
}

pub fn locked() -> LockedList<Event> {
    let list = LockedList::new();
    (0..COUNT).for_each(|n| list.push(event(n)));
    list
}

pub fn append_only() -> AppendOnlyVec<Event> {
    let list = AppendOnlyVec::new();
    (0..COUNT).for_each(|n| {
        list.push(event(n));
    });
    list
}

pub fn ring() -> Ring {
    let list = Ring::with_room(COUNT);
    (0..COUNT).for_each(|n| list.push(event(n)));
    list
}

pub fn arcs() -> Arcs {
    let list = Arcs(RwLock::new(Vec::new()));
    (0..COUNT).for_each(|n| list.0.write().push(Arc::new(event(n))));
    list
}
