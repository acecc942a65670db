//! Compares two states, and checks that the JSON of a state is read back as the same state.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Result;

use super::canonical::{Fingerprint, fingerprint};
use crate::util::exact_form::{TRIES, exact, without_order};

/// The result of comparing the state of a snapshot with the state of a fold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// They are equal. This is the hash of their canonical JSON, or of their exact form if the state has integers
    /// beyond 64 bits, which have no canonical JSON.
    Same(Fingerprint),
    /// They differ. These are the hashes of their exact forms, because their JSON may be the same.
    Different { kept: Fingerprint, folded: Fingerprint },
    /// They differ only in the order of values, and the type of the state does not preserve that order.
    AnyOrder,
}

/// Compares the state of a snapshot with that of a fold.
pub(crate) fn compare<S: Serialize + DeserializeOwned>(kept: &S, folded: &S) -> Result<Comparison> {
    let forms = (exact(kept)?, exact(folded)?);
    if forms.0 == forms.1 {
        let canonical = fingerprint(kept).unwrap_or_else(|_| Fingerprint::of(&forms.0));
        return Ok(Comparison::Same(canonical));
    }
    let keeps_order = || Ok((0..TRIES).all(|_| to_json(folded).is_ok()));
    if without_order(kept)? == without_order(folded)? && !keeps_order()? {
        return Ok(Comparison::AnyOrder);
    }
    Ok(Comparison::Different { kept: Fingerprint::of(&forms.0), folded: Fingerprint::of(&forms.1) })
}

/// The JSON of a state and the hash of its exact form, as a snapshot stores them.
#[derive(Debug)]
pub(crate) struct StoredState {
    pub(crate) json: Vec<u8>,
    /// The hash of the exact form.
    pub(crate) exact_sha256: Fingerprint,
}

/// Returns the JSON of `state`, checked to be read back as the same state, or returns why that is not possible.
pub(crate) fn to_json<S: Serialize + DeserializeOwned>(
    state: &S,
) -> std::result::Result<StoredState, String> {
    let unfit = |error| format!("the state cannot be written as JSON ({error}); {MANUAL}");
    let json = serde_json::to_vec(state).map_err(unfit)?;
    let back: S = serde_json::from_slice(&json).map_err(|error| {
        format!("the state cannot be read back from its JSON ({error}); {MANUAL}")
    })?;
    let form = exact(state).map_err(unfit)?;
    if form == exact(&back).map_err(unfit)? {
        return Ok(StoredState { json, exact_sha256: Fingerprint::of(&form) });
    }
    let same_values = without_order(state).ok() == without_order(&back).ok();
    let how = if same_values { "in another order" } else { "as a different state" };
    Err(format!("the state is read back from its JSON {how}; {MANUAL}"))
}

/// Reads a state from its JSON, or returns why that is not possible. `exact_sha256` is the hash of the exact form of
/// the state that was written.
pub(crate) fn from_json<S: Serialize + DeserializeOwned>(
    json: &[u8],
    exact_sha256: &Fingerprint,
) -> std::result::Result<S, String> {
    let unfit = |error| format!("its state does not fit the projection's ({error})");
    let state: S = serde_json::from_slice(json).map_err(unfit)?;
    if Fingerprint::of(&exact(&state).map_err(unfit)?) != *exact_sha256 {
        return Err("its state is read back as a different state: the type of the state has changed, or does not \
                    preserve the order of its values"
            .into());
    }
    Ok(state)
}

