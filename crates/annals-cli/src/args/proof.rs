//! The arguments of `annals key`, `checkpoint`, `prove`, `check`, `fork`, `witness` and `publish`.

use std::path::PathBuf;

use annals_proof::VerifierKey;
use clap::error::ErrorKind;
use clap::{ArgGroup, Args};

use super::creation::Waiting;
use super::values::{event_type, whole_number};
use crate::criteria::name_pattern::NamePattern;
use crate::store_path::StorePath;

/// Create a key with which a log signs, or with which a witness cosigns the logs of others
///
/// The key is written to FILE, which only you can read; an existing file is never replaced. Keep it secret. Do not keep
/// it in the store's directory or in its backups: a thief of the key can sign in your name.
///
/// NAME is the name under which others know the log or the witness. By convention it is a domain and a path, such as
/// example.com/ledger. It cannot be changed later.
///
/// The command prints two public keys. They are not secret. Others check your log with the `vkey`, and the checkpoints
/// that you cosign as a witness with the `witness_vkey`. A witness does not cosign a log with the log's own key. With
/// --show, it prints those of a key that you have.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals key example.com/ledger --out ledger.key\n  annals key --show ledger.key"
)]
pub(crate) struct Key {
    /// The name of the log or witness
    #[arg(required_unless_present = "show")]
    pub(crate) name: Option<String>,

    /// The file to write the secret key to
    #[arg(long, value_name = "FILE", required_unless_present = "show")]
    pub(crate) out: Option<PathBuf>,

    /// Create nothing, and print the public keys of this key file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "out"])]
    pub(crate) show: Option<PathBuf>,
}

/// Sign what a store contains now: a checkpoint
///
/// A checkpoint is a short text with a signature. It says: the log of this name has this many events, and this is their
/// fingerprint (a hash that changes if any event is changed, added in between or removed). Give it to others, or keep
/// it elsewhere. Its owner can show later whether the log was changed, and you cannot deny your signature.
///
/// The first checkpoint binds the store to the key. The command needs the right to write: no other process may have the
/// store open for writing (--wait waits until that is so). If an old backup of the store was restored, the command
/// refuses to sign, because it would contradict what was signed before. It compares the last events that were signed,
/// and not all of them: `annals verify` does.
///
/// With --receipt, nothing is signed. The line that a witness returned for the last checkpoint is checked and stored
/// beside the log.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals checkpoint my.store --key ledger.key > today.checkpoint\n  annals checkpoint my.store --receipt line.txt --witness example.com/bob+47d066b1+BNdZeTu8E6KBmoJ8dq22+6ikmu4Af0ny0JktmbglrSxI"
)]
pub(crate) struct Checkpoint {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The key file
    #[arg(long, value_name = "FILE", required_unless_present = "receipt")]
    pub(crate) key: Option<PathBuf>,

    /// Store the line of a witness, instead of signing
    #[arg(long, value_name = "FILE", requires = "witness", conflicts_with = "key")]
    pub(crate) receipt: Option<PathBuf>,

    /// The public key of that witness
    #[arg(long, value_name = "VKEY", requires = "receipt")]
    pub(crate) witness: Option<VerifierKey>,

    /// Take over the proofs of a log that was copied to this store with `annals copy`, and whose directory `proofs` was
    /// copied into the store's directory. The old store must not be signed again
    #[arg(long, requires = "key")]
    pub(crate) adopt: bool,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Write a proof of what a store contains. A reader needs neither the store nor trust in you to check it
///
/// The proof is about the last checkpoint that was signed, or the one of --at. `annals check` checks it.
///
/// With OFFSET: a proof that this event is in the log at this place. It shows the event's type, tags, id and time, and
/// a hash of its data.
///
/// With --since: a proof that the log only grew since an older checkpoint. It is also what a witness wants as input.
///
/// With --tag or --type: a file of evidence with these events. With --whole, it also proves that no event of the range
/// is left out; for this it has to show the type, tags, id and time of every event in the range. Without --content, the
/// data of events is not shown.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals prove my.store 17 > event-17.proof\n  annals prove my.store --since last-month.checkpoint > grew.proof\n  annals prove my.store --tag order:7 --content > order-7.annals-evidence\n  annals prove my.store --tag order:7 --whole --content > all-of-order-7.annals-evidence"
)]
pub(crate) struct Prove {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The event's offset
    #[arg(value_parser = whole_number, conflicts_with_all = ["since", "types", "tags", "whole"])]
    pub(crate) offset: Option<u64>,

