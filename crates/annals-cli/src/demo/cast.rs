//! Alice and Bob: their keys, their logs, and the states that they agree on.
//!
//! Each locks a million wei. Alice serves Bob, who pays her 100 wei a turn.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use annals::{EventStore, Journal};
use annals_channels::{
    Address, Allocation, AssetExit, Channel, ChannelEvent, ChannelState, FixedPart, Hash,
    Participants, Party, SecretKey, SignedState, State,
};

use crate::failure::Failure;

/// What each locks, in wei.
pub(super) const DEPOSIT: u64 = 1_000_000;
/// What Bob pays for a turn, in wei.
pub(super) const PRICE: u64 = 100;
/// How long a challenge can be answered.
pub(super) const CHALLENGE_SECONDS: NonZeroU32 = NonZeroU32::new(86_400).unwrap();
/// The asset: ETH has no contract.
pub(super) const ETH: Address = Address::new([0; 20]);

/// Who somebody is.
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

    /// A secret that everybody can read here: never lock funds with it.
    pub(super) fn key(self) -> Result<SecretKey, Failure> {
        let bytes = match self {
            Self::Alice => [0x11; 32],
            Self::Bob => [0x22; 32],
        };
        Ok(SecretKey::from_bytes(&bytes)?)
    }

    pub(super) fn address(self) -> Result<Address, Failure> {
        Ok(self.key()?.address())
    }
}

/// What of the channel never changes; its id is the hash of this.
pub(super) fn fixed() -> Result<FixedPart, Failure> {
    Ok(FixedPart {
        participants: Participants::new(vec![Role::Alice.address()?, Role::Bob.address()?])?,
        channel_nonce: 1,
        app_definition: Address::new([0x5f; 20]),
        challenge_duration: CHALLENGE_SECONDS,
    })
}

/// The channel: the same in every demo, for it is a hash of what never changes.
pub(super) fn channel_id() -> Result<Hash, Failure> {
    Ok(fixed()?.channel_id())
}

/// The state that both mean for a turn.
pub(super) fn state(turn_num: u64) -> Result<State, Failure> {
    state_that_pays(turn_num, turn_num.saturating_mul(PRICE))
}

/// A state in which Bob has paid Alice so much.
pub(super) fn state_that_pays(turn_num: u64, paid: u64) -> Result<State, Failure> {
    let paid = paid.min(DEPOSIT);
    let gets = |role: Role, amount: u64| {
        let mut destination = [0; 32];
        destination[12..].copy_from_slice(role.address()?.bytes());
        Ok::<_, Failure>(Allocation {
            destination: Hash::new(destination),
            amount: amount.into(),
            allocation_type: 0,
            metadata: vec![],
        })
    };
    let allocations = vec![gets(Role::Alice, DEPOSIT + paid)?, gets(Role::Bob, DEPOSIT - paid)?];
    let outcome = AssetExit { asset: ETH, asset_type: 0, asset_metadata: vec![], allocations };
    Ok(State {
        channel_id: channel_id()?,
        app_data: vec![],
        outcome: vec![outcome],
        turn_num,
        is_final: false,
    })
}

/// Where somebody's events are.
pub(super) type Log = EventStore<ChannelEvent, Journal<ChannelEvent>>;

/// A participant: its log, and the party that writes it by the rules.
pub(super) struct Player {
    pub(super) role: Role,
    pub(super) path: PathBuf,
    pub(super) store: Log,
    pub(super) party: Party<Journal<ChannelEvent>>,
}

impl Player {
    /// Opens its log, or creates it, with the channel in it.
    pub(super) fn open(role: Role, directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(role.name());
        let store = EventStore::open(&path)?;
        let party = Party::open(&store, role.key()?, &fixed()?)?;
        Ok(Self { role, path, store, party })
    }

    /// The last turn that it signed.
    pub(super) fn last_signed(&mut self) -> Result<u64, Failure> {
        Ok(self.party.state()?.latest_signed_turn.unwrap_or(0))
    }

    /// The channel as its log has it at this moment.
    pub(super) fn moment(&self) -> Result<Moment, Failure> {
        let state = self.store.reconstruct(Channel(channel_id()?)).now()?.clone();
        Ok(Moment { last: self.store.len() - 1, state })
    }

    /// The turn that is supported for it.
    pub(super) fn supported(&mut self) -> Result<Option<u64>, Failure> {
        Ok(self.party.state()?.supported.map(|supported| supported.turn_num))
    }
}

/// A channel as it was once, to be compared with what the log says of that later.
pub(super) struct Moment {
    /// The offset of the log's last event then.
    pub(super) last: u64,
    pub(super) state: ChannelState,
}

/// Both sign a state, and each gets the other's signature.
pub(super) fn agree(first: &mut Player, second: &mut Player, state: &State) -> Result<(), Failure> {
    let signed: SignedState = first.party.sign(state)?;
    second.party.receive(&signed)?;
    first.party.receive(&second.party.sign(state)?)?;
    Ok(())
}
