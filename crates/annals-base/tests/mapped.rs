//! Tests of the mapped file through its public interface.

// Miri does not support file mappings.
#![cfg(not(any(loom, miri)))]

use std::{
    fs::File,
    io::{ErrorKind, Write},
};

use annals_base::MappedFile;

fn map(file: &File, len: usize) -> std::io::Result<MappedFile> {
    // SAFETY: only these tests have the files, and the files only grow.
    unsafe { MappedFile::map(file, len) }
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    file
}

#[test]
fn shows_the_first_bytes_and_outlives_the_file() {
    const fn is_send_and_sync<T: Send + Sync>() {}
    const { is_send_and_sync::<MappedFile>() };

    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = file_of(&bytes);
    let all = map(&file, bytes.len()).unwrap();
    let part = map(&file, 4_097).unwrap();
    drop(file);
    assert_eq!(all.as_ref(), bytes);
    assert_eq!(part.as_ref(), &bytes[..4_097]);
    assert_eq!((part.len(), part.is_empty()), (4_097, false));
    assert_eq!(format!("{part:?}"), "MappedFile { len: 4097, .. }");
}

#[test]
fn no_bytes_need_no_mapping() {
    for file in [file_of(b""), file_of(b"some")] {
        let mapped = map(&file, 0).unwrap();
        assert_eq!((mapped.as_ref(), mapped.is_empty()), (&[][..], true));
    }
}

#[test]
fn beyond_the_end_is_refused() {
    for (len, message) in [
        (5, "cannot map 5 bytes of a file that has 4".to_owned()),
        (usize::MAX, format!("cannot map {} bytes of a file that has 4", usize::MAX)),
    ] {
        let error = map(&file_of(b"four"), len).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, message));
    }
}

#[test]
fn the_file_may_grow_into_its_mapping_and_beyond() {
    let mut file = file_of(b"then");
    let before = map(&file, 4).unwrap();
    file.write_all(b" and now").unwrap();
    assert_eq!(before.as_ref(), b"then");
    assert_eq!(map(&file, 12).unwrap().as_ref(), b"then and now");
}
