//! The check of evidence of channels.

use annals::Event;
use annals_proof::{CheckError, Evidence, Findings, FormatError, Member, Policy, SignatureChecks};

use super::backdated::{Backdated, ComparedTimes, backdated};
use super::folded::{FoldClaim, FoldedState};
use super::signatures::{Convicted, ShownState, convicted, states};
use crate::event::ChannelEvent;
use crate::hex::Address;
use crate::state::State;
use crate::statement::{KeyStatement, StatementError};
use crate::strict;

/// The largest number of statements of trusted accounts that are checked. An account rarely has more than one log.
const MAX_STATEMENTS: usize = 256;

/// Whom a checker of evidence trusts. The keys never come from the file alone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// The keys of a policy.
    Policy(Policy),
    /// Ethereum accounts. The log's key is the one that one of them stated in the file, and a cosignature counts if
    /// its key is one that another of them stated in a shown event.
    Accounts(Vec<Address>),
}

/// Why evidence does not hold. Nothing is proved then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// A proof, a signature or the form does not hold.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The statement of keys does not hold.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The file has no statement of keys by a trusted account.
    #[error("no trusted account stated the log's key in this file{}", found.map_or(String::new(), |one| format!("; {one} did")))]
    NotTrusted {
        /// The account that stated it.
        found: Option<Address>,
    },
    /// The statement is about another key than the one that signed.
    #[error("the statement of keys names another key than the one that signed the checkpoint")]
    OtherKey,
    /// The states are not those that were signed.
    #[error("the states: {0}")]
    States(String),
    /// There are too many receipts to compare with the times of events.
    #[error("the receipts: {0}")]
    Receipts(String),
    /// The folded state is another one.
    #[error("the folded state: {0}")]
    State(String),
}

impl From<FormatError> for EvidenceError {
    fn from(error: FormatError) -> Self {
        Self::Check(error.into())
    }
}

/// The facts that evidence of channels proves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelFindings {
    /// The facts that hold of any log: the signatures on the checkpoint, the events, whole ranges, earlier checkpoints.
    pub findings: Findings,
    /// The statement of the account that owns the log.
    pub statement: Option<KeyStatement>,
    /// The states that are shown whole, each with the accounts that signed it.
    pub states: Vec<ShownState>,
    /// The accounts that signed two states for one turn.
    pub convicted: Vec<Convicted>,
    /// The events whose time is earlier than the time of a cosignature that the log had before them.
    pub backdated: Vec<Backdated>,
    /// The receipts with which the times of events were compared to find these.
    pub compared_times: ComparedTimes,
    /// The state that follows from the events.
    pub folded: Option<FoldedState>,
}

/// Checks an evidence file whole, without access to a log: all that [`Evidence::check`] checks, the statement of the
/// log's keys, the states, and the folded state.
///
/// # Errors
/// [`EvidenceError`] for the first thing that does not hold. Nothing is proved then.
pub fn check_evidence(json: &[u8], trust: &Trust) -> Result<ChannelFindings, EvidenceError> {
    let evidence = Evidence::from_json(json)?;
    let statement = evidence.member(Member::Key).map(KeyStatement::from_json).transpose()?;
    let claimed = evidence.member(Member::States).map(strict::from_json::<Vec<State>>);
    let claimed = claimed.transpose().map_err(|error| EvidenceError::States(error.to_string()))?;
    let fold = evidence.member(Member::State).map(strict::from_json::<FoldClaim>);
    let fold = fold.transpose().map_err(|error| EvidenceError::State(error.to_string()))?;
    let policy = match trust {
        Trust::Policy(policy) => policy.clone(),
        Trust::Accounts(accounts) => policy_of(&evidence, accounts, statement.as_ref())?,
    };
    let mut checks = SignatureChecks::default();
    let mut findings = evidence.check_within(&policy, &mut checks)?;
    if matches!(trust, Trust::Accounts(_)) {
        is_signed_by_owner(&findings)?;
    }
    if statement.as_ref().is_some_and(|stated| *stated.vkey() != findings.verified.log) {
        return Err(EvidenceError::OtherKey);
    }
    let states = states(claimed.unwrap_or_default(), &findings).map_err(EvidenceError::States)?;
    let folded = fold.map(|claim| claim.check(&findings)).transpose();
    let folded = folded.map_err(EvidenceError::State)?;
    findings.not_checked.clear();
    let convicted = convicted(&states);
    let (backdated, compared_times) =
        backdated(&findings, &policy, &mut checks).map_err(EvidenceError::Receipts)?;
    Ok(ChannelFindings {
        findings,
        statement,
        states,
        convicted,
        backdated,
        compared_times,
        folded,
    })
}

/// Checks that the owner signed each earlier checkpoint too. The keys of witnesses come from the owner's own events, so
/// their lines alone do not show that the owner had that history.
fn is_signed_by_owner(findings: &Findings) -> Result<(), CheckError> {
    match findings.earlier.iter().find(|earlier| earlier.log.is_none()) {
        Some(_) => Err(CheckError::NotSigned { origin: findings.checkpoint.origin().to_owned() }),
        None => Ok(()),
    }
}

/// Returns the keys that trusted accounts stated in the evidence. Its events are not checked yet: the check with these
/// keys proves that the statements are in the log.
fn policy_of(
    evidence: &Evidence,
    accounts: &[Address],
    statement: Option<&KeyStatement>,
) -> Result<Policy, EvidenceError> {
    let owner = statement.ok_or(EvidenceError::NotTrusted { found: None })?;
    if !accounts.contains(&owner.address()) {
        return Err(EvidenceError::NotTrusted { found: Some(owner.address()) });
    }
    let mut policy = vec![format!("log {}", owner.vkey())];
    let (mut witnesses, mut checked) = (Vec::<String>::new(), 0);
    for shown in evidence.events() {
        let event = shown.event().and_then(|raw| ChannelEvent::decode(&raw).ok());
        let Some(ChannelEvent::LogKeyStated(stated)) = event else { continue };
        if stated.address == owner.address() || !accounts.contains(&stated.address) {
            continue;
        }
        checked += 1;
        if checked > MAX_STATEMENTS {
            let text = format!("at most {MAX_STATEMENTS} statements of keys are checked");
            return Err(CheckError::Contradiction(text).into());
        }
        let Ok(peer) = KeyStatement::of_event(&stated) else { continue };
        let vkey = peer.cosigner().to_string();
        if !witnesses.contains(&vkey) {
            policy.push(format!("witness w{} {vkey}", witnesses.len()));
            witnesses.push(vkey);
        }
    }
    Ok(policy.join("\n").parse()?)
}
