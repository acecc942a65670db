use annals::Event;

#[derive(Event)]
enum Booking {
    SeatsSold {
        #[event(tag = "seat", id)]
        seats: Option<Vec<String>>,
    },
}

fn main() {}
