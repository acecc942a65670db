//! The process that the demo kills: what it does, and how it is listened to.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use annals::{Query, QueryItem};
use annals_channels::{Signature, StateSigned};
use serde::{Deserialize, Serialize};

use super::cast::{Log, Player, Role, state};
use crate::failure::Failure;

/// A line of the child: a turn that was signed, and where the log has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    pub(super) offset: u64,
    pub(super) turn_num: u64,
    pub(super) signature: Signature,
}

/// The child: signs turn after turn for Alice, and tells of each once it is on the disk.
pub(crate) fn sign_until_killed(directory: &Path) -> Result<(), Failure> {
    let mut alice = Player::open(Role::Alice, directory)?;
    let mut out = std::io::stdout().lock();
    for turn_num in alice.last_signed()? + 1.. {
        // On the disk when this returns.
        let signed = alice.party.sign(&state(turn_num)?)?;
        let offset = last_signed_at(&alice.store)?;
        let told = Acknowledged { offset, turn_num, signature: signed.signature };
        let line = serde_json::to_string(&told).map_err(Into::into);
        // If the parent is gone this is a broken pipe, and so the end.
        line.and_then(|line| writeln!(out, "{line}")).map_err(Failure::Output)?;
    }
    Ok(())
}

/// The offset of the last state that was signed.
fn last_signed_at(store: &Log) -> Result<u64, Failure> {
    let last = store.query(&states_signed()).rev().next().transpose()?;
    Ok(last.map_or(0, |event| event.offset))
}

/// The events that are signatures of the log's owner.
pub(super) fn states_signed() -> Query {
    Query::item(QueryItem::new().event_type(StateSigned::TYPE))
}

/// Starts the child, and kills it when it has acknowledged `heard` turns. Answers all that it acknowledged, and how it
/// ended.
pub(super) fn listen_and_kill(
    directory: &Path,
    heard: usize,
) -> Result<(Vec<Acknowledged>, ExitStatus), Failure> {
    run(directory, heard).map_err(Failure::DemoProcess)
}

fn run(directory: &Path, heard: usize) -> std::io::Result<(Vec<Acknowledged>, ExitStatus)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["demo-writer", "--"]).arg(directory);
    let mut writer = Writer(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    let mut acknowledged = Vec::new();
    if let Some(output) = writer.0.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        // To the end: what it said before it was killed may still be in the pipe.
        while output.read_line(&mut line)? > 0 {
            // A line without its end was not said.
            if let Some(told) = line.strip_suffix('\n') {
                acknowledged.push(serde_json::from_str(told)?);
            }
            line.clear();
            if acknowledged.len() == heard {
                writer.0.kill()?;
            }
        }
    }
    Ok((acknowledged, writer.0.wait()?))
}

/// A child that is not left behind, whatever happens.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a process ended because it was killed.
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
