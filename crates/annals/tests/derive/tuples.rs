use annals::Event;

#[derive(Event)]
enum Booking {
    SeatSold(String, u32),
    Closed(),
}

#[derive(Event)]
struct SeatFreed(String, u32);

#[derive(Event)]
struct Opened();

fn main() {}
