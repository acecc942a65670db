//! The columns of an export, found in a first pass over the events.
//!
//! Each field of the data has a column, if the fields of all events can be in one order. A field that is new goes
//! behind the field that precedes it in its event, so that events with and without the field fit the same columns.

use std::collections::{HashMap, HashSet};

use annals::RawEvent;
use annals_cli::Data;

use super::fields::fields_of;

/// The most columns for fields. The data of events with further fields is in the column `data`.
const MAX_FIELDS: usize = 1_000;

/// The columns of an export.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub(crate) struct Titles {
    /// The names of fields, in the order of their columns.
    pub(crate) fields: Vec<String>,
    /// The index of each field in `fields`.
    pub(crate) index: HashMap<String, usize>,
    pub(crate) has_ids: bool,
    pub(crate) has_metadata: bool,
    /// Whether the data of some events is a whole in a column.
    pub(crate) has_data: bool,
    /// Whether some data is not JSON.
    pub(crate) has_base64: bool,
    /// The lists of fields that were seen, so that each is looked at once.
    seen: HashSet<Vec<String>>,
}

impl Titles {
    /// Adds the columns that an event needs.
    pub(crate) fn add(&mut self, event: &RawEvent) {
        self.has_ids |= event.id().is_some();
        self.has_metadata |= !event.metadata().is_empty();
        let payload = event.data_bytes();
        match fields_of(payload) {
            Some(fields) => {
                let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
                let is_known = |seen: &Vec<String>| seen.iter().eq(names.iter());
                if !self.seen.iter().any(is_known) {
                    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
                    self.add_fields(&names);
                    self.seen.insert(names);
                }
            }
            None if payload.is_empty() => {}
            None => match Data::of(payload) {
                Data::Json(json) if json.as_bytes() == payload => self.has_data = true,
                _ => self.has_base64 = true,
            },
        }
    }

    fn add_fields(&mut self, names: &[String]) {
        // The column behind that of the field before.
        let mut next = 0;
        for name in names {
            next = match self.fields.iter().position(|known| known == name) {
                Some(at) if at >= next => at + 1,
                None if self.fields.len() < MAX_FIELDS => {
                    self.fields.insert(next, name.clone());
                    next + 1
                }
                _ => {
                    self.has_data = true;
                    break;
                }
            };
        }
        self.index = self.fields.iter().cloned().zip(0..).collect();
    }

    /// Returns the titles of all columns.
    pub(crate) fn titles(&self) -> Vec<String> {
        let optional = [
            (self.has_ids, "id"),
            (self.has_metadata, "metadata"),
            (self.has_data, "data"),
            (self.has_base64, "data_base64"),
        ];
        let fixed = ["time", "type", "tags"].into_iter();
        let titles = fixed
            .chain(optional.into_iter().filter_map(|(is_used, title)| is_used.then_some(title)));
        titles.map(str::to_owned).chain(self.fields.iter().map(|field| pointer(field))).collect()
    }
}

/// Returns the JSON pointer of a field.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace('~', "~0").replace('/', "~1"))
}

/// Returns the name of the field that a title points to; `None` if it is not the pointer of a field.
pub(crate) fn field_of(title: &str) -> Option<String> {
    let name = title.strip_prefix('/')?;
    let is_whole = name.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (is_whole && !name.contains('/')).then(|| name.replace("~1", "/").replace("~0", "~"))
}
