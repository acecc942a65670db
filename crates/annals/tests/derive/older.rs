use annals::{CodecError, Event, RawEvent};

#[derive(Event)]
#[event(alias = "booking", upcast = nothing)]
enum OnTheEnum {
    Opened,
}

#[derive(Event)]
enum OnAField {
    Opened {
        #[event(alias = "old", upcast = nothing)]
        by: String,
    },
}

#[derive(Event)]
enum Twice {
    #[event(alias = "closed")]
    Opened,
    Closed,
    #[event(alias = "shut", alias = "shut")]
    Ended,
}

#[derive(Event)]
enum Unfit {
    #[event(upcast = "nothing")]
    Closed,
}

fn nothing(_: &RawEvent) -> Result<Option<Unfit>, CodecError> {
    Ok(None)
}

fn main() {}
