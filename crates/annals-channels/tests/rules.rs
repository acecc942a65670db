//! Each rule, with events that keep it and events that break it.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::{DecideError, EventStore};
use annals_channels::{Address, ChannelEvent, Hash, ObjectiveStatus, Rule, SignatureError, record};
use common::*;
use serde_json::json;

/// Returns the event with another value in one field.
fn with(event: &ChannelEvent, field: &str, value: serde_json::Value) -> ChannelEvent {
    use annals::Event;
    let mut data = Vec::new();
    event.encode(&mut data).unwrap();
    let mut payload: serde_json::Value = serde_json::from_slice(&data).unwrap();
    payload[field] = value;
    ChannelEvent::from_json(event.event_type(), &payload.to_string()).unwrap()
}

fn id(objective: usize) -> Hash {
    OBJECTIVES[objective].parse().unwrap()
}

#[test]
fn an_objective_goes_from_created_to_approved_to_completed() {
    let store = log([objective_created(OBJECTIVES[0])]);
    for kind in ["objective-approved", "objective-cranked", "objective-completed"] {
        keeps(&store, objective(kind, OBJECTIVES[0]));
    }
    for kind in
        ["objective-approved", "objective-rejected", "objective-cranked", "objective-completed"]
    {
        let again = with(&objective(kind, OBJECTIVES[0]), "timestamp_ms", json!(5));
        let violation = breaks(&store, again);
        assert!(
            matches!(violation, Rule::ObjectiveStatus { status: ObjectiveStatus::Completed, .. }),
            "{kind}"
        );
    }
}

#[test]
fn an_objective_is_created_once_and_first() {
    let store = log([]);
    for kind in
        ["objective-approved", "objective-rejected", "objective-cranked", "objective-completed"]
    {
        assert_eq!(
            breaks(&store, objective(kind, OBJECTIVES[0])),
            Rule::ObjectiveExists { objective_id: id(0) }
        );
    }
    keeps(&store, objective_created(OBJECTIVES[0]));
    let again = with(&objective_created(OBJECTIVES[0]), "timestamp_ms", json!(5));
    let expected = Rule::ObjectiveIsNew { objective_id: id(0), status: ObjectiveStatus::Created };
    assert_eq!(breaks(&store, again), expected);
}

#[test]
fn an_objective_is_cranked_and_completed_only_when_approved() {
    let store = log([objective_created(OBJECTIVES[0])]);
    for kind in ["objective-cranked", "objective-completed"] {
        let violation = breaks(&store, objective(kind, OBJECTIVES[0]));
        assert!(matches!(
            violation,
            Rule::ObjectiveStatus { status: ObjectiveStatus::Created, .. }
        ));
    }
    keeps(&store, objective("objective-rejected", OBJECTIVES[0]));
    let violation = breaks(&store, objective("objective-approved", OBJECTIVES[0]));
    assert!(matches!(violation, Rule::ObjectiveStatus { status: ObjectiveStatus::Rejected, .. }));
}

#[test]
fn one_objective_at_a_time_owns_a_channel() {
    for end in ["objective-completed", "objective-rejected"] {
        let store = log([
            objective_created(OBJECTIVES[0]),
            objective_created(OBJECTIVES[1]),
            objective("objective-approved", OBJECTIVES[0]),
        ]);
        let second = || objective("objective-approved", OBJECTIVES[1]);
        assert_eq!(
            breaks(&store, second()),
            Rule::OneOwner { channel_id: channel(), owner: id(0) }
        );
        keeps(&store, objective(end, OBJECTIVES[0]));
        keeps(&store, second());
    }
}

