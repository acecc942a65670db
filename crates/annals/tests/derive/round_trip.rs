#![allow(unreachable_patterns)]

use annals::Event;
use serde::{Deserialize, Serialize};

#[derive(Event)]
enum Names {
    #[serde(rename = "seat_sold")]
    SeatSold { seat: String },
    #[serde(alias = "seat_free")]
    SeatFreed { seat: String },
    #[serde(rename = "opened")]
    #[event(rename = "opened")]
    Opened,
}

#[derive(Event)]
enum LeftOut {
    Noted {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        labels: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "read")]
        read: Option<String>,
        #[serde(skip_serializing)]
        never: u8,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        more: Vec<String>,
    },
}

#[derive(Event, Serialize, Deserialize)]
struct Struct {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

#[derive(Event, Serialize, Deserialize, Default)]
#[serde(default)]
struct WithDefaults {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

#[derive(Event)]
enum Met {
    #[serde(rename_all = "camelCase")]
    Moved {
        first_place: u8,
        #[serde(rename = "firstPlace")]
        other: u8,
    },
    Read {
        from: u8,
        #[serde(alias = "from")]
        to: u8,
        #[serde(rename(serialize = "was", deserialize = "is"))]
        split: u8,
        #[serde(rename(serialize = "then", deserialize = "now"), alias = "then")]
        joined: u8,
    },
}

#[derive(Event, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct MetToo {
    place: u8,
    #[serde(rename = "PLACE")]
    other: u8,
}

fn read<'de, D: serde::Deserializer<'de>>(it: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(it)
}

fn main() {}
