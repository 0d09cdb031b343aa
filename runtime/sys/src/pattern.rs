//! Regular expressions of the C library.

use std::{ffi::CString, io, mem::MaybeUninit};

/// A compiled POSIX extended regular expression. Source: regcomp(3).
pub struct Pattern(libc::regex_t);

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// `InvalidInput` when it is no regular expression.
    pub fn new(text: &str) -> io::Result<Self> {
        let text = CString::new(text)?;
        let mut compiled = MaybeUninit::uninit();
        // SAFETY: regcomp fills the structure when it returns 0; the text is a C string, which it does not keep.
        let done = unsafe {
            libc::regcomp(
                compiled.as_mut_ptr(),
                text.as_ptr(),
                libc::REG_EXTENDED | libc::REG_NOSUB,
            )
        };
        if done != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{text:?} is not a regular expression"),
            ));
        }
        // SAFETY: filled, as regcomp returned 0.
        Ok(Pattern(unsafe { compiled.assume_init() }))
    }

    /// Some part of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let Ok(text) = CString::new(text) else {
            return false;
        };
        // SAFETY: compiled by regcomp and not freed yet; no positions are asked for.
        unsafe { libc::regexec(&raw const self.0, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        // SAFETY: compiled by regcomp, freed once.
        unsafe { libc::regfree(&raw mut self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_part_unless_anchored() {
        let pattern = Pattern::new("^test-[0-9]+").unwrap();
        assert!(pattern.matches("test-12x") && !pattern.matches("a-test-1"));
        assert!(Pattern::new("st-*").unwrap().matches("test-x"));
        assert!(Pattern::new("(").is_err());
    }
}
