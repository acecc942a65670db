//! Events that are older, by their time, than what was in the log before them.

use annals::Event;
use annals_proof::{CheckError, Checkpoint, Findings, Policy, SignatureChecks};

use crate::event::{ChannelEvent, ReceiptReceived};

/// The difference between two clocks that is not reported, in milliseconds.
pub(crate) const SLACK_MS: u64 = 60_000;

/// The largest number of receipts that are looked at, each with a signature to check.
const MAX_RECEIPTS: usize = 4_096;

/// An event that claims to be older than it can be: a receipt was in the log before it, and the witness's time in that
/// receipt is more than a minute later than the event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backdated {
    /// The event's offset.
    pub offset: u64,
    /// The event's time, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// The offset of the receipt, which is smaller.
    pub receipt: u64,
    /// The time in the receipt, by the witness's clock, in seconds since 1970 UTC.
    pub cosigned: u64,
}

/// The receipts with which the times of the shown events were compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComparedTimes {
    /// The number of receipts that are shown with their content. The times of later events were compared with these.
    pub receipts: u64,
    /// The number of receipts whose content is not shown. No time was compared with these.
    pub hidden: u64,
}

/// Returns the backdated events among those that are shown, and what their times were compared with. Fails if they have
/// too many receipts to look at all, because an owner could hide a backdated event behind many receipts.
pub(super) fn backdated(
    found: &Findings,
    policy: &Policy,
    checks: &mut SignatureChecks,
) -> Result<(Vec<Backdated>, ComparedTimes), String> {
    let mut compared = ComparedTimes::default();
    let mut backdated = Vec::new();
    // The latest time of a cosignature so far, and the offset of its receipt.
    let mut latest: Option<(u64, u64)> = None;
    let mut left = MAX_RECEIPTS;
    for shown in &found.events {
        let (offset, time_ms) = (shown.offset(), shown.entry.time_ms());
        if let Some((cosigned, receipt)) = latest
            && time_ms.saturating_add(SLACK_MS) < cosigned.saturating_mul(1_000)
        {
            backdated.push(Backdated { offset, time_ms, receipt, cosigned });
        }
        if shown.content.is_none() && shown.entry.event().event_type() == ReceiptReceived::TYPE {
            compared.hidden += 1;
        }
        let event = shown.event().and_then(|raw| ChannelEvent::decode(&raw).ok());
        let Some(ChannelEvent::ReceiptReceived(event)) = event else { continue };
        compared.receipts += 1;
        left = left.checked_sub(1).ok_or_else(|| {
            format!("at most {MAX_RECEIPTS} receipts are compared with the times of events; there are more")
        })?;
        let checkpoint = event.checkpoint.parse::<Checkpoint>().ok();
        let signed = checkpoint.map(|checkpoint| policy.cosignatures_within(&checkpoint, checks));
        if let Some(Err(error @ CheckError::TooManySignatures { .. })) = &signed {
            return Err(error.to_string());
        }
        let time = signed.into_iter().flatten().flatten().filter_map(|signed| signed.time).max();
        latest = latest.max(time.map(|time| (time, offset)));
    }
    Ok((backdated, compared))
}
