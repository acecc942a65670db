//! What a fuzz target calls: what a browser sends to the pages, and what the pages make of data.

use maud::Markup;

use super::builder::{copies, form};
use super::filter::{Filter, Window};
use super::params::Params;
use super::payload::payload;
use super::text::{excerpt, is_deceptive, preview};

/// Elements that have no end.
const VOID: [&str; 1] = ["input"];

/// Parses the input as the parameters of a page, shows it as data, and merges it into a state.
pub(crate) fn parse(input: &[u8]) {
    query(input);
    for form in ["json", "text", "hex"] {
        shown(&payload(0, input, Some(form)));
    }
    shown(&preview(input));
    shown(&excerpt(input, "a"));
    super::state::fuzz(input);
}

/// Checks that the filter of a page is in its URL.
fn query(input: &[u8]) {
    let Ok(filter) = Filter::parse(&Params::of_form(input)) else { return };
    // A name that is empty is not in the URL, and no query has it.
    if filter.query().is_err() {
        return;
    }
    let mut url = form_urlencoded::Serializer::new(String::new());
    url.extend_pairs(filter.parameters());
    let again = Filter::parse(&Params::parse(Some(&url.finish())));
    assert_eq!(again.ok().as_ref(), Some(&filter));
    balanced(&form(&filter, 50, true));
    shown(&copies(&filter, Window::default(), 50));
}

/// Checks that HTML is balanced, and that no character changes how others look.
fn shown(html: &Markup) {
    balanced(html);
    let is_hidden = |character| is_deceptive(character) && !matches!(character, '\n' | '\t');
    assert!(!html.0.contains(is_hidden), "{}", html.0);
}

/// Checks that each element ends where it should, and that none is a script or an image.
fn balanced(html: &Markup) {
    let mut open = Vec::new();
    for tag in html.0.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("the end of a tag");
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        assert!(!matches!(name, "script" | "img" | "style" | "iframe"), "{tag}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{}", html.0);
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0], "{}", html.0);
}
