//! Progress bars on standard error, if it is a terminal and the command is not quiet.

use std::time::Duration;

use indicatif::{HumanFloatCount, ProgressBar, ProgressState, ProgressStyle};

use crate::console::settings::settings;

/// Returns a bar for work of `total` bytes, or a spinner if the total is not known.
pub(crate) fn bytes(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => {
            bar(total, "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}")
        }
        None => styled(ProgressBar::new_spinner(), "{spinner} {bytes}, {bytes_per_sec}  {msg}"),
    }
}

/// Returns a bar for work of `total` events.
pub(crate) fn events(total: u64, what: &'static str) -> ProgressBar {
    bar(total, "{msg} {bar:30} {human_pos} of {human_len} events, {rate} per second, {eta} left")
        .with_message(what)
}

/// Returns a bar for checking the bytes of a store, whose number becomes known meanwhile.
pub(crate) fn checking_bytes() -> ProgressBar {
    bar(0, "checking {bar:30} {percent}%, {bytes} of {total_bytes}, {eta} left")
}

/// Returns a bar for checking the events of a store, whose number becomes known meanwhile.
pub(crate) fn checking_events() -> ProgressBar {
    bar(0, "checking {bar:30} {percent}%, {human_pos} of {human_len} events, {eta} left")
}

/// Returns a bar for reading the entries of a record, whose number becomes known meanwhile.
#[cfg(feature = "replicated")]
pub(crate) fn checking_entries() -> ProgressBar {
    bar(0, "checking {bar:30} {percent}%, {human_pos} of {human_len} entries, {eta} left")
}

/// Returns a spinner that shows the elapsed time.
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
    if settings().quiet {
        return ProgressBar::hidden();
    }
    // The templates are constants. If one were invalid, the bar would have its default look.
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        Err(_) => bar,
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // An error is ignored: it concerns only the bar.
    let _ = write!(out, "{:.0}", HumanFloatCount(state.per_sec()));
}
