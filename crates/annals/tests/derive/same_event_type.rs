use annals::Event;

#[derive(Event)]
enum Booking {
    SeatSold { seat: String },
    #[event(rename = "seat-sold")]
    Sold { seat: String },
    Seat_Sold { seat: String },
}

fn main() {}
