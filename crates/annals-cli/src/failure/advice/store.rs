//! Advice about stores that do not open, are damaged, or cannot be read.

use annals::{OpenError, ReadError, SalvageError};

use super::super::{Failure, library_errors};
use super::directory::io_advice;
use crate::store_path::StorePath;

/// Returns what the user can do.
pub(super) fn advice(failure: &Failure) -> Option<String> {
    opening(failure).or_else(|| damage(failure))
}

/// Returns the advice about a store that did not open.
fn opening(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Salvage(SalvageError::Open(OpenError::NotFound { .. })) => {
            Some("check the path".into())
        }
        Failure::Open(OpenError::Io { source, .. })
        | Failure::Salvage(SalvageError::Open(OpenError::Io { source, .. })) => io_advice(source),
        Failure::Open(problem) | Failure::Salvage(SalvageError::Open(problem)) => {
            library_errors::about_opening(problem).map(str::to_owned)
        }
        Failure::MustExist { .. } => {
            Some("check the path; without --create=never, the store is created".into())
        }
        Failure::NoSuchCommand { known, .. } => Some(format!("the commands are {known}")),
        Failure::NoEventWithId { .. } => {
            Some("`annals read STORE --grep TEXT` finds events whose id contains a text".into())
        }
        Failure::Locked { store, holder } => Some(library_errors::about_lock(store, *holder)),
        #[cfg(not(all(feature = "rocksdb", feature = "postgres", feature = "nats")))]
        Failure::NotBuiltIn { store } => Some(not_built_in(store)),
        Failure::NotARecord { .. } => {
            Some("give an address, for example postgres://app@db1,db2,db3/app?store=shop".into())
        }
        Failure::NotOnRecord { command: "salvage", .. } => Some(
            "a damaged replica needs no salvage: remove its directory, and the next command builds it anew from the \
            record\n\
             if the record was lost, salvage the directory of a replica: `annals salvage DIR NEW`"
                .into(),
        ),
        Failure::NotOnRecord { .. } => Some("give a path".into()),
        _ => None,
    }
}

/// Returns the advice about a store whose backend this program does not have.
#[cfg(not(all(feature = "rocksdb", feature = "postgres", feature = "nats")))]
fn not_built_in(store: &StorePath) -> String {
    let (feature, needs) = match store {
        StorePath::Record(address) => (address.engine().feature(), ""),
        _ => ("rocksdb", " (needs libclang, a C++ compiler, and 20 to 40 minutes)"),
    };
    let build = format!(
        "build one that can: `cargo build --release -p annals-cli --features {feature}`{needs}"
    );
    match store {
        StorePath::Record(_) => build,
        _ => format!("{build}\nfor a directory of that name, write ./{store}"),
    }
}

/// Returns the advice about a store that is damaged, or whose events cannot be read.
fn damage(failure: &Failure) -> Option<String> {
    let advice = match failure {
        Failure::OpenDamaged(damage) => return Some(library_errors::about_damage(damage)),
        Failure::NotFollowed(error) => return Some(library_errors::about_follower(error)),
        Failure::Read(ReadError::Decode { offset, .. }) => {
            return Some(format!("`annals get STORE {offset}` shows the event"));
        }
        Failure::ReadBeforeDamage => {
            "`annals verify STORE` shows the damage\n\
             `annals salvage STORE NEW` saves every whole event, also those after the damage"
        }
        Failure::Damaged { store: StorePath::RocksDb(_), .. } => {
            "`annals copy STORE NEW` saves the events before the damage, if the database still opens\n\
             or restore the files from a backup"
        }
        Failure::Damaged { store: StorePath::Journal(_) | StorePath::Record(_), .. } => {
            "`annals salvage STORE NEW` saves every whole event, also those after the damage\n\
             or restore the files from a backup"
        }
        Failure::DamagedIndex { .. } => {
            "remove the index files named above; they are rebuilt from the log when the store is next opened for \
            appending"
        }
        // The store may be of either kind.
        Failure::Read(ReadError::Corrupt(_)) => {
            "`annals salvage STORE NEW` saves every whole event of a store in files; `annals copy STORE NEW` saves \
            the events before the damage of a store in RocksDB\n\
             or restore the files from a backup"
        }
        _ => return None,
    };
    Some(advice.into())
}
