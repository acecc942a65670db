//! Prints the library's warnings and errors as readable lines on standard error.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::console::say;
use crate::console::settings::settings;

/// What the library logs and also returns. These messages are not printed: the command reports the same with advice.
const RETURNED_TOO: [&str; 3] = [
    "the log is not followed any more",
    "a write failed; the store takes no more appends until it is reopened",
    // `annals record status` and `annals serve` print the warnings about an engine.
    "the engine of the record",
];

/// The target of what a server logs of each append, if its clients have names.
const AUDIT: &str = "annals::audit";

/// Prints warnings and errors, a server's audit, and with --verbose also what the library does. It ignores spans; the
/// library has none.
struct Log;

/// Prints everything that the library logs from now on.
pub(crate) fn start() {
    // It fails only if another subscriber is set, and none is set.
    let _ = tracing::subscriber::set_global_default(Log);
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == AUDIT
            || *metadata.level() <= if settings().verbose { Level::DEBUG } else { Level::WARN }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields } = text;
        if RETURNED_TOO.contains(&&*message) {
            return;
        }
        let fields = if fields.is_empty() { fields } else { format!(" ({fields})") };
        let text = format!("{message}{fields}");
        match *event.metadata().level() {
            Level::ERROR => say::error(&text, []),
            Level::WARN => say::warning(&text),
            _ => say::note(&text),
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                let comma = if self.fields.is_empty() { "" } else { ", " };
                write!(self.fields, "{comma}{name}: {value:?}")
            }
        };
    }
}
