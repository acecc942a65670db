//! The rules of happenstance-testkit for event stores, each against a server of its own.

use annals_outside_happenstance::Server;

happenstance_testkit::event_store_conformance!(
    mod_name = over_http,
    emit = happenstance_testkit::emit_blocking,
    fixture = Server::start()
);
