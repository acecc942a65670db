//! Events as rows of a table.

use annals::{RawEvent, Recorded};
use maud::{Markup, html};

use super::text::{event_url, excerpt, grouped, shown_up_to, tag_url, time};

/// The largest number of tags in a row.
const TAGS: usize = 8;

/// The longest type and the longest tag that are shown whole, in bytes.
const LONGEST: usize = 80;

/// Returns a table of events.
pub(super) fn table(events: &[Recorded<RawEvent>]) -> Markup {
    table_of(&events.iter().map(row).collect::<Vec<_>>())
}

/// Returns a table of the rows of events. A page of many events makes each row at once, because events may be large.
pub(super) fn table_of(rows: &[Markup]) -> Markup {
    html! { table.events { (columns()) tbody { @for row in rows { (row) } } } }
}

/// Returns the head of a table of events.
pub(super) fn columns() -> Markup {
    html! {
        thead { tr { th scope="col" { "Offset" } th scope="col" { "Type" } th scope="col" { "Tags" }
            th scope="col" { "Data" } th scope="col" { "Recorded" } } }
    }
}

/// Returns the row of an event.
pub(super) fn row(recorded: &Recorded<RawEvent>) -> Markup {
    found(recorded, "")
}

/// Returns the row of an event that was found by a text in it. Without a text, the row has the beginning of the data.
pub(super) fn found(recorded: &Recorded<RawEvent>, text: &str) -> Markup {
    let event = &recorded.event;
    html! {
        tr {
            td.offset { a href=(event_url(recorded.offset)) { (grouped(recorded.offset)) } }
            td.type { (shown_up_to(event.event_type(), LONGEST)) }
            td.tags { (tags(event)) }
            td.data { (excerpt(event.data_bytes(), text)) }
            td.time { (time(recorded.time_ms)) }
        }
    }
}

fn tags(event: &RawEvent) -> Markup {
    let count = event.tags().len();
    html! {
        @for tag in event.tags().take(TAGS) { (tag_link(tag)) " " }
        @if count > TAGS { span.dim { "and " (count - TAGS) " more" } }
    }
}

/// Returns a link to the page of a tag.
pub(super) fn tag_link(tag: &str) -> Markup {
    html! { a.tag href=(tag_url(tag)) { (shown_up_to(tag, LONGEST)) } }
}
