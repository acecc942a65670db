//! The settings of the servers, as their monitoring endpoints or the system account report them.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::connection::Connection;

/// A server that takes longer to answer is left out.
const LIMIT: Duration = Duration::from_secs(1);
/// After the first answer, the others of a cluster come within this time.
const OTHERS: Duration = Duration::from_millis(300);
/// The largest answer of a monitoring endpoint, in bytes.
const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// The facts that a server reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether it syncs each write before it acknowledges it. None if it has no `JetStream`.
    pub(crate) syncs: Option<bool>,
}

impl Server {
    /// Reads the variables of a server.
    fn parse(variables: &Value) -> Option<Self> {
        let jetstream = &variables["jetstream"]["config"];
        let syncs = jetstream["sync_always"].as_bool().unwrap_or(false);
        Some(Self {
            name: variables["server_name"].as_str()?.to_owned(),
            version: variables["version"].as_str()?.to_owned(),
            syncs: jetstream.is_object().then_some(syncs),
        })
    }
}

/// Asks the monitoring endpoints, each at all addresses of its host. Leaves out those that do not answer.
pub(crate) async fn ask_monitors(monitors: &[(String, u16)]) -> Vec<Server> {
    let answers = join_all(monitors.iter().map(async |(host, port)| {
        let found = tokio::time::timeout(LIMIT, tokio::net::lookup_host((&**host, *port))).await;
        let addresses = found.ok().and_then(Result::ok).map(Vec::from_iter).unwrap_or_default();
        let asked = addresses.into_iter().map(async |address| {
            let answer = get(address, host);
            tokio::time::timeout(LIMIT, answer).await.ok().and_then(Result::ok)
        });
        join_all(asked).await
    }));
    let bodies = answers.await.into_iter().flatten().flatten();
    let parsed = bodies.filter_map(|body| Server::parse(&serde_json::from_slice(&body).ok()?));
    unique(parsed.collect())
}

/// Returns the body of the page `/varz`. The version 1.0 of HTTP asks for a body that ends with the connection.
async fn get(address: std::net::SocketAddr, host: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /varz HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
    Ok(answer.split_off(body.unwrap_or(answer.len())))
}

/// Asks all servers of the cluster, over a connection of the system account.
pub(crate) async fn ask_system(connection: &Connection) -> Result<Vec<Server>, String> {
    connection.connected().await.map_err(|cause| cause.to_string())?;
    let client = connection.client();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
    let ask = client.publish_with_reply("$SYS.REQ.SERVER.PING.VARZ", inbox, "{}".into());
    ask.await.map_err(|error| error.to_string())?;
    let (mut servers, mut limit) = (Vec::new(), LIMIT);
    while let Ok(Some(message)) = tokio::time::timeout(limit, answers.next()).await {
        let Ok(answer) = serde_json::from_slice::<Value>(&message.payload) else { continue };
        servers.extend(Server::parse(&answer["data"]));
        limit = OTHERS;
    }
    if servers.is_empty() {
        let problem = "the system account does not answer: the user of system_user or system_creds must belong to it";
        return Err(problem.to_owned());
    }
    Ok(unique(servers))
}

/// Leaves out what a server said twice, since it has two addresses.
fn unique(mut servers: Vec<Server>) -> Vec<Server> {
    servers.sort_by(|one, other| one.name.cmp(&other.name));
    servers.dedup_by(|one, other| one.name == other.name);
    servers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Server;

    #[test]
    fn the_variables_of_a_server_are_understood() {
        let server = |jetstream| {
            let variables =
                json!({ "server_name": "n1", "version": "2.15.0", "jetstream": jetstream });
            Server::parse(&variables).expect("a server")
        };
        assert_eq!(server(json!({ "config": { "sync_always": true } })).syncs, Some(true));
        assert_eq!(server(json!({ "config": { "sync_interval": 1 } })).syncs, Some(false));
        assert_eq!(server(json!({})).syncs, None);
        assert_eq!(Server::parse(&json!({ "page": "another" })), None);
    }
}
