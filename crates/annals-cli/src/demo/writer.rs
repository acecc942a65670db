//! The process that the demo kills, and the code that reads its output and kills it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use annals::{Query, QueryItem};
use annals_channels::{Signature, StateSigned};
use serde::{Deserialize, Serialize};

use super::cast::{Log, Player, Role, state};
use crate::failure::Failure;

/// A line of the child's output: a signed turn, and its offset in the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    pub(super) offset: u64,
    pub(super) turn_num: u64,
    pub(super) signature: Signature,
}

/// Runs the child: signs turn after turn for Alice, and prints each turn once it is on the disk.
pub(crate) fn sign_until_killed(directory: &Path) -> Result<(), Failure> {
    let mut alice = Player::open(Role::Alice, directory)?;
    let mut out = std::io::stdout().lock();
    for turn_num in alice.last_signed()? + 1.. {
        // The event is on the disk when this returns.
        let signed = alice.party.sign(&state(turn_num)?)?;
        let offset = last_signed_at(&alice.store)?;
        let turn = Acknowledged { offset, turn_num, signature: signed.signature };
        let line = serde_json::to_string(&turn).map_err(Into::into);
        // If the parent has ended, this fails with a broken pipe and ends the child.
        line.and_then(|line| writeln!(out, "{line}")).map_err(Failure::Output)?;
    }
    Ok(())
}

/// Returns the offset of the last signed state.
fn last_signed_at(store: &Log) -> Result<u64, Failure> {
    let last = store.query(&states_signed()).next_back().transpose()?;
    Ok(last.map_or(0, |event| event.offset))
}

/// Returns the query for states that the log's owner signed.
pub(super) fn states_signed() -> Query {
    Query::item(QueryItem::new().event_type(StateSigned::TYPE))
}

/// Starts the child, and kills it when it has acknowledged `turns` turns. Returns all acknowledged turns, and the
/// child's exit status.
pub(super) fn run_and_kill(
    directory: &Path,
    turns: usize,
) -> Result<(Vec<Acknowledged>, ExitStatus), Failure> {
    run(directory, turns).map_err(Failure::DemoProcess)
}

fn run(directory: &Path, turns: usize) -> std::io::Result<(Vec<Acknowledged>, ExitStatus)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["demo-writer", "--"]).arg(directory);
    let mut writer = Writer(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    let mut acknowledged = Vec::new();
    if let Some(output) = writer.0.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        // Read to the end: lines that the child wrote before it was killed may still be in the pipe.
        while output.read_line(&mut line)? > 0 {
            // A line without a line feed was not written completely, so it acknowledges nothing.
            if let Some(turn) = line.strip_suffix('\n') {
                acknowledged.push(serde_json::from_str(turn)?);
            }
            line.clear();
            if acknowledged.len() == turns {
                writer.0.kill()?;
            }
        }
    }
    Ok((acknowledged, writer.0.wait()?))
}

/// A child process that is killed when this value is dropped.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        // An error is ignored: the child may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns whether a process was killed.
pub(super) fn was_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        status.signal() == Some(9)
    }
    #[cfg(not(unix))]
    {
        !status.success()
    }
}
