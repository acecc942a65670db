//! Compares a history with the log that came of it.

use std::collections::HashMap;
use std::fmt;

use annals::{Condition, RawEvent};
use bytes::Bytes;

use super::history::{History, Operation, PrefixDigest, Told};

/// A contradiction between a history and its log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A batch that was appended is not in the log where the caller was told.
    Lost {
        /// The offset of its first event, as the caller was told.
        offset: u64,
    },
    /// An event is in the log more than once.
    Twice {
        /// The offset of the second.
        offset: u64,
    },
    /// The log has a part of a batch.
    Torn {
        /// The offset of an event of that part.
        offset: u64,
    },
    /// The log has an event that nobody appended.
    Invented {
        /// Its offset.
        offset: u64,
    },
    /// The log has a batch, but every caller of it was told that the log does not have it.
    NotAbsent {
        /// The offset of its first event.
        offset: u64,
    },
    /// A batch is before another one that had returned when it began.
    OutOfOrder {
        /// The offset of the batch that had returned.
        offset: u64,
    },
    /// A batch is in the log behind an event that its condition forbids.
    ConditionIgnored {
        /// The offset of the batch's first event.
        offset: u64,
        /// The offset of the forbidden event.
        forbidden: u64,
    },
    /// A caller was told of a conflict with an event that its condition does not forbid, or that is not in the log.
    WrongConflict {
        /// The offset of that event.
        offset: u64,
    },
    /// A barrier returned a head below an append that had returned when it began.
    StaleBarrier {
        /// The head.
        head: u64,
    },
    /// A process saw other events than those of the log.
    WrongPrefix {
        /// The process.
        process: u64,
        /// The number of events that it saw.
        head: u64,
    },
    /// A process did not see a batch that it had appended.
    OwnWriteUnseen {
        /// The process.
        process: u64,
        /// The number of events that it saw.
        head: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { offset } => {
                write!(f, "the batch appended at offset {offset} is not there")
            }
            Self::Twice { offset } => write!(f, "the event at offset {offset} is in the log twice"),
            Self::Torn { offset } => write!(f, "offset {offset} has a part of a batch"),
            Self::Invented { offset } => write!(f, "nobody appended the event at offset {offset}"),
            Self::NotAbsent { offset } => {
                write!(f, "the batch at offset {offset} was said to be absent")
            }
            Self::OutOfOrder { offset } => {
                write!(f, "a batch that began after the one at offset {offset} ended is before it")
            }
            Self::ConditionIgnored { offset, forbidden } => {
                write!(f, "the batch at offset {offset} forbids the event at offset {forbidden}")
            }
            Self::WrongConflict { offset } => {
                write!(f, "the event at offset {offset} does not cause a conflict")
            }
            Self::StaleBarrier { head } => {
                write!(f, "a barrier returned the head {head}, which was out of date")
            }
            Self::WrongPrefix { process, head } => {
                write!(f, "process {process} saw other events below offset {head}")
            }
            Self::OwnWriteUnseen { process, head } => {
                write!(f, "process {process} saw only {head} events, less than it had appended")
            }
        }
    }
}

/// The operations that append the same batch, and where the log has it.
struct Group<'a> {
    operations: Vec<&'a Operation>,
    offset: Option<u64>,
}

impl Group<'_> {
    /// Returns the operations that may have put the batch into the log.
    fn writers(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().copied().filter(|operation| match &operation.told {
            Told::Appended(appended) => !appended.known,
            Told::InDoubt => true,
            Told::Conflict { .. } | Told::Absent => false,
        })
    }

    /// Returns the time at which the batch was known to be in the log.
    fn ended(&self) -> Option<u64> {
        let told = self.operations.iter();
        let told = told.filter(|operation| matches!(operation.told, Told::Appended(_)));
        told.map(|operation| operation.ended).min()
    }
}

/// Checks a history against the events of the log at its end. Returns what contradicts it; nothing if all is well.
///
/// The time that this takes grows with the number of events and operations, and with the number of events between a
/// condition's head and its batch. Nothing is searched: the log gives the order.
#[must_use]
pub fn check(history: &History, log: &[RawEvent]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let groups = groups(history, log, &mut violations);
    for group in &groups {
        check_told(group, log, &mut violations);
        check_conditions(group, log, &mut violations);
    }
    check_order(&groups, &mut violations);
    check_barriers(history, &mut violations);
    check_observations(history, log, &mut violations);
    violations
}

/// Groups the operations by their batches, and finds each batch in the log.
fn groups<'a>(
    history: &'a History,
    log: &[RawEvent],
    violations: &mut Vec<Violation>,
) -> Vec<Group<'a>> {
    // For each event: its batch, and its number in the batch.
    let mut known: HashMap<&Bytes, (usize, usize)> = HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for operation in history.operations.iter().filter(|operation| !operation.events.is_empty()) {
        if let Some((group, _)) = known.get(operation.events[0].body()) {
            groups[*group].operations.push(operation);
            continue;
        }
        for (index, event) in operation.events.iter().enumerate() {
            known.insert(event.body(), (groups.len(), index));
        }
        groups.push(Group { operations: vec![operation], offset: None });
    }
    let mut at = 0;
    while at < log.len() {
        let offset = at as u64;
        let Some(&(group, index)) = known.get(log[at].body()) else {
            violations.push(Violation::Invented { offset });
            at += 1;
            continue;
        };
        let group = &mut groups[group];
        let events = &group.operations[0].events;
        let is_whole = index == 0 && log[at..].starts_with(events);
        if !is_whole {
            violations.push(Violation::Torn { offset });
            at += 1;
            continue;
        }
        if group.offset.replace(offset).is_some() {
            violations.push(Violation::Twice { offset });
        }
        at += events.len();
    }
    groups
}

