//! What a check of the suite answers.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// That an invariant holds, or why it was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Held,
    /// It cannot be asked of this backend, or not tried on it; and why.
    Skipped(&'static str),
}

/// That an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What was seen, and what should have been.
    pub message: String,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.invariant, self.message)
    }
}

impl Error for Violation {}

/// What the suite found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Every invariant, in order, with what came of it.
    pub results: Vec<(&'static str, Result<Outcome, Violation>)>,
}

impl Report {
    /// The invariants that do not hold.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.results.iter().filter_map(|(_, result)| result.as_ref().err())
    }

    /// The names of those that hold.
    pub fn held(&self) -> impl Iterator<Item = &'static str> {
        self.named(|result| matches!(result, Ok(Outcome::Held)))
    }

    /// The names of those that were skipped.
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

/// Why a check stopped.
#[derive(Debug)]
pub(crate) struct Broken(String);

pub(crate) type Check = Result<Outcome, Broken>;

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Broken {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// For `map_err`: an error where there should be none.
    pub(crate) fn when<E: Display>(doing: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

impl<E: Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(format!("an error where none should be: {}", everything_it_says(&error)))
    }
}

/// Ends a check with a violation unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        match $condition {
            true => {}
            false => return Err($crate::check::Broken::new(format!($($message)+))),
        }
    };
}
pub(crate) use ensure;

/// That two things are the same.
#[expect(clippy::needless_pass_by_value, reason = "most are made on the spot")]
pub(crate) fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), Broken> {
    ensure!(found == expected, "{what}: found {found:?}, expected {expected:?}");
    Ok(())
}

/// That an error's message has these words in it.
pub(crate) fn says(error: &dyn Error, words: &[&str]) -> Result<(), Broken> {
    let message = everything_it_says(error);
    for word in words {
        ensure!(message.contains(word), "the error does not say {word:?}: {message}");
    }
    Ok(())
}

fn everything_it_says(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

/// Runs a check; a panic is a violation, too.
pub(crate) fn run(
    invariant: &'static str,
    check: impl FnOnce() -> Check,
) -> Result<Outcome, Violation> {
    let checked = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something");
        Err(Broken(format!("a panic: {said}")))
    });
    checked.map_err(|Broken(message)| Violation { invariant, message })
}

/// What a test of one invariant makes of its result: it fails if the invariant does not hold, or is skipped and
/// nobody said so, or is not skipped although somebody said so.
///
/// # Panics
/// If so.
#[doc(hidden)]
pub fn judge(name: &str, result: Result<Outcome, Violation>, skipped: &[&str]) {
    let expected = skipped.contains(&name);
    match result {
        Ok(Outcome::Held) => assert!(!expected, "{name} was looked at: do not list it as skipped"),
        Ok(Outcome::Skipped(reason)) => {
            assert!(expected, "{name} was skipped ({reason}): list it as skipped if it is to be");
        }
        Err(violation) => panic!("{violation}"),
    }
}
