//! A program's entry without what the standard library sets up first: a handler for overflows of the stack, for which it reads
//! the memory map and makes a second stack, and a name of the thread. A runtime is started for every container.

use std::{io::Write, os::fd::BorrowedFd};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// Makes `$main`, a `fn() -> u8` that returns the exit code, the entry of a program that is `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(_argc: i32, _argv: *const *const u8) -> i32 {
            $crate::entry::run($main)
        }
    };
}

/// Calls `main` as the standard library does; for [`entry!`].
pub fn run(main: fn() -> u8) -> i32 {
    // Else a file that is opened would be taken for a standard stream.
    for number in 0..3 {
        // SAFETY: the number is only asked about, and closed ones are told.
        let stream = unsafe { BorrowedFd::borrow_raw(number) };
        if rustix::io::fcntl_getfd(stream) == Err(Errno::BADF) {
            // Takes the lowest free number, which is this one, and keeps it.
            let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty());
            match null {
                Ok(null) => std::mem::forget(null),
                Err(_) => return 1,
            }
        }
    }
    // Who reads no further is an error of the write.
    crate::process::ignore_signal(libc::SIGPIPE);
    let code = main();
    let _ = std::io::stdout().flush();
    i32::from(code)
}
