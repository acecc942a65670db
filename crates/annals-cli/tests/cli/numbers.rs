//! Arguments that are numbers: the message says which would be right.

use crate::harness::{Place, annals};

#[test]
fn a_number_that_is_none_is_told_what_is_right() {
    let place = Place::new();
    let store = place.store("a.store", "");
    for (command, option) in
        [("read", "--from"), ("read", "--to"), ("read", "--limit"), ("tail", "--from")]
    {
        for bad in ["x", "-1", "1.5", "", "18446744073709551616"] {
            annals([command, &store, option, bad], "").complains(&[
                option,
                &format!("'{bad}'"),
                "a whole number from 0 on",
            ]);
        }
    }
    annals(["tail", &store, "--from", "start"], "").complains(&["or `end`"]);
    annals(["get", &store, "-1"], "").complains(&["'-1'", "a whole number from 0 on"]);
    for bad in ["x", "-1", "0", "65537"] {
        annals(["append", &store, "--batch", bad], "").complains(&[
            "--batch",
            &format!("'{bad}'"),
            "a whole number from 1 to 65536",
        ]);
    }
    for good in ["1", "65536"] {
        annals(["append", &store, "--batch", good], "").succeeds();
    }
}
