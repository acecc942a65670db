//! What an event shows of itself beside its payload: places to put its tags and its metadata.

/// A place to put an event's tags, in order; one given twice counts once.
#[derive(Debug, Default, Clone)]
pub struct Tags {
    text: String,
    ends: Vec<usize>,
}

impl Tags {
    /// Adds `name:value`, for example `seat:12A`.
    pub fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        use std::fmt::Write as _;
        self.text.push_str(name);
        self.text.push(':');
        // Writing into a String does not fail; a Display that gives up half-way leaves what it wrote.
        let _ = write!(self.text, "{value}");
        self.end();
    }

    /// Adds a tag as it is.
    pub fn push(&mut self, tag: &str) {
        self.text.push_str(tag);
        self.end();
    }

    /// The tags, in the order they were added.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|at| &self.text[self.start(at)..self.ends[at]])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets them all and keeps the room they took.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] }
    }

    fn end(&mut self) {
        let tag = &self.text[self.ends.last().copied().unwrap_or(0)..];
        if self.iter().any(|known| known == tag) {
            self.text.truncate(self.ends.last().copied().unwrap_or(0));
        } else {
            self.ends.push(self.text.len());
        }
    }
}

/// A place to put an event's metadata: names and values, both text, kept sorted by name.
///
/// At most 64 entries; a name is 1 to 255 bytes, a value at most 65,535.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Metadata(std::collections::BTreeMap<String, String>);

impl Metadata {
    /// Sets `name` to `value`; a name set twice keeps the later value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, sorted by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_given_twice_counts_once() {
        let mut tags = Tags::default();
        tags.add("seat", "12A");
        tags.push("row:12");
        tags.add("seat", "12A");
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["seat:12A", "row:12"]);
    }
}
