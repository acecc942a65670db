//! The variable `ANNALS_STORE`, for commands that take another argument after the store. With the variable, a single
//! argument is the other one: `annals consumers billing` is about the consumer `billing` of the store that the variable
//! names.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;

use super::Command;
use crate::store_path::{self, StorePath};

impl Command {
    /// Takes the store from the environment where the command line gives only the argument after it.
    pub(super) fn take_store_from_environment(&mut self) -> Result<(), (ErrorKind, String)> {
        let invalid = |problem| (ErrorKind::ValueValidation, problem);
        let takes_another = match self {
            Self::Import(args) => args.file.is_none(),
            Self::Consumers(args) => args.name.is_none(),
            Self::Publish(args) => args.directory.is_none(),
            // A number is an offset, as for `annals get`. A store of that name is given as ./NUMBER.
            Self::Prove(args) => {
                args.offset.is_none()
                    && !args.selects_without_offset()
                    && args.store.to_string().parse::<u64>().is_ok()
            }
            _ => false,
        };
        if !takes_another {
            return Ok(());
        }
        let Some(named) = store_path::from_environment().map_err(invalid)? else { return Ok(()) };
        match self {
            Self::Import(args) => {
                args.file = argument_for(&mut args.store, named).map(PathBuf::from);
            }
            Self::Consumers(args) => {
                args.name = match argument_for(&mut args.store, named).map(OsString::into_string) {
                    Some(name) => Some(name.map_err(|name| {
                        invalid(format!("the name {} is not UTF-8", name.display()))
                    })?),
                    None => None,
                };
            }
            Self::Publish(args) => {
                args.directory = argument_for(&mut args.store, named).map(PathBuf::from);
            }
            Self::Prove(args) => {
                args.offset = args.store.to_string().parse().ok();
                args.store = named;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Puts the store of the environment into the place of the only argument, and returns that argument. Returns `None` if
/// the argument is the store of the environment itself.
fn argument_for(store: &mut StorePath, named: StorePath) -> Option<OsString> {
    if *store == named {
        return None;
    }
    Some(std::mem::replace(store, named).into_argument())
}
