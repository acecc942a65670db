//! The inspector: pages that show people what is in the log. The server writes all HTML; a browser without JavaScript
//! shows everything but the live tail, and moves through states with buttons in place of the slider.
//!
//! ```text
//!   routes     the paths                         layout       the frame of a page, and its headers
//!   overview   head, rates, sizes, names         text         what clients wrote, safe to look at
//!   events     events that match a query         filter       the query, as the URL has it
//!   builder    the form of a query               params       the parameters of a URL
//!   tail       what comes, as it comes           rows, chart  tables and charts
//!   event      one event                         payload      its data, with json_view
//!   causes     what caused it                    neighbours   the events around it with its tags
//!   names      tags, and completion              clock        offsets by time
//!   failure    a failed request as a page        assets       scripts and the style sheet
//!   state/     projections at any offset
//!   login      the form that takes a token       cookie       the cookie that stands for it
//!   tag        one tag                           paths        which paths are pages
//!   consumers  consumers, groups, subscriptions  verification checks every byte
//! ```
//! What clients wrote is hostile until it is shown: `text` escapes it, and the policy in `layout` runs nothing that a
//! page contains.

mod assets;
mod builder;
mod causes;
mod chart;
mod clock;
mod consumers;
pub(crate) mod cookie;
mod event;
mod events;
pub(crate) mod failure;
mod filter;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod json_view;
mod layout;
mod login;
mod name_counts;
mod names;
mod neighbours;
mod overview;
mod params;
pub(crate) mod paths;
mod payload;
pub(crate) mod routes;
mod rows;
mod scans;
pub(crate) mod state;
mod tag;
mod tail;
mod text;
mod verification;
