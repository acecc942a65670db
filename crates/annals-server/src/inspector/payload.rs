//! The data of an event: JSON that folds, text, or bytes.

use std::fmt::Write as _;

use annals_lines::Data;
use maud::{Markup, PreEscaped, html};

use super::json_view::json;
use super::text::{counted, push_text, size};

/// The largest data that is parsed as JSON for a page.
const MAX_JSON: usize = 4 << 20;
/// The largest part of data that is shown as text.
const MAX_TEXT: usize = 64 << 10;
/// The largest part of data that is shown as bytes.
const MAX_HEX: usize = 4 << 10;

/// The forms in which data is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Text,
    Hex,
}

impl Form {
    const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::Json, "json", "JSON"), (Self::Text, "text", "Text"), (Self::Hex, "hex", "Bytes")];

    /// Returns the form with this name, or the one that suits the data.
    fn choose(name: Option<&str>, data: &[u8]) -> Self {
        let chosen = Self::ALL.into_iter().find(|(_, known, _)| Some(*known) == name);
        chosen.map_or_else(
            || match std::str::from_utf8(data) {
                Ok(_) if is_json(data) => Self::Json,
                Ok(_) => Self::Text,
                Err(_) => Self::Hex,
            },
            |(form, ..)| form,
        )
    }
}

fn is_json(data: &[u8]) -> bool {
    data.len() <= MAX_JSON && matches!(Data::of(data), Data::Json(_))
}

/// Returns the data of the event at `offset`, with links to its other forms.
pub(super) fn payload(offset: u64, data: &[u8], form: Option<&str>) -> Markup {
    let chosen = Form::choose(form, data);
    html! {
        div.bar {
            h2 { "Data " span.dim { (size(data.len() as u64)) } }
            nav.tabs aria-label="Forms of the data" {
                @for (form, name, title) in Form::ALL {
                    @if form == chosen {
                        a href={ "?show=" (name) } aria-current="true" { (title) }
                    } @else {
                        a href={ "?show=" (name) } { (title) }
                    }
                }
                a href={ "/ui/events/" (offset) "/data" } { "Download" }
            }
        }
        @if data.is_empty() {
            p.empty { "The event has no data." }
        } @else {
            @match chosen {
                Form::Json => (as_json(data)),
                Form::Text => (as_text(data)),
                Form::Hex => (as_hex(data)),
            }
        }
    }
}

fn as_json(data: &[u8]) -> Markup {
    if data.len() > MAX_JSON {
        return html! {
            p.note { "The data is larger than " (size(MAX_JSON as u64)) ", so its beginning is shown as text." }
            (as_text(data))
        };
    }
    match Data::of(data) {
        Data::Json(text) => value(&text),
        _ => {
            html! { p.note { "The data is not valid JSON, or nests too deeply." } (as_text(data)) }
        }
    }
}

/// Returns valid JSON as a box that folds.
pub(super) fn value(text: &str) -> Markup {
    let (shown, all) = json(text);
    html! {
        div.json { (shown) }
        @if !all { p.note { "The rest is not shown." } }
    }
}

fn as_text(data: &[u8]) -> Markup {
    let part = &data[..data.len().min(MAX_TEXT)];
    let mut text = String::new();
    push_text(&String::from_utf8_lossy(part), true, &mut text);
    html! { pre.payload dir="ltr" { (PreEscaped(text)) } (rest(data.len() - part.len())) }
}

fn as_hex(data: &[u8]) -> Markup {
    let part = &data[..data.len().min(MAX_HEX)];
    let mut text = String::new();
    for (index, line) in part.chunks(16).enumerate() {
        let mut hex = String::new();
        for byte in line {
            // Writing into a String does not fail.
            let _ = write!(hex, "{byte:02x} ");
        }
        let letter = |&byte: &u8| if byte.is_ascii_graphic() { char::from(byte) } else { '.' };
        let letters: String = line.iter().map(letter).collect();
        let _ = writeln!(text, "{:08x}  {hex:<48} {letters}", index * 16);
    }
    html! { pre.payload.hex { (text) } (rest(data.len() - part.len())) }
}

fn rest(bytes: usize) -> Markup {
    html! { @if bytes > 0 { p.note { (counted(bytes as u64, "byte"))
    " more are not shown. Download the data to see them." } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_shown_in_the_form_that_suits_it() {
        for (data, form) in [
            (&b"{\"a\":1}"[..], Form::Json),
            (b"hello", Form::Text),
            (b"\xff", Form::Hex),
            (b"\"\\ud800\"", Form::Text),
        ] {
            assert_eq!(Form::choose(None, data), form, "{data:?}");
        }
        assert_eq!(Form::choose(Some("hex"), b"1"), Form::Hex);
        assert_eq!(Form::choose(Some("other"), b"1"), Form::Json);
    }

    #[test]
    fn large_and_deep_data_is_bounded() {
        let large = vec![b'<'; 16 << 20];
        for form in ["json", "text", "hex"] {
            let html = payload(0, &large, Some(form)).into_string();
            assert!(html.len() < 1 << 20 && html.contains("more are not shown"), "{form}");
        }
        let deep = vec![b'['; 1 << 20];
        let html = payload(0, &deep, Some("json")).into_string();
        assert!(html.contains("not valid JSON"));
        let hex = payload(0, b"a<\n", Some("hex")).into_string();
        assert!(hex.contains("00000000  61 3c 0a") && hex.contains("a&lt;."), "{hex}");
    }
}
