use annals::{CodecError, Event, RawEvent};

#[derive(Event)]
struct Neither {
    by: String,
}

#[derive(Event, serde::Serialize)]
struct OnlySerialize {
    by: String,
}

struct Opened {
    by: String,
}

impl Event for Opened {
    fn event_type(&self) -> &'static str {
        "opened"
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(_: &RawEvent) -> Result<Self, CodecError> {
        Ok(Self { by: String::new() })
    }
}

#[derive(Event)]
enum Booking {
    Opened(Opened),
}

fn main() {}
