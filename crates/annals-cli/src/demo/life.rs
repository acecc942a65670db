//! The channel's life: deposits, agreed turns, cheating, a challenge, the end.

use annals::DecideError;
use annals_channels::{Amount, ChannelStatus, Refusal, SignedState, State};
use indicatif::HumanCount;

use super::cast::{
    DEPOSIT, Moment, PRICE, Player, agree, channel_id, cosign_each_other, state, state_that_pays,
};
use super::chain::{Chain, both_observe};
use super::story::Story;
use crate::failure::Failure;

/// The number of turns that are agreed on in part 1.
const FIRST_TURNS: u64 = 3;
/// The old turn that Bob submits to the chain.
const OLD_TURN: u64 = 1;

/// Runs part 1. Returns the channel after both deposits.
pub(super) fn fund_and_agree(
    story: &mut Story,
    chain: &mut Chain,
    alice: &mut Player,
    bob: &mut Player,
) -> Result<Moment, Failure> {
    story.part("Alice and Bob deposit funds, then agree on states by signing them")?;
    for player in [&*alice, bob] {
        let (name, address) = (player.role.name(), player.role.address()?);
        story.line(format_args!("{name:<8}{address}  {}", player.path.display()))?;
    }
    story.line(format_args!("channel {}", channel_id()?))?;
    story.say("")?;

    both_observe(alice, bob, chain.deposit(DEPOSIT, DEPOSIT)?)?;
    both_observe(alice, bob, chain.deposit(DEPOSIT, 2 * DEPOSIT)?)?;
    let funded = alice.moment()?;
    let held = HumanCount(2 * DEPOSIT);
    story.line(format_args!(
        "Each deposited {} wei; the chain holds {held} wei.",
        HumanCount(DEPOSIT)
    ))?;
    story.line(format_args!(
        "Alice serves Bob, who pays {PRICE} wei per turn. Each signature is logged before it is sent."
    ))?;
    for turn_num in 1..=FIRST_TURNS {
        let first = alice.store.len();
        agree(alice, bob, &state(turn_num)?)?;
        let last = alice.store.len() - 1;
        story.line(format_args!(
            "turn {turn_num}: signed by both, so supported; offsets {first} to {last} in Alice's log"
        ))?;
    }
    let same = alice.party.state()?.supported == bob.party.state()?.supported;
    let supported = alice.supported()? == Some(FIRST_TURNS) && same;
    story.claim(
        format_args!("in both logs turn {FIRST_TURNS} is supported, with the same state"),
        supported,
    )?;
    Ok(funded)
}

/// Runs part 3.
pub(super) fn detect_cheating(
    story: &mut Story,
    alice: &mut Player,
    bob: &Player,
) -> Result<(), Failure> {
    story.part("Bob tries to cheat")?;
    cosign_each_other(alice, bob)?;
    story.line("Each party has just cosigned what is in the other's log.")?;
    let supported = alice.party.state()?.supported;
    let turn_num = alice.supported()?.unwrap_or(0);
    // Bob's `Party` would refuse it, so he signs with his key directly.
    let second = state_that_pays(turn_num, 0)?;
    let signature = bob.role.key()?.sign(second.hash())?;
    let cheat = SignedState { state: second, signer: bob.role.address()?, signature };
    story.line(format_args!(
        "For turn {turn_num} Bob signs a second state, in which he has paid nothing."
    ))?;
    let evidence = alice.party.receive(&cheat)?;
    let detected = evidence.as_ref().is_some_and(|evidence| evidence.turn_num == turn_num);
    story.claim("Alice detects that Bob signed two states for one turn", detected)?;
    if let Some(evidence) = evidence {
        story.line(format_args!("    {}", evidence.first.state_hash))?;
        story.line(format_args!("    {}", evidence.second.state_hash))?;
    }
    let known = alice.party.state()?;
    let recorded = known.equivocations.len() == 1 && known.signatures_at(turn_num).len() == 3;
    story.claim("her log contains both of his signatures as evidence", recorded)?;
    story.claim("the supported state is still the first", known.supported == supported)
}

/// Runs part 5. Returns the channel after the challenge.
pub(super) fn answer_challenge(
    story: &mut Story,
    chain: &mut Chain,
    alice: &mut Player,
    bob: &mut Player,
) -> Result<Moment, Failure> {
    story.part("Bob submits an old state to the chain, and Alice answers")?;
    let challenge = chain.challenge(bob.role.address()?, OLD_TURN)?;
    both_observe(alice, bob, challenge)?;
    let challenged = alice.moment()?;
    story.line(format_args!(
        "He claims that turn {OLD_TURN} was the last, after which he had paid {PRICE} wei."
    ))?;
    let status = challenged.state.status;
    story.claim("the channel is challenged", status == Some(ChannelStatus::Challenged))?;
    let supported = alice.supported()?;
    let answer = alice.party.answer_to_challenge()?;
    let later = answer.unwrap_or(0);
    story.claim(
        format_args!("Alice has a later state that both signed: turn {later}"),
        answer.is_some() && answer == supported && later > OLD_TURN,
    )?;
    both_observe(alice, bob, chain.cleared(later)?)?;
    let cleared = alice.party.state()?.challenge.is_none();
    story.claim("the chain accepts it, and the challenge is cleared", cleared)?;
    Ok(challenged)
}

/// Runs part 6. Returns the channel at its end.
pub(super) fn conclude(
    story: &mut Story,
    chain: &mut Chain,
    alice: &mut Player,
    bob: &mut Player,
) -> Result<Moment, Failure> {
    story.part("The end: finalized, concluded, withdrawn")?;
    let paid_turns = alice.last_signed()?.max(bob.last_signed()?);
    let last = State { is_final: true, turn_num: paid_turns + 1, ..state(paid_turns)? };
    agree(alice, bob, &last)?;
    let both = |alice: &mut Player, bob: &mut Player, status| {
        let [hers, his] = [alice.party.state()?.status, bob.party.state()?.status];
        Ok::<_, Failure>(hers == Some(status) && his == Some(status))
    };
    let holds = both(alice, bob, ChannelStatus::Finalized)?;
    story.claim(format_args!("both sign turn {} as the final turn", last.turn_num), holds)?;

    let after = State { turn_num: last.turn_num + 1, ..last.clone() };
    let refused = matches!(
        alice.party.sign(&after),
        Err(DecideError::Rejected(refusal)) if matches!(*refusal, Refusal::Ended { .. })
    );
    story.claim("Alice refuses to sign any later turn", refused)?;

    both_observe(alice, bob, chain.concluded(last.turn_num)?)?;
    let holds = both(alice, bob, ChannelStatus::Concluded)?;
    story.claim("the chain accepts it: concluded", holds)?;

    let owed = paid_turns.saturating_mul(PRICE).min(DEPOSIT);
    let mut left = 2 * DEPOSIT;
    let recipients =
        [(alice.role.address()?, DEPOSIT + owed), (bob.role.address()?, DEPOSIT - owed)];
    for (recipient, amount) in recipients {
        left -= amount;
        for event in chain.withdrawal(recipient, amount, left)? {
            both_observe(alice, bob, event)?;
        }
        story.line(format_args!("{} wei to {recipient}", HumanCount(amount)))?;
    }
    let ended = alice.moment()?;
    let nothing_held = ended.state.holdings.values().all(|held| held.amount == Amount::default());
    let holds = both(alice, bob, ChannelStatus::Withdrawn)? && nothing_held;
    story.claim("both are paid out: withdrawn", holds)?;
    Ok(ended)
}
