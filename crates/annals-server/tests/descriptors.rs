//! The compiled `.proto` files that the reflection service shows. `UPDATE=1 cargo test -p annals-server --test
//! descriptors` writes them again.

use std::fs;
use std::path::Path;

#[test]
fn the_descriptors_are_those_of_the_proto_files() {
    let proto = Path::new("proto");
    let files = ["umadb/v1/umadb.proto", "grpc/health/v1/health.proto"];
    let compiled = protox::Compiler::new([&proto])
        .expect("the directory is there")
        .include_imports(true)
        .open_files(files)
        .expect("the files compile")
        .encode_file_descriptor_set();
    let checked_in = proto.join("descriptors.bin");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&checked_in, &compiled).expect("the file is written");
    }
    assert!(
        fs::read(&checked_in).expect("the file is there") == compiled,
        "run this test with UPDATE=1"
    );
}
