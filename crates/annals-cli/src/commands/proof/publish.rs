//! `annals publish` writes a tlog-tiles directory.

use annals_proof::{ProofError, ProofOptions};

use crate::args::proof::Publish;
use crate::console::say;
use crate::failure::Failure;
use crate::human::counted;
use crate::store::{self, Store};

/// Publishes the last checkpoint of a store.
pub(crate) fn run(args: &Publish) -> Result<(), Failure> {
    let Some(directory) = &args.directory else { return Ok(()) };
    store::reading(&args.store, |store: &Store| {
        let proofs = ProofOptions::new().open_existing(store)?;
        let checkpoint = proofs.last_checkpoint().ok_or_else(|| {
            Failure::Proof(ProofError::NoProofs { path: args.store.path().join("proofs") })
        })?;
        let done = proofs.publish(&checkpoint, directory, args.entries)?;
        let events = counted(checkpoint.size(), "event");
        say::note(&format!(
            "published {events} of {} at {}",
            checkpoint.origin(),
            directory.display()
        ));
        if done.damaged > 0 {
            let files = counted(done.damaged, "damaged file");
            say::note(&format!("replaced {files} of the directory"));
        }
        Ok(())
    })
}
