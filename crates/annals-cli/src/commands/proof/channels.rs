//! What evidence proves about state channels.

use annals_channels::{Backdated, ChannelFindings, Convicted, ShownState, Trust, check_evidence};
use annals_proof::Policy;
use serde_json::json;

use super::lines::{Line, evidence_lines};
use crate::args::proof::Check;
use crate::failure::Failure;
use crate::human;

/// Checks evidence, and returns what it proves.
pub(super) fn lines(bytes: &[u8], policy: &Policy, args: &Check) -> Result<Vec<Line>, Failure> {
    let trust = if args.addresses.is_empty() {
        Trust::Policy(policy.clone())
    } else {
        Trust::Accounts(args.addresses.clone())
    };
    let found = check_evidence(bytes, &trust)?;
    let mut lines = evidence_lines(&found.findings);
    lines.extend(owner(&found));
    lines.extend(found.states.iter().map(state));
    lines.extend(folded(&found));
    lines.extend(compared_times(&found));
    lines.extend(found.backdated.iter().map(backdated));
    lines.extend(found.convicted.iter().map(convicted));
    Ok(lines)
}

fn owner(found: &ChannelFindings) -> Option<Line> {
    let statement = found.statement.as_ref()?;
    let (address, origin) = (statement.address(), statement.origin());
    let text = format!("owner: the account {address} stated that the key of {origin} is its own");
    let fields = vec![
        ("address", json!(address)),
        ("origin", json!(origin)),
        ("vkey", json!(statement.vkey().to_string())),
        ("cosigner", json!(statement.cosigner().to_string())),
    ];
    Some(("owner", text, fields))
}

fn state(shown: &ShownState) -> Line {
    let (state, hash) = (&shown.state, shown.state_hash);
    let signers: Vec<String> = shown
        .signatures
        .iter()
        .map(|one| format!("{} (event {})", one.signer, one.offset))
        .collect();
    let last = if state.is_final { ", the final one" } else { "" };
    let payments: Vec<String> = state
        .outcome
        .iter()
        .flat_map(|exit| &exit.allocations)
        .map(|payment| format!("{} to {}", payment.amount, payment.destination))
        .collect();
    let text = format!(
        "state {hash}: turn {}{last} of channel {}, pays [{}], signed by {}",
        state.turn_num,
        state.channel_id,
        payments.join(", "),
        signers.join(", ")
    );
    let signatures: Vec<_> = shown
        .signatures
        .iter()
        .map(|one| json!({"offset": one.offset, "signer": one.signer}))
        .collect();
    let fields = vec![
        ("state_hash", json!(hash)),
        ("state", json!(state)),
        ("signatures", json!(signatures)),
    ];
    ("state", text, fields)
}

fn folded(found: &ChannelFindings) -> Option<Line> {
    let folded = found.folded.as_ref()?;
    let events = human::counted(folded.head, "event");
    let text = format!(
        "folded: the log's {events} give the state of channel {} with the SHA-256 {}",
        folded.channel_id, folded.sha256
    );
    let fields = vec![
        ("channel_id", json!(folded.channel_id)),
        ("head", json!(folded.head)),
        ("sha256", json!(folded.sha256)),
        ("state", json!(folded.state)),
    ];
    Some(("folded", text, fields))
}

/// Returns what the times of events were compared with, so that no event counts as checked that was not.
fn compared_times(found: &ChannelFindings) -> Option<Line> {
    let (receipts, hidden) = (found.compared_times.receipts, found.compared_times.hidden);
    if receipts + hidden == 0 && found.statement.is_none() {
        return None;
    }
    let mut text = match receipts {
        0 => "times: NOT COMPARED, because no receipt is shown with its content".to_owned(),
        _ => format!("times: compared with {}", human::counted(receipts, "receipt")),
    };
    if hidden > 0 {
        let hidden = human::counted(hidden, "receipt");
        text = format!("{text}; passed over, because their content is not shown: {hidden}");
    }
    let fields = vec![("receipts", json!(receipts)), ("hidden", json!(hidden))];
    Some(("times", text, fields))
}

fn backdated(found: &Backdated) -> Line {
    let (says, had) =
        (human::time(found.time_ms), human::time(found.cosigned.saturating_mul(1_000)));
    let text = format!(
        "BACKDATED: event {} says {says}, and the receipt before it, event {}, is of {had}",
        found.offset, found.receipt
    );
    let fields = vec![
        ("offset", json!(found.offset)),
        ("time_ms", json!(found.time_ms)),
        ("receipt", json!(found.receipt)),
        ("cosigned", json!(found.cosigned)),
    ];
    ("backdated", text, fields)
}

fn convicted(found: &Convicted) -> Line {
    let [first, second] = found.state_hashes;
    let [at_first, at_second] = found.offsets;
    let text = format!(
        "CONVICTED: {} signed two states for turn {} of channel {}: {first} (event {at_first}) and {second} (event \
         {at_second})",
        found.signer, found.turn_num, found.channel_id
    );
    let fields = vec![
        ("signer", json!(found.signer)),
        ("channel_id", json!(found.channel_id)),
        ("turn_num", json!(found.turn_num)),
        ("state_hashes", json!(found.state_hashes)),
        ("offsets", json!(found.offsets)),
    ];
    ("convicted", text, fields)
}
