use annals::Event;

#[derive(Event)]
#[event(rename_all = "camelCase")]
enum Booking {
    #[event(name = "sold")]
    SeatSold {
        #[event(label = "seat")]
        seat: String,
    },
}

#[derive(Event)]
#[event(kind)]
struct Opened;

#[derive(Event)]
enum Inner {
    #[event(rename = "opened")]
    Opened(#[event(label)] Opened),
}

fn main() {}
