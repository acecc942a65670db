//! Evidence: one file that shows events of a log to a party without access to it.

use std::ops::Range;

use annals::RawEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::strict::{Bounded, Bytes, Object, Text, present};
use crate::base64;
use crate::entry::Entry;
use crate::error::{CheckError, FormatError};
use crate::hash::TreeHash;
use crate::note::checkpoint::{Checkpoint, Signed};
use crate::note::checks::SignatureChecks;
use crate::note::key::VerifierKey;
use crate::note::policy::{Policy, Verified};
use crate::tree::check::{check_consistency, check_subset};

/// The largest evidence, in bytes: 64 MiB.
pub const MAX_EVIDENCE_BYTES: usize = 64 << 20;

/// The most events in evidence.
pub(crate) const MAX_EVENTS: usize = 1 << 20;

/// The most hashes of its subset proof.
pub(crate) const MAX_HASHES: usize = 1 << 21;

/// The most earlier checkpoints.
const MAX_EARLIER: usize = 1_024;

/// A member of evidence that this crate carries and does not check: it is about state channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Member {
    /// `key`: the statement of an Ethereum account that names the log's keys.
    Key,
    /// `states`: the whole states. Events show only their hashes.
    States,
    /// `state`: what the fold of the shown events gives.
    State,
}

impl Member {
    /// All members, in the order of the file.
    pub(crate) const ALL: [Self; 3] = [Self::Key, Self::States, Self::State];

    /// Returns the member's name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::States => "states",
            Self::State => "state",
        }
    }
}

/// An event that evidence shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShownEvent {
    /// The data that the tree covers: offset, time, type, tags, id, and the hash of its content.
    pub entry: Entry,
    /// Its metadata and payload, as the log stores them; `None` if the evidence does not show them.
    pub content: Option<Vec<u8>>,
}

impl ShownEvent {
    /// Returns the event's offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.entry.offset()
    }

    /// Returns the whole event if its content is shown.
    #[must_use]
    pub fn event(&self) -> Option<RawEvent> {
        self.entry.with_content(self.content.as_ref()?).ok().map(|recorded| recorded.event)
    }
}

/// One file that shows events of a log, and perhaps that they are all events of a range. [`Proofs::evidence`] builds
/// it.
///
/// [`Proofs::evidence`]: crate::Proofs::evidence
#[derive(Debug)]
pub struct Evidence {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) hashes: Vec<TreeHash>,
    pub(crate) events: Vec<ShownEvent>,
    pub(crate) whole: Vec<Range<u64>>,
    pub(crate) earlier: Vec<(Checkpoint, Vec<TreeHash>)>,
    /// Members that another crate checks, by their names.
    pub(crate) others: Vec<(Member, Box<RawValue>)>,
}

/// The facts that evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Findings {
    /// The checkpoint: all events are in the log that it is about.
    pub checkpoint: Checkpoint,
    /// Whose signatures on the checkpoint are valid.
    pub verified: Verified,
    /// The events, in ascending order of offset.
    pub events: Vec<ShownEvent>,
    /// The ranges for which the evidence shows *all* events. It does not show that other selections are whole.
    pub whole: Vec<Range<u64>>,
    /// Earlier checkpoints of the same log that the checkpoint continues.
    pub earlier: Vec<Earlier>,
    /// The members of the file that were not checked: statements about state channels, which the crate
    /// `annals-channels` checks.
    pub not_checked: Vec<&'static str>,
}

