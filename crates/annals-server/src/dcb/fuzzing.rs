//! What a fuzz target calls: requests from bytes to events and queries, and events back to bytes.

use annals::{RawEvent, Recorded};
use prost::Message as _;

use super::{health, incoming, messages as wire, outgoing};
use crate::event::WireEvent;

/// Decodes the input as every kind of request, and maps it. Returns the events of an append.
pub(crate) fn parse(input: &[u8]) -> Vec<RawEvent> {
    let _ = health::HealthCheckRequest::decode(input);
    if let Ok(request) = wire::ReadRequest::decode(input)
        && let Ok(query) = incoming::query(request.query)
    {
        query.check().expect("a query that was accepted is valid");
    }
    if let Ok(request) = wire::SubscribeRequest::decode(input) {
        let _ = incoming::query(request.query);
    }
    let Ok(request) = wire::AppendRequest::decode(input) else { return Vec::new() };
    if let Some(condition) = request.condition {
        let _ = incoming::query(condition.fail_if_events_match);
    }
    let mut events = Vec::new();
    for (index, event) in request.events.into_iter().enumerate() {
        let Ok(sent) = incoming::event(event.clone(), index) else { continue };
        let (mut sent, tracked) = (vec![sent], request.tracking_info.as_ref());
        if let Some(tracking) = tracked
            && incoming::track(&mut sent, tracking).is_err()
        {
            continue;
        }
        let Some(Ok(raw)) = sent.pop().map(|sent| WireEvent::from(sent).to_raw()) else { continue };
        check_returned(&event, &raw, tracked.is_some());
        events.push(raw);
    }
    events
}

/// Checks that a client gets back the event that it sent.
fn check_returned(sent: &wire::Event, raw: &RawEvent, is_tracked: bool) {
    let recorded = Recorded { offset: 6, time_ms: 0, event: raw.clone() };
    let mut bytes = Vec::new();
    outgoing::EventsMessage { events: vec![recorded], head: None }.write(&mut bytes);
    let returned = wire::ReadResponse::decode(&*bytes).expect("the server's message is valid");
    let [returned] = &returned.events[..] else { panic!("one event") };
    assert_eq!((returned.position, returned.tracking_info.is_some()), (7, is_tracked));
    let returned = returned.event.as_ref().expect("an event");
    assert_eq!((&returned.event_type, &returned.data), (&sent.event_type, &sent.data));
    let mut tags = Vec::new();
    sent.tags.iter().for_each(|tag| {
        if !tags.contains(tag) {
            tags.push(tag.clone())
        }
    });
    assert_eq!(returned.tags, tags);
}
