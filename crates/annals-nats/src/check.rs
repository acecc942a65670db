//! Whether the servers and the stream can be trusted with a record.

use annals_replicated::{Cause, CheckError, Fitness, Unfit};

use crate::address::Address;
use crate::connection::{ApiError, Connection};
use crate::servers::{self, Server};
use crate::shared::Shared;
use crate::stream::{self, Stream};

/// The oldest version that can be used. Before it, a server could refuse an entry for lack of room that other servers
/// then stored.
const OLDEST: (u64, u64) = (2, 12);
/// `JetStream`'s numbers of the errors that say that it is switched off.
const SWITCHED_OFF: [u64; 2] = [10_039, 10_076];

/// How to check.
pub(crate) struct Checker {
    pub(crate) accepts_unsynced: bool,
    /// The number of replicas of a new stream.
    pub(crate) replicas: usize,
    /// The connection of the system account.
    pub(crate) system: Option<Connection>,
}

impl Checker {
    /// Asks the servers and judges them.
    pub(crate) async fn check(
        &self,
        connection: &Connection,
        address: &Address,
        shared: &Shared,
    ) -> Result<Fitness, CheckError> {
        connection.connected().await.map_err(CheckError::Unavailable)?;
        let stream = match Stream::find(connection, &address.name, shared).await {
            Ok(stream) => stream,
            Err(ApiError::Refused(number, cause)) if SWITCHED_OFF.contains(&number) => {
                let reason = format!("{cause}: switch it on, for the account of this user as well");
                return Err(Unfit { reasons: vec![reason] }.into());
            }
            Err(error) => return Err(CheckError::Unavailable(error.cause())),
        };
        let (servers, silence) = match &self.system {
            Some(system) => match servers::ask_system(system).await {
                Ok(servers) => (servers, String::new()),
                Err(error) => (Vec::new(), error),
            },
            None => (servers::ask_monitors(&address.monitors).await, no_monitor(address)),
        };
        let server = connection.server();
        Found {
            subject: address.commits(),
            name: server.server_name,
            version: server.version,
            is_clustered: server.cluster.is_some(),
            stream,
            servers,
            silence,
        }
        .judge(self)
    }
}

fn no_monitor(address: &Address) -> String {
    let endpoints = address.monitors.iter().map(|(host, port)| format!("{host}:{port}"));
    format!(
        "no monitoring endpoint answers at {}: set http_port at the servers, name the endpoints in the URL \
         (?monitor=8222), or use the system account (system_creds)",
        endpoints.collect::<Vec<_>>().join(", ")
    )
}

/// The facts that a check found.
#[derive(Debug)]
struct Found {
    subject: String,
    /// The name and the version of the connected server.
    name: String,
    version: String,
    is_clustered: bool,
    stream: Option<Stream>,
    servers: Vec<Server>,
    /// The reason to report if no server reported its settings.
    silence: String,
}

impl Found {
    fn judge(&self, checker: &Checker) -> Result<Fitness, CheckError> {
        let (mut reasons, mut warnings) = (Vec::new(), Vec::new());
        for (name, version) in self.versions() {
            if !is_new_enough(version) {
                let (major, minor) = OLDEST;
                reasons.push(format!(
                    "{name} has version {version}: use nats-server {major}.{minor} or newer"
                ));
            }
        }
        let replicas = self.stream.as_ref().map_or(checker.replicas, Stream::replicas);
        if let Some(stream) = &self.stream {
            reasons.extend(stream::problems(&stream.config, &self.subject));
        } else if replicas > 1 && !self.is_clustered {
            reasons.push(format!(
                "a new stream would have {replicas} replicas, and the server is not part of a cluster: add servers, or \
                 set ?replicas=1"
            ));
        }
        if !reasons.is_empty() {
            return Err(Unfit { reasons }.into());
        }
        let mut unsynced = self.unsynced(replicas)?;
        if checker.accepts_unsynced { &mut warnings } else { &mut reasons }.append(&mut unsynced);
        if !reasons.is_empty() {
            return Err(Unfit { reasons }.into());
        }
        if replicas == 1 {
            warnings.push(
                "one server alone stores the record, and the loss of its disk loses the record: use three servers, and \
                 nats stream edit --replicas 3"
                    .to_owned(),
            );
        } else if replicas.is_multiple_of(2) {
            warnings.push(format!(
                "{replicas} replicas tolerate no more failures than {}",
                replicas - 1
            ));
        }
        let silent = self.peers().filter(|peer| self.server(peer).is_none());
        let silent: Vec<_> = silent.collect();
        if !silent.is_empty() && silent.len() < self.peers().count() {
            warnings.push(format!("{} did not say how it syncs", silent.join(", ")));
        }
        Ok(Fitness { engine: self.engine(replicas), warnings })
    }

