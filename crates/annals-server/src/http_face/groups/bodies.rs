//! The bodies of requests for groups, and reports on groups.

use std::str::FromStr;
use std::time::Duration;

use annals::Query;
use annals_consumer::{GroupSettings, GroupStatus, LeaseId, Nack, SettingsItem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::bounded::Bounded;
use super::super::params::{Items, query_of};
use crate::fault::Fault;
use crate::groups::pull::Pull;
use crate::groups::registry::GroupReport;

/// The bounds of a deadline, in ms.
pub(in crate::http_face) const DEADLINE_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;
/// The most events of a pull, the most leases of an answer, and the most offsets of a replay or a drop.
pub(in crate::http_face) const MAX_EVENTS: u64 = 256;
pub(in crate::http_face) const MAX_LEASES: usize = 10_000;
pub(in crate::http_face) const MAX_OFFSETS: usize = 10_000;
/// The longest wait of a pull, in ms.
pub(in crate::http_face) const MAX_WAIT_MS: u64 = 30_000;
/// The most bytes of a worker's name.
pub(in crate::http_face) const MAX_WORKER_BYTES: usize = 255;

/// The settings of a group, in `PUT /v1/groups/{name}`. What is not given has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct GroupBody {
    query: Option<QueryBody>,
    key: Option<String>,
    from: Option<From>,
    deadline_ms: Option<u64>,
    max_attempts: Option<u32>,
    max_in_flight: Option<u32>,
    first_pause_ms: Option<u64>,
    max_pause_ms: Option<u64>,
    read_ahead: Option<u32>,
    park_key: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    items: Items,
}

/// Where a new group begins.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::http_face) enum From {
    Offset(u64),
    Word(String),
}

impl GroupBody {
    /// Returns the settings, and the offset at which a new group begins.
    pub(super) fn settings(self, head: u64) -> Result<(GroupSettings, u64), Fault> {
        let from = match self.from {
            None => 0,
            Some(From::Offset(offset)) => offset,
            Some(From::Word(word)) if word == "end" => head,
            Some(From::Word(_)) => {
                return Err(wrong("from", "an offset or \"end\""));
            }
        };
        let query = match self.query {
            None => Query::all(),
            Some(QueryBody { items }) => query_of(items, "query.items")?,
        };
        let mut settings = GroupSettings::default();
        settings.query = query.items().iter().map(stored_item).collect();
        settings.key = self.key;
        if let Some(deadline_ms) = self.deadline_ms {
            settings.deadline_ms = checked_deadline(deadline_ms)?;
        }
        settings.max_attempts = self.max_attempts.unwrap_or(settings.max_attempts);
        settings.max_in_flight = self.max_in_flight.unwrap_or(settings.max_in_flight);
        settings.first_pause_ms = self.first_pause_ms.unwrap_or(settings.first_pause_ms);
        settings.max_pause_ms = self.max_pause_ms.unwrap_or(settings.max_pause_ms);
        settings.read_ahead = self.read_ahead.unwrap_or(settings.read_ahead);
        settings.parks_key = self.park_key.unwrap_or(settings.parks_key);
        Ok((settings, from))
    }
}

fn stored_item(item: &annals::QueryItem) -> SettingsItem {
    let mut stored = SettingsItem::default();
    stored.types = item.types().to_vec();
    stored.tags = item.tags().to_vec();
    stored
}

/// The body of a pull.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct PullBody {
    worker: String,
    #[serde(default = "one")]
    max: u64,
    #[serde(default)]
    wait_ms: u64,
    deadline_ms: Option<u64>,
}

fn one() -> u64 {
    1
}

