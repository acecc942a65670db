use annals::Event;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Opened;

#[derive(Event)]
enum Booking {
    #[serde(with = "elsewhere")]
    SeatSold { seat: String },
    #[serde(default)]
    SeatFreed { seat: String },
    Opened(#[serde(default)] Opened),
}

fn main() {}
