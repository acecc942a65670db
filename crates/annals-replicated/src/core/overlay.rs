//! The events that are under way: in commits that were sent, or that landed and are not yet applied to the replica.

use std::collections::{HashMap, VecDeque};

use annals::{Query, QueryItem, RawEvent};

/// Finds events that are not yet in the replica, by type, tag and id.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    /// The offset of the first event.
    first: u64,
    events: VecDeque<RawEvent>,
    types: HashMap<String, VecDeque<u64>>,
    tags: HashMap<String, VecDeque<u64>>,
    ids: HashMap<String, u64>,
}

impl Overlay {
    /// Returns the offset behind the last event; `None` if there are no events.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Returns the offsets of the events, and the events.
    pub(super) fn events(&self) -> (u64, &VecDeque<RawEvent>) {
        (self.first, &self.events)
    }

    /// Adds an event.
    ///
    /// # Panics
    /// If `offset` is not behind the last event.
    pub(super) fn push(&mut self, offset: u64, event: RawEvent) {
        if self.events.is_empty() {
            self.first = offset;
        }
        assert_eq!(offset, self.end(), "events are staged at adjacent offsets");
        add(&mut self.types, event.event_type(), offset);
        for tag in event.tags() {
            add(&mut self.tags, tag, offset);
        }
        if let Some(id) = event.id() {
            self.ids.insert(id.to_owned(), offset);
        }
        self.events.push_back(event);
    }

    /// Drops the events at `offset` and after: their commits are dead.
    pub(super) fn truncate(&mut self, offset: u64) {
        while self.end() > offset
            && let Some(event) = self.events.pop_back()
        {
            self.forget(&event, VecDeque::pop_back);
        }
    }

    /// Drops the events before `offset`: the replica has them.
    pub(super) fn drop_before(&mut self, offset: u64) {
        while self.first < offset
            && let Some(event) = self.events.pop_front()
        {
            self.first += 1;
            self.forget(&event, VecDeque::pop_front);
        }
    }

    fn forget(&mut self, event: &RawEvent, pop: fn(&mut VecDeque<u64>) -> Option<u64>) {
        remove(&mut self.types, event.event_type(), pop);
        for tag in event.tags() {
            remove(&mut self.tags, tag, pop);
        }
        if let Some(id) = event.id() {
            self.ids.remove(id);
        }
    }

    /// Returns the lowest offset, from `from` on, of an event that matches.
    pub(super) fn find(&self, query: &Query, from: u64) -> Option<u64> {
        let items = query.items().iter();
        items.filter_map(|item| self.find_item(item, from.max(self.first))).min()
    }

    fn find_item(&self, item: &QueryItem, from: u64) -> Option<u64> {
        let after = |offsets: &VecDeque<u64>| offsets.partition_point(|&offset| offset < from);
        if !item.tags().is_empty() {
            let lists: Option<Vec<&VecDeque<u64>>> =
                item.tags().iter().map(|tag| self.tags.get(tag)).collect();
            let shortest = lists?.into_iter().min_by_key(|list| list.len())?;
            let mut candidates = shortest.range(after(shortest)..);
            return candidates.find(|&&offset| matches(item, self.at(offset))).copied();
        }
        if !item.types().is_empty() {
            let lists = item.types().iter().filter_map(|name| self.types.get(name));
            return lists.filter_map(|list| list.get(after(list))).min().copied();
        }
        (from < self.end()).then_some(from)
    }

    /// Returns the offset of the event with this id.
    pub(super) fn find_id(&self, id: &str) -> Option<u64> {
        self.ids.get(id).copied()
    }

    /// Returns the type of the event at `offset`; `None` if it is not in here.
    pub(super) fn event_type(&self, offset: u64) -> Option<&str> {
        let index = usize::try_from(offset.checked_sub(self.first)?).ok()?;
        self.events.get(index).map(RawEvent::event_type)
    }

    fn at(&self, offset: u64) -> &RawEvent {
        let index = usize::try_from(offset - self.first).expect("an index in memory");
        &self.events[index]
    }
}

fn matches(item: &QueryItem, event: &RawEvent) -> bool {
    let types = item.types();
    (types.is_empty() || types.iter().any(|name| name == event.event_type()))
        && item.tags().iter().all(|wanted| event.tags().any(|tag| tag == wanted))
}

fn add(lists: &mut HashMap<String, VecDeque<u64>>, name: &str, offset: u64) {
    match lists.get_mut(name) {
        Some(list) => list.push_back(offset),
        None => drop(lists.insert(name.to_owned(), VecDeque::from([offset]))),
    }
}

fn remove(
    lists: &mut HashMap<String, VecDeque<u64>>,
    name: &str,
    pop: fn(&mut VecDeque<u64>) -> Option<u64>,
) {
    let Some(list) = lists.get_mut(name) else { return };
    pop(list);
    if list.is_empty() {
        lists.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event_type: &str, tags: &[&str], id: &str) -> RawEvent {
        let mut event = RawEvent::builder(event_type);
        for tag in tags {
            event = event.tag(tag);
        }
        if id.is_empty() { event } else { event.id(id) }.build().expect("an event")
    }

    /// Every query finds what a walk over the events finds, while events come and go at both ends.
    #[test]
    fn what_is_found_is_what_a_walk_finds() {
        let (types, tags) = (["a", "b", "c"], ["x", "y", "z"]);
        let mut model: VecDeque<(u64, RawEvent)> = VecDeque::new();
        let mut overlay = Overlay::default();
        let mut queries = vec![Query::all(), Query::none()];
        for event_type in types {
            queries.push(Query::event_type(event_type));
            for tag in tags {
                queries.push(Query::tag(tag).or(Query::event_type(event_type)));
                queries.push(Query::item(QueryItem::new().event_type(event_type).tag(tag)));
                queries.push(Query::item(QueryItem::new().tag(tag).tag("x")));
            }
        }
        let mut next = 7;
        for step in 0_usize..400 {
            match step % 7 {
                5 => {
                    overlay.truncate(next - next.min(2));
                    model.retain(|(offset, _)| *offset < next - next.min(2));
                    next -= next.min(2);
                }
                6 if step % 3 == 0 => {
                    let to = model.front().map_or(next, |(first, _)| first + 2).min(next);
                    overlay.drop_before(to);
                    model.retain(|(offset, _)| *offset >= to);
                }
                _ => {
                    let tags = &tags[step % 3..][..step % 2];
                    let event = event(types[step / 2 % 3], tags, &format!("id-{next}"));
                    overlay.push(next, event.clone());
                    model.push_back((next, event));
                    next += 1;
                }
            }
            next = next.max(model.back().map_or(0, |(offset, _)| offset + 1));
            for query in &queries {
                for from in [0, next.saturating_sub(3), next] {
                    let found = model.iter().find(|(offset, event)| {
                        *offset >= from && query.matches(event.event_type(), event.tags())
                    });
                    assert_eq!(overlay.find(query, from), found.map(|(offset, _)| *offset));
                }
            }
            for offset in 0..next {
                let here = model.iter().find(|(at, _)| *at == offset);
                let id = overlay.find_id(&format!("id-{offset}"));
                assert_eq!(id, here.map(|(offset, _)| *offset));
                assert_eq!(overlay.event_type(offset), here.map(|(_, event)| event.event_type()));
            }
        }
    }
}