    /// An older checkpoint of the same log, or `none` for the empty log, with which a witness begins
    #[arg(long, value_name = "FILE", conflicts_with_all = ["types", "tags", "whole"])]
    pub(crate) since: Option<PathBuf>,

    /// The checkpoint that the proof is about [default: the last one]
    #[arg(long, value_name = "FILE")]
    pub(crate) at: Option<PathBuf>,

    /// Evidence of events of this type; if repeated, of any of these types
    #[arg(short = 'T', long = "type", value_name = "TYPE", value_parser = event_type)]
    pub(crate) types: Vec<String>,

    /// Evidence of events with this tag; if repeated, with all of them
    #[arg(short = 't', long = "tag", value_name = "TAG", value_parser = whole_tag)]
    pub(crate) tags: Vec<String>,

    /// Also prove that no event of the range is left out
    #[arg(long)]
    pub(crate) whole: bool,

    /// The first offset of the range of --whole
    #[arg(long, value_name = "OFFSET", value_parser = whole_number, default_value_t = 0, requires = "whole")]
    pub(crate) from: u64,

    /// The offset after the range of --whole [default: the end of the checkpoint]
    #[arg(long, value_name = "OFFSET", value_parser = whole_number, requires = "whole")]
    pub(crate) to: Option<u64>,

    /// Also show the metadata and data of the selected events: for evidence only. To show the data of one event, select
    /// it by a tag
    #[arg(long, conflicts_with = "since")]
    pub(crate) content: bool,
}

/// Parses a tag that is not a pattern.
fn whole_tag(text: &str) -> Result<String, String> {
    match NamePattern::parse_tag(text)? {
        NamePattern::Exact(tag) => Ok(tag),
        NamePattern::Prefix(_) => Err("a proof is of whole tags; give it without *".to_owned()),
    }
}

impl Prove {
    /// Returns whether the options say what to prove, so that no offset is needed.
    pub(super) fn selects_without_offset(&self) -> bool {
        self.since.is_some() || self.whole || !self.types.is_empty() || !self.tags.is_empty()
    }

    /// Checks arguments that depend on each other, once the offset is known.
    pub(super) fn check(&self) -> Result<(), (ErrorKind, String)> {
        let (kind, problem) = if self.offset.is_none() && !self.selects_without_offset() {
            let text = "nothing to prove was given; give an OFFSET, --since FILE, --type TYPE, --tag TAG or --whole";
            (ErrorKind::MissingRequiredArgument, text)
        } else if self.offset.is_some() && self.content {
            let text = "--content is for evidence, and a proof of one OFFSET has no data; select the event by --tag";
            (ErrorKind::ArgumentConflict, text)
        } else {
            return Ok(());
        };
        Err((kind, problem.to_owned()))
    }
}

/// Check a checkpoint, a proof, evidence or a fork, without the store
///
/// The command says, line by line, what the file proves, and nothing that it does not prove. It exits with 1 if
/// anything in the file does not hold: then it proves nothing.
///
/// The keys that you trust must come from elsewhere than the file, for example from the owner's web page. With --vkey,
/// the log must have signed, and every witness whose key is given must have cosigned. A policy file can ask for a
/// quorum of several witnesses (C2SP tlog-policy).
///
/// Evidence of a state channel also shows states, and convicts a party that signed two states for one turn, if this
/// program was built with the feature `channels`. Without it, the command says what it did not check.
///
/// What no file can prove: that what was recorded is true, and that everything that happened was recorded.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("trust").required(true))]
#[command(
    after_help = "Examples:\n  annals check event-17.proof --vkey example.com/ledger+9d5a48b4+ARfLefsrQSDysexl5BmNbgiyjoE/6wHkpACDm4XhgIDO\n  annals check grew.proof --old last-month.checkpoint --policy trusted.policy"
)]
pub(crate) struct Check {
    /// The file
    pub(crate) file: PathBuf,

