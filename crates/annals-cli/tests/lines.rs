//! Property tests: the line of every event parses to the same event.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use annals::{RawEvent, Recorded};
use annals_cli::{parse_line, write_line, write_pretty};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::IgnoredAny;

fn name() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}".prop_filter("255 bytes", |name| name.len() <= 255)
}

/// Returns JSON with white space, escapes and all kinds of values.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just(" true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        "\"( |[a-zé日\u{1F6B2}]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-fA-F]{2}|\\\\ud83d\\\\ude00){0,9}\"",
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[ {}\t]", items.join(" ,"))),
            vec(("[a-c ]{0,3}", inner), 0..5).prop_map(|fields| {
                let fields = fields.iter().map(|(name, value)| format!("\"{name}\" : {value}"));
                format!("{{\r\n{}}}", fields.collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![]),
        json().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..50),
        Just(br#""\ud800""#.to_vec()),
    ]
}

fn event(data: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = RawEvent> {
    let parts = (
        name(),
        vec(name(), 0..5),
        proptest::option::of(name()),
        btree_map(name(), any::<String>(), 0..4),
        data,
    );
    parts.prop_map(|(event_type, tags, id, metadata, data)| {
        let mut builder = RawEvent::builder(event_type).data(data);
        for tag in tags {
            builder = builder.tag(tag);
        }
        for (name, value) in metadata {
            builder = builder.metadata(name, value);
        }
        if let Some(id) = id {
            builder = builder.id(id);
        }
        builder.build().unwrap()
    })
}

/// Returns the line without offset and time, as `annals append` takes it.
fn given(line: &str) -> String {
    let at = line.find(",\"type\"").unwrap();
    format!("{{{}", &line[at + 1..])
}

/// Returns a text without white space, for comparisons that ignore white space.
fn squeezed(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

proptest! {
    #[test]
    fn a_line_reads_back_as_its_event(event in event(data()), offset: u64, time_ms: u64) {
        let recorded = Recorded { offset, time_ms, event };
        let mut line = Vec::new();
        write_line(&recorded, &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert!(serde_json::from_str::<IgnoredAny>(&line).is_ok());
        let front = format!("{{\"offset\":{offset},\"time\":");
        prop_assert!(line.starts_with(&front));
        let read = parse_line(given(&line).as_bytes()).unwrap();
        let written = &recorded.event;
        prop_assert_eq!(read.event_type(), written.event_type());
        prop_assert_eq!(read.tags().collect::<Vec<_>>(), written.tags().collect::<Vec<_>>());
        prop_assert_eq!(read.id(), written.id());
        prop_assert_eq!(read.metadata(), written.metadata());
        prop_assert_eq!(squeezed(read.data_bytes()), squeezed(written.data_bytes()));
        // Writing the parsed event gives the same line.
        let mut again = Vec::new();
        write_line(&Recorded { event: read, ..recorded }, &mut again).unwrap();
        prop_assert_eq!(String::from_utf8(again).unwrap(), line);
    }

    #[test]
    fn an_indented_event_has_the_same_bytes(event in event(data())) {
        let recorded = Recorded { offset: 7, time_ms: 0, event };
        let (mut line, mut pretty) = (Vec::new(), Vec::new());
        write_line(&recorded, &mut line).unwrap();
        write_pretty(&recorded, &mut pretty).unwrap();
        prop_assert_eq!(squeezed(&line), squeezed(&pretty));
        prop_assert!(serde_json::from_slice::<IgnoredAny>(&pretty).is_ok());
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error_with_a_column(line in vec(any::<u8>(), 0..200)) {
        if let Err(error) = parse_line(&line) {
            prop_assert!(error.column >= 1 && error.column <= line.len() + 1);
        }
    }

    #[test]
    fn a_line_that_is_cut_or_changed_never_panics(event in event(data()), at: prop::sample::Index, byte: u8) {
        let mut line = Vec::new();
        write_line(&Recorded { offset: 0, time_ms: 0, event }, &mut line).unwrap();
        let mut line = given(std::str::from_utf8(&line).unwrap().trim_end()).into_bytes();
        let at = at.index(line.len());
        prop_assert!(parse_line(&line[..at]).is_err());
        line[at] = byte;
        if let Err(error) = parse_line(&line) {
            prop_assert!(error.column >= 1 && error.column <= line.len() + 1);
        }
    }
}
