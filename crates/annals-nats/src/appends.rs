//! Appends: several may be under way, and each is answered once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use annals_replicated::{AppendAnswer, AppendOutcome, Cause, Done, NewEntry, Slot};
use async_nats::client::PublishErrorKind;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior};

use crate::connection::{ApiError, LOST, error_of};
use crate::engine::Engine;
use crate::stream::new_config;

/// Room for the headers of an entry, in bytes.
pub(crate) const HEADERS_BYTES: usize = 256;
/// How often appends that are under way are looked over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After the servers failed their check, the appends within this time fail for the same reason. Those that waited for
/// the check do not each wait for another one.
const PAUSE: Duration = Duration::from_millis(100);

/// A call of `append`.
pub(crate) struct Append {
    pub(crate) after: Slot,
    pub(crate) entry: NewEntry,
    pub(crate) done: Done,
}

/// An append that was sent.
struct UnderWay {
    done: Done,
    sent: Instant,
}

/// Takes appends until the engine is dropped and all of them have an answer.
pub(crate) async fn run(engine: Arc<Engine>, mut calls: UnboundedReceiver<Append>) {
    let inbox = engine.connection.client().new_inbox();
    let Ok(acks) = engine.connection.client().subscribe(format!("{inbox}.*")).await else { return };
    let mut appends = Appends {
        losses: engine.connection.losses(),
        fit_on: None,
        unfit: None,
        engine,
        inbox,
        under_way: HashMap::new(),
        count: 0,
    };
    appends.take_all(acks, &mut calls).await;
}

struct Appends {
    engine: Arc<Engine>,
    /// The subject on which the servers answer, without the number of the append.
    inbox: String,
    under_way: HashMap<u64, UnderWay>,
    /// The number of appends that were sent.
    count: u64,
    /// How often the connection was lost when the appends under way were sent.
    losses: u64,
    /// The number of the connection on which the servers passed their check.
    fit_on: Option<u64>,
    /// When the servers last failed their check, and why.
    unfit: Option<(Instant, Cause)>,
}

impl Appends {
    async fn take_all(&mut self, mut acks: Subscriber, calls: &mut UnboundedReceiver<Append>) {
        let engine = Arc::clone(&self.engine);
        let mut is_open = true;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while is_open || !self.under_way.is_empty() {
            tokio::select! {
                ack = acks.next() => match ack {
                    Some(ack) => self.acknowledged(&ack),
                    None => return,
                },
                () = engine.connection.lost_since(self.losses) => self.lost(),
                call = calls.recv(), if is_open => match call {
                    Some(call) => self.append(call).await,
                    None => is_open = false,
                },
                _ = looks.tick() => self.look_over(),
            }
        }
    }

    /// Sends an entry.
    async fn append(&mut self, Append { after, entry, done }: Append) {
        let engine = Arc::clone(&self.engine);
        let answer = |outcome| AppendAnswer { outcome, time_ms: engine.shared.clock.now_ms() };
        let max_bytes = engine.connection.client().max_payload().saturating_sub(HEADERS_BYTES);
        if let Err(cause) = self.ready(&entry).await {
            return done(answer(AppendOutcome::NotSent(cause)));
        }
        if entry.bytes.len() > max_bytes {
            return done(answer(AppendOutcome::TooLarge));
        }
        self.count += 1;
        let reply = format!("{}.{}", self.inbox, self.count);
        let (subject, headers) = (engine.address.commits(), headers(&engine.address.name, after));
        let client = engine.connection.client();
        let sent = Instant::now();
        let publish = client.publish_with_reply_and_headers(subject, reply, headers, entry.bytes);
        match tokio::time::timeout(engine.connection.timeout, publish).await {
            Ok(Ok(())) => {
                self.under_way.insert(self.count, UnderWay { done, sent });
            }
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                done(answer(AppendOutcome::TooLarge));
            }
            // The entry did not get as far as the task that writes to the connection.
            Ok(Err(error)) => done(answer(AppendOutcome::NotSent(Cause::new(error)))),
            Err(_) => {
                let cause = engine.connection.no_answer(sent, engine.connection.timeout);
                done(answer(AppendOutcome::NotSent(cause)));
            }
        }
    }

    /// Sees to it that a server is connected, that the servers passed their check since then, and that a genesis has
    /// its stream.
    async fn ready(&mut self, entry: &NewEntry) -> Result<(), Cause> {
        let connection = &self.engine.connection;
        if !connection.is_connected() {
            return Err(connection.trouble());
        }
        let number = connection.number();
        if self.losses != connection.losses() {
            self.lost();
        }
        if self.fit_on != Some(number) {
            self.check().await?;
            self.fit_on = Some(number);
        }
        if entry.number == 0 {
            self.engine.create().await?;
        }
        Ok(())
    }

    /// Checks the servers, unless they failed their check a moment ago.
    async fn check(&mut self) -> Result<(), Cause> {
        if let Some((at, cause)) = &self.unfit
            && at.elapsed() < PAUSE
        {
            return Err(cause.clone());
        }
        let checked = self.engine.check().await.map_err(Cause::new);
        self.unfit = checked.as_ref().err().map(|cause| (Instant::now(), cause.clone()));
        checked.map(drop)
    }

    /// Takes the answer of a server.
    fn acknowledged(&mut self, ack: &Message) {
        let number = ack.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        let Some(UnderWay { done, .. }) =
            number.and_then(|number: u64| self.under_way.remove(&number))
        else {
            return;
        };
        let shared = &self.engine.shared;
        let outcome = if ack.status == Some(StatusCode::NO_RESPONDERS) {
            outcome_without_stream(shared.is_missing())
        } else {
            outcome_of(&self.engine.address.name, &ack.payload)
        };
        let landed = match &outcome {
            AppendOutcome::At(slot) => Some(*slot),
            _ => None,
        };
        done(AppendAnswer { outcome, time_ms: shared.clock.now_ms() });
        if let Some(slot) = landed {
            shared.news.saw(slot);
            shared.landed.notify_one();
        }
    }

    /// Answers all appends under way: the connection was lost, and their answers with it.
    fn lost(&mut self) {
        self.losses = self.engine.connection.losses();
        for (_, UnderWay { done, .. }) in self.under_way.drain() {
            let outcome = AppendOutcome::Unknown(Cause::new(LOST));
            done(AppendAnswer { outcome, time_ms: None });
        }
    }

    /// Answers the appends whose time is up.
    fn look_over(&mut self) {
        let timeout = self.engine.connection.timeout;
        let late = |_: &u64, append: &mut UnderWay| append.sent.elapsed() >= timeout;
        for (_, UnderWay { done, sent }) in self.under_way.extract_if(late) {
            let cause = self.engine.connection.no_answer(sent, timeout);
            done(AppendAnswer { outcome: AppendOutcome::Unknown(cause), time_ms: None });
        }
    }
}

