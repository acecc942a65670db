//! The claim that a state of a channel follows from the log.

use std::collections::BTreeMap;
use std::ops::Range;

use annals::{Projection, Recorded};
use annals_proof::Findings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::ChannelEvent;
use crate::hex::Hash;
use crate::views::{Channel, ChannelState, signed_by};

/// The name of the projection in evidence.
const PROJECTION: &str = "annals-channels::Channel";

/// The version of the projection: of what its state's JSON has.
const VERSION: u32 = 1;

/// The largest number of signatures of one turn that are folded. Each is compared with the others of its turn, so a
/// file must not ask for any number of them. A channel has at most 255 participants.
const MAX_SIGNATURES: usize = 1_024;

/// The member `state` of evidence: the fold of the channel's events below `head` has a state with this hash.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FoldClaim {
    projection: String,
    version: u32,
    channel_id: Hash,
    head: u64,
    sha256: String,
}

/// A state of a channel that follows from the log: all events below `head` were shown, and folded again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoldedState {
    /// The channel.
    pub channel_id: Hash,
    /// The number of events that were folded, or looked at.
    pub head: u64,
    /// The SHA-256 of the state's canonical JSON.
    pub sha256: String,
    /// The state.
    pub state: ChannelState,
}

impl FoldClaim {
    pub(crate) fn of(channel_id: Hash, head: u64, state: &ChannelState) -> Self {
        let (projection, sha256) = (PROJECTION.to_owned(), digest(state));
        Self { projection, version: VERSION, channel_id, head, sha256 }
    }

    /// Folds the events again.
    pub(crate) fn check(self, found: &Findings) -> Result<FoldedState, String> {
        if self.projection != PROJECTION || self.version != VERSION {
            return Err(format!(
                "this program folds version {VERSION} of {PROJECTION}, not version {} of {}",
                self.version, self.projection
            ));
        }
        if !covers(&found.whole, self.head) {
            return Err(format!("not all events below offset {} are shown", self.head));
        }
        let channel = Channel(self.channel_id);
        let tag = format!("channel:{}", self.channel_id.lower());
        let mut state = channel.initial();
        let mut signed: BTreeMap<u64, usize> = BTreeMap::new();
        for shown in found.events.iter().take_while(|shown| shown.offset() < self.head) {
            if !shown.entry.event().tags().any(|one| one == tag) {
                continue;
            }
            let offset = shown.offset();
            let raw = shown.event().ok_or(format!("the content of event {offset} is not shown"))?;
            let event = <ChannelEvent as annals::Event>::decode(&raw)
                .map_err(|error| format!("event {offset} cannot be folded: {error}"))?;
            if let Some((turn, _)) = signed_by(&event) {
                let count = signed.entry(turn).or_default();
                *count += 1;
                if *count > MAX_SIGNATURES {
                    return Err(format!("turn {turn} has more than {MAX_SIGNATURES} signatures"));
                }
            }
            let time_ms = shown.entry.time_ms();
            channel.apply(&mut state, &Recorded { offset, time_ms, event });
        }
        let sha256 = digest(&state);
        if sha256 != self.sha256 {
            return Err(format!("the events give another state, with the SHA-256 {sha256}"));
        }
        Ok(FoldedState { channel_id: self.channel_id, head: self.head, sha256, state })
    }
}

/// Returns whether adjacent ranges begin at 0 and reach `head`.
fn covers(whole: &[Range<u64>], head: u64) -> bool {
    let mut end = 0;
    for range in whole.iter().take_while(|range| range.start <= head) {
        if range.start != end {
            break;
        }
        end = range.end;
    }
    end >= head
}

/// Returns the SHA-256 of a state's canonical JSON: RFC 8785, but integers have all their digits.
fn digest(state: &ChannelState) -> String {
    // A `Value` has its keys in order. A state can always be written.
    let value = serde_json::to_value(state).unwrap_or_default();
    alloy_primitives::hex::encode(Sha256::digest(value.to_string()))
}
