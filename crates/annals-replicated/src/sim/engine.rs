//! The record of a simulated engine.

use bytes::Bytes;
use uuid::Uuid;

use super::faults::Broken;
use crate::chain::chain::Chain;
use crate::chain::slot::Slot;
use crate::chain::tip::Tip;
use crate::format::body::{Content, Genesis};
use crate::log::commit_log::{AppendOutcome, LogError, ReadLimit};
use crate::random::Random;

/// The entries of a record in memory.
#[derive(Debug, Clone, Default)]
pub struct SimRecord {
    entries: Vec<Bytes>,
    /// The number of entries that no longer exist, at the beginning.
    trimmed: usize,
}

impl SimRecord {
    /// Returns a record with a genesis.
    #[must_use]
    pub fn new(store_id: Uuid) -> Self {
        let genesis = Genesis { time_ms: 0, made_by: "a simulation".into() };
        let genesis = Tip::genesis(store_id, Uuid::nil(), genesis);
        Self { entries: genesis.entries(usize::MAX), trimmed: 0 }
    }

    /// Returns the entries.
    #[must_use]
    pub fn entries(&self) -> &[Bytes] {
        &self.entries
    }

    /// Returns the last slot.
    #[must_use]
    pub fn last(&self) -> Slot {
        Slot(self.entries.len() as u64)
    }

    /// Returns the first slot that exists.
    #[must_use]
    pub fn first(&self) -> Slot {
        Slot(self.trimmed as u64 + 1)
    }

    /// Takes an entry that arrives: stores it if `after` is the last slot, or if the engine accepts everything.
    pub fn arrive(
        &mut self,
        after: Slot,
        entry: &Bytes,
        accepts_everything: bool,
    ) -> AppendOutcome {
        if after != self.last() && !accepts_everything {
            return AppendOutcome::Refused;
        }
        self.entries.push(entry.clone());
        AppendOutcome::At(self.last())
    }

    /// Returns the slot of an earlier copy of the entry at `slot`. Without one, returns any slot up to `after`.
    ///
    /// # Panics
    /// If there is no entry at `slot`.
    pub fn other_slot(&self, slot: Slot, after: Slot, random: &mut Random) -> Slot {
        let entry = &self.entries[usize::try_from(slot.0 - 1).expect("a slot in memory")];
        let copy = self.entries.iter().zip(1..).find(|(earlier, _)| *earlier == entry);
        match copy {
            Some((_, copy)) if copy < slot.0 => Slot(copy),
            _ => Slot(1 + random.below(after.0)),
        }
    }

    /// Returns the entries behind `after`, without the last `missing` of the record.
    ///
    /// # Errors
    /// [`LogError::Trimmed`] if the first of them no longer exists.
    pub fn read(
        &self,
        after: Slot,
        limit: ReadLimit,
        missing: usize,
    ) -> Result<Vec<Bytes>, LogError> {
        let from = usize::try_from(after.0).unwrap_or(usize::MAX);
        if from < self.trimmed {
            return Err(LogError::Trimmed { first: self.first() });
        }
        let end = self.entries.len().saturating_sub(missing);
        let Some(entries) = self.entries.get(from..end) else { return Ok(Vec::new()) };
        let mut bytes = 0;
        let fits = |entry: &&Bytes| {
            bytes += entry.len();
            bytes <= limit.bytes || bytes == entry.len()
        };
        Ok(entries.iter().take(limit.entries.max(1)).take_while(fits).cloned().collect())
    }

    /// Removes the entries before `first`.
    pub fn trim(&mut self, first: Slot) {
        self.trimmed = usize::try_from(first.0 - 1).unwrap_or(0).min(self.entries.len());
    }

    /// Breaks a promise. Returns the first slot whose entry changed.
    ///
    /// # Panics
    /// If the record has no genesis.
    pub fn break_promise(&mut self, broken: Broken, random: &mut Random) -> Slot {
        let last = self.entries.len();
        let at = match broken {
            Broken::MadeAnew => 0,
            _ => last.saturating_sub(2 + random.index(6)).max(1).min(last.saturating_sub(1)),
        };
        match broken {
            Broken::LostTail => self.entries.truncate(at),
            Broken::ReplacedTail => {
                self.entries.truncate(at);
                let mut chain = Chain::new(None);
                for (entry, slot) in self.entries.iter().zip(1..) {
                    chain.push(Slot(slot), entry);
                }
                let mut tip = *chain.tip().expect("a genesis");
                let writer_id = Uuid::from_u128(random.number().into());
                while self.entries.len() < last {
                    let barrier = tip.next(writer_id, Content::Barrier);
                    tip = tip.after(&barrier).expect("a barrier follows");
                    self.entries.extend(barrier.entries(usize::MAX));
                }
            }
            Broken::ChangedEntry => {
                let mut entry = self.entries[at].to_vec();
                let byte = random.index(entry.len());
                entry[byte] ^= 1;
                self.entries[at] = entry.into();
            }
            Broken::SwappedEntries => self.entries.swap(at, (at + 1).min(last - 1)),
            Broken::LostEntry => drop(self.entries.remove(at)),
            Broken::MadeAnew => *self = Self::new(Uuid::from_u128(random.number().into())),
        }
        Slot(at as u64 + 1)
    }
}
