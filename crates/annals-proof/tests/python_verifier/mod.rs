//! Runs the verifier of evidence in Python's standard library, which shares no code with ours. The tests of annals-channels
//! use this file too.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs the verifier on many files. It trusts a key or the address of an account. Returns what it found in each file, or
/// `None` for a file that it refused. If this machine has no Python, prints that the test is skipped, and returns `None`.
pub(crate) fn python(files: &[Vec<u8>], trusted: &str) -> Option<Vec<Option<Vec<String>>>> {
    let child = Command::new("python3")
        .args(["../annals-proof/tests/verify.py", trusted, "--many"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        let _ = std::io::stderr().write_all(b"skipped: there is no python3\n");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            for file in files {
                input.write_all(&u32::try_from(file.len()).unwrap().to_be_bytes()).unwrap();
                input.write_all(file).unwrap();
            }
        });
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<_> = text
        .lines()
        .map(|line| {
            let refused = line.starts_with("refused:");
            (!refused).then(|| serde_json::from_str::<Vec<String>>(line).unwrap())
        })
        .collect();
    assert_eq!(found.len(), files.len());
    Some(found)
}
