//! Text that clients wrote, made safe to look at, and numbers, sizes, times and URLs as text.
//!
//! The template escapes markup. What it leaves are characters that change how the text around them looks: marks of the
//! writing direction, control characters, and characters without a width. These are written out as `\u{202e}`.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maud::{Markup, PreEscaped, html};

/// The last moment that RFC 3339 can express, in ms since 1970 UTC.
const LAST_RFC3339_MS: u64 = 253_402_300_799_999;

/// Returns whether a character would change how other text looks, or could not be seen itself.
pub(super) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Adds text to HTML: escaped, with deceptive characters written out. Line ends and tabs stay if `lines`.
pub(super) fn push_text(text: &str, lines: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' if lines => out.push(character),
            character if is_deceptive(character) => {
                let code = u32::from(character);
                // Writing into a String does not fail.
                let _ = write!(out, "<span class=\"esc\">\\u{{{code:x}}}</span>");
            }
            character => out.push(character),
        }
    }
}

/// Returns the beginning of a text of at most `limit` bytes, and whether that is all of it.
pub(super) fn beginning(text: &str, limit: usize) -> (&str, bool) {
    if text.len() <= limit {
        return (text, true);
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    (&text[..end], false)
}

/// Returns a name or value of a client as HTML, apart from the writing direction of the text around it.
pub(super) fn shown(text: &str) -> Markup {
    shown_up_to(text, usize::MAX)
}

/// Returns at most `limit` bytes of a text as [`shown`] does.
pub(super) fn shown_up_to(text: &str, limit: usize) -> Markup {
    let (text, all) = beginning(text, limit);
    let mut inside = String::new();
    push_text(text, false, &mut inside);
    html! { bdi { (PreEscaped(inside)) @if !all { "…" } } }
}

/// Returns a name with its deceptive characters written out, if it has any: for the label of a field, which shows the
/// name as it is.
pub(super) fn unmasked(text: &str) -> Option<Markup> {
    text.contains(is_deceptive).then(|| shown(text))
}

/// Returns data of an event in one short line.
pub(super) fn preview(data: &[u8]) -> Markup {
    const SHOWN: usize = 160;
    // A character that is cut in two at the end is not an error.
    let part = &data[..data.len().min(SHOWN)];
    let text = match std::str::from_utf8(part) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&part[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => {
            let bytes = data.iter().take(24).fold(String::new(), |mut text, byte| {
                // Writing into a String does not fail.
                let _ = write!(text, "{byte:02x} ");
                text
            });
            return html! { span.dim { (bytes) @if data.len() > 24 { "… " } "(" (size(data.len() as u64)) ")" } };
        }
    };
    let mut inside = String::new();
    push_text(text, false, &mut inside);
    html! { bdi { (PreEscaped(inside)) @if part.len() < data.len() { "…" } } }
}

/// Returns where a text is in bytes, whatever the case of its ASCII letters is.
pub(super) fn position(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let begins = [first.to_ascii_lowercase(), first.to_ascii_uppercase()];
    let last = bytes.len().checked_sub(text.len())?;
    (0..=last).find(|&at| {
        begins.contains(&bytes[at]) && bytes[at..at + text.len()].eq_ignore_ascii_case(text)
    })
}

/// Returns the data of an event around a text that it contains, or its [`preview`].
pub(super) fn excerpt(data: &[u8], text: &str) -> Markup {
    const AROUND: usize = 60;
    let Some(at) = position(data, text.as_bytes()) else { return preview(data) };
    let end = at + text.len();
    let (from, to) = (at.saturating_sub(AROUND), (end + AROUND).min(data.len()));
    // A character that is cut in two, and bytes that are not text, are shown as such.
    let part = |bytes: &[u8]| {
        let mut inside = String::new();
        push_text(&String::from_utf8_lossy(bytes), false, &mut inside);
        PreEscaped(inside)
    };
    html! {
        bdi {
            @if from > 0 { "…" } (part(&data[from..at])) mark { (part(&data[at..end])) } (part(&data[end..to]))
            @if to < data.len() { "…" }
        }
    }
}

/// Returns a number with its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number of bytes in the unit that suits it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.into_iter().find(|(_, shift)| bytes >= 1 << shift) {
        None => format!("{bytes} B"),
        #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
    }
}

/// Returns a time in nanoseconds in the unit that suits it.
pub(super) fn duration(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let scaled = |unit: f64| nanoseconds as f64 / unit;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} µs", scaled(1e3)),
        1_000_000..1_000_000_000 => format!("{:.1} ms", scaled(1e6)),
        _ => format!("{:.1} s", scaled(1e9)),
    }
}

/// Returns a time in ms since 1970 UTC as RFC 3339 has it, and as that number after the year 9999.
pub(super) fn time(time_ms: u64) -> String {
    if time_ms > LAST_RFC3339_MS {
        return time_ms.to_string();
    }
    let time = UNIX_EPOCH + Duration::from_millis(time_ms);
    humantime::format_rfc3339_millis(time).to_string().replace('T', " ")
}

/// Returns a system time as [`time`] does.
pub(super) fn moment(at: SystemTime) -> String {
    time(milliseconds(at))
}

/// Returns the milliseconds since 1970 UTC.
pub(super) fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// Returns a singular or a plural with its number.
pub(super) fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{} {word}s", grouped(count)) }
}

/// Returns a path of the inspector with parameters.
pub(super) fn url(path: &str, parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        return path.to_owned();
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    format!("{path}?{}", query.finish())
}

/// Returns the page of a tag.
pub(super) fn tag_url(tag: &str) -> String {
    url("/ui/tag", &[("name", tag)])
}

/// Returns the page of an event.
pub(super) fn event_url(offset: u64) -> String {
    format!("/ui/events/{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_clients_is_escaped_and_cannot_turn_the_text_around_it() {
        let shown = shown("<script>\u{202e}a\0&\"'\n").into_string();
        assert_eq!(
            shown,
            "<bdi>&lt;script&gt;<span class=\"esc\">\\u{202e}</span>a<span class=\"esc\">\\u{0}</span>\
             &amp;&quot;&#39;<span class=\"esc\">\\u{a}</span></bdi>"
        );
        let mut lines = String::new();
        push_text("a\n\tb\r", true, &mut lines);
        assert_eq!(lines, "a\n\tb<span class=\"esc\">\\u{d}</span>");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shown_up_to("äö", 3).into_string(), "<bdi>ä…</bdi>");
        assert_eq!(beginning("äö", 0), ("", false));
        assert_eq!(beginning("", 0), ("", true));
        let long = "ä".repeat(200);
        assert!(preview(long.as_bytes()).into_string().ends_with("ä…</bdi>"));
        let odd = format!("a{long}");
        assert!(preview(odd.as_bytes()).into_string().ends_with("ä…</bdi>"));
        assert!(preview(b"\xff<").into_string().contains("ff 3c"));
    }

    #[test]
    fn numbers_sizes_and_times() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned)
        );
        assert_eq!([1_023, 1_536].map(size), ["1023 B", "1.5 KiB"].map(str::to_owned));
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
        assert_eq!(
            [1, 1_500, 2_000_000].map(duration),
            ["1 ns", "1.5 µs", "2.0 ms"].map(str::to_owned)
        );
        assert_eq!(time(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
        assert_eq!(tag_url("a&b=ü"), "/ui/tag?name=a%26b%3D%C3%BC");
        assert_eq!(
            (counted(1, "event"), counted(2, "event")),
            ("1 event".into(), "2 events".into())
        );
    }
}
