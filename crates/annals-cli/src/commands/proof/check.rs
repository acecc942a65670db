//! `annals check` checks checkpoints, proofs, evidence and forks.

use annals_proof::{
    CheckError, Checkpoint, ConsistencyProof, Entry, Evidence, Findings, Fork, FormatError,
    InclusionProof, KeyKind, Policy, Verified,
};
use serde_json::{Value, json};

use super::files;
use crate::args::Format;
use crate::args::proof::Check;
use crate::failure::Failure;
use crate::human;
use crate::out::Out;

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

/// What is proved: its kind, a sentence, and its fields.
type Line = (&'static str, String, Vec<(&'static str, Value)>);

fn check(bytes: &[u8], policy: &Policy, args: &Check) -> Result<Vec<Line>, Failure> {
    if bytes.first() == Some(&b'{') {
        // A fork begins with its version too, and is small.
        return match Fork::from_json(bytes) {
            Ok(fork) => fork_lines(&fork, policy),
            Err(_) => Ok(evidence_lines(
                &Evidence::from_json(bytes).map_err(CheckError::from)?.check(policy)?,
            )),
        };
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
    if text.starts_with("old ") {
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
    let mut refused = CheckError::Contradiction("the policy names no log".to_owned());
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
            Err(error) => refused = error,
        }
    }
    Err(refused.into())
}

fn evidence_lines(found: &Findings) -> Vec<Line> {
    let mut lines = checkpoint_lines(&found.checkpoint, &found.verified);
    lines.extend(found.earlier.iter().map(|earlier| earlier_line(earlier.size)));
    lines.extend(found.events.iter().map(|shown| event_line(&shown.entry, shown.event().as_ref())));
    if found.whole.is_empty() {
        let text = "not shown to be whole: the log may have more such events".to_owned();
        lines.push(("not whole", text, Vec::new()));
    }
    for range in &found.whole {
        let (start, end) = (range.start, range.end);
        let text = format!("whole: these are all events from offset {start} to {}", end - 1);
        lines.push(("whole", text, vec![("from", json!(start)), ("to", json!(end))]));
    }
    if !found.not_checked.is_empty() {
        let text = format!("NOT CHECKED by this command: {}", found.not_checked.join(", "));
        lines.push(("nothing", text, vec![("not_checked", json!(found.not_checked))]));
    }
    lines
}

fn checkpoint_lines(checkpoint: &Checkpoint, verified: &Verified) -> Vec<Line> {
    let (origin, size) = (checkpoint.origin(), checkpoint.size());
    let text = format!("signed: {origin} signed that it has {}", human::counted(size, "event"));
    let fields = vec![
        ("origin", json!(origin)),
        ("size", json!(size)),
        ("root", json!(checkpoint.root().to_string())),
        ("vkey", json!(verified.log.to_string())),
    ];
    let mut lines = vec![("signed", text, fields)];
    for signed in &verified.cosignatures {
        debug_assert_eq!(signed.key.kind(), KeyKind::Witness);
        let time = signed.time.unwrap_or_default();
        let when = human::time(time.saturating_mul(1_000));
        let text = format!("cosigned: {} had seen it at {when}", signed.key.name());
        let fields = vec![("witness", json!(signed.key.name())), ("time", json!(time))];
        lines.push(("cosigned", text, fields));
    }
    lines
}

fn earlier_line(size: u64) -> Line {
    let text = format!(
        "continues: the log at {} is its beginning, unchanged",
        human::counted(size, "event")
    );
    ("continues", text, vec![("size", json!(size))])
}

fn event_line(entry: &Entry, whole: Option<&annals::RawEvent>) -> Line {
    let event = entry.event();
    let tags: Vec<&str> = event.tags().collect();
    let (offset, time_ms) = (entry.offset(), entry.time_ms());
    let mut text = format!("event {offset}: {:?} at {}", event.event_type(), human::time(time_ms));
    let mut fields = vec![
        ("offset", json!(offset)),
        ("time_ms", json!(time_ms)),
        ("type", json!(event.event_type())),
        ("tags", json!(tags)),
        ("id", json!(event.id())),
    ];
    if !tags.is_empty() {
        text = format!("{text}, tags {tags:?}");
    }
    if let Some(id) = event.id() {
        text = format!("{text}, id {id:?}");
    }
    match whole {
        Some(whole) => {
            let data = String::from_utf8_lossy(whole.data_bytes()).into_owned();
            text = format!("{text}, data {data:?}");
            fields.push(("data", json!(data)));
            let metadata: serde_json::Map<_, _> = whole
                .metadata()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            fields.push(("metadata", Value::Object(metadata)));
        }
        None => text += ", data not shown",
    }
    ("event", text, fields)
}
