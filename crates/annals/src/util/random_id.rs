//! Random ids: UUIDs of version 4.

/// Returns a new id, different from all others.
#[cfg(target_os = "linux")]
pub(crate) fn random_id() -> uuid::Uuid {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; 16];
    // The system fills 16 bytes at once, also if a signal arrives.
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(16) => uuid::Builder::from_random_bytes(bytes).into_uuid(),
        result => panic!("the system has no random bytes: {result:?}"),
    }
}

/// Returns a new id, different from all others.
#[cfg(not(target_os = "linux"))]
pub(crate) fn random_id() -> uuid::Uuid {
    uuid::Uuid::new_v4()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_of_version_4() {
        let (one, other) = (random_id(), random_id());
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 4);
    }
}
