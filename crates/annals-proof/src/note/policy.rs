//! Policies (C2SP tlog-policy): whose checkpoints are accepted, and whose cosignatures are enough.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::checkpoint::{Checkpoint, Signed};
use super::checks::SignatureChecks;
use super::key::{KeyKind, VerifierKey};
use crate::error::{CheckError, FormatError};

/// The largest number of lines that are read.
const MAX_LINES: usize = 10_000;

/// The keys that a checker trusts. They never come from the file that is checked.
///
/// ```text
/// log example.com/alice+9d5a48b4+ARfLefsr…
/// witness bob example.com/bob+47d066b1+BNdZeTu8…
/// witness carol example.com/carol+…
/// group friends any bob carol
/// quorum friends
/// ```
/// A group is reached with `any`, `all` or a number of its members. Without a quorum, or with `quorum none`, the
/// signature of the log is enough.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: BTreeMap<String, VerifierKey>,
    groups: BTreeMap<String, Group>,
    quorum: Option<String>,
}

#[derive(Debug, Clone)]
struct Group {
    least: usize,
    members: Vec<String>,
}

/// The valid signatures on a checkpoint that a policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The log's key that signed.
    pub log: VerifierKey,
    /// The cosignatures of witnesses of the policy.
    pub cosignatures: Vec<Signed>,
}

impl Policy {
    /// Returns a policy that accepts the signatures of these keys. Every key of a witness must have cosigned.
    #[must_use]
    pub fn of_keys(keys: impl IntoIterator<Item = VerifierKey>) -> Self {
        let mut policy = Self::default();
        for key in keys {
            match key.kind() {
                KeyKind::Log => policy.logs.push(key),
                KeyKind::Witness => {
                    policy.witnesses.insert(key.to_string(), key);
                }
            }
        }
        if !policy.witnesses.is_empty() {
            let members: Vec<String> = policy.witnesses.keys().cloned().collect();
            policy.groups.insert("all".to_owned(), Group { least: members.len(), members });
            policy.quorum = Some("all".to_owned());
        }
        policy
    }

    /// Returns the keys of logs.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Checks that a log of the policy signed the checkpoint, and a quorum of witnesses cosigned it.
    ///
    /// # Errors
    /// [`CheckError`] if not, or if any signature of a known key is not valid.
    pub fn verify(&self, checkpoint: &Checkpoint) -> Result<Verified, CheckError> {
        self.verify_within(checkpoint, &mut SignatureChecks::without_limit())
    }

    /// Checks a checkpoint as [`verify`](Self::verify) does, and counts the signatures.
    pub(crate) fn verify_within(
        &self,
        checkpoint: &Checkpoint,
        checks: &mut SignatureChecks,
    ) -> Result<Verified, CheckError> {
        let (log, cosignatures) = self.signed(checkpoint, checks)?;
        let log =
            log.ok_or_else(|| CheckError::NotSigned { origin: checkpoint.origin().to_owned() })?;
        if !self.is_quorum(&cosignatures) {
            let names: Vec<&str> = cosignatures.iter().map(|signed| signed.key.name()).collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(CheckError::NoQuorum { found });
        }
        Ok(Verified { log, cosignatures })
    }

    /// Returns the valid cosignatures of the policy's witnesses on a checkpoint, of any log. Does not ask for a quorum.
    ///
    /// # Errors
    /// [`CheckError::BadSignature`] if a cosignature of a known witness is not valid.
    pub fn cosignatures(&self, checkpoint: &Checkpoint) -> Result<Vec<Signed>, CheckError> {
        self.cosignatures_within(checkpoint, &mut SignatureChecks::without_limit())
    }

    /// Returns the valid cosignatures as [`cosignatures`](Self::cosignatures) does, and counts them with all others of
    /// one file.
    ///
    /// # Errors
    /// As [`cosignatures`](Self::cosignatures), and [`CheckError::TooManySignatures`].
    pub fn cosignatures_within(
        &self,
        checkpoint: &Checkpoint,
        checks: &mut SignatureChecks,
    ) -> Result<Vec<Signed>, CheckError> {
        let witnesses: Vec<_> = self.witnesses.values().cloned().collect();
        checkpoint.signatures_within(&witnesses, checks)
    }

