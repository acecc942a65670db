//! `annals demo`: the whole life of a channel of two, told while it happens and checked while it is told.
//!
//! Read it to learn how a program uses annals: it calls nothing that another program could not.
//!
//! ```text
//!   mod        the story's order                  story      what is told, and what is claimed
//!   life       parts 1, 3, 4 and 5: the channel   cast       Alice and Bob: keys, logs, states
//!   kill       part 2: a process killed           writer     the process that is
//!   past       parts 6 and 7: what the log keeps  chain      what the chain says
//!   next       part 8: commands to try            place      the directory
//! ```

mod cast;
mod chain;
mod kill;
mod life;
mod next;
mod past;
mod place;
mod story;
mod writer;

use std::path::Path;

use cast::{Player, Role};
use chain::Chain;
use story::Story;
pub(crate) use writer::sign_until_killed;

use crate::args::{Demo, Format};
use crate::failure::Failure;
use crate::out::counted;

/// Tells the story. It is a text for people in either format.
pub(crate) fn run(args: &Demo, format: Option<Format>) -> Result<(), Failure> {
    let directory = place::make(args.directory.as_deref())?;
    tell(&directory, format).map_err(|problem| match problem {
        told @ Failure::Output(_) => told,
        problem => Failure::Demo { problem: Box::new(problem), directory },
    })
}

fn tell(directory: &Path, format: Option<Format>) -> Result<(), Failure> {
    let mut story = Story::new(format);
    story.say("annals demo: a state channel of two, each with a log of its own.")?;
    story
        .say(format_args!("All of it is kept, and can be looked at, in {}", directory.display()))?;

    let mut alice = Player::open(Role::Alice, directory)?;
    let mut bob = Player::open(Role::Bob, directory)?;
    let mut chain = Chain::new();
    let funded = life::begins(&mut story, &mut chain, &mut alice, &mut bob)?;
    // Her log goes to another process, which does not live long.
    let mut alice = kill::killed_and_back(&mut story, alice, &mut bob, directory)?;
    life::a_cheat_is_noticed(&mut story, &mut alice, &bob)?;
    let challenged = life::a_challenge_is_answered(&mut story, &mut chain, &mut alice, &mut bob)?;
    let ended = life::ends(&mut story, &mut chain, &mut alice, &mut bob)?;

    past::time_travel(&mut story, &alice, [&funded, &challenged, &ended])?;
    past::is_verified(&mut story, &alice, &bob)?;
    next::commands(&mut story, directory, challenged.last)?;

    let (events, claims) = (alice.store.len() + bob.store.len(), story.checked());
    story.say("")?;
    story.say(format_args!(
        "Done: {} in two logs; {} checked, and all held.",
        counted(events, "event"),
        counted(claims, "claim")
    ))
}
