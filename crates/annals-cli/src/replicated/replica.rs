//! Opens the replica of a record: a store that appends to the record, and reads its own files.

use annals::{Event, OpenError};
use annals_replicated::{Fitness, OpenReplicatedError, Replicated, ReplicatedOptions};

use super::engine;
use crate::failure::{Failure, RecordFailure};
use crate::progress;
use crate::record_address::RecordAddress;
use crate::signals::Interrupt;

/// Opens the replica. It has everything that the record had when this returns.
pub(crate) fn open<E: Event>(
    address: &RecordAddress,
    interrupt: &Interrupt,
) -> Result<Replicated<E>, Failure> {
    open_watched(address, Replicated::options(), interrupt, |_| {})
}

/// Opens the replica, as [`open`] does. Calls `see` with what the engine is.
pub(crate) fn open_watched<E: Event>(
    address: &RecordAddress,
    options: ReplicatedOptions,
    interrupt: &Interrupt,
    see: impl FnOnce(&Fitness),
) -> Result<Replicated<E>, Failure> {
    let log = engine::connect(address)?;
    see(&engine::ready(&*log, address, interrupt)?);
    let spinner = progress::spinner("reading the record");
    let opened = timed(options, address).open(log, address.replica());
    spinner.finish_and_clear();
    opened.map_err(|problem| not_opened(address, problem))
}

/// Returns the options with the time limit of appends that the address names.
fn timed(options: ReplicatedOptions, address: &RecordAddress) -> ReplicatedOptions {
    address.append_timeout().into_iter().fold(options, ReplicatedOptions::append_timeout)
}

fn not_opened(address: &RecordAddress, problem: OpenReplicatedError) -> Failure {
    let address = address.clone();
    match problem {
        OpenReplicatedError::Replica(OpenError::Locked { path, holder }) => {
            RecordFailure::InUse { replica: path, holder }.into()
        }
        OpenReplicatedError::Replica(OpenError::Corrupt(damage)) => {
            RecordFailure::Damaged { replica: address.replica().to_owned(), damage }.into()
        }
        OpenReplicatedError::Replica(problem) => problem.into(),
        problem => RecordFailure::Open { address, problem }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_may_take_as_long_as_the_address_says() {
        for (url, time) in [("nats://n1/shop?append_timeout=61", "61s"), ("nats://n1/shop", "30s")]
        {
            let address = RecordAddress::parse(url).unwrap().unwrap();
            let options = format!("{:?}", timed(Replicated::options(), &address));
            assert!(options.contains(&format!("append_timeout: {time}")), "{url}: {options}");
        }
    }
}
