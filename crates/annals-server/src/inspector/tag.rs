//! The page of a tag: how many events it has and when, what they are, and which tags occur with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::{NameKind, Query};
use axum::extract::{RawQuery, State};
use maud::{Markup, html};

use super::builder::events_url;
use super::chart::{SERIES, bars, ranking, stacked};
use super::clock::boundaries;
use super::failure::Failed;
use super::layout::Html;
use super::name_counts::largest;
use super::params::Params;
use super::rows::table;
use super::text::{event_url, grouped, shown, tag_url, time, url};
use crate::fault::{Fault, Kind};
use crate::pages::{Cursor, Page, Room};
use crate::shared::Shared;

/// The number of events that are looked at for their types and tags: the newest.
const LOOKED_AT: u64 = 2_000;
/// The number of events that are shown.
const SHOWN: usize = 50;
/// The parts of the chart.
const PARTS: u64 = 60;

/// What the page shows.
struct Facts {
    count: u64,
    first: u64,
    last: u64,
    times_ms: (u64, u64),
    over_time: Vec<u64>,
    newest: Page,
    /// The times of the first and the last event that was looked at.
    looked_ms: (u64, u64),
    /// For each of the most frequent types, and for all others, the events in each part of that time.
    types_over_time: Vec<(String, Vec<u64>)>,
    types: Vec<(String, u64)>,
    tags: Vec<(String, u64)>,
}

/// Returns the page.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Html, Failed> {
    let params = Params::parse(query.as_deref());
    let tag = params.exact("name").unwrap_or_default().to_owned();
    let query = Arc::new(Query::tag(&*tag));
    query.check()?;
    let mut newest = Cursor::new(query, 0..shared.head().get());
    (newest.reverse, newest.left) = (true, LOOKED_AT);
    let mut events = Page::new();
    while !newest.is_done() {
        let room = Room { events: 256, bytes: 8 << 20 };
        let page = shared.read_page(&mut newest, room).await?;
        add(page, &mut events);
    }
    let (reader, name) = (Arc::clone(&shared), tag.clone());
    let facts = shared.blocking(move || facts(&reader, &name, events)).await?;
    let Some(facts) = facts else {
        return Err(Failed(Fault::new(Kind::NotFound, format!("no event has the tag {tag:?}"))));
    };
    Ok(Html::page(&format!("Tag {tag}"), "/ui/tags", &body(&tag, &facts)))
}

/// Adds events. Of those that are not shown, only the header is kept: a page of large events must not fill the memory.
fn add(page: Page, events: &mut Page) {
    for mut recorded in page {
        if events.len() >= SHOWN {
            let mut bare = annals::RawEvent::builder(recorded.event.event_type());
            for tag in recorded.event.tags() {
                bare = bare.tag(tag);
            }
            // An event that was read is within the limits.
            let Ok(bare) = bare.build() else { continue };
            recorded.event = bare;
        }
        events.push(recorded);
    }
}

fn facts(shared: &Shared, tag: &str, mut newest: Page) -> Result<Option<Facts>, Fault> {
    let (backend, head) = (shared.backend(), shared.head().get());
    let count = backend.count(NameKind::Tag, tag, 0..head)?;
    let Some(before_last) = count.checked_sub(1) else { return Ok(None) };
    let first = backend.nth(NameKind::Tag, tag, 0)?;
    let last = backend.nth(NameKind::Tag, tag, before_last)?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    let time_of = |offset| Ok::<_, Fault>(backend.time_ms(offset)?.unwrap_or(0));
    let times_ms = (time_of(first)?, time_of(last)?);
    let times = times_ms.0..times_ms.1.saturating_add(1);
    let offsets = boundaries(backend, times, PARTS, first..last + 1)?;
    let mut over_time = Vec::new();
    for pair in offsets.windows(2) {
        over_time.push(backend.count(NameKind::Tag, tag, pair[0]..pair[1])?);
    }
    let (mut types, mut tags) = (BTreeMap::new(), BTreeMap::new());
    for recorded in &newest {
        *types.entry(recorded.event.event_type().to_owned()).or_default() += 1;
        for other in recorded.event.tags().filter(|other| *other != tag) {
            *tags.entry(other.to_owned()).or_default() += 1;
        }
    }
    let (types, tags) =
        (largest(types.into_iter().collect()).0, largest(tags.into_iter().collect()).0);
    let looked_ms = newest
        .iter()
        .map(|recorded| recorded.time_ms)
        .fold((u64::MAX, 0), |of, at| (of.0.min(at), of.1.max(at)));
    let types_over_time = types_over_time(&newest, &types, looked_ms);
    newest.truncate(SHOWN);
    let facts = Facts {
        count,
        first,
        last,
        times_ms,
        over_time,
        newest,
        looked_ms,
        types_over_time,
        types,
        tags,
    };
    Ok(Some(facts))
}

