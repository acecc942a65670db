//! What the user can do about a failure, one file per area.

mod append;
#[cfg(feature = "channels")]
mod channel;
mod copy;
mod directory;
#[cfg(feature = "replicated")]
mod record;
mod store;

use super::{Failure, consumer};

impl Failure {
    /// Returns what the user can do, one sentence per line, if the failure's own text does not state it.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::AfterLines { problem, next_line } => {
                let appended = append::up_to_line(problem, *next_line);
                // After a failed write the user does not try again, but continues with the next line.
                let advice = problem.advice().filter(|_| append::write_error(problem).is_none());
                Some(match advice {
                    Some(advice) => format!("{advice}\n{appended}"),
                    None => appended,
                })
            }
            #[cfg(feature = "channels")]
            Self::Demo { problem, directory } => problem.advice().or_else(|| {
                Some(format!("the demo's files up to the failure are in {}", directory.display()))
            }),
            #[cfg(feature = "channels")]
            Self::Channel(_) => channel::advice(self),
            #[cfg(feature = "serve")]
            Self::Serve(annals_server::ServeError::Exposed { .. }) => Some(
                "give --tls-cert and --tls-key, and --tokens or --client-ca; or let everybody in with --insecure".into(),
            ),
            #[cfg(feature = "serve")]
            Self::Serve(annals_server::ServeError::Listen { .. }) => {
                Some("another server may have the address: give another one with --listen".into())
            }
            Self::Consumer(problem) => consumer::advice(problem),
            #[cfg(feature = "replicated")]
            Self::Record(problem) => record::advice(problem),
            _ => store::advice(self)
                .or_else(|| append::advice(self))
                .or_else(|| copy::advice(self))
                .or_else(|| directory::advice(self)),
        }
    }
}