    /// Returns the servers that store the stream, as far as they are known.
    fn peers(&self) -> impl Iterator<Item = &str> {
        let peers = self.stream.as_ref().map_or(&[][..], |stream| &stream.peers);
        let alone = (!self.is_clustered).then_some(self.name.as_str());
        let peers = if self.is_clustered { peers } else { &[] };
        peers.iter().map(String::as_str).chain(alone)
    }

    /// Returns whether a server stores the stream. Before the stream is made, any server may become one of its peers.
    fn may_be_peer(&self, server: &Server) -> bool {
        let mut peers = self.peers().peekable();
        peers.peek().is_none() || peers.any(|peer| peer == server.name)
    }

    fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// Returns the names and the versions of the connected server and of those that store the stream.
    fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        let others = self.servers.iter().filter(|server| server.name != self.name);
        let others = others.filter(|server| self.may_be_peer(server));
        let others = others.map(|server| (server.name.as_str(), server.version.as_str()));
        std::iter::once((self.name.as_str(), self.version.as_str())).chain(others)
    }

    /// Returns why acknowledged commits may be lost with the power of the servers.
    fn unsynced(&self, replicas: usize) -> Result<Vec<String>, CheckError> {
        let known = self.servers.iter().filter(|server| self.may_be_peer(server));
        let known: Vec<&Server> = known.filter(|server| server.syncs.is_some()).collect();
        let mut unsynced: Vec<String> = known
            .iter()
            .filter(|server| server.syncs == Some(false))
            .map(|server| {
                format!(
                    "{} acknowledges entries before it syncs them: set sync_interval: always in the block \
                     jetstream of its settings",
                    server.name
                )
            })
            .collect();
        if self.stream.as_ref().is_some_and(|stream| stream::is_async(&stream.config)) {
            let problem = "the stream acknowledges entries before they are written: set persist_mode to default";
            unsynced.push(problem.to_owned());
        }
        let majority = replicas / 2 + 1;
        if known.is_empty() {
            let why = if self.servers.is_empty() {
                self.silence.as_str()
            } else {
                "the servers that answered do not store the stream"
            };
            unsynced.push(format!(
                "whether the servers sync what they acknowledge is not known: {why}"
            ));
        } else if known.len() < majority {
            let names: Vec<_> = known.iter().map(|server| server.name.as_str()).collect();
            return Err(CheckError::Unavailable(Cause::new(format!(
                "of {replicas} servers only {} said how it syncs; the monitoring endpoints of the others do not answer",
                names.join(", ")
            ))));
        }
        Ok(unsynced)
    }

    fn engine(&self, replicas: usize) -> String {
        let stream = match &self.stream {
            None => "no stream yet".to_owned(),
            Some(_) if replicas == 1 => "one replica".to_owned(),
            Some(stream) => format!("{replicas} replicas ({})", stream.peers.join(", ")),
        };
        let syncs = |expected| self.servers.iter().any(|server| server.syncs == Some(expected));
        let sync = match (syncs(false), syncs(true)) {
            (true, _) => "sync_interval not always",
            (false, true) => "sync_interval always",
            (false, false) => "sync_interval unknown",
        };
        format!("NATS JetStream {}, {stream}, {sync}", self.version)
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse);
    let (major, minor) = (numbers.next(), numbers.next());
    match (major, minor) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use annals_replicated::{CheckError, Slot};

    use super::{Checker, Found, Server, Stream, is_new_enough};
    use crate::stream::new_config;

    fn server(name: &str, syncs: bool) -> Server {
        Server { name: name.into(), version: "2.15.0".into(), syncs: Some(syncs) }
    }

    fn found(replicas: usize, servers: Vec<Server>) -> Found {
        let subject = "annals.shop.commits".to_owned();
        let stream = Stream {
            first: Slot(1),
            last: Slot(0),
            config: new_config("shop", &subject, replicas),
            peers: ["n1", "n2", "n3"][..replicas].iter().map(ToString::to_string).collect(),
            time_ms: None,
        };
        Found {
            subject,
            name: "n1".into(),
            version: "2.15.0".into(),
            is_clustered: replicas > 1,
            stream: Some(stream),
            servers,
            silence: "silence".into(),
        }
    }

    fn checker(accepts_unsynced: bool) -> Checker {
        Checker { accepts_unsynced, replicas: 3, system: None }
    }

    #[test]
    fn servers_that_sync_are_fit() {
        let servers = ["n1", "n2", "n3"].map(|name| server(name, true)).to_vec();
        let fitness = found(3, servers).judge(&checker(false)).expect("fit");
        assert_eq!(fitness.warnings, Vec::<String>::new());
        let engine = "NATS JetStream 2.15.0, 3 replicas (n1, n2, n3), sync_interval always";
        assert_eq!(fitness.engine, engine);
        let alone = found(1, vec![server("n1", true)]).judge(&checker(false)).expect("fit");
        assert!(alone.warnings[0].contains("one server alone"), "{:?}", alone.warnings);
        let two = found(3, vec![server("n1", true), server("n3", true)]);
        let fitness = two.judge(&checker(false)).expect("a majority is known");
        assert_eq!(fitness.warnings, ["n2 did not say how it syncs"]);
    }

    #[test]
    fn servers_that_lose_commits_are_refused_with_what_to_do() {
        let late = ["n1", "n2"].map(|name| server(name, name == "n1")).to_vec();
        for (servers, part) in [
            (late, "n2 acknowledges entries before it syncs them: set sync_interval: always"),
            (vec![], "not known: silence"),
            (vec![server("other", true)], "the servers that answered do not store the stream"),
        ] {
            let found = found(3, servers);
            let unfit = found.judge(&checker(false)).expect_err(part).to_string();
            assert!(unfit.contains(part), "{unfit}");
            let fitness = found.judge(&checker(true)).expect("it is accepted");
            assert!(fitness.warnings[0].contains(part), "{:?}", fitness.warnings);
        }
        let one = found(3, vec![server("n1", true)]).judge(&checker(false));
        assert!(matches!(one, Err(CheckError::Unavailable(_))), "the others may be on their way");
    }

    #[test]
    fn what_is_never_accepted() {
        let mut old = found(1, vec![server("n1", true)]);
        old.version = "2.11.9".into();
        let text = old.judge(&checker(true)).expect_err("old").to_string();
        assert!(text.contains("n1 has version 2.11.9: use nats-server 2.12 or newer"), "{text}");
        let mut alone = found(1, vec![server("n1", true)]);
        alone.stream = None;
        let text = alone.judge(&checker(true)).expect_err("alone").to_string();
        assert!(text.contains("set ?replicas=1"), "{text}");
        let mut purged = found(1, vec![server("n1", true)]);
        if let Some(stream) = &mut purged.stream {
            stream.config["deny_purge"] = false.into();
        }
        let text = purged.judge(&checker(true)).expect_err("it can be purged").to_string();
        assert!(text.contains("set deny_purge to true"), "{text}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, is_right) in [
            ("2.12.0", true),
            ("2.15.0-RC.1", true),
            ("3.0.0", true),
            ("2.9.10", false),
            ("x", false),
        ] {
            assert_eq!(is_new_enough(version), is_right, "{version}");
        }
    }
}