/// Returns the events of the most frequent types, and of all others, in each of equal parts of a time.
fn types_over_time(
    events: &Page,
    types: &[(String, u64)],
    (from, to): (u64, u64),
) -> Vec<(String, Vec<u64>)> {
    let named = types.len().min(if types.len() > SERIES { SERIES - 1 } else { SERIES });
    let parts = vec![0; usize::try_from(PARTS).unwrap_or(0)];
    let mut series: Vec<(String, Vec<u64>)> =
        types[..named].iter().map(|(name, _)| (name.clone(), parts.clone())).collect();
    if named < types.len() {
        series.push(("other types".to_owned(), parts));
    }
    let span = u128::from(to.saturating_sub(from)) + 1;
    for recorded in events {
        let name = recorded.event.event_type();
        let at = types[..named].iter().position(|(other, _)| other == name).unwrap_or(named);
        let part = u128::from(recorded.time_ms.saturating_sub(from)) * u128::from(PARTS) / span;
        let of = series.get_mut(at).map(|(_, values)| values);
        let of = of.and_then(|values| values.get_mut(usize::try_from(part).unwrap_or(usize::MAX)));
        if let Some(value) = of {
            *value += 1;
        }
    }
    series
}

/// Returns the chart of types by time, if there is more than one type.
fn types_chart(facts: &Facts) -> Markup {
    let (from, to) = facts.looked_ms;
    let part = to.saturating_sub(from) / PARTS;
    let series: Vec<(&str, Vec<u64>)> = facts
        .types_over_time
        .iter()
        .map(|(name, values)| (name.as_str(), values.clone()))
        .collect();
    let label = "types of these events, in each of 60 equal parts of their time";
    html! {
        @if series.len() > 1 {
            h2 { "Types by time" }
            (stacked(&series, label, |index| time(from + part * index as u64)))
            p.dim.ends { span { (time(from)) } span { (time(to)) } }
        }
    }
}

fn body(tag: &str, facts: &Facts) -> Markup {
    let (first_ms, last_ms) = facts.times_ms;
    let span = last_ms - first_ms;
    let at = |index: usize| time(first_ms + span / PARTS * index as u64);
    html! {
        div.bar {
            h1 { "Tag " (shown(tag)) }
            nav.tabs aria-label="More of this tag" {
                a href=(events_url(&[], &[tag])) { "All its events" }
                a href=(url("/ui/state", &[("view", "merge"), ("of", tag)])) { "State" }
            }
        }
        dl.facts {
            div { dt { "Events" } dd { (grouped(facts.count)) } }
            div { dt { "First" } dd { a href=(event_url(facts.first)) { (grouped(facts.first)) } " " span.dim {
                (time(first_ms)) } } }
            div { dt { "Last" } dd { a href=(event_url(facts.last)) { (grouped(facts.last)) } " " span.dim {
                (time(last_ms)) } } }
        }
        (bars(&facts.over_time, "its events in each of 60 equal parts of that time", at))
        @if facts.count > LOOKED_AT {
            p.dim { "Types and tags are those of the newest " (grouped(LOOKED_AT)) " of its events." }
        }
        (types_chart(facts))
        div.columns {
            section { h2 { "Types" } (ranking(&facts.types, "Type", |name| events_url(&[name], &[tag]))) }
            section {
                h2 { "Tags that occur with it" }
                @if facts.tags.is_empty() { p.empty { "Its events have no other tags." } }
                @else { (ranking(&facts.tags, "Tag", tag_url)) }
            }
        }
        h2 { "Newest events" }
        (table(&facts.newest))
    }
}
