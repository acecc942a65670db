//! `annals checkpoint` signs what a store contains.

use std::io::Write as _;

use annals::{Durability, OpenError};
use annals_proof::{Anchor, LogKey, ProofOptions};

use super::files;
use crate::args::proof::Checkpoint;
use crate::failure::Failure;
use crate::out::Out;
use crate::signals::Interrupt;
use crate::{store, waiting};

/// Signs a checkpoint, or stores a receipt, and prints the checkpoint.
pub(crate) fn run(args: &Checkpoint) -> Result<(), Failure> {
    if store::is_vacant(&args.store)? {
        let path = args.store.path().to_owned();
        return Err(Failure::Open(OpenError::NotFound { path }));
    }
    let store = waiting::open(&args.store, Durability::Sync, args.waiting, &Interrupt::default())?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = ProofOptions::new().anchor(Anchor::Durable).threads(threads);
    let checkpoint = match (&args.key, &args.receipt, &args.witness) {
        (_, Some(receipt), Some(witness)) => {
            let line = String::from_utf8_lossy(&files::read(receipt)?).into_owned();
            options.open_existing(&store)?.add_receipt(&line, witness)?
        }
        (Some(key), ..) => {
            let key = LogKey::read(key)?;
            if args.adopt {
                options.adopt(&store, &key.vkey())?;
            }
            options.open(&store, key.name())?.checkpoint(&key)?
        }
        // The arguments require one of both.
        _ => return Ok(()),
    };
    store.close()?;
    let mut out = Out::for_reports(None);
    out.with(|out| write!(out, "{checkpoint}"))?;
    out.flush()
}
