//! `annals record create` creates the record of a new log.

use serde_json::json;

use crate::args::Format;
use crate::failure::{Failure, RecordFailure};
use crate::out::Out;
use crate::record_address::RecordAddress;
use crate::replicated::engine;
use crate::signals::Interrupt;

/// Creates the record, and prints the id of its store.
pub(super) fn run(address: &RecordAddress, format: Option<Format>) -> Result<(), Failure> {
    let log = engine::connect(address)?;
    engine::warn(&engine::ready(&*log, address, &Interrupt::default())?);
    let store_id = annals_replicated::create(&*log)
        .map_err(|problem| RecordFailure::Create { address: address.clone(), problem })?;
    let mut out = Out::for_reports(format);
    match out.format() {
        Format::Table => {
            out.text(format_args!("created the record at {address}, of the store {store_id}"))?;
        }
        _ => {
            out.object([("created", json!(address.to_string())), ("store_id", json!(store_id))])?;
        }
    }
    out.flush()
}
