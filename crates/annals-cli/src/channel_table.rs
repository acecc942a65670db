//! A channel's state for people. A row is printed only for facts that exist.
//!
//! ```text
//!   status          challenged
//!   supported       turn 7, by 2 signatures: 0x5f…
//! ```

use annals_channels::{Address, ChannelState, Equivocation, FixedPart, Hash};

use crate::failure::Failure;
use crate::human::{counted, time};
use crate::out::Out;

/// Prints the state right after the event at `last`, in a log whose head is `head`.
pub(crate) fn show(
    channel_id: Hash,
    last: u64,
    head: u64,
    state: &ChannelState,
    out: &mut Out,
) -> Result<(), Failure> {
    let now = if last + 1 == head { ", the last one" } else { "" };
    let mut rows = vec![
        ("channel", channel_id.to_string()),
        ("after offset", format!("{last}{now}")),
        ("status", status(state)),
    ];
    rows.extend(state.fixed.iter().flat_map(fixed));
    rows.extend(signed(state));
    rows.extend(on_chain(state));
    rows.extend(state.equivocations.iter().flat_map(evidence));
    let mut before = "";
    for (name, value) in rows {
        // A name is printed only in the first of its rows.
        let title = if name == before { "" } else { name };
        out.text(format_args!("{title:<16}{value}"))?;
        before = name;
    }
    Ok(())
}

/// Returns the channel's status in one word.
pub(crate) fn status(state: &ChannelState) -> String {
    let word = state.status.and_then(|status| serde_json::to_value(status).ok());
    word.as_ref().and_then(|word| word.as_str()).unwrap_or("not created").to_owned()
}

type Row = (&'static str, String);

fn fixed(fixed: &FixedPart) -> Vec<Row> {
    let participants = fixed.participants.iter().map(|one| ("participants", one.to_string()));
    let rest = [
        ("nonce", fixed.channel_nonce.to_string()),
        ("app definition", fixed.app_definition.to_string()),
        ("challenge time", format!("{} s", fixed.challenge_duration)),
    ];
    participants.chain(rest).collect()
}

fn signed(state: &ChannelState) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(turn) = state.latest_signed_turn {
        rows.push(("signed by us", format!("up to turn {turn}")));
    }
    let turns = state.signatures.keys();
    if let Some((first, last)) = turns.clone().min().zip(turns.max()) {
        let count = state.signatures.values().map(|signed| signed.len() as u64).sum();
        let of = if first == last {
            format!("turn {first}")
        } else {
            format!("turns {first} to {last}")
        };
        rows.push(("signatures", format!("{}, of {of}", counted(count, "signature"))));
    }
    if let Some(supported) = state.supported {
        let by = counted(supported.num_signatures.into(), "signature");
        rows.push(("supported", format!("turn {}, by {by}", supported.turn_num)));
        rows.push(("supported", supported.state_hash.to_string()));
    }
    if let Some(end) = state.finalized {
        rows.push(("final", format!("turn {}", end.turn_num)));
        rows.push(("final", end.state_hash.to_string()));
    }
    rows
}

fn on_chain(state: &ChannelState) -> Vec<Row> {
    let mut rows = Vec::new();
    for (asset, holding) in &state.holdings {
        rows.push(("held", format!("{} of {}", holding.amount, name(*asset))));
    }
    if let Some(challenge) = state.challenge {
        let ends = time(challenge.finalization_time.saturating_mul(1_000));
        rows.push(("challenge", format!("turn {}, until {ends}", challenge.turn_num_record)));
        rows.push(("challenge", format!("by {}", challenge.challenger)));
    }
    for paid in &state.withdrawals {
        let (amount, asset) = (paid.amount, name(paid.asset));
        rows.push(("withdrawn", format!("{amount} of {asset} to {}", paid.recipient)));
    }
    rows
}

fn evidence(evidence: &Equivocation) -> [Row; 3] {
    let Equivocation { turn_num, first, second } = evidence;
    [
        ("equivocation", format!("{} signed two states for turn {turn_num}:", first.signer)),
        ("equivocation", first.state_hash.to_string()),
        ("equivocation", second.state_hash.to_string()),
    ]
}

/// Returns the name of an asset for people.
fn name(asset: Address) -> String {
    if asset.bytes() == &[0; 20] { "ETH (wei)".to_owned() } else { asset.to_string() }
}
