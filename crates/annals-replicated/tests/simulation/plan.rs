//! What is simulated.

use annals_replicated::LogLimits;
use annals_replicated::sim::{Broken, Faults};

use crate::defect::Defect;
use crate::operator::Operator;

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) faults: Faults,
    pub(crate) processes: usize,
    pub(crate) limits: LogLimits,
    /// The number of appends of all processes.
    pub(crate) appends: usize,
    /// Whether processes end and pause.
    pub(crate) ends: bool,
    pub(crate) pauses: bool,
    pub(crate) broken: Option<Broken>,
    pub(crate) operator: Option<Operator>,
    pub(crate) defect: Option<Defect>,
    /// Whether a process makes sure, before a commit lands, that the record still has the one before it.
    pub(crate) confirms: bool,
    /// The size of payloads, in bytes, at most.
    pub(crate) payload: usize,
}