#[test]
fn of_two_threads_one_gets_the_channel() {
    for _ in 0..50 {
        let store = log([objective_created(OBJECTIVES[0]), objective_created(OBJECTIVES[1])]);
        let won: usize = std::thread::scope(|scope| {
            let threads = OBJECTIVES.map(|one| {
                let store = &store;
                scope.spawn(move || record(store, objective("objective-approved", one)).is_ok())
            });
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn a_channels_id_is_the_hash_of_its_fixed_part() {
    let store = log([]);
    let other = with(&created(), "channel_nonce", json!(8));
    let expected = Rule::ChannelId { expected: fixed(8).channel_id(), found: channel() };
    assert_eq!(breaks(&store, other), expected);
    keeps(&store, created());
    let again = with(&created(), "timestamp_ms", json!(5));
    assert_eq!(breaks(&store, again), Rule::ChannelIsNew { channel_id: channel() });
}

#[test]
fn only_participants_of_a_channel_sign_and_only_for_themselves() {
    let store = log([]);
    let missing = Rule::ChannelExists { channel_id: channel() };
    assert_eq!(breaks(&store, signed(1, 0)), missing);
    assert_eq!(breaks(&store, received(1, 0)), missing);
    keeps(&store, created());
    let [first, second] = parties().map(|key| key.address());
    for event in [signed(1, 0), received(1, 0)] {
        let stranger = Address::new([9; 20]);
        let violation = breaks(&store, with(&event, "signer", json!(stranger)));
        assert_eq!(violation, Rule::SignerIsParticipant { signer: stranger });
        let forged = json!(key(0x33).sign(state(1, 0)).unwrap());
        let violation = breaks(&store, with(&event, "signature", forged));
        assert!(
            matches!(violation, Rule::SignatureIsSigners { found, .. } if found == key(0x33).address())
        );
        let violation =
            breaks(&store, with(&event, "signature", json!(format!("0x{}", "11".repeat(65)))));
        assert_eq!(violation, Rule::SignatureIsValid(SignatureError::V { found: 0x11 }));
        let violation = breaks(&store, with(&event, "state_hash", json!(state(2, 0))));
        assert!(matches!(violation, Rule::SignatureIsSigners { .. }));
    }
    let swapped = breaks(&store, with(&signed(1, 0), "signer", json!(second)));
    assert_eq!(swapped, Rule::SignatureIsSigners { signer: second, found: first });
    keeps(&store, signed(1, 0));
    keeps(&store, received(1, 0));
}

#[test]
fn what_we_sign_goes_up_by_turn() {
    let store = log([created(), signed(1, 0), signed(3, 0)]);
    assert_eq!(breaks(&store, signed(2, 0)), Rule::TurnGoesUp { latest: 3, found: 2 });
    let again = with(&signed(3, 0), "timestamp_ms", json!(5));
    assert_eq!(breaks(&store, again), Rule::TurnGoesUp { latest: 3, found: 3 });
    keeps(&store, signed(4, 0));
    // Signatures of others arrive in any order.
    keeps(&store, received(2, 0));
    keeps(&store, received(1, 0));
}

#[test]
fn what_came_back_to_us_before_we_signed_it_is_ours() {
    let with_kind = |kind, turn| {
        let mut data = Vec::new();
        annals::Event::encode(&signed(turn, 0), &mut data).unwrap();
        let mut payload: serde_json::Value = serde_json::from_slice(&data).unwrap();
        payload.as_object_mut().unwrap().remove("app_data_hash");
        ChannelEvent::from_json(kind, &payload.to_string()).unwrap()
    };
    let store = log([created(), with_kind("state-received", 5), signed(5, 0)]);
    assert_eq!(breaks(&store, signed(4, 0)), Rule::TurnGoesUp { latest: 5, found: 4 });
    let state = store.reconstruct(annals_channels::Channel(channel())).now().unwrap().clone();
    assert!(state.signatures_at(5)[0].own);
    assert_eq!(state.signatures_at(5).len(), 1);
}

#[test]
fn two_states_for_a_turn_are_kept_and_reported() {
    let store = log([created(), signed(1, 0), signed(2, 0), received(1, 0)]);
    for (event, signer) in [(signed(1, 9), 0), (received(1, 9), 1)] {
        let recorded = keeps(&store, event);
        let evidence = recorded.equivocation.expect("it is reported");
        assert_eq!((evidence.turn_num, evidence.first.signer), (1, parties()[signer].address()));
        assert_eq!(evidence.first.state_hash, state(1, 0));
        assert_eq!(evidence.second.state_hash, state(1, 9));
    }
    let evidence = store.reconstruct(annals_channels::Channel(channel())).now().unwrap().clone();
    assert_eq!(evidence.equivocations.len(), 2);
    assert_eq!(evidence.signatures_at(1).len(), 4, "all signatures are kept");
}

#[test]
fn a_supported_turn_has_signatures_by_all() {
    let missing = |turn_num, party: usize| Rule::SupportedByAll {
        turn_num,
        missing: parties()[party].address(),
    };
    let store = log([created(), received(1, 0)]);
    assert_eq!(breaks(&store, supported(1, 0, 2)), missing(1, 0));
    // One signature of each, for the turn that each moved.
    keeps(&store, signed(2, 0));
    keeps(&store, supported(2, 0, 2));
    // A signature of an early turn does not support a much later one.
    keeps(&store, signed(6, 0));
    assert_eq!(breaks(&store, supported(6, 2, 2)), missing(6, 1));
    // A signature of another state for the turn does not support it either.
    keeps(&store, received(6, 9));
    assert_eq!(breaks(&store, supported(6, 2, 2)), missing(6, 1));
    keeps(&store, received(6, 0));
    keeps(&store, supported(6, 2, 2));
}

#[test]
fn a_supported_turn_is_signed_by_its_mover() {
    // The first party is the mover of turn 4, but only the second one signed a state for it.
    let store = log([created(), signed(3, 0), received(4, 0)]);
    let mover = parties()[0].address();
    assert_eq!(breaks(&store, supported(4, 0, 2)), Rule::SupportedByMover { turn_num: 4, mover });
    keeps(&store, signed(4, 9));
    assert_eq!(breaks(&store, supported(4, 0, 2)), Rule::SupportedByMover { turn_num: 4, mover });
    let store = log([created(), signed(4, 0), received(3, 0)]);
    keeps(&store, supported(4, 0, 2));
}

#[test]
fn a_supported_turn_goes_up_from_the_current_one() {
    let both = [created(), signed(1, 0), received(1, 0), signed(2, 0), received(2, 0)];
    let store = log(both);
    assert_eq!(
        breaks(&store, supported(2, 1, 2)),
        Rule::PreviousIsCurrent { current: 0, found: 1 }
    );
    assert_eq!(breaks(&store, supported(0, 0, 2)), Rule::SupportGoesUp { previous: 0, found: 0 });
    keeps(&store, supported(2, 0, 2));
    assert_eq!(breaks(&store, supported(1, 2, 2)), Rule::SupportGoesUp { previous: 2, found: 1 });
    assert_eq!(
        breaks(&store, supported(3, 2, 2)),
        Rule::SupportedWasSigned { turn_num: 3, state_hash: state(3, 0) }
    );
    assert_eq!(breaks(&store, supported(2, 2, 3)), Rule::SupportGoesUp { previous: 2, found: 2 });
    keeps(&store, received(3, 0));
    assert_eq!(breaks(&store, supported(3, 2, 3)), Rule::SignatureCount { expected: 2, found: 3 });
    keeps(&store, supported(3, 2, 2));
    let nowhere = EventStore::in_memory();
    assert_eq!(breaks(&nowhere, supported(3, 2, 2)), Rule::ChannelExists { channel_id: channel() });
}

#[test]
fn a_final_state_is_signed_by_all() {
    let missing =
        |turn_num, party: usize| Rule::FinalByAll { turn_num, missing: parties()[party].address() };
    // Both signed turn 1, but not as a final state.
    let store = log([created(), signed(1, 0), received(1, 0)]);
    assert_eq!(breaks(&store, finalized(1)), missing(1, 0));
    let [ours, theirs] = final_state(2);
    keeps(&store, ours);
    assert_eq!(breaks(&store, finalized(2)), missing(2, 1));
    keeps(&store, theirs);
    keeps(&store, finalized(2));
}

#[test]
fn a_channel_is_finalized_once() {
    let store = log([created()]);
    for event in final_state(4).into_iter().chain(final_state(6)) {
        keeps(&store, event);
    }
    let recorded = keeps(&store, finalized(6));
    for found in [4, 6] {
        let again = with(&finalized(found), "timestamp_ms", json!(5));
        assert_eq!(breaks(&store, again), Rule::FinalOnce { final_turn: 6, found });
    }
    assert_eq!(keeps(&store, finalized(6)), recorded, "the very same event is where it is");
}

#[test]
fn funds_are_withdrawn_once_concluded() {
    let store = log([created()]);
    assert_eq!(breaks(&store, withdrawn(1)), Rule::ConcludedFirst { channel_id: channel() });
    keeps(&store, chain("channel-concluded", 1, json!({})));
    keeps(&store, withdrawn(2));
}

#[test]
fn a_challenge_is_cleared_with_a_later_turn() {
    let store = log([created()]);
    assert_eq!(breaks(&store, cleared(1, 9)), Rule::ChallengeExists { channel_id: channel() });
    keeps(&store, challenge(1, 4));
    for found in [3, 4] {
        assert_eq!(breaks(&store, cleared(2, found)), Rule::ClearingBeats { challenged: 4, found });
    }
    keeps(&store, cleared(2, 5));
}

#[test]
fn deposits_are_counted_once_and_add_up() {
    let store = log([created(), deposit(1, ETH, "10")]);
    let asset = ETH.parse().unwrap();
    let again = breaks(&store, deposit(1, ETH, "20"));
    assert_eq!(again, Rule::DepositIsNew { block_num: 1, tx_index: 0, asset });
    let down = breaks(&store, deposit(2, ETH, "9"));
    assert_eq!(down, Rule::HoldingGrows { held: 10.into(), found: 9.into() });
    keeps(&store, deposit(2, ETH, "10"));
    keeps(&store, deposit(1, APP, "1"));
    // A payment lowers the amount held.
    keeps(&store, chain("allocation-updated", 3, json!({ "asset": ETH, "new_amount": "2" })));
    keeps(&store, deposit(4, ETH, "3"));
}

#[test]
fn what_is_deposited_is_held() {
    let store = log([created()]);
    let too_little = with(&deposit(1, ETH, "3"), "amount_deposited", json!("4"));
    let violation = breaks(&store, too_little);
    assert_eq!(violation, Rule::DepositIsHeld { deposited: 4.into(), found: 3.into() });
    keeps(&store, with(&deposit(1, ETH, "3"), "amount_deposited", json!("3")));
}

#[test]
fn participants_differ() {
    let mut fixed = fixed(7);
    let twice = fixed.participants[0];
    let participants = vec![twice, fixed.participants[1], twice];
    fixed.participants = participants.try_into().unwrap();
    let event = with(&created(), "participants", json!(fixed.participants));
    let event = with(&event, "channel_id", json!(fixed.channel_id()));
    assert_eq!(breaks(&log([]), event), Rule::ParticipantsDiffer { twice });
}

#[test]
fn what_is_acknowledged_was_sent() {
    let store = log([message("message-sent", "bob"), message("message-received", "carol")]);
    for peer in ["carol", "dave"] {
        let violation = breaks(&store, message("message-acked", peer));
        assert_eq!(violation, Rule::AckedWasSent { message_id: id(0), peer_id: peer.into() });
    }
    keeps(&store, message("message-acked", "bob"));
}

#[test]
fn the_same_event_again_is_where_it_is() {
    let events = || {
        [
            objective_created(OBJECTIVES[0]),
            created(),
            signed(1, 0),
            signed(2, 0),
            deposit(1, ETH, "5"),
            message("message-sent", "bob"),
        ]
    };
    let store = log(events());
    for (offset, event) in (0..).zip(events()) {
        assert_eq!(keeps(&store, event).offset, offset);
    }
    assert_eq!(store.len(), 6);
}

#[test]
fn a_broken_rule_names_event_and_finding() {
    let store = log([created(), signed(3, 0)]);
    let Err(DecideError::Rejected(violation)) = record(&store, signed(2, 0)) else {
        panic!("expected a violation")
    };
    let text = violation.to_string();
    assert!(text.starts_with("state-signed breaks a rule: a party signs turns in ascending order; turn 2 is not after turn 3 (event 0x"), "{text}");
}

#[test]
fn folding_asks_for_no_rules() {
    let store = Store::in_memory();
    let wrong = [
        withdrawn(1),
        supported(9, 4, 2),
        cleared(1, 1),
        objective("objective-approved", OBJECTIVES[0]),
        signed(2, 0),
        signed(1, 0),
    ];
    store.append_batch(wrong).unwrap();
    let state = store.reconstruct(annals_channels::Channels).now().unwrap().clone();
    assert_eq!(state.channel(&channel()).unwrap().latest_signed_turn, Some(2));
}

#[test]
fn addresses_are_compared_by_their_bytes() {
    // Another program may write addresses in mixed case without the checksum.
    let odd = |address: Address| {
        let digit = |(at, digit): (usize, char)| match at % 2 {
            0 => digit.to_ascii_uppercase(),
            _ => digit,
        };
        let digits = address.lower().to_string();
        format!("0x{}", digits[2..].char_indices().map(digit).collect::<String>())
    };
    let [first, second] = fixed(7).participants[..].try_into().unwrap_or_else(|_| unreachable!());
    let oddly = |event: ChannelEvent| {
        use annals::Event;
        let mut data = Vec::new();
        event.encode(&mut data).unwrap();
        let text = String::from_utf8(data).unwrap().to_lowercase();
        let text = [first, second].iter().fold(text, |text, address: &Address| {
            text.replace(&address.lower().to_string(), &odd(*address))
        });
        ChannelEvent::from_json(event.event_type(), &text).unwrap()
    };
    let mut fixed = fixed(7);
    fixed.participants = vec![first, first].try_into().unwrap();
    let twice = with(&created(), "participants", json!([odd(first), first.lower()]));
    let twice = with(&twice, "channel_id", json!(fixed.channel_id()));
    assert_eq!(breaks(&log([]), twice), Rule::ParticipantsDiffer { twice: first });
    // A channel works the same if its events use different cases.
    let store = log([oddly(created())]);
    keeps(&store, oddly(received(1, 0)));
    keeps(&store, signed(2, 0));
    keeps(&store, oddly(supported(2, 0, 2)));
    let mut view = store.reconstruct(annals_channels::Channel(channel()));
    let state = view.now().unwrap();
    assert_eq!(state.supported.map(|supported| supported.turn_num), Some(2));
    assert_eq!(state.equivocations.len(), 0);
    // Tags are in lower case, whatever the case in the event.
    let of = |party: Address| {
        let tag = format!("participant:{}", party.lower());
        store.query(&annals::Query::tag(tag)).count()
    };
    assert_eq!(of(first) + of(second), 4, "both in the channel, and one in each state");
}
