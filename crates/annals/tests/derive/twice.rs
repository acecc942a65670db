use annals::Event;

#[derive(Event)]
#[event(rename = "one", rename = "two")]
struct Named;

#[derive(Event)]
#[event(codec = annals::Json)]
#[event(codec = annals::Json)]
struct Coded;

#[derive(Event)]
enum Booking {
    SeatSold {
        #[event(id)]
        seat: String,
        #[event(id)]
        order: String,
    },
    SeatFreed {
        #[event(id, id)]
        seat: String,
    },
}

fn main() {}
