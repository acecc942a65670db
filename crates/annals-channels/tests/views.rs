//! The views: the life of a channel at every offset, and the queries of go-nitro.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::time::{Duration, UNIX_EPOCH};

use annals::{MemorySnapshots, SnapshotPolicy, SnapshotVerdict};
use annals_channels::{
    Channel, ChannelEvent, ChannelStatus, Channels, Message, Objective, ObjectiveStatus, Objectives,
};
use common::*;
use serde_json::json;

/// Returns the events of a channel's life, with the channel's status after each.
fn life() -> Vec<(ChannelEvent, Option<ChannelStatus>)> {
    use ChannelStatus::{Challenged, Concluded, Created, Finalized, Open, Withdrawn};
    let [ours, theirs] = final_state(4);
    vec![
        (objective_created(OBJECTIVES[0]), None),
        (objective("objective-approved", OBJECTIVES[0]), None),
        (created(), Some(Created)),
        (deposit(5, ETH, "10"), Some(Created)),
        (received(1, 0), Some(Created)),
        (signed(2, 0), Some(Created)),
        (supported(2, 0, 2), Some(Open)),
        (objective("objective-cranked", OBJECTIVES[0]), Some(Open)),
        (challenge(6, 2), Some(Challenged)),
        (cleared(7, 3), Some(Open)),
        (ours, Some(Open)),
        (theirs, Some(Open)),
        (finalized(4), Some(Finalized)),
        (chain("channel-concluded", 8, json!({ "finalized_at_turn": 4 })), Some(Concluded)),
        (withdrawn(9), Some(Withdrawn)),
        (objective("objective-completed", OBJECTIVES[0]), Some(Withdrawn)),
    ]
}

fn whole() -> Store {
    log(life().into_iter().map(|(event, _)| event))
}

#[test]
fn a_channel_is_as_far_as_the_log_at_every_offset() {
    let store = whole();
    let view = store.reconstruct(Channel(channel()));
    for (offset, (_, status)) in (0..).zip(life()) {
        assert_eq!(view.at(offset).unwrap().status, status, "at {offset}");
    }
    let open = view.at(6).unwrap();
    assert_eq!(open.fixed, Some(fixed(7)));
    assert_eq!((open.latest_signed_turn, open.supported.unwrap().turn_num), (Some(2), 2));
    assert_eq!(open.holdings[&ETH.parse().unwrap()].amount, 10.into());
    let end = view.at_time(UNIX_EPOCH + Duration::from_secs(1 << 40)).unwrap();
    assert_eq!(end.finalized.unwrap().turn_num, 4);
    assert_eq!(end.withdrawals.len(), 1);
    assert!(view.at_time(UNIX_EPOCH).unwrap().status.is_none());
}

#[test]
fn an_objective_is_followed_to_its_end() {
    let store = whole();
    let view = store.reconstruct(Objective(OBJECTIVES[0].parse().unwrap()));
    let status = |offset| view.at(offset).unwrap().unwrap().status;
    assert_eq!(
        [0, 1, 14].map(status),
        [ObjectiveStatus::Created, ObjectiveStatus::Approved, ObjectiveStatus::Approved]
    );
    let end = view.at(15).unwrap().unwrap();
    assert_eq!((end.status, end.cranks, end.success), (ObjectiveStatus::Completed, 1, Some(true)));
    let none =
        store.reconstruct(Objective(OBJECTIVES[1].parse().unwrap())).now().unwrap().is_none();
    assert!(none);
    let all = store.reconstruct(Objectives).now().unwrap().clone();
    assert_eq!(all.objectives.values().next(), Some(&end));
}

#[test]
fn what_go_nitro_asks() {
    let store = whole();
    let view = store.reconstruct(Channels);
    let objective = OBJECTIVES[0].parse().unwrap();
    let (now, then) = (view.at(15).unwrap(), view.at(8).unwrap());
    assert_eq!(now.objective(&objective).unwrap().channel_id, channel());
    assert_eq!(then.owner(&channel()).unwrap().0, objective);
    assert!(now.owner(&channel()).is_none(), "completing released it");
    assert_eq!((now.last_block_seen(), then.last_block_seen()), (Some(9), Some(6)));
    let by_id = now.channels([channel(), state(1, 1)]).collect::<Vec<_>>();
    assert_eq!(by_id.len(), 1);
    let one = store.reconstruct(Channel(channel())).now().unwrap().clone();
    assert_eq!(*by_id[0].1, one, "the channel's own view says the same");
    for party in parties() {
        assert_eq!(now.channels_by_participant(party.address()).count(), 1);
    }
    assert_eq!(now.channels_by_participant(key(9).address()).count(), 0);
    assert_eq!(now.channels_by_app_definition(APP.parse().unwrap()).count(), 1);
    assert_eq!(now.channels_by_app_definition(ETH.parse().unwrap()).count(), 0);
}

#[test]
fn a_message_is_followed() {
    let store = log([message("message-sent", "bob"), message("message-acked", "bob")]);
    let view = store.reconstruct(Message(OBJECTIVES[0].parse().unwrap()));
    assert!(view.at(0).unwrap().acked_by.is_empty());
    assert_eq!(view.at(1).unwrap().acked_by, view.at(0).unwrap().sent_to);
}

#[test]
fn equal_events_give_equal_bytes() {
    let bytes = |store: &Store| {
        serde_json_canonicalizer::to_vec(store.reconstruct(Channels).now().unwrap()).unwrap()
    };
    assert_eq!(bytes(&whole()), bytes(&whole()));
    let text = String::from_utf8(bytes(&whole())).unwrap();
    let back = serde_json::from_str::<annals_channels::ChannelsState>(&text).unwrap();
    assert_eq!(serde_json_canonicalizer::to_string(&back).unwrap(), text);
}

#[test]
fn snapshots_say_what_the_log_says() {
    let store = whole();
    let repository = std::sync::Arc::new(MemorySnapshots::new());
    let policy = SnapshotPolicy::every(4);
    let mut view = store.reconstruct(Channels).snapshots_in(repository, policy);
    view.now().unwrap();
    let checks = view.verify_snapshots().unwrap();
    assert!(!checks.is_empty());
    assert!(
        checks.iter().all(|check| matches!(check.verdict, SnapshotVerdict::Good { .. })),
        "{checks:?}"
    );
}
