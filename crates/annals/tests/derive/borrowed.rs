use annals::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize)]
struct Named {
    name: &'static str,
    #[serde(skip)]
    skipped: &'static str,
}

#[derive(Event)]
enum Booking {
    SeatsSold { seats: Option<Vec<&'static str>> },
    Moved { rows: &'static [u8] },
    Noted(&'static Note),
}

#[derive(Event, Serialize, Deserialize)]
struct Note;

fn main() {}
