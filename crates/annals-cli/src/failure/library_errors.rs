//! Texts for errors of the library, for a person at a shell. The library's own texts contain advice for programs.

use std::path::Path;

use annals::{AppendError, Corruption, FollowError, LockHolder, OpenError, SalvageError};

/// Returns the text for a store that did not open.
pub(super) fn not_opened(error: &OpenError) -> String {
    match error {
        OpenError::NotAStore { path, found } => {
            format!("{} is not an annals store: {found}", path.display())
        }
        OpenError::NewerFormat { path, found, supported } => format!(
            "{} has format {found}; this annals supports formats up to {supported}",
            path.display()
        ),
        other => other.to_string(),
    }
}

/// Returns the advice for a store that did not open.
pub(super) fn about_opening(error: &OpenError) -> Option<&'static str> {
    match error {
        OpenError::NotFound { .. } => Some("check the path; `annals append` creates a store"),
        OpenError::NotAStore { .. } => {
            Some("give the path of a store, or a path where nothing exists yet")
        }
        OpenError::NewerFormat { .. } => Some("use a newer annals"),
        _ => None,
    }
}

/// Returns the text for a store that was not salvaged.
pub(super) fn not_salvaged(error: &SalvageError) -> String {
    match error {
        SalvageError::Open(problem) => not_opened(problem),
        SalvageError::IntoItself { from, to } => {
            format!("{} is the damaged store {} or inside it", to.display(), from.display())
        }
        SalvageError::TargetTaken { to } => format!("{} already exists", to.display()),
        other => other.to_string(),
    }
}

/// Returns the text for a store that another process has open for writing.
pub(super) fn locked(store: &Path, holder: LockHolder) -> String {
    let store = store.display();
    match holder {
        LockHolder::Process(process) => {
            format!("{store} is open for writing in process {process}")
        }
        LockHolder::OtherContainer(process) => {
            format!("{store} is open for writing in another container, in its process {process}")
        }
        LockHolder::Inherited => format!(
            "{store} is locked by a process that its file LOCK does not name: a process forked from the last \
            writer, or a writer on a full disk"
        ),
        _ => format!("{store} is open for writing in another process"),
    }
}

/// Returns the advice for a locked store.
pub(super) fn about_lock(store: &Path, holder: LockHolder) -> String {
    let end = "wait until that process ends, or end it";
    let end = match holder {
        LockHolder::Process(process) => format!("{end} (`ps -p {process}` shows it)"),
        LockHolder::Inherited => {
            format!("{end} (`fuser {}` finds it)", store.join("LOCK").display())
        }
        _ => end.to_owned(),
    };
    format!("to append, {end}, or wait with --wait; `annals read` and `annals tail` work meanwhile")
}

/// Returns the advice for a damaged store that did not open.
pub(super) fn about_damage(damage: &Corruption) -> String {
    if damage.file.ends_with("closed.json") {
        return "remove that file, and the store opens; it contains no events".to_owned();
    }
    "`annals verify STORE` shows the damage\n\
     `annals salvage STORE NEW` saves every whole event of a store in files; `annals copy STORE NEW` saves the events \
     before the damage of a store in RocksDB, if the database still opens\n\
     or restore the files from a backup"
        .to_owned()
}

/// Returns the text for a follower that ended.
pub(super) fn not_followed(error: &FollowError) -> String {
    match error {
        FollowError::Damaged(damage) => {
            format!("{damage}; only the events before the damage were used")
        }
        FollowError::TakenBack { path, offset } => format!(
            "{}: the event at offset {offset} was read before it was synced; then the sync failed and the writer \
            removed the event",
            path.display()
        ),
        FollowError::Replaced { path, found } => format!("{}: {found}", path.display()),
        other => other.to_string(),
    }
}

/// Returns the advice for a follower that ended.
pub(super) fn about_follower(error: &FollowError) -> String {
    match error {
        FollowError::Damaged(damage) => about_damage(damage),
        _ => "run the command again to use the store as it is now".to_owned(),
    }
}

/// Returns the text for events that were not appended.
pub(super) fn not_appended(error: &AppendError) -> String {
    match error {
        AppendError::NoRoom { bytes, source } => format!("no room for {bytes} bytes: {source}"),
        AppendError::Failed { source } => format!("writing failed: {source}"),
        AppendError::Poisoned { cause } => format!("an earlier write failed: {cause}"),
        AppendError::Read(problem) => format!("{error}: {problem}"),
        other => other.to_string(),
    }
}
