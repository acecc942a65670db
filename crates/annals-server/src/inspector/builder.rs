//! The form that builds a query, and the query as a command, a request and code.

use maud::{Markup, html};
use serde_json::json;

use super::filter::{Filter, Row, Window};
use super::text::{shown, unmasked, url};

/// Returns the form. It has a field for each name of the query, and an empty one behind them.
pub(super) fn form(filter: &Filter, limit: u64, live: bool) -> Markup {
    let empty = [Row::default()];
    let rows: &[Row] = if filter.rows.is_empty() { &empty } else { &filter.rows };
    html! {
        form.builder method="get" action="/ui/events" {
            @for (index, row) in rows.iter().enumerate() {
                @if index > 0 { input type="hidden" name="or"; }
                (fieldset(row, index))
            }
            details.more open[filter.rows.len() > 1] {
                summary { "Or events that match something else" }
                input type="hidden" name="or";
                (fieldset(&Row::default(), rows.len()))
            }
            div.fields {
                label { "Text in data or metadata" input name="text" value=(filter.text) placeholder="any text" maxlength="255"; }
                label { "From (offset or time)" input name="from" value=(filter.from) placeholder="0"; }
                label { "Before (offset or time)" input name="to" value=(filter.to) placeholder="the head"; }
                label { "Order"
                    select name="order" {
                        option value="newest" selected[!filter.oldest_first] { "newest first" }
                        option value="oldest" selected[filter.oldest_first] { "oldest first" }
                    }
                }
                label { "Events" input type="number" name="limit" min="1" max="500" value=(limit); }
            }
            details.more {
                summary { "Paste a query or a condition as JSON" }
                label { "JSON as POST /v1/query or POST /v1/events takes it"
                    textarea name="json" rows="3" placeholder=r#"{"fail_if":[{"tags":["seat:12A"]}],"after":9}"# {}
                }
            }
            div.buttons {
                button.main { "Show events" }
                @if live { input type="hidden" name="live" value="1"; }
                a href="/ui/events" { "Clear" }
            }
            datalist #types {}
            datalist #tags {}
        }
    }
}

fn fieldset(row: &Row, index: usize) -> Markup {
    let number = index + 1;
    html! {
        fieldset {
            legend { @if index == 0 { "Events of one of these types, with all of these tags" } @else { "or" } }
            div.names { (names("type", "Type", number, &row.types)) (names("tag", "Tag", number, &row.tags)) }
        }
    }
}

fn names(field: &str, title: &str, row: usize, names: &[String]) -> Markup {
    let list = format!("{field}s");
    html! {
        div {
            @for (index, name) in names.iter().map(String::as_str).chain([""]).enumerate() {
                label {
                    span.hidden[index > 0] { (title) @if index > 0 { " " (index + 1) } @if row > 1 { " of row " (row)
                        } }
                    @if let Some(name) = unmasked(name) { (name) }
                    input name=(field) value=(name) list=(list) maxlength="255" autocomplete="off" placeholder={
                        "any " (field) }
                        hx-get={ "/ui/suggest/" (list) } hx-trigger="focus once, input changed delay:150ms"
                            hx-target={ "#" (list) };
                }
            }
        }
    }
}

/// Returns the query in other languages, to copy. `offsets` is the window of the filter.
pub(super) fn copies(filter: &Filter, offsets: Window, limit: u64) -> Markup {
    html! {
        details.copies {
            summary { "Copy this query as a command, a request or code" }
            @if !filter.text.is_empty() {
                p.dim { "Only this page searches for text. Filter the lines of the command or the request, as with grep." }
            }
            h2 { "Command" } pre { (command(filter, limit)) }
            @if !is_in_offsets(&filter.from) || !is_in_offsets(&filter.to) {
                p.dim { "The command has the times of the window; the others have the offsets that these times have now." }
            }
            h2 { "curl" } pre { (request(filter, offsets, limit)) }
            h2 { "Rust" } pre { (shown(&rust(filter, offsets))) }
            h2 { "A condition of an append" } pre { (condition(filter, offsets)) }
            @if offsets.to.is_some() {
                p.dim { "A condition has no end: the events behind the window count, too." }
            }
        }
    }
}