/// The end of each error message: it names the page that helps.
const MANUAL: &str = "docs/PROJECTIONS.md lists the states that a snapshot can store";

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use serde::Deserialize;

    use super::*;

    #[derive(Serialize, Deserialize, Debug, Clone, Copy)]
    #[serde(untagged)]
    enum Untagged {
        Large(u64),
        Signed(i64),
        Named { it: u64 },
    }

    #[derive(Serialize, Deserialize)]
    enum Tagged {
        Unit,
        Newtype(u8),
        Tuple(u8, u8),
        Struct { a: u8, b: u8 },
    }

    #[derive(Serialize, Deserialize)]
    struct Unit;

    #[derive(Serialize, Deserialize)]
    struct Newtype(u8);

    fn form(value: &impl Serialize) -> Vec<u8> {
        exact(value).unwrap()
    }

    #[test]
    fn values_that_differ_for_serde_have_different_forms() {
        let forms = [
            form(&None::<Option<u8>>),
            form(&Some(None::<u8>)),
            form(&Some(Some(1_u8))),
            form(&()),
            form(&Unit),
            form(&Newtype(1)),
            form(&1_u8),
            form(&1_u16),
            form(&1_u32),
            form(&1_u64),
            form(&1_u128),
            form(&1_i8),
            form(&1_i16),
            form(&1_i32),
            form(&1_i64),
            form(&1_i128),
            form(&1.0_f32),
            form(&1.0_f64),
            form(&0.0_f64),
            form(&-0.0_f64),
            form(&f64::NAN),
            form(&f64::INFINITY),
            form(&true),
            form(&'a'),
            form(&"a"),
            form(&[1_u8]),
            form(&vec![1_u8]),
            form(&vec![vec![1_u8], vec![]]),
            form(&vec![vec![], vec![1_u8]]),
            form(&vec![vec![1_u8]]),
            form(&("a", "bc")),
            form(&("ab", "c")),
            form(&BTreeMap::from([(1_u8, 2_u8)])),
            form(&BTreeMap::from([(2_u8, 1_u8)])),
            form(&Untagged::Named { it: 1 }),
            form(&Tagged::Unit),
            form(&Tagged::Newtype(1)),
            form(&Tagged::Tuple(1, 1)),
            form(&Tagged::Struct { a: 1, b: 1 }),
        ];
        for (at, one) in forms.iter().enumerate() {
            let same = forms.iter().filter(|other| *other == one).count();
            assert_eq!(same, 1, "form {at}: {one:?}");
            let begins = forms.iter().filter(|other| other.starts_with(one)).count();
            assert_eq!(begins, 1, "form {at} begins another: {one:?}");
        }
        assert_ne!(form(&Untagged::Large(1)), form(&Untagged::Signed(1)));
    }

    #[derive(Serialize)]
    struct Sets {
        plain: HashSet<i32>,
        inner: Vec<Option<HashSet<i32>>>,
    }

    #[test]
    fn the_order_counts_in_sequences_and_not_in_maps_and_sets() {
        let numbers = || (0_i32..100).map(|n| n * 37 % 100 - 50);
        let pairs = || numbers().map(|n| (n.to_string(), vec![n]));
        let map: HashMap<_, _> = pairs().collect();
        assert_eq!(form(&map), form(&pairs().rev().collect::<HashMap<_, _>>()));
        assert_eq!(form(&map), form(&map.iter().collect::<BTreeMap<_, _>>()));

        let sets =
            || Sets { plain: numbers().collect(), inner: vec![Some(numbers().collect()), None] };
        assert_eq!(form(&sets()), form(&sets()));
        assert_eq!(form(&Box::new(&sets().plain)), form(&sets().plain));

        let backward: Vec<_> = numbers().rev().collect();
        let forward: Vec<_> = numbers().collect();
        assert_ne!(form(&backward), form(&forward));
        assert_eq!(without_order(&backward).unwrap(), without_order(&forward).unwrap());
        assert_ne!(without_order(&vec![1, 1]).unwrap(), without_order(&vec![1]).unwrap());
    }

    #[test]
    fn a_state_of_another_type_is_refused() {
        let StoredState { json, exact_sha256 } = to_json(&(1_u8, Some(2))).unwrap();
        assert_eq!(from_json::<(u8, Option<i32>)>(&json, &exact_sha256).unwrap(), (1, Some(2)));
        let error = from_json::<(u16, Option<i32>)>(&json, &exact_sha256).unwrap_err();
        assert!(error.contains("as a different state"), "{error}");
    }

    #[test]
    fn a_state_that_json_changes_is_refused() {
        assert!(to_json(&Some(1.5)).is_ok());
        assert!(to_json(&Untagged::Large(5)).is_ok());
        for error in [
            to_json(&Some(None::<u8>)),
            to_json(&Some(f64::INFINITY)),
            to_json(&Some(f64::NAN)),
            to_json(&vec![Untagged::Signed(5)]),
        ] {
            assert!(error.unwrap_err().contains("as a different state"));
        }
        let error = to_json(&BTreeMap::from([((1, 2), 3)])).unwrap_err();
        assert!(error.contains("cannot be written"), "{error}");
        let error = to_json(&f64::NAN).unwrap_err();
        assert!(error.contains("cannot be read back"), "{error}");
    }

    /// A set whose type does not show that it is one.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Disguised(HashSet<u64>);

    #[test]
    fn an_order_that_the_type_does_not_preserve_is_not_a_difference() {
        let set = |numbers: std::ops::Range<u64>| Disguised(numbers.collect());
        let error = to_json(&set(0..20)).unwrap_err();
        assert!(error.contains("in another order"), "{error}");
        assert_eq!(compare(&set(0..20), &set(0..20)).unwrap(), Comparison::AnyOrder);
        let different = compare(&set(0..20), &set(1..21)).unwrap();
        assert!(matches!(different, Comparison::Different { .. }));
        let different = compare(&vec![1, 2], &vec![2, 1]).unwrap();
        assert!(matches!(different, Comparison::Different { .. }));
        let set = |numbers: std::ops::Range<u64>| numbers.collect::<HashSet<_>>();
        assert!(to_json(&set(0..20)).is_ok());
        assert!(matches!(compare(&set(0..20), &set(0..20)).unwrap(), Comparison::Same(_)));
    }
}
