//! A replicated log as processes use it: two stores on one record, restarts, doubts, divergence, full queues
//! and engines with faults.

mod divergence;
mod doubts;
mod inspecting;
mod engines;
mod opening;
mod repair;
mod restarts;
mod sharing;
mod tools;
