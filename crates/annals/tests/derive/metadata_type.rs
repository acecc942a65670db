use annals::Event;

#[derive(Event)]
enum Booking {
    SeatSold {
        #[event(metadata)]
        user: String,
    },
}

fn main() {}
