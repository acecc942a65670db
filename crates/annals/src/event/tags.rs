//! Tags and metadata: what an event has besides its type, its id and its payload.

/// The tags of an event, in the order in which they were added. A tag that is added twice counts once.
///
/// An event may have at most 64 tags of 1 to 255 bytes; the append checks that.
///
/// ```
/// use annals::Tags;
///
/// let mut tags = Tags::default();
/// tags.add("seat", "12A");
/// tags.push("refunded");
/// tags.add("seat", "12A");
/// assert_eq!(tags.iter().collect::<Vec<_>>(), ["seat:12A", "refunded"]);
/// ```
#[derive(Debug, Default, Clone)]
pub struct Tags {
    text: String,
    ends: Vec<usize>,
}

impl Tags {
    /// Adds the tag `name:value`, for example `seat:12A`.
    pub fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        use std::fmt::Write as _;
        self.text.push_str(name);
        self.text.push(':');
        // Writing into a String does not fail. If `Display` fails, the tag is the part that it wrote.
        let _ = write!(self.text, "{value}");
        self.end();
    }

    /// Adds `tag` unchanged.
    pub fn push(&mut self, tag: &str) {
        self.text.push_str(tag);
        self.end();
    }

    /// Returns the tags in the order in which they were added.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.ends.len()).map(|at| &self.text[self.start(at)..self.ends[at]])
    }

    /// Returns the number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether the list has no tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns whether the list has allocated memory.
    pub(crate) fn has_memory(&self) -> bool {
        self.text.capacity() > 0
    }

    /// Removes all tags and keeps the allocated memory.
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

/// The metadata of an event: text values under text names, sorted by name.
///
/// An event may have at most 64 entries. A name has 1 to 255 bytes, a value at most 65,535 bytes. The append checks
/// that.
///
/// ```
/// use annals::Metadata;
///
/// let mut metadata = Metadata::default();
/// metadata.set("user", "alice");
/// metadata.set("trace", "4bf92f35");
/// assert_eq!(metadata.get("user"), Some("alice"));
/// assert_eq!(metadata.iter().next(), Some(("trace", "4bf92f35")));
/// assert_eq!(metadata, Metadata::from([("user", "alice"), ("trace", "4bf92f35")]));
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub struct Metadata(std::collections::BTreeMap<String, String>);

impl Metadata {
    /// Sets `name` to `value`, and replaces the value that `name` had.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Returns the value of `name`, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the names and values, sorted by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the list has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<String>, V: Into<String>, const COUNT: usize> From<[(N, V); COUNT]> for Metadata {
    fn from(entries: [(N, V); COUNT]) -> Self {
        entries.into_iter().collect()
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
