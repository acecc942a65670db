//! Texts for errors of consumers and groups, for a person at a shell. The library's own texts contain advice for
//! programs.

use annals_consumer::ConsumerError;

/// Returns what is wrong.
pub(crate) fn text(error: &ConsumerError) -> String {
    let text = error.to_string();
    match (error, advice(error), text.rsplit_once("; ")) {
        (ConsumerError::NotFound { .. }, ..) => text,
        // The library's advice follows the last semicolon.
        (_, Some(_), Some((problem, _))) => problem.to_owned(),
        _ => text,
    }
}

/// Returns what the user can do.
pub(crate) fn advice(error: &ConsumerError) -> Option<String> {
    let advice = match error {
        ConsumerError::NotFound { .. } => {
            "`annals consumers STORE` lists the consumers and groups".to_owned()
        }
        ConsumerError::Running { .. } => "end that process first".to_owned(),
        ConsumerError::BeyondHead { name, .. }
        | ConsumerError::OtherHistory { name, .. }
        | ConsumerError::DamagedPosition { name, .. } => reset(name),
        ConsumerError::OtherStore { name, position, .. } => format!(
            "if this store is a copy of that log: `annals consumers STORE {name} --reset {position}`; otherwise give \
             the offset where it shall continue"
        ),
        ConsumerError::PositionRemoved { name, .. } => {
            format!("restore the file from a backup, or {}", reset(name))
        }
        ConsumerError::DamagedState { name, .. } | ConsumerError::StateRemoved { name, .. } => {
            format!(
                "restore the directory of the group from a backup; or delete the group with `annals consumers STORE \
                 {name} --delete`, and let its program open it anew with `from` at the offset where it shall continue"
            )
        }
        _ => return None,
    };
    Some(advice)
}

fn reset(name: &str) -> String {
    format!(
        "choose the offset where it shall continue: `annals consumers STORE {name} --reset OFFSET`"
    )
}
