//! The requests of the server's gRPC face: whatever bytes a client sends are refused or mapped, and an event that was
//! accepted comes back as it was sent.

#![no_main]

use annals_server::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for event in fuzzing::grpc(input) {
        assert!(event.tags().len() <= annals::MAX_TAGS);
    }
});