impl PullBody {
    pub(super) fn checked(self) -> Result<Pull, Fault> {
        let Self { worker, max, wait_ms, deadline_ms } = self;
        if worker.is_empty() || worker.len() > MAX_WORKER_BYTES {
            return Err(wrong("worker", "a name of 1 to 255 bytes"));
        }
        let max = u32::try_from(max).ok().filter(|max| (1..=MAX_EVENTS).contains(&u64::from(*max)));
        let max = max.ok_or_else(|| wrong("max", "1 to 256"))?;
        if wait_ms > MAX_WAIT_MS {
            return Err(wrong("wait_ms", "0 to 30,000"));
        }
        let deadline = deadline_ms.map(checked_deadline).transpose()?.map(Duration::from_millis);
        Ok(Pull { worker, max, wait: Duration::from_millis(wait_ms), deadline })
    }
}

/// Checks a deadline in ms.
fn checked_deadline(deadline_ms: u64) -> Result<u64, Fault> {
    if DEADLINE_MS.contains(&deadline_ms) {
        return Ok(deadline_ms);
    }
    Err(wrong("deadline_ms", "1,000 to 3,600,000, which is one hour"))
}

/// The leases in a body.
type Leases = Bounded<String, MAX_LEASES>;

/// The body of an ack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct AckBody {
    leases: Leases,
}

/// The body of a nack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct NackBody {
    leases: Leases,
    action: String,
    #[serde(default)]
    pub(super) reason: String,
}

/// The body of an extension.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct ExtendBody {
    leases: Leases,
    deadline_ms: u64,
}

impl AckBody {
    pub(super) fn leases(&self) -> Result<Vec<LeaseId>, Fault> {
        leases(&self.leases)
    }
}

impl NackBody {
    pub(super) fn leases(&self) -> Result<Vec<LeaseId>, Fault> {
        leases(&self.leases)
    }

    pub(super) fn action(&self) -> Result<Nack, Fault> {
        match self.action.as_str() {
            "retry" => Ok(Nack::Retry),
            "park" => Ok(Nack::Park),
            "skip" => Ok(Nack::Skip),
            _ => Err(wrong("action", "retry, park or skip")),
        }
    }
}

impl ExtendBody {
    pub(super) fn leases(&self) -> Result<Vec<LeaseId>, Fault> {
        leases(&self.leases)
    }

    pub(super) fn deadline(&self) -> Result<Duration, Fault> {
        checked_deadline(self.deadline_ms).map(Duration::from_millis)
    }
}

fn leases(leases: &Leases) -> Result<Vec<LeaseId>, Fault> {
    if !(1..=MAX_LEASES).contains(&leases.total) {
        return Err(wrong("leases", "1 to 10,000 ids"));
    }
    let parse = |text: &String| {
        LeaseId::from_str(text)
            .map_err(|error| Fault::invalid(error.to_string()).with("field", "leases"))
    };
    leases.kept.iter().map(parse).collect()
}

/// The body of a replay or a drop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct ParkedBody {
    offsets: Option<Bounded<u64, MAX_OFFSETS>>,
    #[serde(default)]
    all: bool,
}

impl ParkedBody {
    /// Returns the offsets; `None` for all parked events.
    pub(super) fn offsets(self) -> Result<Option<Vec<u64>>, Fault> {
        match (self.offsets, self.all) {
            (None, true) => Ok(None),
            (Some(offsets), false) if offsets.total > MAX_OFFSETS => {
                Err(wrong("offsets", "at most 10,000 offsets; send several requests"))
            }
            (Some(offsets), false) => Ok(Some(offsets.kept)),
            _ => {
                Err(Fault::invalid("give either \"offsets\" or \"all\": true")
                    .with("field", "offsets"))
            }
        }
    }
}

/// The body of a reset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http_face) struct ResetBody {
    pub(super) offset: u64,
}

fn wrong(field: &str, expected: &str) -> Fault {
    Fault::invalid(format!("{field} must be {expected}")).with("field", field)
}

/// Returns a report as JSON.
pub(super) fn report(report: &GroupReport) -> Value {
    let counts = match (&report.status, &report.info) {
        (Some(status), _) => counts(status),
        (None, Some(info)) => json!({
            "position": info.position,
            "lag": info.lag,
            "in_flight": info.in_flight,
            "retrying": info.retrying,
            "parked": info.parked,
        }),
        (None, None) => json!({}),
    };
    let mut body = counts;
    body["name"] = report.name.as_str().into();
    body["settings"] = report.settings.as_ref().map_or(Value::Null, settings);
    if let Some(problem) = report.info.as_ref().and_then(|info| info.problem.as_ref()) {
        body["problem"] = problem.to_string().into();
    }
    body
}

