//! Arguments that are numbers: the message states which numbers are valid.

use crate::harness::{TestDir, annals};

#[test]
fn an_invalid_number_is_refused_with_the_valid_range() {
    let dir = TestDir::new();
    let store = dir.store("a.store", "");
    for (command, option) in
        [("read", "--from"), ("read", "--to"), ("read", "--limit"), ("tail", "--from")]
    {
        for bad in ["x", "-1", "1.5", "", "18446744073709551616"] {
            annals([command, &store, option, bad], "").complains(&[
                option,
                &format!("'{bad}'"),
                "a whole number from 0 to",
            ]);
        }
    }
    annals(["tail", &store, "--from", "start"], "").complains(&["or `end`"]);
    annals(["get", &store, "-1"], "").complains(&["'-1'", "a whole number from 0 to"]);
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
