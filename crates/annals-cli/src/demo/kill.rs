//! Kills a process while it appends, and checks that everything it acknowledged is in the log.
//!
//! ```text
//!   this process                       its child, `annals demo-writer`
//!     drops Alice's log      ─────▶      opens it, signs turn after turn
//!     reads turns            ◀─────      acknowledges each turn once it is on the disk
//!     kills the child        ──✕──▶      is usually waiting for the disk at that moment
//!     reads the rest, opens the log, compares
//! ```
//! The child cannot close its log: `SIGKILL` cannot be caught, and neither can its equivalent on Windows.

use std::path::Path;

use annals::DecideError;
use annals_channels::{ChannelEvent, Refusal};

use super::cast::{DEPOSIT, Log, Player, Role, agree, state, state_that_pays};
use super::story::Story;
use super::writer::{Acknowledged, run_and_kill, states_signed, was_killed};
use crate::failure::Failure;

/// The number of acknowledged turns after which the child is killed.
const TURNS_BEFORE_KILL: usize = 100;

/// Runs part 2. Returns Alice after her recovery.
pub(super) fn kill_and_recover(
    story: &mut Story,
    alice: Player,
    bob: &mut Player,
    directory: &Path,
) -> Result<Player, Failure> {
    story.part("Alice's process is killed while it writes, and recovers")?;
    let before = alice.store.len();
    // Only one process at a time can write to a log.
    drop(alice);
    story.line(
        "Another process signs for Alice, turn after turn, and acknowledges each turn once it is",
    )?;
    story.line(format_args!(
        "on the disk. After {TURNS_BEFORE_KILL} acknowledged turns this process kills it."
    ))?;
    let (acknowledged, status) = run_and_kill(directory, TURNS_BEFORE_KILL)?;
    story.claim(
        format_args!("the other process was killed and did not exit by itself ({status})"),
        was_killed(status),
    )?;

    let report = annals::verify(directory.join(Role::Alice.name()))?;
    story.claim("the log on the disk is not damaged", report.problems.is_empty())?;
    for note in &report.notes {
        story.line(format_args!("(annals verify: {note})"))?;
    }

    let mut alice = Player::open(Role::Alice, directory)?;
    let mut signed = 0;
    for event in alice.store.query(&states_signed()).range(before..) {
        event?;
        signed += 1;
    }
    let mut found_in_log = 0;
    for turn in &acknowledged {
        found_in_log += usize::from(is_in_the_log(&alice.store, turn)?);
    }
    let all = acknowledged.len();
    story.line(format_args!(
        "turns acknowledged before the kill: {all}; in the log after the kill: {signed}"
    ))?;
    story.claim(
        format_args!(
            "all {all} acknowledged turns are in the log, with the same offsets and signatures"
        ),
        found_in_log == all && all >= TURNS_BEFORE_KILL,
    )?;
    story.claim(
        "the log has at most one more: the turn that was about to be acknowledged",
        (all..=all + 1).contains(&signed),
    )?;
    check_refuses_second_state(story, &mut alice)?;
    agree_on_last_turn(story, &mut alice, bob)?;
    Ok(alice)
}

/// Returns whether the log contains an acknowledged turn.
fn is_in_the_log(store: &Log, turn: &Acknowledged) -> Result<bool, Failure> {
    let event = store.get(turn.offset)?;
    Ok(event.is_some_and(|event| match &event.event {
        ChannelEvent::StateSigned(signed) => {
            signed.turn_num == turn.turn_num && signed.signature == turn.signature
        }
        _ => false,
    }))
}

/// Checks that Alice does not sign a second state for the last turn that she signed before the kill.
fn check_refuses_second_state(story: &mut Story, alice: &mut Player) -> Result<(), Failure> {
    let turn_num = alice.last_signed()?;
    let refused = matches!(
        alice.party.sign(&state_that_pays(turn_num, DEPOSIT)?),
        Err(DecideError::Rejected(refusal)) if matches!(*refusal, Refusal::SecondState { .. })
    );
    story.claim(
        format_args!(
            "Alice's log shows that she signed turn {turn_num}; she refuses to sign another state for it"
        ),
        refused,
    )
}

/// Checks that Alice and Bob can continue after the kill.
fn agree_on_last_turn(
    story: &mut Story,
    alice: &mut Player,
    bob: &mut Player,
) -> Result<(), Failure> {
    let turn_num = alice.last_signed()?;
    agree(alice, bob, &state(turn_num)?)?;
    let both = [alice.supported()?, bob.supported()?] == [Some(turn_num); 2];
    story.claim(
        format_args!("Bob receives that turn and signs it, too: turn {turn_num} is supported"),
        both,
    )
}
