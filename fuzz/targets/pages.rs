//! The server's inspector: the parameters of its pages, and the HTML and the states that it makes of data.

#![no_main]

use annals_server::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::pages(input));
