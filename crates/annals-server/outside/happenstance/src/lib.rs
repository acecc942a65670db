//! An adapter of happenstance over the HTTP face of `annals serve`, and a fixture for its conformance rules. A position
//! is an offset plus 1. The environment variable `ANNALS` is the path of the command.

use std::error::Error;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, Stream};
use happenstance_core::{
    AppendCondition, AppendError, ConditionViolated, Event, EventId, EventStore, Query,
    ReadOptions, RecordedAt, SequencePosition, SequencedEvent, StoreId, StoreLimit, Tag, Tags,
};
use happenstance_testkit::{Capability, Fixture};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The metadata of annals that holds the metadata of happenstance, which may be any bytes.
const METADATA: &str = "happenstance";

/// The most tags of an event, and the most events of a batch.
const MAX_TAGS: usize = 64;
const MAX_EVENTS: usize = 65_536;

/// A store behind a server.
#[derive(Debug, Clone)]
pub struct HttpStore {
    agent: ureq::Agent,
    url: String,
}

/// A request that failed.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}

fn failure(error: impl fmt::Display) -> Failure {
    Failure(error.to_string())
}

impl HttpStore {
    /// Connects to the server at an address.
    pub fn at(address: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { agent: config.into(), url: format!("http://{address}") }
    }

    /// Sends a body, or gets. Returns the status and the body of the response.
    fn call(&self, path: &str, body: Option<&Value>) -> Result<(u16, String), Failure> {
        let url = format!("{}{path}", self.url);
        let response = match body {
            None => self.agent.get(&url).call(),
            Some(body) => {
                let request = self.agent.post(&url).header("Content-Type", "application/json");
                request.send(body.to_string())
            }
        };
        let mut response = response.map_err(failure)?;
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_string();
        Ok((response.status().as_u16(), body.map_err(failure)?))
    }

    fn get(&self, path: &str) -> Result<Value, Failure> {
        let (status, body) = self.call(path, None)?;
        if status != 200 {
            return Err(Failure(body));
        }
        serde_json::from_str(&body).map_err(failure)
    }

    fn head_offset(&self) -> Result<u64, Failure> {
        self.get("/v1/head")?["head"].as_u64().ok_or_else(|| failure("no head"))
    }

    fn store_id(&self) -> Result<StoreId, Failure> {
        let stats = self.get("/v1/stats")?;
        let text = stats["store_id"].as_str().unwrap_or_default().replace('-', "");
        let mut bytes = [0; 16];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(failure)?;
            *byte = u8::from_str_radix(digits, 16).map_err(failure)?;
        }
        Ok(StoreId::from_bytes(bytes))
    }

    fn read_all(&self, body: &Value) -> Result<Vec<SequencedEvent>, Failure> {
        let store = self.store_id()?;
        let (status, lines) = self.call("/v1/query", Some(body))?;
        if status != 200 {
            return Err(Failure(lines));
        }
        lines.lines().map(|line| sequenced(store, line)).collect()
    }
}

