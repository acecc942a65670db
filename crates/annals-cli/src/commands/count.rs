//! `annals count` counts events, in total or in groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use annals::{RawEvent, Recorded};
use serde_json::json;

use crate::args::Format;
use crate::args::count::{By, Count as Args};
use crate::counts::{self, Count};
use crate::failure::Failure;
use crate::human::{counted, time};
use crate::out::Out;
use crate::selection::no_match;
use crate::selection::selected::Selection;
use crate::store::{self, Store};

/// The most rows up to which days and hours without events are printed.
const MOST_ROWS: u64 = 1_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Counts the events.
pub(crate) fn run(args: &Args, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| show(store, args, format))
}

fn show(store: &Store, args: &Args, format: Option<Format>) -> Result<(), Failure> {
    let selection = Selection::of(&args.filter);
    let range = selection.range(store, args.from..args.to.unwrap_or(u64::MAX))?;
    let mut groups = Groups::new(args.by);
    if args.by.is_none() && selection.is_a_range() {
        groups.total = range.end - range.start;
    } else {
        for event in selection.events(store, range, false) {
            let event = event?;
            groups.add(&event);
        }
    }
    let total = groups.total;
    match args.by {
        None => show_total(total, format)?,
        Some(by) => counts::show(by.name(), &groups.into_rows(), format)?,
    }
    if total == 0 {
        no_match::note(store, &args.filter)?;
    }
    Ok(())
}

fn show_total(total: u64, format: Option<Format>) -> Result<(), Failure> {
    let mut out = Out::new(format);
    match out.format() {
        Format::Table => out.text(format_args!("{}", counted(total, "event")))?,
        _ => out.object([("count", json!(total))])?,
    }
    out.flush()
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::TagPrefix => "prefix",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

/// The numbers of events that were seen.
struct Groups {
    by: Option<By>,
    total: u64,
    names: HashMap<String, u64>,
    /// The numbers of events of each period, which is counted from 1970.
    periods: BTreeMap<u64, u64>,
}

impl Groups {
    fn new(by: Option<By>) -> Self {
        Self { by, total: 0, names: HashMap::new(), periods: BTreeMap::new() }
    }

    fn add(&mut self, recorded: &Recorded<RawEvent>) {
        self.total += 1;
        let event = &recorded.event;
        match self.by {
            None => {}
            Some(By::Type) => self.add_name(event.event_type()),
            Some(By::TagPrefix) => {
                let prefixes: BTreeSet<&str> = event.tags().map(prefix).collect();
                for prefix in prefixes {
                    self.add_name(prefix);
                }
            }
            Some(By::Day) => {
                *self.periods.entry(recorded.time_ms / (24 * HOUR_MS)).or_default() += 1;
            }
            Some(By::Hour) => *self.periods.entry(recorded.time_ms / HOUR_MS).or_default() += 1,
        }
    }

    fn add_name(&mut self, name: &str) {
        match self.names.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.names.insert(name.to_owned(), 1);
            }
        }
    }

    fn into_rows(self) -> Vec<Count> {
        let mut rows: Vec<Count> =
            self.names.into_iter().map(|(name, count)| Count::new(name, count)).collect();
        rows.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.name.cmp(&b.name)));
        if let (Some(first), Some(last)) =
            (self.periods.first_key_value(), self.periods.last_key_value())
        {
            let (first, last) = (*first.0, *last.0);
            let is_day = self.by == Some(By::Day);
            let mut add = |period, count| rows.push(Count::new(period_name(period, is_day), count));
            if last - first < MOST_ROWS {
                (first..=last).for_each(|at| add(at, self.periods.get(&at).copied().unwrap_or(0)));
            } else {
                self.periods.iter().for_each(|(&at, &count)| add(at, count));
            }
        }
        rows
    }
}

/// Returns the beginning of a tag up to and with its first colon; empty if it has none.
pub(crate) fn prefix(tag: &str) -> &str {
    tag.find(':').map_or("", |colon| &tag[..=colon])
}

/// Returns the name of a day, 2026-01-05, or of an hour, 2026-01-05T09:00Z.
fn period_name(period: u64, is_day: bool) -> String {
    let text = time(period.saturating_mul(if is_day { 24 * HOUR_MS } else { HOUR_MS }));
    match text.split_once('T') {
        Some((day, _)) if is_day => day.to_owned(),
        Some((day, clock)) => format!("{day}T{}Z", &clock[..5]),
        // After the year 9999.
        None => text,
    }
}
