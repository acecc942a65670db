//! Checks of reads.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::reader::{Reader, pause, try_ends, try_read};
use super::subject::{Found, HANGS, LogSubject, TRIES};
use super::writer::Writer;
use crate::chain::slot::Slot;
use crate::log::commit_log::{CommitLog, ReadLimit};

pub(super) fn begins_with_genesis<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    log.check().map_err(|error| error.to_string())?;
    let reader = Reader::new(&log).catch_up()?;
    let Some(position) = reader.chain.position() else {
        return Err("the record has no genesis entry".into());
    };
    let (first, last) = try_ends(&log)?;
    let tip = position.tip;
    if tip.number != 0 || first != Slot(1) || last < first {
        return Err(format!("commit {}, slots {first} to {last}", tip.number));
    }
    Ok(())
}

pub(super) fn acknowledged_is_read<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    for size in 0..30 {
        writer.put(size * 40)?;
    }
    let here = writer.reader.catch_up()?;
    let other = subject.connect(&log);
    let there = Reader::new(&other).at_least(here.chain.read_to())?;
    here.compare(&there)?;
    let again = Reader::new(&log).at_least(here.chain.read_to())?;
    here.compare(&again)?;
    match here.chain.tip().map(|tip| tip.number) {
        Some(30) => Ok(()),
        number => Err(format!("30 commits were appended, and the last one is {number:?}")),
    }
}

/// The ends may be out of date, but not for good: a process that opens reads up to the last slot, and one that appends
/// nothing learns from it that the record lost commits.
pub(super) fn ends_are_right<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    for _ in 0..3 {
        writer.put(1)?;
    }
    let mut found = (Slot(0), Slot(0));
    for _ in 0..TRIES {
        writer.reader.read_on()?;
        found = try_ends(&log)?;
        if found == (Slot(1), writer.reader.chain.read_to()) {
            return Ok(());
        }
        pause(&log);
    }
    let (first, last) = found;
    Err(format!("slots {first} to {last}, and {} was read", writer.reader.chain.read_to()))
}

pub(super) fn keep_limits<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    for _ in 0..5 {
        writer.put(100)?;
    }
    let all = writer.reader.catch_up()?.entries;
    for limit in [ReadLimit { entries: 1, bytes: 1 << 20 }, ReadLimit { entries: 100, bytes: 1 }] {
        for after in 0..all.len() {
            let slot = Slot(after as u64);
            let page = try_read(&log, slot, || log.read(slot, limit))?;
            if page != all[after..=after] {
                return Err(format!("{} entries behind slot {after} for {limit:?}", page.len()));
            }
        }
    }
    let end = Slot(all.len() as u64 + 100);
    match log.read(end, ReadLimit::default()) {
        Ok(page) if !page.entries.is_empty() => Err("there are entries far behind the end".into()),
        _ => Ok(()),
    }
}

/// A process reads its last commit, or several entries, again to learn whether the record still has them. Without them,
/// it takes no more appends for good.
pub(super) fn again<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    for _ in 0..12 {
        writer.put(100)?;
    }
    let all = writer.reader.catch_up()?.entries;
    for count in [1, 2, all.len() - 1] {
        for after in 0..=all.len() - count {
            if read_again(&log, after, count)? != all[after..after + count] {
                return Err(format!("other entries than before behind slot {after}"));
            }
        }
    }
    let end = Slot(all.len() as u64 + 100);
    match log.read_again(end, ReadLimit { entries: 1, ..ReadLimit::default() }) {
        Ok(page) if !page.entries.is_empty() => Err("there are entries far behind the end".into()),
        _ => Ok(()),
    }
}

/// Reads `count` entries again. A page may have fewer.
fn read_again(log: &impl CommitLog, after: usize, count: usize) -> Result<Vec<Bytes>, String> {
    let mut entries: Vec<Bytes> = Vec::new();
    while entries.len() < count {
        let limit = ReadLimit { entries: count - entries.len(), ..ReadLimit::default() };
        let slot = Slot((after + entries.len()) as u64);
        let page = try_read(log, slot, || log.read_again(slot, limit))?;
        if page.len() > limit.entries {
            return Err(format!("{} entries behind slot {slot} for {limit:?}", page.len()));
        }
        entries.extend(page);
    }
    Ok(entries)
}

pub(super) fn waiting_ends<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    log.wait(Slot(0), Instant::now() + HANGS);
    let last = Reader::new(&log).catch_up()?.chain.read_to();
    let other = subject.connect(&log);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(last, Instant::now() + HANGS));
        let put = Writer::new(&other).put(1).map(drop);
        if let Err(panic) = waiting.join() {
            std::panic::resume_unwind(panic);
        }
        put
    })?;
    // A wait whose time has passed returns at once, whatever is there.
    log.wait(Slot(u64::MAX - 1), Instant::now());
    Ok(())
}

/// A process that has read everything gets no other pages, and must learn that its clock was corrected.
pub(super) fn show_clock<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let last = Reader::new(&log).catch_up()?.chain.read_to();
    let has_clock = |after: Slot| {
        for _ in 0..TRIES {
            if let Ok(page) = log.read(after, ReadLimit::default())
                && page.entries.is_empty() == (after == last)
            {
                return Ok(page.time_ms.is_some());
            }
            log.wait(Slot(u64::MAX - 1), Instant::now() + Duration::from_millis(10));
        }
        Err(format!("no page behind slot {after}"))
    };
    if has_clock(Slot(0))? && !has_clock(last)? {
        return Err("a page with entries has the engine's clock, and one without has none".into());
    }
    Ok(())
}
