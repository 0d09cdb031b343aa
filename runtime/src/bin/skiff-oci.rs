//! `skiff oci` by itself: the runtime without the cluster, for engines and whoever wants nothing else.

#![no_main]

use std::ffi::OsString;

skiff_sys::entry!(run);

fn run() -> u8 {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    u8::try_from(skiff_runtime::cli::main(&args)).unwrap_or(1)
}
