//! Cores that are broken on purpose, at their seams, to show that the checker notices.

use annals::Appended;
use annals_replicated::{AppendOutcome, Core, Input, NewBatch, Refusal, Slot};

/// A defect of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Conditions are not checked.
    IgnoresConditions,
    /// A doubt is reported as certain absence.
    DoubtIsAbsence,
    /// A doubt is reported as success.
    DoubtIsSuccess,
    /// Offsets are one too high.
    WrongOffsets,
    /// A lost answer is taken for success at the slot that was expected.
    BelievesLostAnswers,
    /// A commit is taken without a check that the record still has the commit before it.
    TakesUnchecked,
}

impl Defect {
    pub(crate) fn submitted(defect: Option<Self>, mut batch: NewBatch) -> NewBatch {
        if defect == Some(Self::IgnoresConditions) {
            batch.conditions.clear();
        }
        batch
    }

    pub(crate) fn input(defect: Option<Self>, core: &Core, input: Input) -> Input {
        match input {
            Input::Answered { send, outcome: AppendOutcome::Unknown(_), time_ms }
                if defect == Some(Self::BelievesLostAnswers) =>
            {
                let slot = core.position().map_or(1, |position| position.slot.0 + 1);
                Input::Answered { send, outcome: AppendOutcome::At(Slot(slot)), time_ms }
            }
            input => input,
        }
    }

    pub(crate) fn reply(
        defect: Option<Self>,
        reply: Result<Appended, Refusal>,
    ) -> Result<Appended, Refusal> {
        match (defect, reply) {
            (Some(Self::DoubtIsAbsence), Err(Refusal::InDoubt)) => Err(Refusal::Unavailable),
            (Some(Self::DoubtIsSuccess), Err(Refusal::InDoubt)) => Ok(Appended::new(0..1)),
            (Some(Self::WrongOffsets), Ok(appended)) => {
                let offsets = appended.offsets.start + 1..appended.offsets.end + 1;
                Ok(Appended::new(offsets))
            }
            (_, reply) => reply,
        }
    }
}
