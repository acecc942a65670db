//! `annals demo` runs through the life of a channel of two parties, prints each step, and checks each claim that it
//! prints.
//!
//! Read it to learn how a program uses annals: it calls only public functions.
//!
//! ```text
//!   mod        the order of the parts             story      prints lines and claims
//!   life       parts 1, 3, 5 and 6: the channel   cast       Alice and Bob: keys, logs, states
//!   kill       part 2: a process is killed        writer     the process that is killed
//!   convict    part 4: one file convicts Bob      chain      the events of the blockchain
//!   past       parts 7 and 8: state and checks    directory  creates the demo's directory
//!   next       part 9: commands to try
//! ```

mod cast;
mod chain;
mod convict;
mod directory;
mod kill;
mod life;
mod next;
mod past;
mod story;
pub(crate) mod writer;

use std::path::Path;

use cast::{Player, Role};
use chain::Chain;
use story::Story;

use crate::args::Format;
use crate::args::demo::Demo;
use crate::failure::Failure;
use crate::human::counted;

/// Runs the demo. Its output is text for people in either format.
pub(crate) fn run(args: &Demo, format: Option<Format>) -> Result<(), Failure> {
    let directory = directory::create(args.directory.as_deref())?;
    run_parts(&directory, format).map_err(|problem| match problem {
        problem @ Failure::Output(_) => problem,
        problem => Failure::Demo { problem: Box::new(problem), directory },
    })
}

fn run_parts(directory: &Path, format: Option<Format>) -> Result<(), Failure> {
    let mut story = Story::new(format);
    story.say("annals demo: a state channel of two parties, each with its own log.")?;
    story.say(format_args!(
        "Everything is stored, and readable afterwards, in {}",
        directory.display()
    ))?;

    let mut alice = Player::open(Role::Alice, directory)?;
    let mut bob = Player::open(Role::Bob, directory)?;
    cast::introduce(&alice, &bob)?;
    let mut chain = Chain::new();
    let funded = life::fund_and_agree(&mut story, &mut chain, &mut alice, &mut bob)?;
    // Alice's log is passed to another process, which is then killed.
    let mut alice = kill::kill_and_recover(&mut story, alice, &mut bob, directory)?;
    life::detect_cheating(&mut story, &mut alice, &bob)?;
    let evidence = convict::convict(&mut story, &mut alice, &bob, directory)?;
    let challenged = life::answer_challenge(&mut story, &mut chain, &mut alice, &mut bob)?;
    let ended = life::conclude(&mut story, &mut chain, &mut alice, &mut bob)?;

    past::time_travel(&mut story, &alice, [&funded, &challenged, &ended])?;
    past::verify(&mut story, &alice, &bob)?;
    next::commands(&mut story, directory, challenged.last, evidence)?;

    let (events, claims) = (alice.store.len() + bob.store.len(), story.checked());
    story.say("")?;
    story.say(format_args!(
        "Done: {} in two logs; {} checked, and all are true.",
        counted(events, "event"),
        counted(claims, "claim")
    ))
}
