//! Limits: an event beyond one is refused, with the name of the limit and the value, and leaves no trace.

use annals::{
    Batch, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_DATA_BYTES, MAX_METADATA,
    MAX_METADATA_VALUE_BYTES, MAX_NAME_BYTES, MAX_TAGS,
};

use super::tools::{Seen, fresh, nth, wait_for};
use crate::check::{Check, CheckError, Outcome, ensure, same, says};
use crate::{Sample, Subject};

/// An event beyond a limit, and the words that the error must contain.
struct Beyond {
    event: Sample,
    says: Vec<String>,
    /// Whether only a backend that encodes events can check the limit.
    encoded: bool,
}

fn beyond() -> Vec<Beyond> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    let too_long =
        |what: &str| words(&[what, &(MAX_NAME_BYTES + 1).to_string(), &MAX_NAME_BYTES.to_string()]);
    let mut all = Vec::new();
    let mut add =
        |event: Sample, says: Vec<String>, encoded: bool| all.push(Beyond { event, says, encoded });
    add(Sample::new(""), words(&["event type", "empty"]), false);
    add(Sample::new("t").tag(""), words(&["tag", "empty"]), false);
    add(Sample::new("t").id(""), words(&["id", "empty"]), false);
    add(Sample::new("t").metadata("", "v"), words(&["metadata name", "empty"]), true);
    add(Sample::new(&long), too_long("event type"), false);
    add(Sample::new("t").tag(&long), too_long("tag"), false);
    add(Sample::new("t").id(&long), too_long("id"), false);
    add(Sample::new("t").metadata(&long, "v"), too_long("metadata name"), true);
    add(Sample::new("t").tag("ß".repeat(128)), too_long("tag"), false);
    for control in ["\0", "\n", "\t", "\u{1b}", "\u{7f}", "\u{80}", "\u{9f}"] {
        add(
            Sample::new(format!("ty{control}pe")),
            words(&["event type", "control character", "byte 2"]),
            false,
        );
        add(
            Sample::new("t").tag(format!("{control}tag")),
            words(&["tag", "control character", "byte 0"]),
            false,
        );
        add(
            Sample::new("t").id(format!("id{control}")),
            words(&["id", "control character"]),
            false,
        );
    }
    let tags = (0..=MAX_TAGS).fold(Sample::new("t"), |event, n| event.tag(format!("tag:{n}")));
    add(tags, words(&["65 tags", "64"]), false);
    let metadata =
        (0..=MAX_METADATA).fold(Sample::new("t"), |event, n| event.metadata(n.to_string(), "v"));
    add(metadata, words(&["65 metadata", "64"]), true);
    let value = "v".repeat(MAX_METADATA_VALUE_BYTES + 1);
    add(Sample::new("t").metadata("name", value), words(&["\"name\"", "65536", "65535"]), true);
    let data = vec![0; MAX_DATA_BYTES + 1];
    add(Sample::new("t").data(data), words(&["data", "16777217", "16777216"]), true);
    add(Sample::new("t").without_encoding(), words(&["encoding"]), true);
    all
}

pub(super) fn limits_are_refused_by_name<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    store.append(nth(0))?;
    let seen = Seen::subscribed::<S>(&store);
    for (case, beyond) in beyond().into_iter().enumerate() {
        if beyond.encoded && !subject.encodes() {
            continue;
        }
        let words: Vec<&str> = beyond.says.iter().map(String::as_str).collect();
        let went_in =
            || CheckError::new(format!("case {case}, beyond a limit ({words:?}), was appended"));
        says(&store.append(beyond.event.clone()).err().ok_or_else(went_in)?, &words)?;
        // In a batch the error names its index. An asynchronous append is refused in the same way.
        let batch = Batch::new(vec![nth(1), beyond.event, nth(2)]);
        let error = store.append_as(batch.clone()).err().ok_or_else(went_in)?;
        says(&error, &words)?;
        says(&error, &["event 1"])?;
        let error = wait_for(store.append_as_async(batch), subject.patience())?
            .err()
            .ok_or_else(went_in)?;
        says(&error, &words)?;
    }
    let small = Sample::new("t");
    let error = store.append_batch(vec![small.clone(); MAX_BATCH_EVENTS + 1]).err();
    says(
        &error.ok_or_else(|| CheckError::new("a batch of too many events was appended"))?,
        &["65537", "65536"],
    )?;
    if subject.encodes() {
        let large = Sample::new("t").data(vec![0; MAX_DATA_BYTES]);
        let error = store.append_batch([large.clone(), large.clone(), small.clone()]).err();
        let error =
            error.ok_or_else(|| CheckError::new("a batch of too many bytes was appended"))?;
        says(&error, &[&MAX_BATCH_BYTES.to_string(), "32 MiB"])?;
    }
    same("the head", store.len(), 1)?;
    same("the events that a callback saw", seen.offsets(), Vec::new())?;
    same("types", store.types()?.len(), 1)?;
    ensure!(store.tags("tag:")?.is_empty(), "tags of refused events: {:?}", store.tags("tag:")?);
    same("the offset of the next append", store.append(nth(1))?, 1)?;
    let many = store.append_batch(vec![small; MAX_BATCH_EVENTS])?;
    same("the range of a batch of the largest allowed size", many, 2..2 + MAX_BATCH_EVENTS as u64)?;
    Ok(Outcome::Held)
}
