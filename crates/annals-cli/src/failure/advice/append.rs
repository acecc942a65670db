//! Advice about lines and batches that are not appended.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};

use annals::AppendError;
use annals_cli::LineReason;

use super::super::Failure;
use super::directory::io_advice;

const ANOTHER_ID: &str = "give the event another id";

/// Returns what the user can do.
pub(super) fn advice(failure: &Failure) -> Option<String> {
    if let Some(source) = write_error(failure) {
        return io_advice(source);
    }
    #[cfg(feature = "replicated")]
    if let Some(advice) = super::record::about_append(failure) {
        return Some(advice);
    }
    let advice = match failure {
        Failure::Append(AppendError::Read(_)) => "`annals verify STORE` shows the damage",
        Failure::Line { problem, may_be_csv, .. } => {
            return about_line(&problem.reason, *may_be_csv);
        }
        Failure::Csv(problem) => return problem.reason.advice().map(str::to_owned),
        Failure::NoTime { .. } => {
            "give every event a \"time\", or import without --keep-times: the events are then recorded now"
        }
        Failure::TimeGoesBack { .. } => {
            "times in a log never go back: sort the input by time, or import without --keep-times and --time"
        }
        Failure::BeforeLastEvent { .. }
        | Failure::EventOfLine { problem: AppendError::TimeGoesBack { .. }, .. } => {
            "times in a log never go back: import into a new store, or without --keep-times and --time"
        }
        Failure::TimeInFuture { .. } => {
            "check the times, and the clock of this machine; --allow-future-times accepts them"
        }
        Failure::DataOfOptions { .. } => {
            "give JSON, with its quotes: --data '{\"days\":28}' or --data '\"text\"'; or @FILE for the bytes of a file"
        }
        Failure::LineTooLong { .. } => "end each event with a line feed",
        Failure::IdInBatch { .. }
        | Failure::IdInStore { other_type: true, .. }
        | Failure::Append(AppendError::IdConflict { .. }) => ANOTHER_ID,
        Failure::IdInStore { .. } => {
            "with --if-none the input is one batch, which cannot mix new events with events that are already in \
            the store: pass only the new lines"
        }
        Failure::InputTooLarge { .. } => {
            "append less input at a time: with --if-none, all input is one batch"
        }
        Failure::ConditionFailed { offset, .. } => {
            return Some(format!("`annals get STORE {offset}` shows the event"));
        }
        Failure::Unreported { last_line: 0, .. } => {
            "there was nothing to append; only the report could not be written"
        }
        Failure::Unreported { last_line, .. } => {
            return Some(format!(
                "all lines up to {last_line}, the last one, are appended; only the report could not be written, so \
                do not append them again"
            ));
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Returns what the user can do about a line that is not an event.
fn about_line(reason: &LineReason, may_be_csv: bool) -> Option<String> {
    let advice = reason.advice().map(str::to_owned);
    // A file in UTF-16 must be saved as UTF-8 first, whatever its format is.
    if !may_be_csv || matches!(reason, LineReason::Utf16 | LineReason::NotUtf8 { .. }) {
        return advice;
    }
    let import = "if the input is CSV, import it with --csv: `annals import STORE FILE --csv`";
    Some(advice.map_or(import.to_owned(), |advice| format!("{advice}\n{import}")))
}

/// Returns which lines are appended, and where to continue.
pub(super) fn up_to_line(problem: &Failure, next_line: u64) -> String {
    let mut text = match next_line - 1 {
        0 => "nothing was appended".to_owned(),
        last => format!("the lines up to {last} are appended, none from {next_line} on"),
    };
    let once = match write_error(problem).map(io::Error::kind) {
        Some(ErrorKind::FileTooLarge) => Some("the limit is raised"),
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Some("there is room"),
        _ => None,
    };
    if let Some(once) = once {
        // Writing into a String does not fail.
        let _ = write!(text, "; once {once}, continue with line {next_line}");
    }
    text
}

/// Returns the system's error, if events were not appended because there was no room or a write failed.
pub(super) fn write_error(problem: &Failure) -> Option<&io::Error> {
    match problem {
        Failure::Append(AppendError::NoRoom { source, .. } | AppendError::Failed { source }) => {
            Some(source)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn no_room() -> AppendError {
        AppendError::NoRoom { bytes: 9, source: Arc::new(ErrorKind::StorageFull.into()) }
    }

    /// A test of the command cannot fill a disk without privileges.
    #[test]
    fn without_room_the_advice_states_what_is_appended() {
        let after =
            |next_line| Failure::AfterLines { problem: Box::new(no_room().into()), next_line };
        assert_eq!(
            after(1).advice().unwrap(),
            "nothing was appended; once there is room, continue with line 1"
        );
        assert_eq!(
            after(21).advice().unwrap(),
            "the lines up to 20 are appended, none from 21 on; once there is room, continue with line 21"
        );
        let failed = AppendError::Failed { source: Arc::new(ErrorKind::StorageFull.into()) };
        let after_write = Failure::AfterLines { problem: Box::new(failed.into()), next_line: 21 };
        assert_eq!(after_write.advice(), after(21).advice());
        // A single event is on no line.
        assert_eq!(Failure::from(no_room()).advice().unwrap(), "free some room and try again");
        assert!(!after(1).message().contains("free"), "the advice states it");
        let copy = Failure::CopyStopped { problem: no_room(), copied: 7 };
        assert!(copy.message().contains("9 bytes"), "{}", copy.message());
        assert!(copy.advice().unwrap().starts_with("the copy has the first 7 events"));
    }
}
