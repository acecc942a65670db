//! A process killed while it appends: what it had acknowledged is all there.
//!
//! ```text
//!   this process                       its child, `annals demo-writer`
//!     drops Alice's log      ─────▶      opens it, signs turn after turn
//!     reads turns            ◀─────      tells of each once it is on the disk
//!     kills it               ──✕──▶      whatever it is at: mostly it waits for the disk
//!     reads the rest, opens the log, compares
//! ```
//! Nothing is closed in the child, nor could it be: `SIGKILL` cannot be caught, nor can what Windows has for it.

use std::path::Path;

use annals::DecideError;
use annals_channels::{ChannelEvent, Refusal};

use super::cast::{DEPOSIT, Log, Player, Role, agree, state, state_that_pays};
use super::story::Story;
use super::writer::{Acknowledged, listen_and_kill, states_signed, was_killed};
use crate::failure::Failure;

/// Turns that are heard of before the kill.
const HEARD: usize = 100;

/// Part 2. Answers Alice, as she came back.
pub(super) fn killed_and_back(
    story: &mut Story,
    alice: Player,
    bob: &mut Player,
    directory: &Path,
) -> Result<Player, Failure> {
    story.part("Alice's process is killed while it writes, and comes back")?;
    let before = alice.store.len();
    drop(alice); // One process at a time writes to a log.
    story.line("Another process signs for Alice, turn after turn, and tells this one of each")?;
    story.line(format_args!(
        "that is on the disk. After {HEARD} of them it is killed, whatever it is at."
    ))?;
    let (acknowledged, status) = listen_and_kill(directory, HEARD)?;
    story.claim(
        format_args!("it was killed, and did not end by itself ({status})"),
        was_killed(status),
    )?;

    let found = annals::verify(directory.join(Role::Alice.name()))?;
    story.claim("nothing that was on the disk is damaged", found.problems.is_empty())?;
    for note in &found.notes {
        story.line(format_args!("(annals verify: {note})"))?;
    }

    let mut alice = Player::open(Role::Alice, directory)?;
    let mut signed = 0;
    for event in alice.store.query(&states_signed()).from(before) {
        event?;
        signed += 1;
    }
    let mut there = 0;
    for told in &acknowledged {
        there += usize::from(is_in_the_log(&alice.store, told)?);
    }
    let all = acknowledged.len();
    story.line(format_args!(
        "turns acknowledged before the kill: {all}; in the log after it: {signed}"
    ))?;
    story.claim(
        format_args!("all {all} acknowledged turns are there, each at its offset, signed as told"),
        there == all && all >= HEARD,
    )?;
    story.claim(
        "beside them at most one: that which it was about to tell of",
        (all..=all + 1).contains(&signed),
    )?;
    knows_what_she_signed(story, &mut alice)?;
    agree_on_her_last(story, &mut alice, bob)?;
    Ok(alice)
}

/// Whether the log has what was told of it.
fn is_in_the_log(store: &Log, told: &Acknowledged) -> Result<bool, Failure> {
    let event = store.get(told.offset)?;
    Ok(event.is_some_and(|event| match &event.event {
        ChannelEvent::StateSigned(signed) => {
            signed.turn_num == told.turn_num && signed.signature == told.signature
        }
        _ => false,
    }))
}

/// What she signed before the kill binds her after it.
fn knows_what_she_signed(story: &mut Story, alice: &mut Player) -> Result<(), Failure> {
    let turn_num = alice.last_signed()?;
    let refused = matches!(
        alice.party.sign(&state_that_pays(turn_num, DEPOSIT)?),
        Err(DecideError::Rejected(refusal)) if matches!(*refusal, Refusal::SecondState { .. })
    );
    story.claim(
        format_args!(
            "Alice knows that she signed turn {turn_num}, and signs no other state for it"
        ),
        refused,
    )
}

/// They go on from there.
fn agree_on_her_last(
    story: &mut Story,
    alice: &mut Player,
    bob: &mut Player,
) -> Result<(), Failure> {
    let turn_num = alice.last_signed()?;
    agree(alice, bob, &state(turn_num)?)?;
    let both = [alice.supported()?, bob.supported()?] == [Some(turn_num); 2];
    story.claim(format_args!("Bob gets it and signs it, too: turn {turn_num} is supported"), both)
}
