//! A text that never changes, and that is stored where it is used if it is short.

/// The size of the longest text that is stored inline, in bytes. A UUID in its usual form has 36.
const INLINE_BYTES: usize = 38;

/// A text. A short one is stored inline, so that it is compared without following a pointer.
#[derive(Debug)]
pub(crate) enum InlineText {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<str>),
}

const _: () = assert!(size_of::<InlineText>() == 40, "the tag, the length and the bytes");

impl InlineText {
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(text.as_bytes());
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(text.into()),
        }
    }

    /// Returns whether this is `text`. Faster than a comparison with [`as_str`](Self::as_str).
    #[inline]
    pub(crate) fn is(&self, text: &str) -> bool {
        self.as_bytes() == text.as_bytes()
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Inline { .. } => str::from_utf8(self.as_bytes()).expect("copied from a text"),
            Self::Heap(text) => text,
        }
    }

    /// Returns the number of bytes that the text takes besides its own size.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(text) => text.len(),
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(text) => text.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_around_the_limit_are_kept() {
        for len in [0, 1, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, 255, 256, 300] {
            let whole = "ä".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" };
            let text = InlineText::new(&whole);
            assert_eq!((text.as_str(), whole.len()), (&*whole, len));
            assert_eq!(text.heap_bytes(), if len > INLINE_BYTES { len } else { 0 });
            assert!(text.is(&whole) && !text.is(&format!("{whole}x")));
            if let Some((before, _)) = whole.char_indices().next_back() {
                assert!(!text.is(&whole[..before]) && !text.is(&format!("{}y", &whole[..before])));
            }
        }
    }
}
