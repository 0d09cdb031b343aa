//! Printing for people: a reader that has gone away (`skiff status | head`) is no reason to fail.

/// `println!` that does not mind a closed pipe.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

pub(crate) use say;
