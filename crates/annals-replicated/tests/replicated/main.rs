//! A replicated log as processes use it: two stores on one record, restarts, doubts, divergence and full queues.

mod divergence;
mod doubts;
mod inspecting;
mod opening;
mod repair;
mod restarts;
mod sharing;
mod tools;
