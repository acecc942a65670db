//! Checks of appends.

use std::thread;

use super::reader::Reader;
use super::subject::{Found, LogSubject};
use super::writer::{Sending, Settled, Writer, commit_on};
use crate::chain::tip::Tip;
use crate::format::body::Content;
use crate::format::commit::Commit;
use crate::format::entry::MIN_ENTRY_BYTES;
use crate::format::hash::CommitHash;
use crate::format::header::{HEADER_BYTES, MAX_BODY_BYTES};
use crate::log::commit_log::{AppendOutcome, CommitLog as _, NewEntry};

/// Entries above this size are not tried, in bytes.
const LARGEST_TRIED: usize = 16 << 20;
/// The most entries that are under way in a check.
const MOST_UNDER_WAY: usize = 32;

pub(super) fn race<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let logs = [subject.connect(&log), subject.connect(&log), subject.connect(&log)];
    let commits = thread::scope(|scope| {
        let run = |log| {
            let mut writer = Writer::new(log);
            (0..10).map(|_| writer.put(10)).collect::<Result<Vec<Commit>, String>>()
        };
        let threads: Vec<_> = logs.iter().map(|log| scope.spawn(move || run(log))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(commits) => commits,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<Vec<Commit>>, String>>()
    })?;
    let read = Reader::new(&log).until(30)?;
    for commit in commits.iter().flatten() {
        let number = commit.header().number;
        if read.commit(number) != Some(commit) {
            return Err(format!("commit {number} was appended, and another one is there"));
        }
    }
    for other in &logs {
        read.compare(&Reader::new(other).at_least(read.chain.read_to())?)?;
    }
    Ok(())
}

pub(super) fn largest_entry<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let limits = log.limits();
    if limits.entry_bytes < MIN_ENTRY_BYTES || limits.under_way == 0 {
        return Err(format!("{limits:?}: an entry of {MIN_ENTRY_BYTES} bytes must be possible"));
    }
    // A batch's head, a record's head, an event's fields and name, and padding.
    let beside = HEADER_BYTES + 64;
    let size = limits.entry_bytes.min(LARGEST_TRIED) - beside;
    let mut writer = Writer::new(&log);
    writer.put(size)?;
    writer.put(1)?;
    let read = Reader::new(&log).until(2)?;
    writer.reader.catch_up()?.compare(&read)
}

/// An engine may store more than its limit says. If it says that an entry is too large, it does not store it.
pub(super) fn larger_entry<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let largest = log.limits().entry_bytes;
    if largest > LARGEST_TRIED {
        return Ok(());
    }
    let mut writer = Writer::new(&log);
    let commit = writer.next(largest)?;
    let sending = Sending { window: 1, entry_bytes: usize::MAX };
    let settled = writer.settle(std::slice::from_ref(&commit), sending)?;
    writer.put(1)?;
    writer.put(1)?;
    let read = Reader::new(&log).until(2)?;
    let is_there = read.entries.contains(&commit.entries(usize::MAX)[0]);
    if settled == Settled::TooLarge && is_there {
        return Err("an entry is stored although it was too large".into());
    }
    Ok(())
}

/// Several appends wait for their answers, each for the slot behind the one before.
pub(super) fn under_way<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let window = log.limits().under_way.clamp(1, MOST_UNDER_WAY);
    let mut writer = Writer::new(&log);
    let mut tip = writer.tip()?;
    let mut commits = Vec::new();
    for _ in 0..=2 * window {
        let commit = commit_on(&tip, writer.id, 10)?;
        tip = tip.after(&commit).map_err(|void| void.to_string())?;
        commits.push(commit);
    }
    let settled = writer.settle(&commits, Sending { window, entry_bytes: usize::MAX })?;
    if settled != Settled::Landed {
        return Err(format!("the only writer's commits: {settled:?}"));
    }
    let other = subject.connect(&log);
    let read = Reader::new(&other).until(commits.len() as u64)?;
    match (1..).zip(&commits).find(|(number, commit)| read.commit(*number) != Some(*commit)) {
        Some((number, _)) => Err(format!("commit {number} was appended, and another is there")),
        None => Ok(()),
    }
}

/// A commit that is larger than an entry is stored as several, behind each other.
pub(super) fn parts<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let limits = log.limits();
    if limits.entry_bytes >= HEADER_BYTES + MAX_BODY_BYTES {
        // No commit is larger.
        return Ok(());
    }
    let window = limits.under_way.clamp(1, MOST_UNDER_WAY);
    let mut writer = Writer::new(&log);
    let large = writer.next(4 * MIN_ENTRY_BYTES)?;
    let sending = Sending { window, entry_bytes: MIN_ENTRY_BYTES };
    let settled = writer.settle(std::slice::from_ref(&large), sending)?;
    if settled != Settled::Landed {
        return Err(format!("the only writer's commit: {settled:?}"));
    }
    let next = writer.put(1)?;
    let other = subject.connect(&log);
    let read = Reader::new(&other).until(2)?;
    if read.commit(1) != Some(&large) || read.commit(2) != Some(&next) {
        return Err("a commit in parts was appended, and another one is there".into());
    }
    Ok(())
}

/// An engine that compares hashes stores no entry behind another commit than the one that it was decided on, although
/// the number fits.
pub(super) fn compare_hashes<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    if !log.compares_hashes() {
        return Ok(());
    }
    let mut writer = Writer::new(&log);
    let earlier = writer.put(10)?.hash();
    writer.put(10)?;
    let mut strays = Vec::new();
    for previous in [CommitHash([0x5a; 32]), earlier] {
        let tip = writer.tip()?;
        let stray = Tip { hash: previous, ..tip }.next(writer.id, Content::Barrier);
        let entry = NewEntry::whole(&stray);
        for _ in 0..10 {
            let after = writer.reader.chain.read_to();
            match &writer.send(after, std::slice::from_ref(&entry), 1)?[..] {
                [AppendOutcome::At(slot)] => {
                    return Err(format!("an entry behind another hash is stored at slot {slot}"));
                }
                [AppendOutcome::Refused] => break,
                _ => {}
            }
        }
        strays.push(entry.bytes);
        writer.put(10)?;
    }
    let read = Reader::new(&log).until(4)?;
    match strays.iter().find_map(|stray| read.entries.iter().position(|entry| entry == stray)) {
        Some(at) => Err(format!("an entry behind another hash is stored at slot {}", at + 1)),
        None => Ok(()),
    }
}