    /// The public key of a log or a witness; may be repeated
    #[arg(long = "vkey", value_name = "VKEY", group = "trust")]
    pub(crate) vkeys: Vec<VerifierKey>,

    /// A file of keys and a quorum
    #[arg(long, value_name = "FILE", group = "trust")]
    pub(crate) policy: Option<PathBuf>,

    /// For evidence of a state channel: an Ethereum account; may be repeated. The log's key is the one that the account
    /// stated in the file, and a cosignature counts if another given account stated its key
    #[cfg(feature = "channels")]
    #[arg(long = "address", value_name = "ADDRESS", group = "trust")]
    pub(crate) addresses: Vec<annals_channels::Address>,

    /// For a proof that the log only grew: the older checkpoint
    #[arg(long, value_name = "FILE")]
    pub(crate) old: Option<PathBuf>,
}

/// Write a file that convicts a log's owner of signing two histories
///
/// The two files are checkpoints of one log with the same size and different content. Or they are proofs of different
/// events at the same offset, which `annals prove STORE OFFSET` wrote. Both must have the signature of the log's key.
/// The command checks that they contradict each other, and writes nothing if they do not. `annals check` checks the
/// file: it needs only the log's public key.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  annals fork mine.checkpoint theirs.checkpoint --vkey example.com/ledger+9d5a48b4+ARfLefsrQSDysexl5BmNbgiyjoE/6wHkpACDm4XhgIDO > ledger.fork"
)]
pub(crate) struct Fork {
    /// A checkpoint or a proof
    pub(crate) a: PathBuf,

    /// The checkpoint or the proof that contradicts it
    pub(crate) b: PathBuf,

    /// The public key of the log
    #[arg(long, value_name = "VKEY")]
    pub(crate) vkey: VerifierKey,
}

/// Cosign a checkpoint of another person's log, if the log only grew since the last one that you cosigned
///
/// A witness remembers, for each log, the last checkpoint that it cosigned. It cosigns a new one only with a proof that
/// the log continues the old one. So the log's owner cannot show different histories to different people, or take back
/// what was recorded, without being found out.
///
/// The proof is read from standard input; the log's owner makes it with `annals prove --since`. The cosignature is one
/// line on standard output, for the owner to store with `annals checkpoint --receipt`. If the proof begins at another
/// size than the one last cosigned, the error says which. The first proof begins at size 0: its owner makes it with
/// --since none.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  annals prove my.store --since none | annals witness witnessed/ --key bob.key --log example.com/ledger+9d5a48b4+ARfLefsrQSDysexl5BmNbgiyjoE/6wHkpACDm4XhgIDO"
)]
pub(crate) struct Witness {
    /// The directory in which the witness remembers what it cosigned
    pub(crate) directory: PathBuf,

    /// The witness's key file
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,

    /// The public key of a log to cosign; may be repeated
    #[arg(long = "log", value_name = "VKEY", required = true)]
    pub(crate) logs: Vec<VerifierKey>,
}

/// Write the proofs of a store to a directory that any web server can serve
///
/// The directory is in the format tlog-tiles (C2SP), which tools of others read: they can make every proof themselves,
/// and watch the log. It has hashes and the last checkpoint. With --entries, it also has the type, tags, id and time of
/// every event. It never has the data of events.
///
/// Run the command again after a new checkpoint. It reads the files that are there, and writes what is new, missing or
/// damaged. That reads 32 bytes for each event already published, and with --entries about 150. The new checkpoint is
/// written last, once everything else is durable. So a power cut leaves the old one or the new one, each with all its
/// files.
///
/// The directory must not be in a store, and must have no store and no key file in it, because a web server would show
/// them.
#[derive(Debug, Args)]
#[command(override_usage = "annals publish [OPTIONS] <STORE> <DIRECTORY>")]
#[command(after_help = "Example:\n  annals publish my.store /var/www/ledger --entries")]
pub(crate) struct Publish {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// The directory to write to
    pub(crate) directory: Option<PathBuf>,

    /// Also publish the type, tags, id and time of every event
    #[arg(long)]
    pub(crate) entries: bool,
}
