//! Alice and Bob: their keys, their logs, and the states that they agree on.
//!
//! Each deposits a million wei. Alice serves Bob, who pays her 100 wei per turn.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use annals::{EventStore, Journal};
use annals_channels::{
    Address, Allocation, AssetExit, Channel, ChannelEvent, ChannelState, FixedPart, Hash, LogTaken,
    Participants, Party, PartyLog, SecretKey, SignedState, State,
};
use annals_proof::{LogKey, ProofError, ProofOptions};

use crate::failure::Failure;

/// The deposit of each party, in wei.
pub(super) const DEPOSIT: u64 = 1_000_000;
/// The price of a turn, in wei, which Bob pays to Alice.
pub(super) const PRICE: u64 = 100;
/// The time within which a challenge can be answered, in seconds.
pub(super) const CHALLENGE_SECONDS: NonZeroU32 = NonZeroU32::new(86_400).unwrap();
/// The asset ETH. It has no contract, so its address is zero.
pub(super) const ETH: Address = Address::new([0; 20]);

/// A party of the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Alice,
    Bob,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }

    /// Returns the party's secret key. It is published here, so never deposit funds with it.
    pub(super) fn key(self) -> Result<SecretKey, Failure> {
        let bytes = match self {
            Self::Alice => [0x11; 32],
            Self::Bob => [0x22; 32],
        };
        Ok(SecretKey::from_bytes(&bytes)?)
    }

    /// Returns the key of the party's log. It is published here, so sign nothing else with it.
    fn log_key(self) -> Result<LogKey, Failure> {
        let seed = match self {
            Self::Alice => [0x33; 32],
            Self::Bob => [0x44; 32],
        };
        let name = format!("annals.example/{}", self.name());
        Ok(LogKey::from_seed(&name, &seed).map_err(ProofError::from)?)
    }

    pub(super) fn address(self) -> Result<Address, Failure> {
        Ok(self.key()?.address())
    }
}

/// Returns the part of the channel that never changes. The channel's id is its hash.
pub(super) fn fixed() -> Result<FixedPart, Failure> {
    Ok(FixedPart {
        participants: Participants::new(vec![Role::Alice.address()?, Role::Bob.address()?])?,
        channel_nonce: 1,
        app_definition: Address::new([0x5f; 20]),
        challenge_duration: CHALLENGE_SECONDS,
    })
}

/// Returns the channel's id, which is the same in every run of the demo.
pub(super) fn channel_id() -> Result<Hash, Failure> {
    Ok(fixed()?.channel_id())
}

/// Returns the state that both parties agree on for a turn.
pub(super) fn state(turn_num: u64) -> Result<State, Failure> {
    state_that_pays(turn_num, turn_num.saturating_mul(PRICE))
}

/// Returns a state in which Bob has paid this amount to Alice, in wei.
pub(super) fn state_that_pays(turn_num: u64, paid: u64) -> Result<State, Failure> {
    let paid = paid.min(DEPOSIT);
    let allocation = |role: Role, amount: u64| {
        let mut destination = [0; 32];
        destination[12..].copy_from_slice(role.address()?.bytes());
        Ok::<_, Failure>(Allocation {
            destination: Hash::new(destination),
            amount: amount.into(),
            allocation_type: 0,
            metadata: vec![],
        })
    };
    let allocations =
        vec![allocation(Role::Alice, DEPOSIT + paid)?, allocation(Role::Bob, DEPOSIT - paid)?];
    let outcome = AssetExit { asset: ETH, asset_type: 0, asset_metadata: vec![], allocations };
    Ok(State {
        channel_id: channel_id()?,
        app_data: vec![],
        outcome: vec![outcome],
        turn_num,
        is_final: false,
    })
}

/// A log of channel events in files.
pub(super) type Log = EventStore<ChannelEvent, Journal<ChannelEvent>>;

/// A participant: its log with proofs, and the `Party` that appends to it by the channel's rules.
pub(super) struct Player {
    pub(super) role: Role,
    pub(super) path: PathBuf,
    pub(super) store: Log,
    pub(super) log: PartyLog<Journal<ChannelEvent>>,
    pub(super) party: Party<Journal<ChannelEvent>>,
}

impl Player {
    /// Opens or creates the participant's log, and records the channel and the key of the log in it. What is signed is
    /// kept whole, so that the log alone is enough for a dispute.
    pub(super) fn open(role: Role, directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(role.name());
        let store = EventStore::open(&path)?;
        let key = role.log_key()?;
        let proofs = ProofOptions::new().open(&store, key.name())?;
        let log = PartyLog::open(&store, proofs, key, &role.key()?)?;
        let options = Party::options().keep_states();
        let party = options.open_proved(&log, role.key()?, &fixed()?)?;
        Ok(Self { role, path, store, log, party })
    }

    /// Returns the last turn that the participant signed.
    pub(super) fn last_signed(&mut self) -> Result<u64, Failure> {
        Ok(self.party.state()?.latest_signed_turn.unwrap_or(0))
    }

    /// Returns the channel's current state in the participant's log.
    pub(super) fn moment(&self) -> Result<Moment, Failure> {
        let state = self.store.reconstruct(Channel(channel_id()?)).now()?.clone();
        Ok(Moment { last: self.store.len() - 1, state })
    }

    /// Returns the supported turn in the participant's log.
    pub(super) fn supported(&mut self) -> Result<Option<u64>, Failure> {
        Ok(self.party.state()?.supported.map(|supported| supported.turn_num))
    }
}

/// The channel's state at one moment. Later it is compared with the state that is rebuilt from the log.
pub(super) struct Moment {
    /// The offset of the log's last event at that moment.
    pub(super) last: u64,
    pub(super) state: ChannelState,
}

/// Lets both participants sign a state and receive each other's signature.
pub(super) fn agree(first: &mut Player, second: &mut Player, state: &State) -> Result<(), Failure> {
    let signed: SignedState = first.party.sign(state)?;
    second.party.receive(&signed)?;
    first.party.receive(&second.party.sign(state)?)?;
    Ok(())
}

/// Lets each participant record the keys of the other's log.
pub(super) fn introduce(alice: &Player, bob: &Player) -> Result<(), Failure> {
    alice.log.know(bob.role.name(), bob.log.statement(), bob.role.address()?)?;
    bob.log.know(alice.role.name(), alice.log.statement(), alice.role.address()?)?;
    Ok(())
}

/// Lets each participant cosign the other's log. Returns the numbers of events that Bob has seen of Alice's log, and
/// she of his.
pub(super) fn cosign_each_other(alice: &Player, bob: &Player) -> Result<(u64, u64), Failure> {
    Ok((cosigned(alice, bob)?, cosigned(bob, alice)?))
}

/// Lets `witness` cosign the log of `owner`, and `owner` record the receipt.
fn cosigned(owner: &Player, witness: &Player) -> Result<u64, Failure> {
    let request = owner.log.checkpoint(witness.role.name())?;
    match witness.log.take(owner.role.name(), &request)? {
        LogTaken::Cosigned { size, reply } => {
            owner.log.take(witness.role.name(), &reply)?;
            Ok(size)
        }
        other => Err(Failure::FalseClaim { claim: format!("the log is cosigned: {other:?}") }),
    }
}
