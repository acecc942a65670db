//! The stream of a record: how it is set up, and what its leader says about it.

use std::time::UNIX_EPOCH;

use annals_replicated::Slot;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::connection::{ApiError, Connection};
use crate::shared::Shared;

/// `JetStream`'s number of the error "stream not found".
pub(crate) const NO_STREAM: u64 = 10_059;

/// The state of a stream, as its leader reports it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    /// The first slot: 1, unless entries were deleted.
    pub(crate) first: Slot,
    /// The last slot; 0 if there are no entries.
    pub(crate) last: Slot,
    pub(crate) config: Value,
    /// The servers that store the stream, the leader first. None if the server is not part of a cluster.
    pub(crate) peers: Vec<String>,
    /// The clock of the leader, in ms since 1970 UTC.
    pub(crate) time_ms: Option<u64>,
}

impl Stream {
    /// Asks the leader for the stream. Returns none if it does not exist. Notes the time of the leader's clock.
    pub(crate) async fn find(
        connection: &Connection,
        name: &str,
        shared: &Shared,
    ) -> Result<Option<Self>, ApiError> {
        let asked = Instant::now();
        let answer = connection.api(&format!("STREAM.INFO.{name}"), &Value::Null).await;
        let stream = match answer {
            Ok(answer) => Self::parse(&answer),
            Err(ApiError::Refused(NO_STREAM, _)) => {
                shared.note_stream(false);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        shared.note_stream(true);
        if let Some(time_ms) = stream.time_ms {
            shared.clock.note(time_ms, asked);
        }
        Ok(Some(stream))
    }

    fn parse(answer: &Value) -> Self {
        let state = &answer["state"];
        let name = |value: &Value| value.as_str().map(str::to_owned);
        let replicas = answer["cluster"]["replicas"].as_array().map_or(&[][..], Vec::as_slice);
        let names = std::iter::once(&answer["cluster"]["leader"])
            .chain(replicas.iter().map(|replica| &replica["name"]));
        Self {
            first: Slot(state["first_seq"].as_u64().unwrap_or_default().max(1)),
            last: Slot(state["last_seq"].as_u64().unwrap_or_default()),
            config: answer["config"].clone(),
            peers: names.filter_map(name).collect(),
            time_ms: answer["ts"].as_str().and_then(parse_time),
        }
    }

    /// Returns the number of servers that are to store the stream.
    pub(crate) fn replicas(&self) -> usize {
        let replicas = self.config["num_replicas"].as_u64().unwrap_or(1);
        usize::try_from(replicas).unwrap_or(usize::MAX)
    }
}

/// Returns the settings of a new stream.
pub(crate) fn new_config(name: &str, subject: &str, replicas: usize) -> Value {
    json!({
        "name": name,
        "description": "a record of annals",
        "subjects": [subject],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": replicas,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "deny_delete": true,
        "deny_purge": true,
        "allow_direct": true,
    })
}

/// Returns which settings of a stream would lose, change or hold back entries, each with what to do.
pub(crate) fn problems(config: &Value, subject: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(format!("the stream {problem}"));
        }
    };
    let is = |key: &str, value: &str| config[key].as_str().unwrap_or(value) == value;
    let is_on = |key: &str| config[key].as_bool().unwrap_or(false);
    let is_none = |key: &str| config[key].as_i64().unwrap_or_default() <= 0;
    let is_absent = |key: &str| config[key].is_null();
    let subjects = &config["subjects"];
    require(
        *subjects == json!([subject]),
        &format!("has the subjects {subjects} and not only {subject:?}: set them right"),
    );
    require(config["storage"] == "file", "is not stored in files: set storage to file");
    require(is("retention", "limits"), "deletes entries: set retention to limits");
    require(config["discard"] == "new", "discards old entries when it is full: set discard to new");
    require(is_none("max_msgs"), "has a largest number of entries: set max_msgs to -1");
    require(is_none("max_bytes"), "has a largest size: set max_bytes to -1");
    require(is_none("max_age"), "deletes old entries: set max_age to 0");
    require(is_none("max_msgs_per_subject"), "keeps few entries: set max_msgs_per_subject to -1");
    require(is_none("max_msg_size"), "has a largest entry: set max_msg_size to -1");
    require(is_on("deny_delete"), "lets entries be deleted: set deny_delete to true");
    require(is_on("deny_purge"), "lets entries be purged: set deny_purge to true");
    require(is_on("allow_direct"), "is read only at its leader: set allow_direct to true");
    require(!is_on("allow_msg_ttl"), "lets entries expire: set allow_msg_ttl to false");
    require(!is_on("allow_msg_counter"), "stores counters, and cannot be used");
    require(!is_on("sealed"), "is sealed, and takes no more entries");
    require(!is_on("no_ack"), "does not acknowledge entries: set no_ack to false");
    require(is_absent("mirror") && is_absent("sources"), "is a copy of another one");
    require(is_absent("subject_transform"), "changes subjects: remove subject_transform");
    problems
}

/// Returns whether a stream acknowledges entries before it has written them.
pub(crate) fn is_async(config: &Value) -> bool {
    config["persist_mode"] == "async"
}

/// Returns a time in ms since 1970 UTC.
fn parse_time(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use annals_replicated::Slot;
    use serde_json::json;

    use super::{Stream, is_async, new_config, problems};

    #[test]
    fn what_a_leader_says_is_understood() {
        let answer = json!({
            "config": new_config("shop", "annals.shop.commits", 3),
            "state": { "first_seq": 0, "last_seq": 0 },
            "cluster": { "leader": "n2", "replicas": [{ "name": "n1" }, { "name": "n3" }] },
            "ts": "1970-01-01T00:00:01.5Z",
        });
        let stream = Stream::parse(&answer);
        assert_eq!((stream.first, stream.last, stream.replicas()), (Slot(1), Slot(0), 3));
        assert_eq!(stream.peers, ["n2", "n1", "n3"]);
        assert_eq!(stream.time_ms, Some(1_500));
        let purged = Stream::parse(&json!({ "state": { "first_seq": 8, "last_seq": 7 } }));
        assert_eq!((purged.first, purged.last, purged.replicas()), (Slot(8), Slot(7), 1));
    }

    #[test]
    fn each_setting_that_loses_entries_is_found() {
        let subject = "annals.shop.commits";
        let right = new_config("shop", subject, 3);
        assert_eq!(problems(&right, subject), Vec::<String>::new());
        for (key, value) in [
            ("subjects", json!([subject, "other"])),
            ("storage", json!("memory")),
            ("retention", json!("interest")),
            ("discard", json!("old")),
            ("max_msgs", json!(10)),
            ("max_bytes", json!(1_000)),
            ("max_age", json!(1_000)),
            ("max_msgs_per_subject", json!(1)),
            ("max_msg_size", json!(9)),
            ("deny_delete", json!(false)),
            ("deny_purge", json!(null)),
            ("allow_direct", json!(false)),
            ("allow_msg_ttl", json!(true)),
            ("allow_msg_counter", json!(true)),
            ("sealed", json!(true)),
            ("no_ack", json!(true)),
            ("mirror", json!({ "name": "other" })),
            ("sources", json!([{ "name": "other" }])),
            ("subject_transform", json!({ "src": "a", "dest": "b" })),
        ] {
            let mut config = right.clone();
            config[key] = value;
            assert_eq!(
                problems(&config, subject).len(),
                1,
                "{key}: {:?}",
                problems(&config, subject)
            );
        }
        assert!(!is_async(&right) && is_async(&json!({ "persist_mode": "async" })));
    }
}
