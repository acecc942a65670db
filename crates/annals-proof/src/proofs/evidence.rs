//! Builds evidence from a log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use annals::{Backend, Event, Query, ReadError};
use serde_json::value::RawValue;

use super::leaves::each_raw;
use super::proofs::Proofs;
use crate::entry::Entry;
use crate::error::{CheckError, ProofError};
use crate::evidence::evidence::{
    Evidence, MAX_EVENTS, MAX_EVIDENCE_BYTES, MAX_HASHES, Member, ShownEvent,
};
use crate::note::checkpoint::Checkpoint;
use crate::tree::prove::subset;

/// Builds [`Evidence`]. [`Proofs::evidence`] returns it.
#[derive(Debug)]
pub struct EvidenceBuilder<'a, E: Event, B: Backend<E>> {
    proofs: &'a Proofs<E, B>,
    checkpoint: &'a Checkpoint,
    queries: Vec<Query>,
    offsets: BTreeSet<u64>,
    whole: Vec<Range<u64>>,
    earlier: Vec<Checkpoint>,
    content: bool,
    members: BTreeMap<Member, Box<RawValue>>,
}

impl<E: Event, B: Backend<E>> Proofs<E, B> {
    /// Returns a builder of evidence: a file that shows events to a party without access to the log.
    pub fn evidence<'a>(&'a self, checkpoint: &'a Checkpoint) -> EvidenceBuilder<'a, E, B> {
        EvidenceBuilder::new(self, checkpoint)
    }
}

impl<'a, E: Event, B: Backend<E>> EvidenceBuilder<'a, E, B> {
    fn new(proofs: &'a Proofs<E, B>, checkpoint: &'a Checkpoint) -> Self {
        let (queries, offsets, whole, earlier) =
            (Vec::new(), BTreeSet::new(), Vec::new(), Vec::new());
        let members = BTreeMap::new();
        Self { proofs, checkpoint, queries, offsets, whole, earlier, content: false, members }
    }

    /// Adds the events of a query. That they are all of them is shown only together with [`whole`](Self::whole).
    #[must_use]
    pub fn query(mut self, query: &Query) -> Self {
        self.queries.push(query.clone());
        self
    }

    /// Adds the events at these offsets.
    #[must_use]
    pub fn offsets(mut self, offsets: impl IntoIterator<Item = u64>) -> Self {
        self.offsets.extend(offsets);
        self
    }

    /// Shows that the file has all events of a range: the type, tags, id and time of each event in it, for 0.1 to 0.4
    /// KB an event. So every checker sees that no event of a query was left out. Nothing is shown to be whole by
    /// default. Ranges may be added in any order, and must not overlap.
    #[must_use]
    pub fn whole(mut self, range: Range<u64>) -> Self {
        self.whole.push(range);
        self
    }

    /// Also shows metadata and payload: of the events of the queries and offsets, and of no other event of a whole
    /// range. Without queries and offsets, of all events. They are withheld by default.
    #[must_use]
    pub fn content(mut self) -> Self {
        self.content = true;
        self
    }

    /// Also shows that the log continues an earlier checkpoint, for example one with the cosignature of a witness,
    /// whose time says that the events below it were recorded by then.
    #[must_use]
    pub fn earlier(mut self, checkpoint: Checkpoint) -> Self {
        self.earlier.push(checkpoint);
        self
    }

    /// Adds a member that another crate checks: the crate `annals-channels` makes and checks all of them. A second call
    /// for the same member replaces the first.
    #[must_use]
    pub fn member(mut self, member: Member, value: Box<RawValue>) -> Self {
        self.members.insert(member, value);
        self
    }

