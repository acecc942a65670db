//! What the macro refuses, and how it says so: a file each, beside the tests of what it takes.

#[test]
fn what_is_refused_says_what_would_be_right() {
    trybuild::TestCases::new().compile_fail("../annals/tests/derive/*.rs");
}