fn counts(status: &GroupStatus) -> Value {
    json!({
        "position": status.position,
        "lag": status.lag,
        "in_flight": status.in_flight,
        "retrying": status.retrying,
        "parked": status.parked,
    })
}

fn settings(settings: &GroupSettings) -> Value {
    let item = |item: &SettingsItem| json!({ "types": item.types, "tags": item.tags });
    json!({
        "query": { "items": settings.query.iter().map(item).collect::<Vec<_>>() },
        "key": settings.key,
        "deadline_ms": settings.deadline_ms,
        "max_attempts": settings.max_attempts,
        "max_in_flight": settings.max_in_flight,
        "first_pause_ms": settings.first_pause_ms,
        "max_pause_ms": settings.max_pause_ms,
        "read_ahead": settings.read_ahead,
        "park_key": settings.parks_key,
    })
}

/// Parses a text as every body of a request for groups, and as a lease: what a fuzz target calls.
#[cfg(fuzzing)]
pub(in crate::http_face) fn fuzz(text: &str) {
    use serde_json::from_str;

    if let Ok(lease) = LeaseId::from_str(text) {
        assert_eq!(lease.to_string(), text);
    }
    if let Ok(body) = from_str::<GroupBody>(text) {
        let _ = body.settings(100).map(|(settings, _)| settings.query().check());
    }
    if let Ok(Ok(pull)) = from_str::<PullBody>(text).map(PullBody::checked) {
        assert!((1..=256).contains(&pull.max) && !pull.worker.is_empty(), "{pull:?}");
    }
    let _ = from_str::<AckBody>(text).map(|body| body.leases());
    let _ = from_str::<NackBody>(text).map(|body| (body.leases(), body.action()));
    let _ = from_str::<ExtendBody>(text).map(|body| (body.leases(), body.deadline()));
    let _ = from_str::<ParkedBody>(text).map(ParkedBody::offsets);
    let _ = from_str::<ResetBody>(text).map(|body| body.offset);
}

#[cfg(test)]
mod tests {
    use serde_json::from_str;

    use super::*;

    /// Returns a list in JSON.
    fn list(element: &str, count: usize) -> String {
        format!("[{}]", vec![element; count].join(","))
    }

    #[test]
    fn leases_and_offsets_are_limited() {
        let lease = "\"0.6c84fb9012c411e1840d7b25c5ee775a.0\"";
        for (count, is_ok) in [(0, false), (1, true), (MAX_LEASES, true), (MAX_LEASES + 1, false)] {
            let leases = list(lease, count);
            let ack: AckBody = from_str(&format!("{{\"leases\":{leases}}}")).unwrap();
            assert!(ack.leases.kept.len() <= MAX_LEASES);
            let nack = format!("{{\"leases\":{leases},\"action\":\"skip\"}}");
            let extend = format!("{{\"leases\":{leases},\"deadline_ms\":1000}}");
            for leases in [
                ack.leases(),
                from_str::<NackBody>(&nack).unwrap().leases(),
                from_str::<ExtendBody>(&extend).unwrap().leases(),
            ] {
                assert_eq!(leases.ok().map(|leases| leases.len()), is_ok.then_some(count));
            }
        }
        for (count, is_ok) in [(0, true), (MAX_OFFSETS, true), (MAX_OFFSETS + 1, false)] {
            let body = format!("{{\"offsets\":{}}}", list("7", count));
            let body: ParkedBody = from_str(&body).unwrap();
            assert!(body.offsets.as_ref().unwrap().kept.len() <= MAX_OFFSETS);
            assert_eq!(
                body.offsets().ok().map(|offsets| offsets.unwrap().len()),
                is_ok.then_some(count)
            );
        }
    }
}
