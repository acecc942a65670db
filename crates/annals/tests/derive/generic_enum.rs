use annals::Event;

#[derive(Event)]
enum Booking<T> {
    SeatSold { seat: T },
}

#[derive(Event)]
enum Sized<const N: usize> {
    SeatSold { seat: [u8; N] },
}

fn main() {}