fn sequenced(store: StoreId, line: &str) -> Result<SequencedEvent, Failure> {
    let line: Value = serde_json::from_str(line).map_err(failure)?;
    let offset = line["offset"].as_u64().ok_or_else(|| failure(&line))?;
    let position = SequencePosition::new(offset + 1).ok_or_else(|| failure("offset"))?;
    let data = match line["data_base64"].as_str() {
        Some(text) => STANDARD.decode(text).map_err(failure)?,
        // This adapter sends all data as base64. What is JSON comes back as JSON, without its white space.
        None => line.get("data").map(Value::to_string).unwrap_or_default().into_bytes(),
    };
    let tags = line["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tags: Result<Vec<Tag>, _> =
        tags.iter().map(|tag| Tag::new(tag.as_str().unwrap_or_default())).collect();
    let tags: Tags = tags.map_err(failure)?.into_iter().collect();
    let kind = line["type"].as_str().unwrap_or_default();
    let mut event = Event::new(kind, data).map_err(failure)?.with_tags(tags);
    if let Some(text) = line["metadata"][METADATA].as_str() {
        event = event.with_metadata(STANDARD.decode(text).map_err(failure)?);
    }
    let time = line["time"].as_str().unwrap_or_default();
    Ok(SequencedEvent::new(position, EventId::new(store, position), millis(time)?, event))
}

/// Parses a time such as `2026-11-29T07:00:00.000Z`.
fn millis(time: &str) -> Result<RecordedAt, Failure> {
    let number = |range: std::ops::Range<usize>| -> Result<i64, Failure> {
        time.get(range).ok_or_else(|| failure(time))?.parse().map_err(failure)
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = (days * 24 + number(11..13)?) * 3_600 + number(14..16)? * 60 + number(17..19)?;
    Ok(RecordedAt::from_millis(seconds * 1_000 + number(20..23)?))
}

fn items(query: &Query) -> Value {
    let Some(items) = query.items() else { return json!([{}]) };
    let item = |item: &happenstance_core::QueryItem| {
        let types: Vec<&str> = item.types().iter().map(|kind| kind.as_str()).collect();
        let tags: Vec<&str> = item.tags().iter().map(Tag::as_str).collect();
        json!({ "types": types, "tags": tags })
    };
    items.iter().map(item).collect()
}

fn line(event: &Event) -> Value {
    let mut line = json!({
        "type": event.event_type().as_str(),
        "tags": event.tags().iter().map(Tag::as_str).collect::<Vec<_>>(),
        "data_base64": STANDARD.encode(event.data()),
    });
    if let Some(metadata) = event.metadata() {
        line["metadata"] = json!({ METADATA: STANDARD.encode(metadata) });
    }
    line
}

/// Returns why the server refused events, by the limits that it documents.
fn refusal(events: &[Event], body: &Value) -> AppendError<Failure> {
    let tags = events.iter().map(|event| event.tags().len()).max().unwrap_or_default();
    if tags > MAX_TAGS {
        return AppendError::ExceedsStoreLimit { limit: StoreLimit::TagsPerEvent, len: tags };
    }
    if events.len() > MAX_EVENTS {
        let (limit, len) = (StoreLimit::EventsPerBatch, events.len());
        return AppendError::ExceedsStoreLimit { limit, len };
    }
    AppendError::Store(failure(body))
}

/// Returns the offsets between the bounds of a read, the upper one excluded.
fn bounds(options: &ReadOptions) -> (u64, Option<u64>) {
    let (low, high) =
        if options.backwards { (options.to, options.from) } else { (options.from, options.to) };
    (low.map_or(0, |low| low.get() - 1), high.map(SequencePosition::get))
}

impl EventStore for HttpStore {
    type Error = Failure;

    fn read(
        &self,
        query: &Query,
        options: ReadOptions,
    ) -> impl Stream<Item = Result<SequencedEvent, Failure>> {
        let (from, to) = bounds(&options);
        let mut body = json!({ "items": items(query), "from": from, "reverse": options.backwards });
        if let Some(to) = to {
            body["to"] = to.into();
        }
        if let Some(limit) = options.limit {
            body["limit"] = limit.into();
        }
        let found = match self.read_all(&body) {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(failure) => vec![Err(failure)],
        };
        stream::iter(found)
    }

    async fn append(
        &self,
        events: &[Event],
        condition: Option<&AppendCondition>,
    ) -> Result<SequencePosition, AppendError<Failure>> {
        if events.is_empty() {
            return Err(AppendError::NoEvents);
        }
        let mut conditions = Vec::new();
        for guard in condition.map(AppendCondition::guards).unwrap_or_default() {
            let mut after = guard.after.map_or(0, SequencePosition::get);
            if after > 0 {
                // The server refuses what is beyond its head. Nothing there can conflict.
                after = after.min(self.head_offset().map_err(AppendError::Store)?);
            }
            conditions.push(json!({ "fail_if": items(&guard.query), "after": after }));
        }
        let sent = events;
        let events: Vec<Value> = events.iter().map(line).collect();
        let body = json!({ "events": events, "conditions": conditions });
        let (status, body) = self.call("/v1/events", Some(&body)).map_err(AppendError::Store)?;
        let body: Value =
            serde_json::from_str(&body).map_err(|error| AppendError::Store(failure(error)))?;
        let position = |field: &str| SequencePosition::new(body[field].as_u64()? + 1);
        match status {
            200 => position("last").ok_or_else(|| AppendError::Store(failure(&body))),
            409 => {
                let at = position("offset").map(ConditionViolated::at);
                Err(at.unwrap_or(ConditionViolated::unspecified()).into())
            }
            400 | 413 => Err(refusal(sent, &body)),
            _ => Err(AppendError::Store(failure(&body))),
        }
    }

    async fn head(&self) -> Result<Option<SequencePosition>, Failure> {
        Ok(SequencePosition::new(self.head_offset()?))
    }

    async fn contains_event_id(&self, id: EventId) -> Result<bool, Failure> {
        let offset = id.position().get() - 1;
        Ok(self.store_id()? == id.store()
            && self.call(&format!("/v1/events/{offset}"), None)?.0 == 200)
    }
}

/// A store in a directory of its own, and the process that serves it.
#[derive(Debug)]
pub struct Server {
    directory: TempDir,
    serving: Mutex<(Child, String)>,
}

impl Server {
    /// Starts a server of a new store.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let serving = serve(&directory);
        Self { directory, serving: Mutex::new(serving) }
    }

    /// Returns the address of the server.
    pub fn address(&self) -> String {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

fn serve(directory: &TempDir) -> (Child, String) {
    let annals = std::env::var_os("ANNALS").expect("ANNALS is the path of the command annals");
    let mut process = Command::new(annals)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .arg(directory.path().join("a.store"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let notes = BufReader::new(process.stderr.take().expect("its notes"));
    let mut notes = notes.lines().map(|line| line.expect("a line"));
    let listening =
        notes.find_map(|line| line.rsplit_once("listening on ").map(|(_, at)| at.to_owned()));
    let address = listening.expect("the server listens");
    // Its later notes must not fill the pipe.
    std::thread::spawn(move || notes.for_each(drop));
    (process, address)
}

impl Drop for Server {
    fn drop(&mut self) {
        let serving = self.serving.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = serving.0.kill();
        let _ = serving.0.wait();
    }
}

impl Fixture for Server {
    type Store = HttpStore;

    const SECOND_HANDLE: Capability = Capability::SUPPORTED;
    /// The process is killed, and another one serves the same directory.
    const REOPEN: Capability = Capability::SUPPORTED;
    const MAX_TAGS_PER_EVENT: Option<usize> = Some(MAX_TAGS);
    const MAX_EVENTS_PER_BATCH: Option<usize> = Some(MAX_EVENTS);
    const MID_BATCH_FAULT: Capability = Capability::declined(
        "the server writes a batch in one piece in a process of its own, which this client cannot stop within it; the \
         tests of annals cut its writes at every byte",
    );
    const READ_FAULT: Capability = Capability::declined(
        "the server reads its files in a process of its own, and this client has no way to make one of its reads fail",
    );

    async fn connect(&self) -> HttpStore {
        HttpStore::at(&self.address())
    }

    async fn reopen(&self) {
        let mut serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.0.kill().expect("it is killed");
        serving.0.wait().expect("it ends");
        *serving = serve(&self.directory);
    }
}
