//! The connection to the servers: it is made, made again after it was lost, and asked, each time with a limit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_replicated::Cause;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, Message, Server, ServerInfo, Statistics};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::address::Address;
use crate::login::Login;

/// An attempt to connect to one server takes at most this long.
const CONNECTING: Duration = Duration::from_secs(3);
/// A server that does not answer three pings, which are this far apart, has gone.
const PING_EVERY: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The failures of a connection so far.
#[derive(Debug, Clone, Default)]
struct Course {
    /// How often the connection was lost.
    losses: u64,
    /// How often all servers were tried in vain, and why the last time.
    failures: u64,
    reason: String,
    /// The last complaint of a server, and when it arrived.
    complaint: Option<(Instant, String)>,
}

/// Why a call failed.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// Nothing was sent.
    NotSent(Cause),
    /// No server takes messages on that subject. Nothing was stored.
    NoResponders,
    /// The message was sent, and no answer came.
    NoAnswer(Cause),
}

impl CallError {
    pub(crate) fn cause(self) -> Cause {
        match self {
            Self::NotSent(cause) | Self::NoAnswer(cause) => cause,
            Self::NoResponders => Cause::new(
                "no server with JetStream answers: switch it on, for the account of this user as well",
            ),
        }
    }
}

/// Why `JetStream` did not do what it was asked to do.
#[derive(Debug, Clone)]
pub(crate) enum ApiError {
    /// It did not answer.
    Unavailable(Cause),
    /// It refused, with the number of an error and a text.
    Refused(u64, Cause),
}

impl ApiError {
    pub(crate) fn cause(self) -> Cause {
        match self {
            Self::Unavailable(cause) | Self::Refused(_, cause) => cause,
        }
    }
}

/// A connection to the servers.
pub(crate) struct Connection {
    client: Client,
    course: watch::Receiver<Course>,
    /// How long an append may take.
    pub(crate) timeout: Duration,
}

