use annals::Event;

#[derive(Event)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(Event)]
enum Booking<'a> {
    SeatSold { seat: &'a str },
}

fn main() {}