/// An earlier checkpoint of the same log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Earlier {
    /// The number of events that it covers.
    pub size: u64,
    /// The log's key, if the log signed it.
    pub log: Option<VerifierKey>,
    /// The cosignatures of known witnesses.
    pub cosignatures: Vec<Signed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceFile {
    annals_evidence: u32,
    checkpoint: Text<Checkpoint>,
    hashes: Bounded<Text<TreeHash>, MAX_HASHES>,
    events: Bounded<Object<EventFile>, MAX_EVENTS>,
    #[serde(default)]
    whole: Bounded<(u64, u64), MAX_EVENTS>,
    #[serde(default)]
    earlier: Bounded<Object<EarlierFile>, MAX_EARLIER>,
    #[serde(default, deserialize_with = "present")]
    key: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    states: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    state: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventFile {
    entry: Text<Entry>,
    #[serde(default, deserialize_with = "present")]
    content: Option<Text<Bytes>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EarlierFile {
    checkpoint: Text<Checkpoint>,
    proof: Bounded<Text<TreeHash>, 64>,
}

impl Evidence {
    pub(crate) fn new(
        checkpoint: Checkpoint,
        hashes: Vec<TreeHash>,
        events: Vec<ShownEvent>,
    ) -> Self {
        let (whole, earlier, others) = (Vec::new(), Vec::new(), Vec::new());
        Self { checkpoint, hashes, events, whole, earlier, others }
    }

    /// Reads evidence. Checks only its form.
    ///
    /// # Errors
    /// [`FormatError`]: evidence beyond a limit, or not in its one form. Unknown members are refused too, so that
    /// nobody takes for proved what no checker looked at.
    pub fn from_json(json: &[u8]) -> Result<Self, FormatError> {
        let invalid = |problem: String| FormatError::new("evidence", problem);
        if json.len() > MAX_EVIDENCE_BYTES {
            return Err(invalid("it has more than 64 MiB".to_owned()));
        }
        let file: Object<EvidenceFile> =
            serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
        let file = file.0;
        if file.annals_evidence != 1 {
            return Err(invalid(format!(
                "it has version {}; this program reads 1",
                file.annals_evidence
            )));
        }
        let hash = |hash: Text<TreeHash>| hash.0;
        let event = |Object(EventFile { entry, content }): Object<EventFile>| ShownEvent {
            entry: entry.0,
            content: content.map(|content| content.0.0),
        };
        let events = file.events.0.into_iter().map(event).collect();
        let mut evidence =
            Self::new(file.checkpoint.0, file.hashes.0.into_iter().map(hash).collect(), events);
        // An empty or inverted range is refused by `check`.
        evidence.whole = file.whole.0.into_iter().map(|(start, end)| start..end).collect();
        let earlier = |Object(earlier): Object<EarlierFile>| {
            (earlier.checkpoint.0, earlier.proof.0.into_iter().map(hash).collect())
        };
        evidence.earlier = file.earlier.0.into_iter().map(earlier).collect();
        let others = Member::ALL.into_iter().zip([file.key, file.states, file.state]);
        evidence.others = others.filter_map(|(member, value)| Some((member, value?))).collect();
        Ok(evidence)
    }

    /// Returns the checkpoint, which is not verified yet.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the JSON of a member that another crate checks.
    #[must_use]
    pub fn member(&self, member: Member) -> Option<&str> {
        self.others.iter().find(|(other, _)| *other == member).map(|(_, value)| value.get())
    }

    /// Returns the events that the evidence shows. They are not checked yet.
    #[must_use]
    pub fn events(&self) -> &[ShownEvent] {
        &self.events
    }

    /// Returns the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let texts =
            |hashes: &[TreeHash]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let event = |shown: &ShownEvent| match &shown.content {
            None => json!({"entry": base64::encode(shown.entry.as_bytes())}),
            Some(content) => {
                json!({"entry": base64::encode(shown.entry.as_bytes()), "content": base64::encode(content)})
            }
        };
        let mut file = json!({
            "annals_evidence": 1,
            "checkpoint": self.checkpoint.to_string(),
            "hashes": texts(&self.hashes),
            "events": self.events.iter().map(event).collect::<Vec<Value>>(),
        });
        if !self.whole.is_empty() {
            file["whole"] =
                self.whole.iter().map(|range| json!([range.start, range.end])).collect();
        }
        if !self.earlier.is_empty() {
            let earlier = |(checkpoint, proof): &(Checkpoint, Vec<TreeHash>)| json!({"checkpoint": checkpoint.to_string(), "proof": texts(proof)});
            file["earlier"] = self.earlier.iter().map(earlier).collect();
        }
        for (member, value) in &self.others {
            // It was read as JSON.
            file[member.name()] = serde_json::from_str(value.get()).unwrap_or_default();
        }
        format!("{file}\n")
    }

    /// Checks everything, without access to the log: the signatures on the checkpoint by the keys of the policy, that
    /// all events are in the log at that checkpoint, that each content is that of its event, that whole ranges are
    /// whole, and that the log continues each earlier checkpoint.
    ///
    /// # Errors
    /// [`CheckError`] for the first thing that does not hold. Nothing is proved then.
    pub fn check(self, policy: &Policy) -> Result<Findings, CheckError> {
        self.check_within(policy, &mut SignatureChecks::default())
    }

    /// Checks everything as [`check`](Self::check) does. The signatures are counted with those that a caller verifies
    /// for the same file.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_within(
        self,
        policy: &Policy,
        checks: &mut SignatureChecks,
    ) -> Result<Findings, CheckError> {
        let verified = policy.verify_within(&self.checkpoint, checks)?;
        self.check_proofs()?;
        let mut earlier = Vec::new();
        for (checkpoint, _) in &self.earlier {
            let (log, cosignatures) = policy.signed(checkpoint, checks)?;
            if log.is_none() && cosignatures.is_empty() {
                return Err(CheckError::NotSigned { origin: checkpoint.origin().to_owned() });
            }
            earlier.push(Earlier { size: checkpoint.size(), log, cosignatures });
        }
        Ok(Findings {
            checkpoint: self.checkpoint,
            verified,
            events: self.events,
            whole: self.whole,
            earlier,
            not_checked: self.others.into_iter().map(|(member, _)| member.name()).collect(),
        })
    }

    /// Checks everything but signatures.
    pub(crate) fn check_proofs(&self) -> Result<(), CheckError> {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        let leaves: Vec<_> =
            self.events.iter().map(|shown| (shown.offset(), shown.entry.leaf())).collect();
        check_subset(&leaves, size, &self.hashes, root)?;
        for shown in &self.events {
            if let Some(content) = &shown.content {
                shown.entry.with_content(content)?;
            }
        }
        let mut end = 0;
        for range in &self.whole {
            let at = |offset: u64| leaves.partition_point(|(shown, _)| *shown < offset) as u64;
            let is_whole = end <= range.start && range.start < range.end && range.end <= size;
            if !is_whole || at(range.end) - at(range.start) != range.end - range.start {
                let text = format!(
                    "not all events from offset {} to {} are shown",
                    range.start, range.end
                );
                return Err(CheckError::Contradiction(text));
            }
            end = range.end;
        }
        for (earlier, proof) in &self.earlier {
            if earlier.origin() != self.checkpoint.origin() {
                let (found, expected) =
                    (earlier.origin().to_owned(), self.checkpoint.origin().to_owned());
                return Err(CheckError::OtherLog { found, expected });
            }
            check_consistency(earlier.size(), earlier.root(), size, root, proof)?;
        }
        Ok(())
    }
}
