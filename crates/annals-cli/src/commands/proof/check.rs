//! `annals check` checks checkpoints, proofs, evidence and forks.

use annals_proof::{
    CheckError, Checkpoint, ConsistencyProof, Fork, FormatError, InclusionProof, Policy,
};
use serde_json::json;

use super::files;
#[cfg(not(feature = "channels"))]
use super::lines::evidence_lines;
use super::lines::{Line, checkpoint_lines, earlier_line, event_line};
use crate::args::Format;
use crate::args::proof::Check;
use crate::failure::Failure;
use crate::out::Out;

/// The beginning of a proof that a log only grew.
const GREW: &[u8] = b"old ";

/// The member that only forks have.
const FORK: &[u8] = b"\"annals_fork\"";

/// The bytes of a file in which that member is looked for: more than a fork may have.
const MOST: usize = 2 << 20;

/// Checks a file and prints what it proves.
pub(crate) fn run(args: &Check, format: Option<Format>) -> Result<(), Failure> {
    let policy: Policy = match &args.policy {
        Some(path) => files::parse(path)?,
        None => Policy::of_keys(args.vkeys.iter().cloned()),
    };
    let bytes = files::read(&args.file)?;
    let found = check(&bytes, &policy, args)?;
    // The exit code states whether the file holds, so a closed pipe must not end the command.
    let mut out = Out::for_reports(format);
    for (kind, text, fields) in found {
        if out.format() == Format::Table {
            out.text(format_args!("{text}"))?;
        } else {
            let mut object = vec![("proved", json!(kind))];
            object.extend(fields);
            out.object(object)?;
        }
    }
    out.flush()
}

fn check(bytes: &[u8], policy: &Policy, args: &Check) -> Result<Vec<Line>, Failure> {
    if args.old.is_some() && !bytes.starts_with(GREW) {
        let text = "--old is for a proof that a log only grew (annals prove --since), and this file is another one";
        return Err(CheckError::Contradiction(text.to_owned()).into());
    }
    let is_json = bytes.first() == Some(&b'{');
    // No other file has this member. Inside a text of JSON, its quotes would be escaped.
    let mut members = bytes[..bytes.len().min(MOST)].windows(FORK.len());
    let is_fork = is_json && members.any(|member| member == FORK);
    if is_json && !is_fork {
        #[cfg(feature = "channels")]
        return super::channels::lines(bytes, policy, args);
        #[cfg(not(feature = "channels"))]
        {
            let evidence = annals_proof::Evidence::from_json(bytes).map_err(CheckError::from)?;
            return Ok(evidence_lines(&evidence.check(policy)?));
        }
    }
    #[cfg(feature = "channels")]
    if !args.addresses.is_empty() {
        let text = "with --address, only evidence is checked: it has the account's statement of keys; give --vkey";
        return Err(CheckError::Contradiction(text.to_owned()).into());
    }
    if is_fork {
        return fork_lines(&Fork::from_json(bytes).map_err(CheckError::from)?, policy);
    }
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| CheckError::from(bad("neither JSON nor text")))?;
    if text.starts_with("c2sp.org/tlog-proof@") {
        let proof: InclusionProof = text.parse().map_err(CheckError::from)?;
        let verified = proof.check(policy)?;
        let mut lines = checkpoint_lines(proof.checkpoint(), &verified);
        lines.push(event_line(proof.entry(), None));
        return Ok(lines);
    }
    if bytes.starts_with(GREW) {
        return consistency_lines(&text.parse().map_err(CheckError::from)?, policy, args);
    }
    let checkpoint: Checkpoint = text.parse().map_err(CheckError::from)?;
    Ok(checkpoint_lines(&checkpoint, &policy.verify(&checkpoint)?))
}

fn bad(problem: &str) -> FormatError {
    FormatError { what: "file of this command", problem: problem.to_owned() }
}

fn consistency_lines(
    proof: &ConsistencyProof,
    policy: &Policy,
    args: &Check,
) -> Result<Vec<Line>, Failure> {
    let Some(old) = &args.old else {
        let text =
            "the file proves that a log grew, and needs the older checkpoint; give it with --old";
        return Err(CheckError::Contradiction(text.to_owned()).into());
    };
    let old: Checkpoint = files::parse(old)?;
    let verified = policy.verify(proof.checkpoint())?;
    policy.verify(&old)?;
    if old.origin() != proof.checkpoint().origin() {
        let (found, expected) = (old.origin().to_owned(), proof.checkpoint().origin().to_owned());
        return Err(CheckError::OtherLog { found, expected }.into());
    }
    if old.size() != proof.old() {
        let text = format!(
            "the proof is from size {}, and the older checkpoint has {}",
            proof.old(),
            old.size()
        );
        return Err(CheckError::Contradiction(text).into());
    }
    proof.check(old.root())?;
    let mut lines = checkpoint_lines(proof.checkpoint(), &verified);
    lines.push(earlier_line(old.size()));
    Ok(lines)
}

fn fork_lines(fork: &Fork, policy: &Policy) -> Result<Vec<Line>, Failure> {
    let mut refused = None;
    for key in policy.logs() {
        match fork.check(key) {
            Ok(found) => {
                let [a, b] = found.sizes;
                let at = found.offset.map_or(String::new(), |offset| {
                    format!(", with different events at offset {offset}")
                });
                let text = format!(
                    "FORK: {} signed two histories, at sizes {a} and {b}{at}",
                    found.origin
                );
                let fields = vec![
                    ("origin", json!(found.origin)),
                    ("sizes", json!([a, b])),
                    ("offset", json!(found.offset)),
                ];
                return Ok(vec![("fork", text, fields)]);
            }
            // What is wrong with the signed fork of one log says more than that another log did not sign it.
            Err(error @ CheckError::NotSigned { .. }) => refused = refused.or(Some(error)),
            Err(error) => refused = Some(error),
        }
    }
    let none = || CheckError::Contradiction("no key of a log was given".to_owned());
    Err(refused.unwrap_or_else(none).into())
}
