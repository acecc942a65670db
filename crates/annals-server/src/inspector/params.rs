//! The parameters of a page's URL. Pages ignore names that they do not know and values that are empty: a form sends all
//! its fields.

use crate::fault::Fault;

/// The parameters behind the question mark of a URL, or in the body of a form, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self::of_form(query.unwrap_or_default().as_bytes())
    }

    pub(super) fn of_form(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Returns all parameters, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns the last value of a parameter that is not empty, without the space around it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let values = self.all().filter(|(other, _)| *other == name);
        values.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).last()
    }

    /// Returns the last value of a parameter that is not empty, as it is.
    pub(super) fn exact(&self, name: &str) -> Option<&str> {
        let values = self.all().filter(|(other, _)| *other == name);
        values.map(|(_, value)| value).filter(|value| !value.is_empty()).last()
    }

    /// Returns whether a parameter is there with a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// Returns a number, if the parameter is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        let message = || format!("{name} must be a whole number, 0 or more");
        number.map(Some).ok_or_else(|| Fault::invalid(message()).with("field", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_that_is_not_empty_counts() {
        let params = Params::parse(Some("a=&a=+1+&a=&b=x&b=%20&n=18446744073709551616"));
        assert_eq!((params.text("a"), params.exact("a")), (Some("1"), Some(" 1 ")));
        assert_eq!(
            (params.text("b"), params.exact("b"), params.text("c")),
            (Some("x"), Some(" "), None)
        );
        assert_eq!(params.number("a").unwrap(), Some(1));
        assert!(params.number("b").is_err() && params.number("n").is_err());
        assert!(params.has("a") && !params.has("c"));
    }
}
