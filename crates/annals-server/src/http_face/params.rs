//! The parameters of a request, and the queries in bodies.

use annals::{Query, QueryItem};
use serde::Deserialize;

use super::bounded::Bounded;
use crate::fault::Fault;
use crate::query_size::{MAX_ITEMS, MAX_NAMES, QuerySize};

/// The parameters behind the question mark of a URL.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses the parameters. A name that is not allowed is an error: a mistyped filter must not return everything.
    pub(super) fn parse(query: Option<&str>, allowed: &[&str]) -> Result<Self, Fault> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
        let pairs: Vec<(String, String)> = pairs.collect();
        match pairs.iter().find(|(name, _)| !allowed.contains(&&**name)) {
            None => Ok(Self(pairs)),
            Some((name, _)) => {
                let message = format!(
                    "there is no parameter {name:?} here; there are {}",
                    if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") }
                );
                Err(Fault::invalid(message).with("field", name.as_str()))
            }
        }
    }

    /// Returns all values of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Returns the value of a parameter that may be given once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Fault> {
        let mut values = self.all(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Fault::invalid(format!("give {name} once")).with("field", name)),
        }
    }

    /// Returns a number, which may be absent.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        self.one(name)?.map(|value| number(name, value)).transpose()
    }

    /// Returns whether a parameter is true.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => {
                Err(Fault::invalid(format!("{name} must be true or false")).with("field", name))
            }
        }
    }

    /// Returns the query of `type` and `tag`: one of the types, and all of the tags.
    pub(super) fn query(&self) -> Result<Query, Fault> {
        let item = QueryItem::new().event_types(self.all("type")).all_tags(self.all("tag"));
        checked(Query::item(item))
    }
}

/// Parses a number in a URL or a header.
pub(super) fn number(name: &str, value: &str) -> Result<u64, Fault> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if digits { value.parse().ok() } else { None };
    parsed.ok_or_else(|| {
        Fault::invalid(format!("{name} must be a whole number, 0 or more")).with("field", name)
    })
}

/// An item of a query in a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    #[serde(default)]
    types: Bounded<String, MAX_NAMES>,
    #[serde(default)]
    tags: Bounded<String, MAX_NAMES>,
}

/// The items of a query in a body.
pub(super) type Items = Bounded<Item, MAX_ITEMS>;

/// Returns the query of a body's items. `field` is their name, for messages.
pub(super) fn query_of(items: Items, field: &str) -> Result<Query, Fault> {
    if items.total == 0 {
        let message = format!("{field} has no items; [{{}}] stands for every event");
        return Err(Fault::invalid(message).with("field", field));
    }
    let names = items.kept.iter().map(|item| item.types.total + item.tags.total).sum();
    QuerySize::default().add(items.total, names).map_err(|fault| fault.with("field", field))?;
    let items = items.kept.into_iter();
    let items =
        items.map(|item| QueryItem::new().event_types(item.types.kept).all_tags(item.tags.kept));
    checked(items.collect())
}

fn checked(query: Query) -> Result<Query, Fault> {
    query.check()?;
    QuerySize::default().add_query(&query)?;
    Ok(query)
}
