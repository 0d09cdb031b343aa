//! Errors: `io::Error` with what was being done around it.
//!
//! The public interface speaks `io::Error`, because every failure here is one of the kernel's. [`Context::context`] adds
//! the operation and its object and keeps the kind and the error number.

use std::{fmt, io};

#[derive(Debug)]
struct Step {
    what: String,
    source: io::Error,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line with the causes: an io::Error prints only its own text and callers hand it to people as it is.
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Step {}

/// Adds to an error what was being done.
pub(crate) trait Context<T> {
    /// Wraps the error with `what`, which names the operation and its object.
    fn context(self, what: impl FnOnce() -> String) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> io::Result<T> {
        self.map_err(|e| {
            let source = e.into();
            io::Error::new(source.kind(), Step { what: what(), source })
        })
    }
}

/// The error number at the bottom of `error`, if the kernel gave one.
pub(crate) fn errno(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let step = error.get_ref()?.downcast_ref::<Step>()?;
        errno(&step.source)
    })
}

/// A request or configuration that cannot be carried out.
pub(crate) fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

/// An error in a form that crosses a process boundary.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Failure {
    text: String,
    errno: Option<i32>,
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        // Kinds that std makes without an error number keep their meaning through the number they stand for.
        let errno = errno(&e).or(match e.kind() {
            io::ErrorKind::NotFound => Some(libc::ENOENT),
            io::ErrorKind::PermissionDenied => Some(libc::EACCES),
            io::ErrorKind::InvalidInput => Some(libc::EINVAL),
            io::ErrorKind::AlreadyExists => Some(libc::EEXIST),
            io::ErrorKind::UnexpectedEof => None,
            _ => None,
        });
        Failure {
            text: e.to_string(),
            errno,
        }
    }
}

impl From<Failure> for io::Error {
    fn from(f: Failure) -> Self {
        let kind = f
            .errno
            .map_or(io::ErrorKind::Other, |n| io::Error::from_raw_os_error(n).kind());
        io::Error::new(kind, f.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_kind_and_text_across_processes() {
        let e: io::Result<()> = Err(io::Error::from_raw_os_error(libc::ENOENT));
        let e = e.context(|| "open /x".into()).unwrap_err();
        assert_eq!(errno(&e), Some(libc::ENOENT));
        let json = serde_json::to_string(&Failure::from(e)).unwrap();
        let back: io::Error = serde_json::from_str::<Failure>(&json).unwrap().into();
        assert_eq!(back.kind(), io::ErrorKind::NotFound);
        assert_eq!(
            back.to_string(),
            "open /x: No such file or directory (os error 2)"
        );
    }
}
