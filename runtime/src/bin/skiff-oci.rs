//! `skiff oci` by itself: the runtime without the cluster, for engines and whoever wants nothing else.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    ExitCode::from(u8::try_from(skiff_runtime::cli::main(&args)).unwrap_or(1))
}
