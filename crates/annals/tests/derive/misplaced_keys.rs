use annals::Event;

#[derive(Event)]
#[event(rename = "booking")]
enum Booking {
    #[event(tag = "seat")]
    SeatSold {
        #[event(rename = "place")]
        seat: String,
    },
    #[event(codec = annals::Json)]
    SeatFreed {
        #[event(codec = annals::Json)]
        seat: String,
    },
    Closed(#[event(tag = "by")] Closed),
}

#[derive(Event)]
#[event(id)]
struct Closed {
    by: String,
}

fn main() {}