/// Returns a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn command(filter: &Filter, limit: u64) -> Markup {
    let mut text = String::from("annals read my.store");
    // The command takes one alternative.
    let Some(row) = filter.rows.first().filter(|_| filter.rows.len() == 1) else {
        return if filter.rows.is_empty() {
            window(filter, limit, &mut text);
            shown(&text)
        } else {
            html! { span.dim { "The command reads one alternative at a time; use the request." } }
        };
    };
    for name in &row.types {
        text.extend([" --type ", &quoted(name)]);
    }
    for name in &row.tags {
        text.extend([" --tag ", &quoted(name)]);
    }
    window(filter, limit, &mut text);
    shown(&text)
}

/// Returns whether a bound is an offset or empty, and not a time.
fn is_in_offsets(bound: &str) -> bool {
    bound.bytes().all(|byte| byte.is_ascii_digit())
}

fn window(filter: &Filter, limit: u64, text: &mut String) {
    for (bound, offset, time) in
        [(&filter.from, "--from", "--since"), (&filter.to, "--to", "--until")]
    {
        if !bound.is_empty() {
            let option = if is_in_offsets(bound) { offset } else { time };
            text.extend([" ", option, " ", &quoted(bound)]);
        }
    }
    if !filter.oldest_first {
        text.push_str(" --reverse");
    }
    text.extend([" --limit ", &limit.to_string()]);
}

fn request(filter: &Filter, offsets: Window, limit: u64) -> Markup {
    let mut body =
        json!({ "items": filter.items(), "reverse": !filter.oldest_first, "limit": limit });
    for (name, bound) in [("from", offsets.from), ("to", offsets.to)] {
        if let Some(offset) = bound {
            body[name] = offset.into();
        }
    }
    let body = quoted(&body.to_string());
    shown(&format!(
        "curl http://localhost:50051/v1/query -H 'Content-Type: application/json' -d {body}"
    ))
}

fn rust(filter: &Filter, Window { from, to }: Window) -> String {
    let query = query(filter);
    if from.is_none() && to.is_none() {
        return query;
    }
    let text = |bound: Option<u64>| bound.map(|offset| offset.to_string()).unwrap_or_default();
    format!("store.query(&{query}).range({}..{})", text(from), text(to))
}

fn query(filter: &Filter) -> String {
    if filter.rows.is_empty() {
        return "Query::all()".to_owned();
    }
    let items: Vec<String> = filter
        .rows
        .iter()
        .map(|row| {
            let types = row.types.iter().map(|name| format!(".event_type({name:?})"));
            let tags = row.tags.iter().map(|name| format!(".tag({name:?})"));
            format!("QueryItem::new(){}", types.chain(tags).collect::<String>())
        })
        .collect();
    match &items[..] {
        [item] => format!("Query::item({item})"),
        items => format!("Query::from_iter([{}])", items.join(", ")),
    }
}

fn condition(filter: &Filter, offsets: Window) -> Markup {
    let after = offsets.from.unwrap_or(0);
    shown(&json!({ "fail_if": filter.items(), "after": after }).to_string())
}

/// Returns the options of a field's completion.
pub(super) fn options(names: &[String]) -> Markup {
    html! { @for name in names { option value=(name) {} } }
}

/// Returns the URL of the events that match one alternative.
pub(super) fn events_url(types: &[&str], tags: &[&str]) -> String {
    let types = types.iter().map(|name| ("type", *name));
    let parameters: Vec<_> = types.chain(tags.iter().map(|name| ("tag", *name))).collect();
    url("/ui/events", &parameters)
}

#[cfg(test)]
mod tests {
    use super::super::params::Params;
    use super::*;

    #[test]
    fn a_query_is_copied_in_each_form() {
        let parse = |query| Filter::parse(&Params::parse(Some(query))).unwrap();
        let filter = parse("type=a&tag=it's&from=7&to=2026-01-05");
        let window = Window { from: Some(7), to: Some(12) };
        let text = copies(&filter, window, 9).into_string();
        for part in [
            "--type &#39;a&#39; --tag &#39;it&#39;\\&#39;&#39;s&#39; --from &#39;7&#39; --until",
            "&quot;from&quot;:7",
            "&quot;to&quot;:12",
            "store.query(&amp;Query::item(QueryItem::new().event_type(&quot;a&quot;).tag(&quot;it&#39;s&quot;))).range(7..12)",
            "&quot;after&quot;:7",
            "A condition has no end",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let two = copies(&parse("type=a&or=&tag=b"), Window::default(), 9).into_string();
        assert!(two.contains("Query::from_iter([QueryItem::new()"), "{two}");
        assert!(
            copies(&Filter::default(), Window::default(), 9).into_string().contains("Query::all()")
        );
    }
}
