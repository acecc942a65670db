//! Uses of the log afterwards: earlier states, snapshots, and a check of every byte.

use annals::{SnapshotPolicy, SnapshotVerdict};
use annals_channels::{Channel, ChannelState};
use indicatif::HumanCount;

use super::cast::{ETH, Moment, Player, channel_id};
use super::story::Story;
use crate::channel_table;
use crate::failure::Failure;
use crate::human::counted;

/// Runs part 7: rebuilds the state at three moments from the log.
pub(super) fn time_travel(
    story: &mut Story,
    alice: &Player,
    moments: [&Moment; 3],
) -> Result<(), Failure> {
    story.part("Time travel: earlier states of the channel, rebuilt from Alice's log")?;
    let view = alice.store.reconstruct(Channel(channel_id()?));
    story.line(format_args!(
        "{:>12}  {:<12}  {:>9}  {:>12}  cheats",
        "after offset", "status", "supported", "held (wei)"
    ))?;
    let mut all_same = true;
    for Moment { last, state } in moments {
        let then = view.at(*last)?;
        story.line(format_args!("{last:>12}  {}", row(&then)))?;
        all_same &= then == *state;
    }
    story.claim(
        "each rebuilt state equals the state at that moment, including all signatures",
        all_same,
    )
}

fn row(state: &ChannelState) -> String {
    let turn = state.supported.map_or("-".to_owned(), |one| format!("turn {}", one.turn_num));
    let held = state.holdings.get(&ETH).map_or("-".to_owned(), |one| one.amount.to_string());
    let (status, cheats) = (channel_table::status(state), state.equivocations.len());
    format!("{status:<12}  {turn:>9}  {held:>12}  {cheats}")
}

/// Runs part 8: compares snapshots with states rebuilt from offset 0, and checks every byte of both logs.
pub(super) fn verify(story: &mut Story, alice: &Player, bob: &Player) -> Result<(), Failure> {
    story.part("Snapshots, and every byte checked")?;
    // Snapshots make rebuilding a long log fast. A log as short as this one does not need them.
    let policy = SnapshotPolicy::every(50).keep(3);
    let mut view = alice.store.reconstruct(Channel(channel_id()?)).snapshots(policy);
    view.now()?;
    let checks = view.verify_snapshots()?;
    let mut all_good = !checks.is_empty();
    for check in &checks {
        match &check.verdict {
            SnapshotVerdict::Good { sha256 } => {
                story.line(format_args!(
                    "snapshot of the first {} events: sha256 {sha256:.16}…",
                    check.head
                ))?;
            }
            _ => all_good = false,
        }
    }
    let count = counted(checks.len() as u64, "snapshot");
    story.claim(
        format_args!("{count} taken, each byte for byte equal to a state rebuilt from offset 0"),
        all_good,
    )?;
    for player in [alice, bob] {
        player.store.close()?;
        let report = annals::verify(&player.path)?;
        let whole = report.problems.is_empty() && report.events == player.store.len();
        let (name, events) = (player.role.name(), HumanCount(report.events));
        story.claim(
            format_args!(
                "{name}: all {events} events are whole; every checksum and index entry is right"
            ),
            whole,
        )?;
    }
    Ok(())
}
