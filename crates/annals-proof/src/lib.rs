//! Proofs of what an annals log contains.
//!
//! A **checkpoint** is a statement that the owner of a log signs: its name, its number of events, and the root of a
//! Merkle tree over them (RFC 6962). Three kinds of proof follow from it, and a program without access to the log
//! checks them:
//!
//! | proof | shows |
//! |---|---|
//! | [`InclusionProof`] | this event is at this offset |
//! | [`ConsistencyProof`] | the log at an older size is a beginning of the log at a newer one |
//! | [`Evidence`] | these events are in the log; and if asked for, these are *all* events of a range or a query |
//!
//! ```
//! use annals::{EventStore, Query, RawEvent};
//! use annals_proof::{Evidence, LogKey, Policy, Proofs};
//!
//! // The owner of the log.
//! let store = EventStore::in_memory();
//! store.append(RawEvent::builder("seat-sold").tag("seat:12A").build()?)?;
//! let key = LogKey::generate("example.com/alice")?;
//! let proofs = Proofs::in_memory(&store, "example.com/alice")?;
//! let checkpoint = proofs.checkpoint(&key)?;
//! let evidence = proofs.evidence(&checkpoint).query(&Query::tag("seat:12A")).whole(0..1).content().build()?;
//!
//! // Another party, with nothing but the owner's public key and the file.
//! let policy = Policy::of_keys([key.vkey()]);
//! let found = Evidence::from_json(evidence.to_json().as_bytes())?.check(&policy)?;
//! assert_eq!(found.events[0].offset(), 0);
//! assert_eq!(found.whole, [0..1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! Appends do no work for proofs: a call for a checkpoint or a proof computes the hashes from the log, or the thread of
//! a [`ProofFollower`] does. Proofs can be begun at any time, also for a log that exists already.
//!
//! The page `docs/PROOFS.md` of the project says what is proved and what is not, and has the formats to the byte.

#![forbid(unsafe_code)]

mod apart;
mod base64;
mod entry;
mod error;
mod evidence;
mod hash;
mod note;
mod proofs;
mod sha256;
mod sync_name;
mod tree;
mod witness;

pub use entry::Entry;
pub use error::{CheckError, FormatError, ProofError};
pub use evidence::evidence::{Earlier, Evidence, Findings, MAX_EVIDENCE_BYTES, Member, ShownEvent};
pub use evidence::fork::{Fork, ForkFound};
pub use hash::TreeHash;
pub use note::checkpoint::{Checkpoint, Signed};
pub use note::checks::SignatureChecks;
pub use note::key::{KeyKind, LogKey, VerifierKey};
pub use note::policy::{Policy, Verified};
pub use note::request::ConsistencyProof;
pub use note::tlog_proof::InclusionProof;
pub use proofs::directory::Anchor;
pub use proofs::evidence::EvidenceBuilder;
pub use proofs::follow::ProofFollower;
pub use proofs::options::{Leaves, ProofOptions};
pub use proofs::proofs::Proofs;
pub use proofs::publish::Published;
pub use proofs::verify::ProofReport;
pub use tree::check::{check_consistency, check_inclusion, check_subset};
pub use witness::{Witness, WitnessError};
