//! The statement with which an Ethereum account names the keys of its log.
//!
//! ```text
//!   annals log key v1
//!   address 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A
//!   origin annals.example/alice
//!   vkey annals.example/alice+9d5a48b4+ARfLefsr…            signs the checkpoints of the log
//!   cosigner annals.example/alice+7a4f2b11+BBfLefsr…        cosigns the checkpoints of other logs
//! ```
//! The account signs these five lines, each with a line feed, as an Ethereum personal message (EIP-191). The statement
//! of a state has 32 bytes, so no signature of the one can be taken for the other. Wallets show the text before they
//! sign it.

use annals_proof::{KeyKind, LogKey, VerifierKey};
use serde::{Deserialize, Serialize};

use crate::event::LogKeyStated;
use crate::fields::EventVersion;
use crate::hex::{Address, Signature};
use crate::signing::{SecretKey, SignatureError, recover_message};

/// The first line.
const FIRST_LINE: &str = "annals log key v1";

/// Why a statement does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The text is not a statement in its one form.
    #[error("not a statement of a log's keys: {problem}")]
    Form {
        /// The deviation from that form.
        problem: String,
    },
    /// The signature is not valid.
    #[error("the signature of the statement is not valid: {0}")]
    Signature(#[from] SignatureError),
    /// Another account signed it.
    #[error("the statement names {address}, and {found} signed it, or signed another text")]
    OtherSigner {
        /// The account that the statement names.
        address: Address,
        /// The account that the signature recovers to.
        found: Address,
    },
}

/// A statement, signed by an Ethereum account: these are the keys of my log. A value of this type was checked.
///
/// ```
/// use annals_channels::{KeyStatement, SecretKey};
/// use annals_proof::LogKey;
///
/// let account = SecretKey::from_bytes(&[0x11; 32])?;
/// let log_key = LogKey::generate("example.com/alice")?;
/// let statement = KeyStatement::sign(&account, &log_key)?;
/// let read = KeyStatement::from_json(&statement.to_json())?;
/// assert_eq!((read.address(), read.vkey()), (account.address(), &log_key.vkey()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatement {
    address: Address,
    vkey: VerifierKey,
    cosigner: VerifierKey,
    signature: Signature,
}

/// A statement in JSON, as evidence has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    statement: String,
    signature: Signature,
}

impl KeyStatement {
    /// Signs that the log with the name of this key has this key, and cosigns the checkpoints of other logs with it.
    ///
    /// # Errors
    /// [`SignatureError::Unrecoverable`], for about one text in 2^127.
    pub fn sign(account: &SecretKey, log_key: &LogKey) -> Result<Self, SignatureError> {
        let (address, vkey, cosigner) = (account.address(), log_key.vkey(), log_key.witness_vkey());
        let signature = account.sign_message(text(address, &vkey, &cosigner).as_bytes())?;
        Ok(Self { address, vkey, cosigner, signature })
    }

    /// Reads and checks the text of a statement.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn parse(statement: &str, signature: Signature) -> Result<Self, StatementError> {
        let invalid = |problem: &str| StatementError::Form { problem: problem.to_owned() };
        let mut lines = statement.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(invalid("its first line is another one"));
        }
        let mut line = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or_else(|| invalid(&format!("the line `{name}` is missing")))
        };
        let (address, _, vkey, cosigner) =
            (line("address")?, line("origin")?, line("vkey")?, line("cosigner")?);
        let address: Address =
            address.parse().map_err(|_| invalid("its address is not an address"))?;
        let key = |text: &str, kind: KeyKind| {
            let key = text.parse().ok().filter(|key: &VerifierKey| key.kind() == kind);
            key.ok_or_else(|| invalid(&format!("{text:?} is not a key for its purpose")))
        };
        let (vkey, cosigner) = (key(vkey, KeyKind::Log)?, key(cosigner, KeyKind::Witness)?);
        if text(address, &vkey, &cosigner) != statement {
            return Err(invalid(
                "it is not in its one form: five lines, and the address with its checksum",
            ));
        }
        match recover_message(statement.as_bytes(), signature)? {
            found if found == address => Ok(Self { address, vkey, cosigner, signature }),
            found => Err(StatementError::OtherSigner { address, found }),
        }
    }

    /// Checks the statement that an event has.
    pub(crate) fn of_event(event: &LogKeyStated) -> Result<Self, StatementError> {
        let invalid = |problem: &str| StatementError::Form { problem: problem.to_owned() };
        let key = |text: &str| text.parse().map_err(|_| invalid(&format!("{text:?} is not a key")));
        let (vkey, cosigner): (VerifierKey, VerifierKey) =
            (key(&event.vkey)?, key(&event.cosigner)?);
        if event.origin != vkey.name() {
            return Err(invalid("its origin is not the name of its key"));
        }
        Self::parse(&text(event.address, &vkey, &cosigner), event.signature)
    }

    /// Returns the event that records the statement.
    pub(crate) fn event(&self, peer_id: Option<&str>, timestamp_ms: u64) -> LogKeyStated {
        LogKeyStated {
            address: self.address,
            cosigner: self.cosigner.to_string(),
            event_version: EventVersion,
            origin: self.origin().to_owned(),
            peer_id: peer_id.map(str::to_owned),
            signature: self.signature,
            timestamp_ms,
            vkey: self.vkey.to_string(),
        }
    }

    /// Reads and checks a statement in the form in which evidence has it.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn from_json(json: &str) -> Result<Self, StatementError> {
        let written: Written = crate::strict::from_json(json)
            .map_err(|error| StatementError::Form { problem: error.to_string() })?;
        Self::parse(&written.statement, written.signature)
    }

    /// Returns the statement as JSON: `{"statement":TEXT,"signature":"0x…"}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let written = Written { statement: self.text(), signature: self.signature };
        // A text and hex digits can always be written.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Returns the text that the account signed.
    #[must_use]
    pub fn text(&self) -> String {
        text(self.address, &self.vkey, &self.cosigner)
    }

    /// Returns the account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Returns the name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.vkey.name()
    }

    /// Returns the public key with which the log signs its checkpoints.
    #[must_use]
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// Returns the public key with which the account cosigns the checkpoints of other logs.
    #[must_use]
    pub fn cosigner(&self) -> &VerifierKey {
        &self.cosigner
    }

    /// Returns the account's signature.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signature
    }
}

fn text(address: Address, vkey: &VerifierKey, cosigner: &VerifierKey) -> String {
    let (address, origin) = (address.checksummed(), vkey.name());
    format!("{FIRST_LINE}\naddress {address}\norigin {origin}\nvkey {vkey}\ncosigner {cosigner}\n")
}
