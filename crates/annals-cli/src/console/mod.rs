//! Standard error and colours: what the command says besides its results.
//!
//! ```text
//!   settings  --quiet, --verbose and --color, for the whole process
//!   style     colours of text
//!   say       errors, warnings and notes in one style
//! ```

pub(crate) mod say;
pub(crate) mod settings;
pub(crate) mod style;