    /// Returns the valid signatures of known keys on a checkpoint: the log's, and those of witnesses.
    pub(crate) fn signed(
        &self,
        checkpoint: &Checkpoint,
        checks: &mut SignatureChecks,
    ) -> Result<(Option<VerifierKey>, Vec<Signed>), CheckError> {
        let is_own = |key: &&VerifierKey| key.name() == checkpoint.origin();
        let logs: Vec<_> = self.logs.iter().filter(is_own).cloned().collect();
        let log = checkpoint.signatures_within(&logs, checks)?;
        let log = log.into_iter().next().map(|signed| signed.key);
        Ok((log, self.cosignatures_within(checkpoint, checks)?))
    }

    fn is_quorum(&self, cosignatures: &[Signed]) -> bool {
        self.quorum.as_deref().is_none_or(|quorum| self.is_reached(quorum, cosignatures))
    }

    fn is_reached(&self, name: &str, cosignatures: &[Signed]) -> bool {
        if let Some(key) = self.witnesses.get(name) {
            return cosignatures.iter().any(|signed| signed.key == *key);
        }
        let Some(group) = self.groups.get(name) else { return false };
        // A group names only what is above it in the file, so this ends.
        group.members.iter().filter(|member| self.is_reached(member, cosignatures)).count()
            >= group.least
    }

    fn take(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["log", vkey] | ["log", vkey, _] => {
                let key: VerifierKey =
                    vkey.parse().map_err(|error: FormatError| error.to_string())?;
                if key.kind() != KeyKind::Log {
                    return Err(format!("{vkey} is the key of a witness"));
                }
                self.logs.push(key);
            }
            ["witness", name, vkey] | ["witness", name, vkey, _] => {
                let key: VerifierKey =
                    vkey.parse().map_err(|error: FormatError| error.to_string())?;
                if key.kind() != KeyKind::Witness {
                    return Err(format!("{vkey} is not the key of a witness"));
                }
                self.check_new(name)?;
                if self.witnesses.values().any(|known| *known == key) {
                    return Err(format!("the key of {name} is already that of another witness"));
                }
                self.witnesses.insert((*name).to_owned(), key);
            }
            ["group", name, least, members @ ..] if !members.is_empty() => {
                self.check_new(name)?;
                self.add_group(name, least, members)?;
            }
            ["quorum", name] => {
                if self.quorum.is_some() {
                    return Err("a second quorum".to_owned());
                }
                if *name != "none" && !self.is_known(name) {
                    return Err(format!("{name} is not a witness or a group above this line"));
                }
                self.quorum = Some((*name).to_owned());
            }
            _ => return Err("expected log, witness, group or quorum".to_owned()),
        }
        Ok(())
    }

    fn add_group(&mut self, name: &str, least: &str, members: &[&str]) -> Result<(), String> {
        let members: Vec<String> = members.iter().map(|member| (*member).to_owned()).collect();
        for (index, member) in members.iter().enumerate() {
            if !self.is_known(member) {
                return Err(format!("{member} is not a witness or a group above this line"));
            }
            if members[..index].contains(member) {
                return Err(format!("{member} is in the group twice"));
            }
        }
        let least = match least {
            "any" => 1,
            "all" => members.len(),
            number => super::checkpoint::decimal(number)
                .and_then(|least| usize::try_from(least).ok())
                .filter(|least| (1..=members.len()).contains(least))
                .ok_or_else(|| {
                    format!("a group is reached with any, all, or 1 to {}", members.len())
                })?,
        };
        self.groups.insert(name.to_owned(), Group { least, members });
        Ok(())
    }

    fn is_known(&self, name: &str) -> bool {
        self.witnesses.contains_key(name) || self.groups.contains_key(name)
    }

    fn check_new(&self, name: &str) -> Result<(), String> {
        if name == "none" || self.is_known(name) {
            return Err(format!("the name {name} is taken"));
        }
        Ok(())
    }
}

impl FromStr for Policy {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let mut policy = Self::default();
        for (number, line) in text.lines().enumerate() {
            let invalid = |problem: String| {
                FormatError::new("policy", format!("line {}: {problem}", number + 1))
            };
            if number == MAX_LINES {
                return Err(invalid("too many lines".to_owned()));
            }
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if words.first().is_some_and(|word| !word.starts_with('#')) {
                policy.take(&words).map_err(invalid)?;
            }
        }
        if policy.logs.is_empty() {
            return Err(FormatError::new("policy", "it names no log"));
        }
        if policy.quorum.as_deref() == Some("none") {
            policy.quorum = None;
        }
        Ok(policy)
    }
}
