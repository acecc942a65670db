//! How far long work is, on a terminal's standard error; nothing elsewhere.

use std::time::Duration;

use indicatif::{HumanFloatCount, ProgressBar, ProgressState, ProgressStyle};

/// Work of `total` bytes, if that is known.
pub(crate) fn bytes(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => {
            bar(total, "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}")
        }
        None => styled(ProgressBar::new_spinner(), "{spinner} {bytes}, {bytes_per_sec}  {msg}"),
    }
}

/// Work of `total` events.
pub(crate) fn events(total: u64, what: &'static str) -> ProgressBar {
    bar(total, "{msg} {bar:30} {human_pos} of {human_len} events, {rate} a second, {eta} left")
        .with_message(what)
}

/// Work of which only the time is known that it took.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let spinner =
        styled(ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}").with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

fn bar(total: u64, template: &str) -> ProgressBar {
    styled(ProgressBar::new(total), template)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    // The templates are constants; if one were wrong, the bar would look as it does by default.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        Err(_) => bar,
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // An error is the terminal's, and the bar's own business.
    let _ = write!(out, "{:.0}", HumanFloatCount(state.per_sec()));
}
