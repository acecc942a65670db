//! A replicated log as processes use it: two stores on one record, turns, restarts, doubts, divergence, trimmed
//! records, full queues and engines with faults.

mod behind;
mod divergence;
mod doubts;
mod engines;
mod inspecting;
mod opening;
mod repair;
mod restarts;
mod sharing;
mod threads;
mod tools;
mod trimmed;
mod turns;