    /// Builds the evidence.
    ///
    /// # Errors
    /// [`ProofError::OutOfRange`] if nothing is selected, or more than evidence may have; and others of [`ProofError`].
    pub fn build(mut self) -> Result<Evidence, ProofError> {
        let size = self.checkpoint.size();
        // A reader may not have seen all events of the checkpoint yet. None of a query may be missing.
        self.proofs.reach(self.checkpoint)?;
        self.select()?;
        let mut shown: BTreeMap<u64, bool> =
            self.offsets.iter().map(|offset| (*offset, self.content)).collect();
        let everything = self.content && shown.is_empty() && self.queries.is_empty();
        self.whole.sort_by_key(|range| range.start);
        for range in &self.whole {
            if range.is_empty() || range.end > size {
                let text = format!(
                    "the range {range:?} is empty, or beyond the {size} events of the checkpoint"
                );
                return Err(ProofError::OutOfRange(text));
            }
            if range.end - range.start > MAX_EVENTS as u64 {
                return Err(too_large());
            }
            for offset in range.clone() {
                shown.entry(offset).or_insert(everything);
            }
        }
        let offsets: Vec<u64> = shown.keys().copied().collect();
        if offsets.is_empty() || offsets.last().is_some_and(|last| *last >= size) {
            let text =
                format!("no event is selected, or one beyond the {size} events of the checkpoint");
            return Err(ProofError::OutOfRange(text));
        }
        let events = self.events(&shown)?;
        let make = |hashes| {
            let mut evidence = Evidence::new(self.checkpoint.clone(), hashes, events.clone());
            evidence.whole.clone_from(&self.whole);
            evidence.check_proofs()?;
            Ok::<_, CheckError>(evidence)
        };
        let mut evidence =
            self.proofs.proved(self.checkpoint, |nodes| subset(nodes, &offsets, size), make)?;
        if evidence.hashes.len() > MAX_HASHES {
            return Err(too_large());
        }
        for earlier in self.earlier {
            let proof = self.proofs.prove_consistency(earlier.size(), self.checkpoint)?;
            if let Err(error) = proof.check(earlier.root()) {
                // A contradiction is remembered, so that the log signs nothing more.
                if self.proofs.check_own(&earlier).is_ok() {
                    self.proofs.agrees_with(&earlier)?;
                }
                return Err(error.into());
            }
            evidence.earlier.push((earlier, proof.hashes().to_vec()));
        }
        evidence.others = self.members.into_iter().collect();
        if evidence.to_json().len() > MAX_EVIDENCE_BYTES {
            return Err(too_large());
        }
        Ok(evidence)
    }

    /// Adds the offsets of the queries' events.
    fn select(&mut self) -> Result<(), ProofError> {
        for query in &self.queries {
            for found in self.proofs.store.query(query).range(..self.checkpoint.size()) {
                let offset = match found {
                    Ok(event) => event.offset,
                    // It is of the query, although this program cannot decode it.
                    Err(ReadError::Decode { offset, .. }) => offset,
                    Err(error) => return Err(error.into()),
                };
                self.offsets.insert(offset);
            }
        }
        if self.offsets.len() > MAX_EVENTS { Err(too_large()) } else { Ok(()) }
    }

    /// Returns the events to show, each with its content if it is to be shown.
    fn events(&self, shown: &BTreeMap<u64, bool>) -> Result<Vec<ShownEvent>, ProofError> {
        let (mut events, mut rest) = (Vec::with_capacity(shown.len()), shown.iter().peekable());
        while let Some(start) = rest.peek().map(|(offset, _)| **offset) {
            // Adjacent events are read together.
            let mut end = start;
            while rest.next_if(|(offset, _)| **offset == end).is_some() {
                end += 1;
            }
            each_raw(&self.proofs.store, start..end, |event| {
                let content = shown[&event.offset].then(|| event.event.content().to_vec());
                events.push(ShownEvent { entry: Entry::of(event), content });
            })?;
        }
        Ok(events)
    }
}

fn too_large() -> ProofError {
    let text = "evidence has at most 1,048,576 events, 2,097,152 hashes and 64 MiB; select less";
    ProofError::OutOfRange(text.to_owned())
}
