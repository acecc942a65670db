//! The option `--replica`: the directory of this process's replica, for each command whose store is a record.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::append::Durability;
use super::bench::BenchStore;
use super::{Cli, Command};
use crate::record_address::RecordAddress;
use crate::store_path::StorePath;

/// The environment variable that names the replica, if the command line does not.
const VARIABLE: &str = "ANNALS_REPLICA";

impl Cli {
    /// Gives the record among the stores of the command its replica. Refuses options that make no sense for the stores.
    pub(super) fn place_replica(&mut self) -> Result<(), (ErrorKind, String)> {
        let needs_replica = match &self.command {
            Command::Record(args) => args.command.needs_replica(),
            _ => true,
        };
        let is_given = self.replica.is_some();
        let from_environment =
            std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let replica = self.replica.clone().or(from_environment);
        let stores = self.command.stores_mut();
        let path = stores.iter().find(|store| !matches!(store, StorePath::Record(_)));
        let path = path.map(ToString::to_string);
        let mut records: Vec<&mut RecordAddress> = stores
            .into_iter()
            .filter_map(|store| match store {
                StorePath::Record(address) => Some(&mut **address),
                _ => None,
            })
            .collect();
        match (&mut records[..], replica) {
            ([], _) if is_given => Err((ErrorKind::ArgumentConflict, without_record(path))),
            ([address], Some(replica)) => {
                check_replica(&replica)?;
                address.set_replica(replica);
                Ok(())
            }
            ([address], None) if needs_replica => {
                Err((ErrorKind::MissingRequiredArgument, without_replica(address)))
            }
            ([], _) | ([_], None) => Ok(()),
            (_, _) => Err((
                ErrorKind::ArgumentConflict,
                "both stores are records, and --replica is for one of them; copy the one to a path, and that to the other"
                    .to_owned(),
            )),
        }
    }

    /// Refuses options of a command whose store is a record.
    pub(super) fn check_record_options(&self) -> Result<(), (ErrorKind, String)> {
        let (store, durability) = match &self.command {
            Command::Append(args) => (&args.store, args.durability),
            #[cfg(feature = "serve")]
            Command::Serve(args) => {
                if args.read_only
                    && let StorePath::Record(address) = &args.store
                {
                    let replica = address.replica().display();
                    let right = format!(
                        "--read-only is for paths; to serve what another process's replica has, give its directory: \
                         annals serve {replica} --read-only; to forbid appends to a server on the record, give tokens \
                         without the right append"
                    );
                    return Err((ErrorKind::ArgumentConflict, right));
                }
                (&args.store, args.durability)
            }
            _ => return Ok(()),
        };
        if matches!(store, StorePath::Record(_)) && durability != Durability::Sync {
            let right =
                "the engine of a record decides when an append is durable; leave out --durability";
            return Err((ErrorKind::ArgumentConflict, right.to_owned()));
        }
        Ok(())
    }
}

fn without_record(path: Option<String>) -> String {
    let end = "--replica is for the address of a record, such as postgres://app@db1,db2,db3/app?store=shop";
    match path {
        Some(path) => format!("{path} is a path, which needs no --replica; {end}"),
        None => format!("the command has no record; {end}"),
    }
}

fn without_replica(address: &RecordAddress) -> String {
    format!(
        "--replica DIR is missing, or the variable {VARIABLE}: the directory in which this process keeps its replica of \
         {address}; each process needs one of its own"
    )
}

/// Refuses an address as a replica: the options were exchanged.
fn check_replica(replica: &Path) -> Result<(), (ErrorKind, String)> {
    match replica.to_str().and_then(RecordAddress::parse) {
        None => Ok(()),
        Some(_) => Err((
            ErrorKind::ValueValidation,
            "--replica is a directory on this machine; the address of the record is the STORE"
                .to_owned(),
        )),
    }
}

impl Command {
    /// Returns the stores of the command.
    fn stores_mut(&mut self) -> Vec<&mut StorePath> {
        match self {
            Self::Append(args) => vec![&mut args.store],
            Self::Read(args) => vec![&mut args.store],
            Self::Tail(args) => vec![&mut args.store],
            Self::Get(args) => args.resolved.as_mut().map(|(store, _)| store).into_iter().collect(),
            Self::Count(args) => vec![&mut args.store],
            Self::Stats(args) => vec![&mut args.store],
            Self::Tags(args) => vec![&mut args.store],
            Self::Types(args) => vec![&mut args.store],
            Self::Export(args) => vec![&mut args.store],
            Self::Import(args) => vec![&mut args.store],
            Self::Verify(args) => vec![&mut args.store],
            Self::Copy(args) => vec![&mut args.from, &mut args.to],
            Self::Salvage(args) => vec![&mut args.from, &mut args.to],
            #[cfg(feature = "channels")]
            Self::State(args) => vec![&mut args.store],
            Self::Record(args) => vec![args.command.record_mut()],
            Self::Consumers(args) => vec![&mut args.store],
            Self::Checkpoint(args) => vec![&mut args.store],
            Self::Prove(args) => vec![&mut args.store],
            Self::Publish(args) => vec![&mut args.store],
            #[cfg(feature = "serve")]
            Self::Serve(args) => vec![&mut args.store],
            Self::Bench(args) => match &mut args.store {
                Some(BenchStore::OnDisk(store)) => vec![store],
                _ => Vec::new(),
            },
            Self::Key(_)
            | Self::Check(_)
            | Self::Fork(_)
            | Self::Witness(_)
            | Self::Completions(_)
            | Self::Man(_) => Vec::new(),
            #[cfg(feature = "channels")]
            Self::Demo(_) | Self::DemoWriter(_) => Vec::new(),
        }
    }
}