impl Engine {
    /// Makes the stream, if it is absent.
    async fn create(&self) -> Result<(), Cause> {
        let Self { connection, address, checker, .. } = self;
        let config = new_config(&address.name, &address.commits(), checker.replicas);
        let made = connection.api(&format!("STREAM.CREATE.{}", address.name), &config).await;
        match made {
            // If it is there with other settings, these have passed the check.
            Ok(_) | Err(ApiError::Refused(NAME_IN_USE, _)) => Ok(()),
            Err(error) => Err(error.cause()),
        }
    }
}

fn headers(name: &str, after: Slot) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Expected-Stream", name);
    headers.insert("Nats-Expected-Last-Sequence", after.0.to_string());
    headers
}

const NAME_IN_USE: u64 = 10_058;
const WRONG_LAST_SEQUENCE: [u64; 2] = [10_071, 10_164];
/// The server, its disk or the account has no more room. From version 2.12 on, a server refuses so only before it
/// proposes an entry to the others.
const NO_ROOM: [u64; 3] = [10_002, 10_023, 10_047];
const TOO_LARGE: u64 = 10_054;
/// The stream is another one, is sealed, or has too many entries that wait.
const NOT_TAKEN: [u64; 3] = [10_060, 10_109, 10_167];

/// Returns what became of an append that reached no stream. It was not stored. If the stream was deleted, the
/// answer is a doubt all the same: then the protocol reads the record, and finds that it was lost.
fn outcome_without_stream(is_missing: bool) -> AppendOutcome {
    if is_missing {
        return AppendOutcome::Unknown(Cause::new("the stream does not exist"));
    }
    AppendOutcome::NotSent(Cause::new("the stream has no leader at present"))
}

/// Returns what became of an append by the answer of a server. Only refusals that come before an entry is proposed to
/// the other servers say that it was not stored.
fn outcome_of(name: &str, body: &Bytes) -> AppendOutcome {
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => return AppendOutcome::Unknown(Cause::new(error)),
    };
    if let Some((number, text)) = error_of(&answer) {
        let cause = Cause::new(text);
        return match number {
            number if WRONG_LAST_SEQUENCE.contains(&number) => AppendOutcome::Refused,
            number if NO_ROOM.contains(&number) => AppendOutcome::Full,
            number if NOT_TAKEN.contains(&number) => AppendOutcome::NotSent(cause),
            TOO_LARGE => AppendOutcome::TooLarge,
            _ => AppendOutcome::Unknown(cause),
        };
    }
    match answer["seq"].as_u64() {
        Some(slot) if answer["stream"] == name => AppendOutcome::At(Slot(slot)),
        _ => AppendOutcome::Unknown(Cause::new("the answer names no slot of this stream")),
    }
}

#[cfg(test)]
mod tests {
    use annals_replicated::{AppendOutcome, Slot};

    use super::{outcome_of, outcome_without_stream};

    fn outcome(body: &'static str) -> AppendOutcome {
        outcome_of("shop", &body.into())
    }

    fn error(number: u64) -> AppendOutcome {
        let body = format!("{{\"stream\":\"shop\",\"seq\":0,\"error\":{{\"err_code\":{number}}}}}");
        outcome_of("shop", &body.into())
    }

    #[test]
    fn an_append_without_a_stream_is_a_doubt_once_the_stream_is_known_to_be_lost() {
        assert!(matches!(outcome_without_stream(false), AppendOutcome::NotSent(_)));
        assert!(matches!(outcome_without_stream(true), AppendOutcome::Unknown(_)));
    }

    #[test]
    fn only_refusals_before_a_proposal_say_that_nothing_was_stored() {
        use AppendOutcome::{At, Full, NotSent, Refused, TooLarge, Unknown};
        assert!(matches!(outcome("{\"stream\":\"shop\",\"seq\":7}"), At(Slot(7))));
        assert!(matches!(outcome("{\"stream\":\"other\",\"seq\":7}"), Unknown(_)));
        assert!(matches!(outcome("not JSON"), Unknown(_)));
        assert!(matches!(error(10_071), Refused));
        assert!(matches!(error(10_023), Full));
        assert!(matches!(error(10_054), TooLarge));
        assert!(matches!(error(10_060), NotSent(_)));
        // "stream store failed": another server may have stored it.
        assert!(matches!(error(10_077), Unknown(_)));
        assert!(matches!(error(1), Unknown(_)));
    }
}
