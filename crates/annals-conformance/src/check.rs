//! The results of the checks.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The outcome of checking an invariant that is not violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The invariant holds.
    Held,
    /// The invariant does not apply to this backend or cannot be tried on it, for this reason.
    Skipped(&'static str),
}

/// A violated invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of the invariant.
    pub invariant: &'static str,
    /// A description of the result, and the expected one.
    pub message: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.invariant, self.message)
    }
}

impl Error for Violation {}

/// The results of the whole suite.
#[derive(Debug, Clone)]
pub struct Report {
    /// Every invariant in order, with its result.
    pub results: Vec<(&'static str, Result<Outcome, Violation>)>,
}

impl Report {
    /// Returns the violated invariants.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.results.iter().filter_map(|(_, result)| result.as_ref().err())
    }

    /// Returns the names of the invariants that hold.
    pub fn held(&self) -> impl Iterator<Item = &'static str> {
        self.named(|result| matches!(result, Ok(Outcome::Held)))
    }

    /// Returns the names of the skipped invariants.
    pub fn skipped(&self) -> impl Iterator<Item = &'static str> {
        self.named(|result| matches!(result, Ok(Outcome::Skipped(_))))
    }

    fn named(
        &self,
        which: impl Fn(&Result<Outcome, Violation>) -> bool,
    ) -> impl Iterator<Item = &'static str> {
        self.results.iter().filter(move |(_, result)| which(result)).map(|(name, _)| *name)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, result) in &self.results {
            match result {
                Ok(Outcome::Held) => writeln!(f, "held      {name}")?,
                Ok(Outcome::Skipped(reason)) => writeln!(f, "skipped   {name}: {reason}")?,
                Err(violation) => writeln!(f, "VIOLATED  {name}: {}", violation.message)?,
            }
        }
        Ok(())
    }
}

/// Why a check failed.
#[derive(Debug)]
pub(crate) struct CheckError(String);

pub(crate) type Check = Result<Outcome, CheckError>;

impl Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CheckError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Returns a function for `map_err` that converts an unexpected error.
    pub(crate) fn when<E: Display>(doing: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

impl<E: Error> From<E> for CheckError {
    fn from(error: E) -> Self {
        Self(format!("unexpected error: {}", with_causes(&error)))
    }
}

/// Ends a check with a violation unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        match $condition {
            true => {}
            false => return Err($crate::check::CheckError::new(format!($($message)+))),
        }
    };
}
pub(crate) use ensure;

/// Checks that two values are equal.
#[expect(clippy::needless_pass_by_value, reason = "most arguments are temporary values")]
pub(crate) fn same<T: PartialEq + Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), CheckError> {
    ensure!(found == expected, "{what}: found {found:?}, expected {expected:?}");
    Ok(())
}

/// Checks that the message of an error contains all these words.
pub(crate) fn says(error: &dyn Error, words: &[&str]) -> Result<(), CheckError> {
    let message = with_causes(error);
    for word in words {
        ensure!(message.contains(word), "the error message has no {word:?}: {message}");
    }
    Ok(())
}

/// Returns the message of an error with those of its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

/// Runs a check. A panic is a violation too.
pub(crate) fn run(
    invariant: &'static str,
    check: impl FnOnce() -> Check,
) -> Result<Outcome, Violation> {
    let checked = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something");
        Err(CheckError(format!("a panic: {said}")))
    });
    checked.map_err(|CheckError(message)| Violation { invariant, message })
}

/// Judges the result of one invariant for a test.
///
/// # Panics
/// If the invariant is violated, if it was skipped and is not listed in `skipped`, or if it was not skipped and is
/// listed.
#[doc(hidden)]
pub fn judge(name: &str, result: Result<Outcome, Violation>, skipped: &[&str]) {
    let expected = skipped.contains(&name);
    match result {
        Ok(Outcome::Held) => assert!(!expected, "{name} was checked: do not list it as skipped"),
        Ok(Outcome::Skipped(reason)) => {
            assert!(
                expected,
                "{name} was skipped ({reason}): list it as skipped if that is intended"
            );
        }
        Err(violation) => panic!("{violation}"),
    }
}
