use annals::Event;

#[derive(Event)]
enum Booking {
    #[event(rename = "")]
    Empty,
    #[event(rename = "seat\nsold")]
    Control,
    #[event(rename = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    Long,
    __,
    Tagged {
        #[event(tag = "")]
        empty: String,
        #[event(tag = "seat\t")]
        control: String,
        #[event(id = "")]
        unnamed: String,
        #[event(tag = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
        long: String,
    },
}

fn main() {}
