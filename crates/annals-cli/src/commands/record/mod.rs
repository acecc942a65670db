//! The commands about records: one file each.
//!
//! ```text
//!   create  annals record create      status  annals record status      verify  annals record verify
//!   repair  annals record heal, epoch and set-aside
//! ```

#[cfg(feature = "replicated")]
mod create;
#[cfg(feature = "replicated")]
mod repair;
#[cfg(feature = "replicated")]
mod status;
#[cfg(feature = "replicated")]
mod verify;

use crate::args::Format;
use crate::args::record::Record;
#[cfg(feature = "replicated")]
use crate::args::record::RecordCommand;
use crate::failure::Failure;
use crate::store_path::StorePath;

/// Runs a command on the record at an address.
pub(crate) fn run(args: &Record, format: Option<Format>) -> Result<(), Failure> {
    match args.command.record() {
        #[cfg(feature = "replicated")]
        StorePath::Record(address) => match &args.command {
            RecordCommand::Create(_) => create::run(address, format),
            RecordCommand::Status(_) => status::run(address, format),
            RecordCommand::Verify(_) => verify::run(address, format),
            RecordCommand::Heal(args) => repair::heal(address, args, format),
            RecordCommand::Epoch(args) => repair::epoch(address, args, format),
            RecordCommand::SetAside(args) => repair::set_aside(address, args, format),
        },
        #[cfg(not(feature = "replicated"))]
        record @ StorePath::Record(_) => {
            let _ = format;
            Err(Failure::NotBuiltIn { store: record.clone() })
        }
        path => Err(Failure::NotARecord { store: path.clone() }),
    }
}
