//! How a connection makes itself known to a server.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;

use crate::address::{Address, ConnectError, Secret};
use crate::options::JetStreamOptions;

/// The user of a connection.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    None,
    Token(Secret),
    User(String, Secret),
    /// The text of a file with credentials.
    Credentials(Secret),
}

impl Login {
    /// Returns the user of the record.
    pub(crate) fn of_record(
        address: &Address,
        options: &JetStreamOptions,
    ) -> Result<Self, ConnectError> {
        if let Some(path) = options.credentials_file.as_ref().or(address.credentials.as_ref()) {
            return Self::credentials(path);
        }
        let secret = |file: &Option<PathBuf>, variable| match file {
            Some(path) => first_line(path).map(Some),
            None => Ok(std::env::var(variable).ok().map(Secret)),
        };
        if let Some(user) = address.user.clone() {
            // A server without users ignores the user; any other one says that the password is wrong.
            let password = secret(&options.password_file, "NATS_PASSWORD")?;
            return Ok(Self::User(user, password.unwrap_or_else(|| Secret(String::new()))));
        }
        Ok(secret(&options.token_file, "NATS_TOKEN")?.map_or(Self::None, Self::Token))
    }

    /// Returns the user of the system account, if the program or the URL names one.
    pub(crate) fn of_system(
        address: &Address,
        options: &JetStreamOptions,
    ) -> Result<Option<Self>, ConnectError> {
        if let Some((user, path)) = &options.system_user {
            return Ok(Some(Self::User(user.clone(), first_line(path)?)));
        }
        let path = options.system_credentials_file.as_ref().or(address.system_credentials.as_ref());
        path.map(|path| Self::credentials(path)).transpose()
    }

    fn credentials(path: &Path) -> Result<Self, ConnectError> {
        let login = Self::Credentials(read(path)?);
        // A file of another kind is refused now and not by each attempt to connect.
        login
            .add_to(ConnectOptions::new())
            .map(|_| login)
            .map_err(|reason| ConnectError::SecretFile { path: path.to_owned(), reason })
    }

    /// Adds the user to the options of a connection.
    pub(crate) fn add_to(&self, options: ConnectOptions) -> Result<ConnectOptions, String> {
        match self.clone() {
            Self::None => Ok(options),
            Self::Token(token) => Ok(options.token(token.0)),
            Self::User(user, password) => Ok(options.user_and_password(user, password.0)),
            Self::Credentials(text) => {
                options.credentials(&text.0).map_err(|error| error.to_string())
            }
        }
    }
}

fn first_line(path: &Path) -> Result<Secret, ConnectError> {
    Ok(Secret(read(path)?.0.lines().next().unwrap_or_default().to_owned()))
}

fn read(path: &Path) -> Result<Secret, ConnectError> {
    std::fs::read_to_string(path).map(Secret).map_err(|error| ConnectError::SecretFile {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
