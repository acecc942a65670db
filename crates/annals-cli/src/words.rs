//! What the library says in its errors, in words for a person at a shell: its own advice is for programs.

use std::path::Path;

use annals::{AppendError, Corruption, FollowError, LockHolder};

/// That a store is locked, and by which process.
pub(crate) fn locked(store: &Path, holder: LockHolder) -> String {
    let store = store.display();
    match holder {
        LockHolder::Process(process) => {
            format!("{store} is open for writing in process {process}")
        }
        LockHolder::OtherContainer(process) => format!(
            "{store} is open for writing in another container, where it is open in process {process}"
        ),
        LockHolder::Inherited => format!(
            "{store} is locked by a process that is not named in its file LOCK: one that was forked from the last writer, or a writer on a full disk"
        ),
        _ => format!("{store} is open for writing in another process"),
    }
}

/// What to do about a store that is locked.
pub(crate) fn about_lock(store: &Path, holder: LockHolder) -> String {
    let end = "wait until that process ends, or end it";
    let end = match holder {
        LockHolder::Process(process) => format!("{end} (`ps -p {process}` shows what it is)"),
        LockHolder::Inherited => {
            format!("{end} (`fuser {}` finds it)", store.join("LOCK").display())
        }
        _ => end.to_owned(),
    };
    format!("`annals read` and `annals tail` work meanwhile; to append, {end}")
}

/// What to do about damage.
pub(crate) fn about_damage(damage: &Corruption) -> String {
    if damage.file.ends_with("closed.json") {
        return "that file holds no events: remove it, and the store opens".to_owned();
    }
    "`annals verify STORE` tells all that is wrong; `annals salvage STORE NEW` saves every event that is whole (of a store \
     in RocksDB, `annals copy STORE NEW` those before the damage); or bring the files back from a backup"
        .to_owned()
}

/// Why a store is not followed any more.
pub(crate) fn not_followed(error: &FollowError) -> String {
    match error {
        FollowError::Damaged(damage) => {
            format!("{damage}; only what is good before the damage was used")
        }
        FollowError::TakenBack { path, offset } => format!(
            "{}: the event at offset {offset} was used before it was synced, and the writer took it back since the sync failed",
            path.display()
        ),
        FollowError::Replaced { path, found } => format!("{}: {found}", path.display()),
        other => other.to_string(),
    }
}

/// What to do when a store is not followed any more.
pub(crate) fn about_follower(error: &FollowError) -> String {
    match error {
        FollowError::Damaged(damage) => about_damage(damage),
        _ => "run it again, and it uses the store as it is now".to_owned(),
    }
}

/// Why nothing was appended.
pub(crate) fn not_appended(error: &AppendError) -> String {
    match error {
        AppendError::Failed { source } => format!("writing failed: {source}"),
        AppendError::Poisoned { cause } => format!("writing failed before: {cause}"),
        AppendError::Read(problem) => format!("{error}: {problem}"),
        other => other.to_string(),
    }
}
