//! The page of states: a projection at an offset, with a slider over the projection's own events.
//!
//! ```text
//!   page      the page, and its parts            timeline   the events of one projection, and states on the way
//!   view      one projection, whatever its type  typed      projections of a program
//!   views     all that can be shown, by name
//!   builtin   counts, and JSON merged by tag     diff       what one event changed
//! ```

mod builtin;
mod diff;
#[cfg(fuzzing)]
mod fuzzing;
pub(super) mod page;
pub(super) mod timeline;
pub(crate) mod typed;
pub(crate) mod view;
pub(crate) mod views;

#[cfg(fuzzing)]
pub(super) use fuzzing::parse as fuzz;
