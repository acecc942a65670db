//! How entries are read: from any server that stores the stream, or from its leader.

use annals_replicated::{Cause, ReadLimit, Slot};
use async_nats::{Message, Subscriber};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::connection::{ApiError, LOST};
use crate::engine::Engine;
use crate::stream::NO_STREAM;

/// The largest number of entries of one request.
const MAX_ENTRIES: usize = 1_024;
/// The largest size of the entries of one request, in bytes. A server closes connections on which much more waits.
const MAX_BYTES: usize = 8 << 20;
/// The number of the error of `JetStream` that says "no message found".
const NOT_FOUND: u64 = 10_037;

impl Engine {
    /// Reads the entries behind `after` from any server that stores the stream. Returns none if it has none there, or
    /// if no server answers.
    pub(crate) async fn read_any(
        &self,
        after: Slot,
        limit: ReadLimit,
    ) -> Result<Vec<(Slot, Bytes)>, Cause> {
        self.connection.connected().await?;
        let losses = self.connection.losses();
        let client = self.connection.client();
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await.map_err(Cause::new)?;
        let request = json!({
            "seq": after.next().0,
            "batch": limit.entries.clamp(1, MAX_ENTRIES),
            "max_bytes": limit.bytes.clamp(1, MAX_BYTES),
        });
        let subject = format!("$JS.API.DIRECT.GET.{}", self.address.name);
        let ask = client.publish_with_reply(subject, inbox, request.to_string().into());
        ask.await.map_err(Cause::new)?;
        tokio::select! {
            entries = self.gather(answers, after, limit.bytes) => Ok(entries),
            () = self.connection.lost_since(losses) => Err(Cause::new(LOST)),
        }
    }

    /// Takes the answers to a request for entries, as long as they have no gap and are not more than `bytes`.
    async fn gather(
        &self,
        mut answers: Subscriber,
        after: Slot,
        bytes: usize,
    ) -> Vec<(Slot, Bytes)> {
        let (mut entries, mut sum) = (Vec::new(), 0);
        let (mut next, mut limit) = (after.next(), self.connection.request_timeout());
        loop {
            // The entries that have arrived are right. The server that was asked may have stopped, and the leader not.
            let Ok(Some(answer)) = tokio::time::timeout(limit, answers.next()).await else {
                return entries;
            };
            limit = self.connection.timeout;
            // A status without an entry ends the answers: none (more), or no server that stores the stream.
            if answer.status.is_some() || slot_of(&answer) != Some(next) {
                return entries;
            }
            sum += answer.payload.len();
            if !entries.is_empty() && sum > bytes {
                return entries;
            }
            entries.push((next, answer.payload));
            next = next.next();
        }
    }

    /// Reads the entry at `slot`, or the first one behind it, from the leader.
    pub(crate) async fn read_leader(&self, slot: Slot) -> Result<Option<(Slot, Bytes)>, Cause> {
        let request = json!({ "seq": slot.0, "next_by_subj": ">" });
        let what = format!("STREAM.MSG.GET.{}", self.address.name);
        match self.connection.api(&what, &request).await {
            Ok(answer) => decode(&answer["message"]).map(Some),
            Err(ApiError::Refused(NOT_FOUND | NO_STREAM, _)) => Ok(None),
            Err(error) => Err(error.cause()),
        }
    }
}

fn slot_of(entry: &Message) -> Option<Slot> {
    let slot = entry.headers.as_ref()?.get("Nats-Sequence")?;
    slot.as_str().parse().ok().map(Slot)
}

fn decode(message: &Value) -> Result<(Slot, Bytes), Cause> {
    let wrong = || Cause::new("the leader's answer to a read has no entry");
    let slot = message["seq"].as_u64().ok_or_else(wrong)?;
    let data = STANDARD.decode(message["data"].as_str().unwrap_or_default());
    Ok((Slot(slot), data.map_err(|_| wrong())?.into()))
}
