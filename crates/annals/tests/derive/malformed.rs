use annals::Event;

#[derive(Event)]
#[event]
struct Bare;

#[derive(Event)]
#[event = "bare"]
struct Valued;

#[derive(Event)]
#[event(rename)]
struct Unnamed;

#[derive(Event)]
#[event(rename = opened)]
struct Unquoted;

#[derive(Event)]
struct Seat {
    #[event(tag = 7)]
    row: u8,
    #[event(id = letter)]
    letter: char,
}

#[derive(Event)]
#[event(codec = "annals::Json")]
struct Quoted;

fn main() {}
