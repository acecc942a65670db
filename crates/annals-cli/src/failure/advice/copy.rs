//! Advice about copies and salvages.

use annals::SalvageError;

use super::super::Failure;

/// Returns what the user can do.
pub(super) fn advice(failure: &Failure) -> Option<String> {
    let advice = match failure {
        Failure::CopyIntoItself { .. } => {
            "copy to a path outside the store, where nothing exists yet or an earlier copy is"
        }
        Failure::NotACopy { .. } => {
            "copy to a path where nothing exists yet, or to an earlier copy of the same store"
        }
        Failure::CopyStopped { copied: 0, .. } => "nothing was copied",
        Failure::CopyStopped { copied, .. } => {
            return Some(format!(
                "the copy has the first {copied} events; run the same command again to continue from there"
            ));
        }
        Failure::SourceUnreadable { copied, .. } => {
            return Some(format!(
                "the copy has the {copied} events before the damage\n\
                 `annals salvage STORE NEW` also saves the events after it, from a store in files\n\
                 or restore the rest from a backup"
            ));
        }
        Failure::SalvageOfFilesOnly => {
            "for a store in RocksDB, `annals copy STORE NEW` saves the events before the damage, if the database \
            still opens"
        }
        Failure::SalvagedInPart { .. } => {
            "the missing offsets are listed above; restore those events from a backup, if there is one"
        }
        Failure::Salvage(SalvageError::IntoItself { .. }) => "give a path outside the store",
        Failure::Salvage(SalvageError::TargetTaken { .. }) => {
            "give a path where nothing exists yet"
        }
        Failure::Salvage(SalvageError::Write { .. }) => "remove the new store, and salvage again",
        _ => return None,
    };
    Some(advice.to_owned())
}
