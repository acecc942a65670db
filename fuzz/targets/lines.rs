//! A line that is an event is written as a line that is the same event, but for offset and time, which are not given.

#![no_main]

use annals::Recorded;
use annals_cli::{parse_line, write_line, write_pretty};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let event = match parse_line(input) {
        Ok(event) => event,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let mut line = Vec::new();
    let recorded = Recorded { offset: 7, time_ms: 1_700_000_000_000, event };
    write_line(&recorded, &mut line).expect("a Vec takes all");
    assert_eq!(line.pop(), Some(b'\n'));
    assert!(!line.contains(&b'\n'), "one line");
    let given = line.strip_prefix(br#"{"offset":7,"time":"2023-11-14T22:13:20.000Z","#);
    let line = [b"{", given.expect("offset and time come first")].concat();
    let again = parse_line(&line);
    assert_eq!(again.ok().as_ref(), Some(&recorded.event), "{}", String::from_utf8_lossy(&line));
    write_pretty(&recorded, &mut Vec::new()).expect("a Vec takes all");
});
