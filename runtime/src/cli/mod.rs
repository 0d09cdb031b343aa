//! `skiff oci`: the command line of runc.

/// Runs `skiff oci ARGS` (`args` without the program and without `oci`) and returns the exit code.
/// Must be called before any thread is started.
pub fn main(args: &[std::ffi::OsString]) -> i32 {
    let _ = args;
    1
}
