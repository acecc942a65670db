//! NATS JetStream, and clients of it without annals: messages of the same bytes in a stream with the same settings, as
//! a program would publish and read them itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use annals_nats::JetStream;
use annals_replicated::NewEntry;
use async_nats::{Client as Connection, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::engine::{Client, Engine};
use super::nats::{Servers, Settings};

/// The stream that the plain clients publish to, and its subject.
const PLAIN: &str = "plain";
/// Entries that are under way while a record is filled.
const UNDER_WAY: usize = 32;
/// The time for which a reader waits for an answer before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The pause before a reader asks again after an answer without messages.
const PAUSE: Duration = Duration::from_millis(1);
/// The longest time for which a reader waits for the next message of a record.
const PATIENCE: Duration = Duration::from_secs(30);

/// Three servers of one cluster. They sync each message before they acknowledge it.
pub(super) struct JetStreamServers(Servers);

impl JetStreamServers {
    /// Starts the servers. Returns none where `nats-server` is missing.
    pub(super) fn start() -> Option<Self> {
        let servers = Self(Servers::start(Settings::three())?);
        // The first record waits until the cluster is ready.
        annals_replicated::create(&servers.connect("first")).expect("a record");
        let plain = servers.plain(1);
        let info = plain.api("STREAM.INFO.first", &json!({}));
        // The same settings as the stream of a record.
        let mut config = info["config"].clone();
        config["name"] = PLAIN.into();
        config["subjects"] = json!([PLAIN]);
        plain.api(&format!("STREAM.CREATE.{PLAIN}"), &config);
        Some(servers)
    }

    /// Connects a plain client to the first server.
    fn plain(&self, threads: usize) -> Plain {
        // A client of one thread runs its connection itself.
        let runtime = if threads == 1 {
            Builder::new_current_thread().enable_all().build()
        } else {
            Builder::new_multi_thread().worker_threads(1).enable_all().build()
        };
        let runtime = runtime.expect("a runtime");
        let url = format!("nats://127.0.0.1:{}", self.0.node(0).port);
        let connection = runtime.block_on(async_nats::connect(url)).expect("connects");
        Plain { runtime: Arc::new(runtime), connection }
    }
}

impl Engine for JetStreamServers {
    type Log = JetStream;
    type Client = Plain;
    const WRITES: &'static [&'static str] = &["plain publish"];
    const READ: &'static str = "plain pull consumer";

    fn connect(&self, store: &str) -> JetStream {
        JetStream::connect(&self.0.url(store)).expect("a URL")
    }

    /// The threads of a writer share its connection.
    fn clients(&self, writers: usize, threads: usize) -> Vec<Plain> {
        let clients = (0..writers).map(|_| self.plain(threads));
        clients.flat_map(|client| vec![client; threads]).collect()
    }

    fn store(&self, store: &str, entries: Vec<NewEntry>) {
        self.plain(1).store(&format!("annals.{store}.commits"), &entries);
    }
}

/// A connection, and the runtime that runs it.
#[derive(Clone)]
pub(super) struct Plain {
    runtime: Arc<Runtime>,
    connection: Connection,
}

impl Plain {
    /// Asks JetStream to do something, and returns its answer.
    fn api(&self, what: &str, body: &Value) -> Value {
        let request = self.connection.request(format!("$JS.API.{what}"), body.to_string().into());
        let answer = self.runtime.block_on(request).expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    /// Publishes entries, several under way.
    fn store(&self, subject: &str, entries: &[NewEntry]) {
        let inbox = self.connection.new_inbox();
        self.runtime.block_on(async {
            let mut answers = self.connection.subscribe(inbox.clone()).await.expect("an inbox");
            for part in entries.chunks(UNDER_WAY) {
                for entry in part {
                    let (subject, inbox) = (subject.to_owned(), inbox.clone());
                    let sent =
                        self.connection.publish_with_reply(subject, inbox, entry.bytes.clone());
                    sent.await.expect("publishes");
                }
                for _ in part {
                    is_stored(&answers.next().await.expect("an answer").payload);
                }
            }
        });
    }
}

fn is_stored(answer: &[u8]) {
    let answer: Value = serde_json::from_slice(answer).expect("JSON");
    assert!(answer["seq"].is_u64(), "{answer}");
}

/// Reads `commits` messages with requests for pages of `page`. A page may have fewer messages although the record has
/// more: the server that runs the consumer may be behind the stream's leader, or may not have the consumer yet. All
/// answers come to one inbox, so none is lost if it comes late.
async fn pull(connection: &Connection, subject: &str, page: usize, commits: usize) {
    let inbox = connection.new_inbox();
    let mut messages: Subscriber = connection.subscribe(inbox.clone()).await.expect("an inbox");
    let (mut read, mut progress) = (0, Instant::now());
    while read < commits {
        let page = page.min(commits - read);
        let request = json!({ "batch": page, "no_wait": true }).to_string();
        let request =
            connection.publish_with_reply(subject.to_owned(), inbox.clone(), request.into());
        request.await.expect("asks");
        let before = read;
        while read < before + page {
            let Ok(message) = timeout(ASK_AGAIN, messages.next()).await else { break };
            let message = message.expect("an inbox");
            if message.status.is_some() {
                break;
            }
            assert!(!message.payload.is_empty(), "each has bytes");
            read += 1;
        }
        if read > before {
            progress = Instant::now();
        } else {
            let waits = progress.elapsed() < PATIENCE;
            assert!(
                waits,
                "{subject}: {read} of {commits} commits came, and no more in {PATIENCE:?}"
            );
            sleep(PAUSE).await;
        }
    }
}

impl Client for Plain {
    fn write(&mut self, _: usize, body: &Bytes) {
        let request = self.connection.request(PLAIN, body.clone());
        is_stored(&self.runtime.block_on(request).expect("an answer").payload);
    }

    fn read_record(&mut self, store: &str, page: usize, commits: usize) {
        let config = json!({
            "stream_name": store,
            "config": { "ack_policy": "none", "deliver_policy": "all", "mem_storage": true, "num_replicas": 1 },
        });
        let consumer = self.api(&format!("CONSUMER.CREATE.{store}"), &config);
        let name = consumer["name"].as_str().expect("a name");
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{store}.{name}");
        self.runtime.block_on(pull(&self.connection, &subject, page, commits));
    }
}
