//! A process of the service, and a client.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A process that serves a log.
pub(crate) struct Server {
    process: Child,
    /// Its base URL.
    pub(crate) address: String,
}

impl Server {
    /// Starts the service and waits until it listens.
    pub(crate) fn start(store: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_annals-web"))
            .arg(store)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let out = process.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").expect("its address").to_owned();
        Self { process, address }
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it has ended");
    }

    /// Sends SIGTERM, and waits for the end.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let id = Pid::from_child(&self.process);
        kill_process(id, Signal::TERM).expect("it can be asked");
        let ended = tokio::task::spawn_blocking(move || self.process.wait().expect("it ends"));
        ended.await.expect("no panic")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // For a test that failed. A process that has ended already is not there any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer. Its body is JSON, or else a text.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// A client with a pool of connections.
#[derive(Clone)]
pub(crate) struct Client(Pool<HttpConnector, Full<Bytes>>);

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    pub(crate) fn new() -> Self {
        Self(Pool::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn post(
        &self,
        at: &str,
        path: &str,
        name: &str,
        body: String,
    ) -> Result<Answer, Failed> {
        let request = Request::post(format!("{at}{path}"))
            .header("content-type", "application/json")
            .header("idempotency-key", name);
        self.send(request.body(Full::from(body))?).await
    }

    pub(crate) async fn delete(&self, at: &str, path: &str, name: &str) -> Result<Answer, Failed> {
        let request = Request::delete(format!("{at}{path}")).header("idempotency-key", name);
        self.send(request.body(Full::default())?).await
    }

    pub(crate) async fn get(&self, at: &str, path: &str) -> Result<Answer, Failed> {
        self.send(Request::get(format!("{at}{path}")).body(Full::default())?).await
    }

    pub(crate) async fn get_after(
        &self,
        at: &str,
        path: &str,
        last: &str,
    ) -> Result<Answer, Failed> {
        let request = Request::get(format!("{at}{path}")).header("last-event-id", last);
        self.send(request.body(Full::default())?).await
    }

    /// Begins to follow the events behind the offset `last`.
    pub(crate) async fn events(&self, at: &str, last: Option<u64>) -> Result<Incoming, Failed> {
        let mut request = Request::builder().method(Method::GET).uri(format!("{at}/events"));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        Ok(self.0.request(request.body(Full::default())?).await?.into_body())
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        let answer = self.0.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let text = || Value::from(String::from_utf8_lossy(&body).into_owned());
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_else(|_| text()) })
    }
}
