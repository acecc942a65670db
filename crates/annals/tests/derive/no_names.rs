use annals::Event;

#[derive(Event)]
enum Booking {
    SeatSold {
        #[event(tag = "seat-row")]
        row: u32,
        #[event(tag = "seat.row")]
        place: u32,
    },
    #[event(no_names)]
    Closed,
}

#[derive(Event)]
enum Order {
    Placed {
        #[event(id = "order")]
        order: u32,
    },
}

impl Order {
    fn order_id(&self) -> u32 {
        let Self::Placed { order } = self;
        *order
    }
}

fn main() {}
