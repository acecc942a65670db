//! Everything that the server's HTTP face parses: query strings, bodies of every kind, `Last-Event-ID`, ranges, leases;
//! and token files, certificates, hosts and traces. An event that was accepted is stored as it was sent.

#![no_main]

use annals::EventStore;
use annals_server::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    fuzzing::access(input);
    let events = fuzzing::http(input);
    let store = EventStore::in_memory();
    for event in events {
        // An event that is refused is not valid in a way that only the store checks, such as its size.
        if let Ok(offset) = store.append(event.clone()) {
            let stored = store.get(offset).expect("it is read").expect("it is there");
            assert_eq!(stored.event, event);
        }
    }
});