impl Connection {
    /// Sets up a connection. A task of the runtime connects, and does so again whenever the connection is lost.
    pub(crate) async fn start(
        address: &Address,
        login: &Login,
        tls: rustls::ClientConfig,
        timeout: Duration,
    ) -> Result<Self, String> {
        let (changes, course) = watch::channel(Course::default());
        let changes = Arc::new(changes);
        let tries = Arc::clone(&changes);
        let options = login.add_to(ConnectOptions::new())?;
        let mut options = options
            .name("annals")
            .no_echo()
            .retry_on_initial_connect()
            .max_reconnects(None)
            .connection_timeout(timeout.min(CONNECTING))
            .ping_interval(PING_EVERY)
            .tls_client_config(tls)
            .reconnect_delay_callback(|attempts| {
                let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                LONGEST_PAUSE
                    .min(Duration::from_millis(20).saturating_mul(attempts.saturating_sub(1)))
            })
            .event_callback(move |event| {
                changes.send_modify(|course| note_event(course, &event));
                std::future::ready(())
            })
            // The list of servers has the reasons for which the last attempts failed. The choice is left to the client.
            .reconnect_to_server_callback(move |servers, _| {
                tries.send_modify(|course| note_attempts(course, &servers));
                std::future::ready(None)
            });
        if address.requires_tls {
            options = options.require_tls(true);
        }
        let client =
            options.connect(&address.servers[..]).await.map_err(|error| error.to_string())?;
        Ok(Self { client, course, timeout })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns how long a call other than an append may take until its answer begins.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.timeout / 5
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Returns the number of the connection: each one that is made anew has another number.
    pub(crate) fn number(&self) -> u64 {
        number_of(&self.client.statistics())
    }

    /// Returns how often the connection was lost so far.
    pub(crate) fn losses(&self) -> u64 {
        self.course.borrow().losses
    }

    /// Returns when the connection was lost more often than `losses` times.
    pub(crate) async fn lost_since(&self, losses: u64) {
        let mut course = self.course.clone();
        // The sender lives as long as the client.
        let _ = course.wait_for(|course| course.losses > losses).await;
    }

    /// Waits until a server is connected, or all of them were tried in vain.
    pub(crate) async fn connected(&self) -> Result<(), Cause> {
        let deadline = Instant::now() + self.timeout;
        let failures = self.course.borrow().failures;
        let mut course = self.course.clone();
        while !self.is_connected() {
            let has_failed = |course: &Course| course.failures > failures;
            if has_failed(&course.borrow_and_update()) {
                return Err(self.trouble());
            }
            // The state of the client changes beside the course.
            let pause = Instant::now() + Duration::from_millis(10);
            let _ = tokio::time::timeout_at(pause.min(deadline), course.changed()).await;
            if Instant::now() >= deadline {
                return Err(self.trouble());
            }
        }
        Ok(())
    }

    /// Returns why no server is connected.
    pub(crate) fn trouble(&self) -> Cause {
        let course = self.course.borrow();
        if course.reason.is_empty() {
            return Cause::new("no server is connected");
        }
        Cause::new(format!("no server is connected ({})", course.reason))
    }

    /// Returns the connected server.
    pub(crate) fn server(&self) -> ServerInfo {
        self.client.server_info()
    }

    /// Returns what to say about an answer that did not come within `limit`. If a server has complained meanwhile, for
    /// example about a missing right, it says that too.
    pub(crate) fn no_answer(&self, began: Instant, limit: Duration) -> Cause {
        match &self.course.borrow().complaint {
            Some((at, complaint)) if *at >= began => {
                Cause::new(format!("no answer within {limit:?}; the server says: {complaint}"))
            }
            _ => Cause::new(format!("no answer within {limit:?}")),
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn request(&self, subject: String, body: Bytes) -> Result<Message, CallError> {
        self.connected().await.map_err(CallError::NotSent)?;
        let (losses, began) = (self.losses(), Instant::now());
        let limit = self.request_timeout();
        let request = async_nats::Request::new().payload(body).timeout(Some(limit));
        let failed = |error: async_nats::RequestError| match error.kind() {
            async_nats::RequestErrorKind::NoResponders => CallError::NoResponders,
            async_nats::RequestErrorKind::TimedOut => {
                CallError::NoAnswer(self.no_answer(began, limit))
            }
            _ => CallError::NoAnswer(Cause::new(error)),
        };
        tokio::select! {
            answer = self.client.send_request(subject, request) => answer.map_err(failed),
            () = self.lost_since(losses) => Err(CallError::NoAnswer(Cause::new(LOST))),
        }
    }

    /// Asks `JetStream` to do something, and returns its answer.
    pub(crate) async fn api(&self, what: &str, body: &Value) -> Result<Value, ApiError> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let answer = self.request(format!("$JS.API.{what}"), body).await;
        let answer = answer.map_err(|error| ApiError::Unavailable(error.cause()))?;
        let answer: Value = serde_json::from_slice(&answer.payload)
            .map_err(|error| ApiError::Unavailable(Cause::new(format!("{what}: {error}"))))?;
        match error_of(&answer) {
            Some((number, text)) => Err(ApiError::Refused(number, Cause::new(text))),
            None => Ok(answer),
        }
    }
}

/// Returns the number of a client's connection.
pub(crate) fn number_of(statistics: &Statistics) -> u64 {
    // Relaxed: the client counts a connection before it reports itself as connected, and before it passes on what
    // arrives. Both go through channels that are read before this.
    statistics.connects.load(Ordering::Relaxed)
}

pub(crate) const LOST: &str = "the connection was lost";

/// Returns the error that an answer of `JetStream` has: its number and its text.
pub(crate) fn error_of(answer: &Value) -> Option<(u64, &str)> {
    let error = answer.get("error")?;
    let number = error["err_code"].as_u64().unwrap_or_default();
    Some((number, error["description"].as_str().unwrap_or("an error without a text")))
}

fn note_event(course: &mut Course, event: &Event) {
    match event {
        Event::Disconnected => course.losses += 1,
        Event::ServerError(error) => {
            let text = error.to_string();
            let text = text.trim_start_matches("nats: ").to_owned();
            course.complaint = Some((Instant::now(), text));
        }
        _ => {}
    }
}

/// Notes that another round of attempts to connect begins.
fn note_attempts(course: &mut Course, servers: &[Server]) {
    if servers.iter().any(|server| server.failed_attempts == 0) {
        return;
    }
    course.failures += 1;
    let reasons = servers.iter().map(|server| {
        let reason = server.last_error.as_deref().unwrap_or("no answer");
        format!("{}:{}: {reason}", server.addr.host(), server.addr.port())
    });
    course.reason = reasons.collect::<Vec<_>>().join("; ");
}

/// The engine's clock, as it was seen last.
#[derive(Debug, Default)]
pub(crate) struct EngineClock(Mutex<Option<(u64, Instant)>>);

impl EngineClock {
    /// Notes that the clock stood at `time_ms` in the answer to a question that was sent at `asked`.
    pub(crate) fn note(&self, time_ms: u64, asked: Instant) {
        *self.0.lock() = Some((time_ms, asked));
    }

    /// Returns the clock's time now, in ms since 1970 UTC.
    pub(crate) fn now_ms(&self) -> Option<u64> {
        let (time_ms, at) = (*self.0.lock())?;
        Some(time_ms.saturating_add(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }
}
