//! The parameters of a simulated run.

use annals_replicated::LogLimits;
use annals_replicated::sim::{Broken, Faults};

use crate::defect::Defect;
use crate::operator::Operator;

/// The parameters of a simulated run.
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
    /// How long the engine does not answer before it breaks its promise, in ms: the others elect a leader.
    pub(crate) away_ms: u64,
    pub(crate) operator: Option<Operator>,
    pub(crate) defect: Option<Defect>,
    /// The size of payloads, in bytes, at most.
    pub(crate) payload: usize,
}