/// Checks what the callers were told about a batch.
fn check_told(group: &Group<'_>, log: &[RawEvent], violations: &mut Vec<Violation>) {
    for operation in &group.operations {
        match &operation.told {
            Told::Appended(appended) => {
                let (start, count) = (appended.offsets.start, operation.events.len() as u64);
                if group.offset != Some(start) || appended.offsets.end != start + count {
                    violations.push(Violation::Lost { offset: start });
                }
            }
            Told::Conflict { offset, condition } => {
                let forbids = operation.conditions.get(*condition).is_some_and(|condition| {
                    let event = usize::try_from(*offset).ok().and_then(|at| log.get(at));
                    *offset >= condition.head()
                        && event.is_some_and(|event| matches(condition, event))
                });
                if !forbids {
                    violations.push(Violation::WrongConflict { offset: *offset });
                }
            }
            Told::Absent | Told::InDoubt => {}
        }
    }
    if let (Some(offset), None) = (group.offset, group.writers().next()) {
        violations.push(Violation::NotAbsent { offset });
    }
}

fn matches(condition: &Condition, event: &RawEvent) -> bool {
    condition.query().matches(event.event_type(), event.tags())
}

/// Checks that the conditions of a batch held where it is in the log.
fn check_conditions(group: &Group<'_>, log: &[RawEvent], violations: &mut Vec<Violation>) {
    let Some(offset) = group.offset else { return };
    let forbidden = |operation: &Operation| {
        let mut found = operation.conditions.iter().filter_map(|condition| {
            let from = condition.head().min(offset);
            let range = usize::try_from(from).ok()?..usize::try_from(offset).ok()?;
            let at = log[range].iter().position(|event| matches(condition, event))?;
            Some(from + at as u64)
        });
        found.next()
    };
    // Of operations with the same batch, one put it there, and its conditions held.
    let certain = group.writers().find(|operation| matches!(operation.told, Told::Appended(_)));
    let mut may_have =
        group.writers().filter(|operation| certain.is_none_or(|it| std::ptr::eq(it, *operation)));
    let found = may_have.try_fold(None, |_, operation| match forbidden(operation) {
        Some(forbidden) => Ok(Some(forbidden)),
        None => Err(()),
    });
    if let Ok(Some(forbidden)) = found {
        violations.push(Violation::ConditionIgnored { offset, forbidden });
    }
}

/// Checks that a batch that began after another one had returned is behind it.
fn check_order(groups: &[Group<'_>], violations: &mut Vec<Violation>) {
    let mut placed: Vec<(u64, &Group<'_>)> =
        groups.iter().filter_map(|group| Some((group.offset?, group))).collect();
    placed.sort_unstable_by_key(|(offset, _)| *offset);
    // The latest beginning among the batches so far, each at its earliest.
    let mut latest = 0;
    for (offset, group) in placed {
        if group.ended().is_some_and(|ended| ended < latest) {
            violations.push(Violation::OutOfOrder { offset });
        }
        let began = group.writers().map(|operation| operation.began).min();
        latest = latest.max(began.unwrap_or(0));
    }
}

/// Checks that a barrier returned no head below an append that had returned before it began.
fn check_barriers(history: &History, violations: &mut Vec<Violation>) {
    let appended = |operation: &Operation| match &operation.told {
        Told::Appended(appended) => Some(appended.offsets.end),
        _ => None,
    };
    let mut ends: Vec<(u64, u64)> = history
        .operations
        .iter()
        .filter_map(|operation| Some((operation.ended, appended(operation)?)))
        .collect();
    ends.sort_unstable();
    let mut highest = 0;
    for (_, end) in &mut ends {
        highest = highest.max(*end);
        *end = highest;
    }
    for barrier in history.operations.iter().filter(|operation| operation.events.is_empty()) {
        let Some(head) = appended(barrier) else { continue };
        let before = ends.partition_point(|(ended, _)| *ended < barrier.began);
        if before > 0 && ends[before - 1].1 > head {
            violations.push(Violation::StaleBarrier { head });
        }
    }
}

/// Checks that every process saw a prefix of the log, and in it the events that the process had appended.
fn check_observations(history: &History, log: &[RawEvent], violations: &mut Vec<Violation>) {
    let mut digests = vec![PrefixDigest::default()];
    for event in log {
        digests.push(digests[digests.len() - 1].then(event));
    }
    // What each process knew to have appended, by time.
    let mut own: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
    for operation in &history.operations {
        if let Told::Appended(appended) = &operation.told {
            own.entry(operation.process).or_default().push((operation.ended, appended.offsets.end));
        }
    }
    for ends in own.values_mut() {
        ends.sort_unstable();
        let mut highest = 0;
        for (_, end) in ends {
            highest = highest.max(*end);
            *end = highest;
        }
    }
    for seen in &history.observations {
        let (process, head) = (seen.process, seen.head);
        let digest = usize::try_from(head).ok().and_then(|head| digests.get(head));
        if digest != Some(&seen.digest) {
            violations.push(Violation::WrongPrefix { process, head });
        }
        let Some(ends) = own.get(&process) else { continue };
        let before = ends.partition_point(|(ended, _)| *ended < seen.time);
        if before > 0 && ends[before - 1].1 > head {
            violations.push(Violation::OwnWriteUnseen { process, head });
        }
    }
}
