use annals::{Event, Metadata};

#[derive(Event)]
struct Written {
    #[event(metadata)]
    cause: Metadata,
}

#[derive(Event)]
enum Booking {
    SeatSold {
        #[event(metadata)]
        cause: Metadata,
        #[event(metadata)]
        trace: Metadata,
    },
    SeatFreed {
        #[event(metadata, tag = "user")]
        user: Metadata,
    },
    SeatMoved {
        #[event(metadata)]
        #[serde(rename = "why")]
        cause: Metadata,
    },
    SeatNamed {
        #[event(metadata = "user")]
        user: Metadata,
    },
    Closed(#[event(metadata)] Metadata),
}

fn main() {}
