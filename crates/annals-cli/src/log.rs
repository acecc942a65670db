//! What the library logs, as readable lines on standard error.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Shows warnings and errors; spans, which the library has none of, are nothing to it.
struct Log {
    damage: Arc<AtomicBool>,
}

/// Whether the library went round damage.
pub(crate) struct Damage(Arc<AtomicBool>);

impl Damage {
    /// Whether it was told so far that a log is damaged.
    pub(crate) fn is_known(&self) -> bool {
        // Relaxed: it is set on this thread, while a store is opened.
        self.0.load(Ordering::Relaxed)
    }
}

/// Shows from now on what the library logs.
pub(crate) fn start() -> Damage {
    let damage = Arc::new(AtomicBool::new(false));
    let log = Log { damage: Arc::clone(&damage) };
    // It fails only if somebody was quicker, and here nobody is.
    let _ = tracing::subscriber::set_global_default(log);
    Damage(damage)
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        if text.damage {
            // Relaxed: see `Damage::is_known`.
            self.damage.store(true, Ordering::Relaxed);
        }
        let level = if *event.metadata().level() == Level::ERROR { "error" } else { "warning" };
        let Text { message, fields, .. } = text;
        let fields = if fields.is_empty() { fields } else { format!(" ({fields})") };
        // If standard error is gone there is nobody to tell.
        let _ = writeln!(io::stderr(), "annals: {level}: {message}{fields}");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    damage: bool,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.damage |= field.name() == "damage";
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
