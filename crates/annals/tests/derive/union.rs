use annals::Event;

#[derive(Event)]
union Either {
    number: u32,
    bytes: [u8; 4],
}

fn main() {}
