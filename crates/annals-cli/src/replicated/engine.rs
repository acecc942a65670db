//! Connects to the engine of a record, and waits until it answers.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use annals_replicated::{CheckError, CommitLog, Fitness};

use crate::console::say;
use crate::failure::{Failure, RecordFailure};
use crate::record_address::{Engine, RecordAddress};
use crate::signals::Interrupt;
#[cfg(not(all(feature = "postgres", feature = "nats")))]
use crate::store_path::StorePath;

/// How long an engine that does not answer is asked again: a failover takes that long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// The environment variable with the path of a file whose first line is the engine's password.
const PASSWORD_FILE: &str = "ANNALS_PASSWORD_FILE";

/// Sets up the connection to a record. Sends nothing yet.
pub(crate) fn connect(address: &RecordAddress) -> Result<Arc<dyn CommitLog>, Failure> {
    let password_file = std::env::var_os(PASSWORD_FILE).filter(|file| !file.is_empty());
    match address.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let mut options = annals_postgres::Postgres::options();
            if let Some(file) = password_file {
                options = options.password_file(file);
            }
            let record = options.connect(address.engine_url());
            Ok(Arc::new(record.map_err(|error| match error {
                annals_postgres::ConnectError::Url(_)
                | annals_postgres::ConnectError::PasswordInUrl => {
                    RecordFailure::Address(Box::new(error))
                }
                error => RecordFailure::Connect(Box::new(error)),
            })?))
        }
        #[cfg(feature = "nats")]
        Engine::Nats => {
            let mut options = annals_nats::JetStream::options();
            if let Some(file) = password_file {
                options = options.password_file(file);
            }
            let record = options.connect(address.engine_url());
            Ok(Arc::new(record.map_err(|error| match error {
                annals_nats::ConnectError::Url(_) | annals_nats::ConnectError::PasswordInUrl => {
                    RecordFailure::Address(Box::new(error))
                }
                error => RecordFailure::Connect(Box::new(error)),
            })?))
        }
        #[cfg(not(all(feature = "postgres", feature = "nats")))]
        _ => Err(Failure::NotBuiltIn { store: StorePath::Record(Box::new(address.clone())) }),
    }
}

/// Waits until the engine answers, and returns what it is. Fails at once if the engine is unfit or refuses the caller.
pub(crate) fn ready(
    log: &dyn CommitLog,
    address: &RecordAddress,
    interrupt: &Interrupt,
) -> Result<Fitness, Failure> {
    let begin = Instant::now();
    let mut is_first = true;
    loop {
        match log.check() {
            Ok(fitness) => return Ok(fitness),
            Err(CheckError::Unavailable(cause))
                if !cause.is_lasting() && begin.elapsed() < PATIENCE =>
            {
                if std::mem::take(&mut is_first) {
                    let engine = address.engine().name();
                    let seconds = PATIENCE.as_secs();
                    say::note(&format!(
                        "{engine} does not answer ({cause}); trying for {seconds} s"
                    ));
                }
            }
            Err(problem) => {
                return Err(RecordFailure::Check { address: address.clone(), problem }.into());
            }
        }
        interrupt.check()?;
        thread::sleep(PAUSE);
    }
}

/// Prints what an operator should know about an engine.
pub(crate) fn warn(fitness: &Fitness) {
    for warning in &fitness.warnings {
        say::warning(warning);
    }
}
